//! Installation, upgrade and settings.

use crate::{Account, AccountArg};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;

/// Changes of limits; `None` leaves a limit unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, CandidType, Deserialize)]
pub struct LimitsArg {
    /// The most routes.
    pub max_routes: Option<u32>,
    /// The most bytes of content.
    pub max_content_total_bytes: Option<u64>,
    /// The most settled payments.
    pub max_payments: Option<u64>,
    /// The longest validity of an authorization.
    pub max_timeout_seconds: Option<u32>,
    /// New payments are refused below this.
    pub cycles_floor: Option<Nat>,
    /// How long a paid response can be fetched.
    pub retention_seconds: Option<u32>,
}

/// The limits.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Limits {
    /// The most routes.
    pub max_routes: u32,
    /// The largest content.
    pub max_content_bytes: u32,
    /// The most bytes of content.
    pub max_content_total_bytes: u64,
    /// The most settled payments.
    pub max_payments: u64,
    /// The longest validity of an authorization.
    pub max_timeout_seconds: u32,
    /// New payments are refused below this.
    pub cycles_floor: Nat,
    /// How long a paid response can be fetched.
    pub retention_seconds: u32,
}

/// Settings at installation, or changes of them at upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, CandidType, Deserialize)]
pub struct InitArgs {
    /// CAIP-2 network id.
    pub network: Option<String>,
    /// The account that is paid by default.
    pub pay_to: Option<AccountArg>,
    /// Principals that manage routes and content.
    pub operators: Option<Vec<Principal>>,
    /// Changes of limits.
    pub limits: Option<LimitsArg>,
}

/// As [`InitArgs`]; Candid types are compared by structure.
pub type UpgradeArgs = InitArgs;

/// The argument of installation and upgrade.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum TollkeeperArgs {
    /// For installation.
    Init(InitArgs),
    /// For upgrades.
    Upgrade(UpgradeArgs),
}

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Config {
    /// CAIP-2 network id.
    pub network: String,
    /// This canister's version.
    pub version: String,
    /// The account that is paid by default.
    pub pay_to: Account,
    /// Principals that manage routes and content.
    pub operators: Vec<Principal>,
    /// The limits.
    pub limits: Limits,
}
