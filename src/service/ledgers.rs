//! The registry of ledgers.

use crate::{
    domain::{
        block_log::{self, LogKind},
        ledger::{Description, Ledger, MAX_LEDGERS},
        roles::Unauthorized,
        settlement::CallOutcome,
        validate::{self, InvalidArgument},
    },
    runtime::Runtime,
    service::role,
    storage,
};
use candid::{CandidType, DecoderConfig, Deserialize, Nat, Principal};

/// The longest description that is read.
const MAX_REPLY_BYTES: usize = 65_536;
/// The longest reply that the system delivers. A symbol may be that long; it is cut.
const MAX_SYMBOL_REPLY_BYTES: usize = 2_097_152;
/// The reject codes of a canister that lacks a method: its own reject and an error of it, or an invalid destination.
const NO_SUCH_METHOD: [u32; 3] = [3, 4, 5];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    #[error("the ledger did not answer: {problem}")]
    LedgerUnavailable { problem: String },
    /// The ledger's answer is not that of an ICRC-1 and ICRC-2 ledger.
    #[error("not an ICRC-2 ledger: {problem}")]
    NotALedger { problem: String },
    #[error("there are {limit} ledgers, which is the limit")]
    TooManyLedgers { limit: u32 },
    #[error("the ledger is not registered")]
    UnknownLedger,
}

#[derive(CandidType, Deserialize)]
struct Standard {
    name: String,
}

/// Registers a ledger after querying its description, or updates a registered one. An update also removes the claims of
/// blocks beyond the end of the ledger's log: the ledger answered falsely, or was reinstalled on a test network.
pub async fn add<R: Runtime>(runtime: &R, id: Principal) -> Result<Ledger, LedgerError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let id = validate::principal("ledger", id)?;
    if id == runtime.canister_id() {
        return Err(InvalidArgument::new("ledger", "is this canister").into());
    }
    check_no_target(&id)?;
    let standards: Vec<Standard> =
        query(runtime, id, "icrc1_supported_standards", nothing()).await?;
    let description = Description {
        symbol: {
            let (method, limit) = ("icrc1_symbol", MAX_SYMBOL_REPLY_BYTES);
            query_up_to(runtime, id, method, nothing(), limit).await?
        },
        decimals: query(runtime, id, "icrc1_decimals", nothing()).await?,
        fee: query::<_, Nat>(runtime, id, "icrc1_fee", nothing()).await?,
        standards: standards
            .into_iter()
            .map(|standard| standard.name)
            .collect(),
    };
    let mut ledger = description
        .check(id)
        .map_err(|problem| LedgerError::NotALedger { problem })?;
    if ledger.log().is_none() {
        ledger.answers_query_blocks = answers_query_blocks(runtime, id).await?;
    }
    let shorter = match (storage::claims::highest_block(&id), ledger.log()) {
        (Some(highest), Some(kind)) => log_length(runtime, id, kind)
            .await
            .filter(|length| *length <= highest.0),
        _ => None,
    };
    check_no_target(&id)?;
    // The ledger as it is after the awaits.
    if let Some(known) = storage::ledgers::get(&id) {
        if known.decimals != ledger.decimals {
            // Prices are in atomic units: their value would change silently.
            let problem = format!("it had {} decimals before", known.decimals);
            return Err(LedgerError::NotALedger { problem });
        }
        ledger.enabled = known.enabled;
    }
    storage::ledgers::put(&ledger).map_err(|_| LedgerError::TooManyLedgers {
        limit: MAX_LEDGERS as u32,
    })?;
    storage::fees::forget(&id);
    storage::audit::admin(caller, "ledger_add", &id.to_text(), runtime.now());
    if let Some(length) = shorter {
        storage::claims::shorten(&id, length);
        let subject = format!("{id}: its log has {length} blocks");
        storage::audit::admin(caller, "highest_block_forgotten", &subject, runtime.now());
    }
    Ok(ledger)
}

/// Refuses the forward target of a route: it would be called with what payers send.
fn check_no_target(id: &Principal) -> Result<(), InvalidArgument> {
    match storage::routes::forwarding_to(id) {
        Some(route) => {
            let problem = format!("is the forward target of {}", route.key);
            Err(InvalidArgument::new("ledger", problem))
        }
        None => Ok(()),
    }
}

/// Enables or disables new payments in this ledger.
pub fn enable<R: Runtime>(
    runtime: &R,
    id: Principal,
    enabled: bool,
) -> Result<Ledger, LedgerError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let mut ledger = storage::ledgers::get(&id).ok_or(LedgerError::UnknownLedger)?;
    ledger.enabled = enabled;
    storage::ledgers::put(&ledger).map_err(|_| LedgerError::TooManyLedgers {
        limit: MAX_LEDGERS as u32,
    })?;
    let action = if enabled {
        "ledger_enable"
    } else {
        "ledger_disable"
    };
    storage::audit::admin(caller, action, &id.to_text(), runtime.now());
    Ok(ledger)
}

/// The length of the ledger's log; `None` if the ledger does not say it.
async fn log_length<R: Runtime>(runtime: &R, ledger: Principal, kind: LogKind) -> Option<u64> {
    let outcome = runtime
        .call(ledger, kind.method(), kind.argument(&[]))
        .await;
    match outcome {
        CallOutcome::Reply(reply) => {
            let page = block_log::read(kind, &reply, &[], true).ok()?;
            Some(page.log_length)
        }
        _ => None,
    }
}

/// Whether the ledger answers `query_blocks` as the ICP ledger does, which names no standard for it. A ledger that is
/// out of reach says nothing.
async fn answers_query_blocks<R: Runtime>(
    runtime: &R,
    ledger: Principal,
) -> Result<bool, LedgerError> {
    let kind = LogKind::Icp;
    let outcome = runtime
        .call(ledger, kind.method(), kind.argument(&[]))
        .await;
    match outcome {
        CallOutcome::Reply(reply) => Ok(block_log::read(kind, &reply, &[], true).is_ok()),
        CallOutcome::Rejected { code, .. } if NO_SUCH_METHOD.contains(&code) => Ok(false),
        CallOutcome::Rejected { code, message } => {
            let problem = format!("reject {code}: {message}");
            Err(unavailable(kind.method(), &problem))
        }
        CallOutcome::NotSent(problem) => Err(unavailable(kind.method(), &problem)),
    }
}

fn unavailable(method: &str, problem: &str) -> LedgerError {
    let problem = crate::domain::payment::message(format!("{method}: {problem}"));
    LedgerError::LedgerUnavailable { problem }
}

/// The encoded argument of a method without arguments.
pub(super) fn nothing() -> Vec<u8> {
    b"DIDL\0\0".to_vec()
}

/// Calls a query method.
pub(super) async fn query<R, T>(
    runtime: &R,
    ledger: Principal,
    method: &str,
    argument: Vec<u8>,
) -> Result<T, LedgerError>
where
    R: Runtime,
    T: CandidType + for<'de> Deserialize<'de>,
{
    query_up_to(runtime, ledger, method, argument, MAX_REPLY_BYTES).await
}

/// Calls a query method whose reply has at most so many bytes.
async fn query_up_to<R, T>(
    runtime: &R,
    ledger: Principal,
    method: &str,
    argument: Vec<u8>,
    limit: usize,
) -> Result<T, LedgerError>
where
    R: Runtime,
    T: CandidType + for<'de> Deserialize<'de>,
{
    let reply = match runtime.call(ledger, method, argument).await {
        CallOutcome::Reply(reply) => reply,
        CallOutcome::NotSent(problem) => return Err(unavailable(method, &problem)),
        CallOutcome::Rejected { code, message } => {
            return Err(unavailable(method, &format!("reject {code}: {message}")));
        }
    };
    let wrong = || LedgerError::NotALedger {
        problem: format!("the reply of {method} cannot be decoded"),
    };
    if reply.len() > limit {
        return Err(wrong());
    }
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(2_000_000 + 8 * reply.len())
        .set_skipping_quota(500_000);
    candid::utils::decode_one_with_config(&reply, &config).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
