//! Settings of the canister and their limits.

use crate::{
    domain::{
        origin,
        validate::{self, InvalidArgument},
    },
    types::{Account, Cycles, Seconds},
};
use candid::Principal;

pub const MAX_OPERATORS: usize = 32;
pub const MAX_READERS: usize = 32;
/// The most origins that can be trusted beside the canister's own.
pub const MAX_TRUSTED_ORIGINS: usize = 20;
/// The largest resource, in bytes: it has to fit into one reply and one certified response.
pub const MAX_CONTENT_BYTES: u32 = 1_900_000;
/// The greatest value of `max_routes`.
pub const MAX_ROUTES: u32 = 10_000;
/// The greatest value of `max_content_total_bytes`: half of the memory of all tables.
pub const MAX_CONTENT_TOTAL_BYTES: u64 = 16 << 30;
/// The greatest value of `max_payments`: 8 GB, of less than 400 bytes each.
pub const MAX_PAYMENTS: u64 = 20_000_000;
/// The shortest and the longest validity of an authorization. The longest is an hour less than ledgers recognise
/// duplicates, so that a ledger recognises every repetition.
pub const TIMEOUT_SECONDS: std::ops::RangeInclusive<u32> = 10..=82_800;
/// The shortest and the longest retention of what was bought: a day to 90 days.
pub const RETENTION_SECONDS: std::ops::RangeInclusive<u32> = 86_400..=7_776_000;
pub const DEFAULT_RETENTION: Seconds = Seconds(604_800);

/// Limits that controllers can set at installation and upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_routes: u32,
    /// The most bytes of content, including unfinished uploads.
    pub max_content_total_bytes: u64,
    /// The most settled payments.
    pub max_payments: u64,
    /// The longest `maxTimeoutSeconds` of a route.
    pub max_timeout: Seconds,
    /// New payments are refused while the canister has fewer cycles.
    pub cycles_floor: Cycles,
    /// How long a response that was paid for can be fetched: for the first time after the settlement, and again after
    /// its delivery.
    pub retention: Seconds,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_routes: 1_000,
            max_content_total_bytes: 1 << 30,
            max_payments: 10_000_000,
            max_timeout: Seconds(3_600),
            cycles_floor: Cycles(500_000_000_000),
            retention: DEFAULT_RETENTION,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// CAIP-2 network id.
    pub network: String,
    /// The account that is paid unless a route names another one.
    pub pay_to: Account,
    /// Principals that manage routes and content.
    pub operators: Vec<Principal>,
    pub limits: Limits,
    /// The origin under which clients reach the canister, see [`origin`]; `None`: the host that the network gives it.
    pub origin: Option<String>,
    /// The origins of pages that wallets may trust with calls of the canister (ICRC-28), beside [`Self::origin`].
    pub trusted_origins: Vec<String>,
    /// Principals that may ask who paid for what, beside controllers and operators.
    pub readers: Vec<Principal>,
}

/// Changes of the settings; `None` leaves a setting unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub network: Option<String>,
    /// Already validated.
    pub pay_to: Option<Account>,
    /// Replaces the list.
    pub operators: Option<Vec<Principal>>,
    pub max_routes: Option<u32>,
    pub max_content_total_bytes: Option<u64>,
    pub max_payments: Option<u64>,
    pub max_timeout: Option<Seconds>,
    pub cycles_floor: Option<Cycles>,
    pub retention: Option<Seconds>,
}

impl Config {
    /// The settings after `changes`, if all of them are acceptable.
    pub fn changed(mut self, changes: Changes) -> Result<Config, InvalidArgument> {
        if let Some(network) = changes.network {
            self.network = checked_network(network)?;
        }
        if let Some(pay_to) = changes.pay_to {
            self.pay_to = pay_to;
        }
        if let Some(operators) = changes.operators {
            self.operators = checked_principals("operators", operators, MAX_OPERATORS)?;
        }
        let limits = &mut self.limits;
        if let Some(n) = changes.max_routes {
            limits.max_routes = at_most("limits.max_routes", n, MAX_ROUTES)?;
        }
        if let Some(n) = changes.max_content_total_bytes {
            limits.max_content_total_bytes =
                at_most("limits.max_content_total_bytes", n, MAX_CONTENT_TOTAL_BYTES)?;
        }
        if let Some(n) = changes.max_payments {
            limits.max_payments = at_most("limits.max_payments", n, MAX_PAYMENTS)?;
        }
        if let Some(span) = changes.max_timeout {
            limits.max_timeout = within("limits.max_timeout_seconds", span, TIMEOUT_SECONDS)?;
        }
        if let Some(span) = changes.retention {
            limits.retention = within("limits.retention_seconds", span, RETENTION_SECONDS)?;
        }
        if let Some(cycles) = changes.cycles_floor {
            limits.cycles_floor = cycles;
        }
        Ok(self)
    }

    pub fn is_operator(&self, principal: &Principal) -> bool {
        self.operators.contains(principal)
    }

    /// The settings with another origin, or with none.
    pub fn with_origin(mut self, origin: Option<String>) -> Result<Config, InvalidArgument> {
        if let Some(origin) = &origin {
            origin::check("origin", origin)?;
        }
        self.origin = origin;
        Ok(self)
    }

    /// The settings with these trusted origins instead of the present ones.
    pub fn with_trusted_origins(mut self, origins: Vec<String>) -> Result<Config, InvalidArgument> {
        if origins.len() > MAX_TRUSTED_ORIGINS {
            return Err(InvalidArgument::limit(
                "origins",
                format!("has {} entries", origins.len()),
                MAX_TRUSTED_ORIGINS as u128,
            ));
        }
        for origin in &origins {
            origin::check("origins", origin)?;
        }
        self.trusted_origins = origins;
        Ok(self)
    }

    /// The settings with these readers instead of the present ones.
    pub fn with_readers(mut self, readers: Vec<Principal>) -> Result<Config, InvalidArgument> {
        self.readers = checked_principals("readers", readers, MAX_READERS)?;
        Ok(self)
    }

    /// Every origin that wallets may trust, each once.
    pub fn all_trusted_origins(&self) -> Vec<String> {
        let mut origins: Vec<String> = self.origin.iter().cloned().collect();
        for origin in &self.trusted_origins {
            if !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
        origins
    }

    /// The settings with one more operator.
    pub fn with_operator(mut self, operator: Principal) -> Result<Config, InvalidArgument> {
        if !self.operators.contains(&operator) {
            self.operators.push(operator);
        }
        self.operators = checked_principals(
            "operators",
            std::mem::take(&mut self.operators),
            MAX_OPERATORS,
        )?;
        Ok(self)
    }
}

/// A CAIP-2 id: a namespace of 3 to 8, a colon, a reference of 1 to 32 characters.
fn checked_network(network: String) -> Result<String, InvalidArgument> {
    let reference_ok = |text: &str| {
        (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let namespace_ok = |text: &str| {
        (3..=8).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match network.split_once(':') {
        Some((namespace, reference)) if namespace_ok(namespace) && reference_ok(reference) => {
            Ok(network)
        }
        _ => Err(InvalidArgument::limit(
            "network",
            "is not a CAIP-2 id of at most 41 characters",
            41,
        )),
    }
}

fn checked_principals(
    field: &str,
    principals: Vec<Principal>,
    max: usize,
) -> Result<Vec<Principal>, InvalidArgument> {
    if principals.len() > max {
        let problem = format!("are {}, at most {max} are allowed", principals.len());
        return Err(InvalidArgument::limit(field, problem, max as u128));
    }
    let mut unique = Vec::with_capacity(principals.len());
    for principal in principals {
        let principal = validate::principal(field, principal)?;
        if !unique.contains(&principal) {
            unique.push(principal);
        }
    }
    Ok(unique)
}

fn within(
    field: &str,
    Seconds(n): Seconds,
    range: std::ops::RangeInclusive<u32>,
) -> Result<Seconds, InvalidArgument> {
    let min = *range.start();
    if n < min {
        return Err(InvalidArgument::limit(
            field,
            format!("is less than {min}"),
            min.into(),
        ));
    }
    at_most(field, n, *range.end()).map(Seconds)
}

fn at_most<T: PartialOrd + Copy + Into<u128>>(
    field: &str,
    value: T,
    max: T,
) -> Result<T, InvalidArgument> {
    if value > max {
        let limit = max.into();
        return Err(InvalidArgument::limit(
            field,
            format!("is greater than {limit}"),
            limit,
        ));
    }
    Ok(value)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> Config {
        Config {
            network: "icp:1".into(),
            pay_to: Account::from(Principal::from_slice(&[1])),
            operators: vec![],
            limits: Limits::default(),
            origin: None,
            trusted_origins: vec![],
            readers: vec![],
        }
    }

    #[test]
    fn nothing_changes_by_itself() {
        assert_eq!(config().changed(Changes::default()), Ok(config()));
    }

    #[test]
    fn every_bad_setting_is_named() {
        let cases: [(&str, Changes); 11] = [
            (
                "network",
                Changes {
                    network: Some("icp".into()),
                    ..Default::default()
                },
            ),
            (
                "network",
                Changes {
                    network: Some("icp:ü".into()),
                    ..Default::default()
                },
            ),
            (
                "operators",
                Changes {
                    operators: Some(vec![Principal::anonymous()]),
                    ..Default::default()
                },
            ),
            (
                "operators",
                Changes {
                    operators: Some((0..33).map(|n| Principal::from_slice(&[n])).collect()),
                    ..Default::default()
                },
            ),
            (
                "limits.max_routes",
                Changes {
                    max_routes: Some(10_001),
                    ..Default::default()
                },
            ),
            (
                "limits.max_content_total_bytes",
                Changes {
                    max_content_total_bytes: Some((16 << 30) + 1),
                    ..Default::default()
                },
            ),
            (
                "limits.max_payments",
                Changes {
                    max_payments: Some(20_000_001),
                    ..Default::default()
                },
            ),
            (
                "limits.max_timeout_seconds",
                Changes {
                    max_timeout: Some(Seconds(9)),
                    ..Default::default()
                },
            ),
            (
                "limits.max_timeout_seconds",
                Changes {
                    max_timeout: Some(Seconds(86_401)),
                    ..Default::default()
                },
            ),
            (
                "limits.retention_seconds",
                Changes {
                    retention: Some(Seconds(86_399)),
                    ..Default::default()
                },
            ),
            (
                "limits.retention_seconds",
                Changes {
                    retention: Some(Seconds(7_776_001)),
                    ..Default::default()
                },
            ),
        ];
        for (field, changes) in cases {
            assert_eq!(config().changed(changes).unwrap_err().field, field);
        }
    }

    #[test]
    fn an_operator_is_listed_once() {
        let operator = Principal::from_slice(&[9]);
        let config = config()
            .with_operator(operator)
            .unwrap()
            .with_operator(operator)
            .unwrap();
        assert_eq!(config.operators, vec![operator]);
        assert!(config.is_operator(&operator));
    }
}
