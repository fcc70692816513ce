//! The registry of ledgers.

use crate::{
    domain::{
        block_log,
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

/// A description longer than this is not read.
const MAX_REPLY_BYTES: usize = 65_536;
/// The longest reply that the system delivers. A symbol may be that long; it is cut.
const MAX_SYMBOL_REPLY_BYTES: usize = 2_097_152;

/// A ledger cannot be registered or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The caller may not do this.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// A field is not acceptable.
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    /// The ledger did not answer.
    #[error("the ledger did not answer: {problem}")]
    LedgerUnavailable {
        /// What went wrong.
        problem: String,
    },
    /// It answered, but not as an ICRC-1 and ICRC-2 ledger.
    #[error("this is no ledger: {problem}")]
    NotALedger {
        /// What is missing.
        problem: String,
    },
    /// There is no room.
    #[error("there are {limit} ledgers, which is the limit")]
    TooManyLedgers {
        /// The limit that was reached.
        limit: u32,
    },
    /// It is not registered.
    #[error("the ledger is not registered")]
    UnknownLedger,
}

#[derive(CandidType, Deserialize)]
struct Standard {
    name: String,
}

/// Registers a ledger after asking it what it is, or refreshes what is known of it. The latter also
/// forgets the blocks that it named beyond the end of its log: it lied, or it was installed anew on a test network.
pub async fn add<R: Runtime>(runtime: &R, id: Principal) -> Result<Ledger, LedgerError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let id = validate::principal("ledger", id)?;
    if id == runtime.canister_id() {
        return Err(InvalidArgument::new("ledger", "is this canister").into());
    }
    let standards: Vec<Standard> =
        query(runtime, id, "icrc1_supported_standards", nothing()).await?;
    let description = Description {
        symbol: {
            let (method, limit) = ("icrc1_symbol", MAX_SYMBOL_REPLY_BYTES);
            ask_up_to(runtime, id, method, nothing(), limit).await?
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
    let shorter = match storage::claims::highest_block(&id) {
        Some(highest) => log_length(runtime, id)
            .await
            .filter(|length| *length <= highest.0),
        None => None,
    };
    // As it is now, after the awaits.
    if let Some(known) = storage::ledgers::get(&id) {
        if known.decimals != ledger.decimals {
            // Prices are in atomic units: they would silently mean something else.
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

/// Accepts new payments in this ledger, or no longer.
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

/// How many blocks the ledger's log has; none if it does not say so.
async fn log_length<R: Runtime>(runtime: &R, ledger: Principal) -> Option<u64> {
    let argument = block_log::argument(&[]);
    match runtime.call(ledger, "icrc3_get_blocks", argument).await {
        CallOutcome::Reply(reply) => {
            let page = block_log::read(&reply, &[], true).ok()?;
            Some(page.log_length)
        }
        _ => None,
    }
}

/// The encoded argument of a method without any.
pub(super) fn nothing() -> Vec<u8> {
    b"DIDL\0\0".to_vec()
}

/// Asks a question.
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
    ask_up_to(runtime, ledger, method, argument, MAX_REPLY_BYTES).await
}

/// Asks a question whose answer may have so many bytes.
async fn ask_up_to<R, T>(
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
    let unavailable = |problem: String| {
        let problem = crate::domain::payment::message(format!("{method}: {problem}"));
        LedgerError::LedgerUnavailable { problem }
    };
    let reply = match runtime.call(ledger, method, argument).await {
        CallOutcome::Reply(reply) => reply,
        CallOutcome::NotSent(problem) => return Err(unavailable(problem)),
        CallOutcome::Rejected { code, message } => {
            return Err(unavailable(format!("reject {code}: {message}")));
        }
    };
    let wrong = || LedgerError::NotALedger {
        problem: format!("{method} gave an unreadable reply"),
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
