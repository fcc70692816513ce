//! What wallets ask: ICRC-10 and ICRC-28. The types of ICRC-21 are those of `icrc_ledger_types::icrc21`.

use candid::CandidType;
use serde::Deserialize;

/// A standard, and where it is described (ICRC-10).
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct SupportedStandard {
    /// As `ICRC-21`.
    pub name: String,
    /// The page of the standard.
    pub url: String,
}

/// The origins of pages that may act for a user without asking for each call (ICRC-28).
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct TrustedOrigins {
    /// Scheme, host and port, as browsers write them.
    pub trusted_origins: Vec<String>,
}
