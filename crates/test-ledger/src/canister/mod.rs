//! The canister around the rules. Entry points only translate; the rules are in `domain`, the misbehaviour
//! in `play`.

mod convert;
mod icp_log;
mod log;
mod play;
mod state;

use candid::{Nat, Principal};
use ic_cdk::{init, post_upgrade, query, update};
use icrc_ledger_types::icrc1::account::Account;
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use icrc_ledger_types::icrc2::allowance::{Allowance, AllowanceArgs};
use icrc_ledger_types::icrc2::approve::{ApproveArgs, ApproveError};
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use icrc_ledger_types::icrc3::archive::{GetArchivesArgs, GetArchivesResult};
use icrc_ledger_types::icrc3::blocks::{
    GetBlocksRequest, GetBlocksResult, ICRC3DataCertificate, SupportedBlockType,
};
use icrc_ledger_types::icrc21::errors::Icrc21Error;
use icrc_ledger_types::icrc21::lib::build_icrc21_consent_info_for_icrc1_and_icrc2_endpoints;
use icrc_ledger_types::icrc21::requests::ConsentMessageRequest;
use icrc_ledger_types::icrc21::responses::ConsentInfo;
use serde_bytes::ByteBuf;

use crate::args::{LedgerArg, MetadataEntry};
use crate::domain::icp;
use crate::domain::rules::CheckOrder;
use crate::domain::{Books, Config, TransferRequest, rules};
use crate::faults::{Fault, FaultStatus, Method};
use convert::StandardRecord;
use play::Answered;

/// Offsets from UTC in use are within 14 hours; the consent message library cannot cope with more than a day.
const MAX_UTC_OFFSET_MINUTES: u16 = 14 * 60;

const STANDARDS: [(&str, &str); 5] = [
    (
        "ICRC-1",
        "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-1",
    ),
    (
        "ICRC-2",
        "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-2",
    ),
    (
        "ICRC-3",
        "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-3",
    ),
    (
        "ICRC-10",
        "https://github.com/dfinity/ICRC/blob/main/ICRCs/ICRC-10/ICRC-10.md",
    ),
    (
        "ICRC-21",
        "https://github.com/dfinity/wg-identity-authentication/blob/main/topics/ICRC-21/icrc_21_consent_msg.md",
    ),
];

// ---- Installation -----------------------------------------------------------------------------------

#[init]
fn init(arg: LedgerArg) {
    let LedgerArg::Init(args) = arg else {
        ic_cdk::api::trap("install with an Init argument, not with an Upgrade argument");
    };
    let config = Config::from_init(&args).unwrap_or_else(refuse_installation);
    let now = state::now();
    state::mutate(|ledger| ledger.set_config(config.clone()));
    for (account, amount) in args.initial_balances {
        let mint = TransferRequest {
            from: config.minting_account,
            to: account,
            spender: None,
            amount,
            fee: None,
            memo: None,
            created_at_time: Some(now),
        };
        if let Err(refusal) = state::mutate(|ledger| rules::transfer(ledger, &config, mint, now)) {
            ic_cdk::api::trap(format!("initial_balances: {account}: {refusal:?}"));
        }
    }
    state::read(state::certify);
}

#[post_upgrade]
fn post_upgrade(arg: Option<LedgerArg>) {
    match arg {
        Some(LedgerArg::Init(_)) => {
            ic_cdk::api::trap("upgrade with an Upgrade argument, not with an Init argument")
        }
        Some(LedgerArg::Upgrade(Some(args))) => {
            let present = Config::clone(&state::config());
            let config = present.upgraded(args).unwrap_or_else(refuse_installation);
            state::mutate(|ledger| ledger.set_config(config));
        }
        Some(LedgerArg::Upgrade(None)) | None => {}
    }
    state::read(state::certify);
}

fn refuse_installation<T>(error: crate::domain::ConfigError) -> T {
    ic_cdk::api::trap(error.to_string())
}

// ---- ICRC-1 -----------------------------------------------------------------------------------------

#[query]
fn icrc1_name() -> String {
    state::config().token_name.clone()
}

#[query(manual_reply = true)]
fn icrc1_symbol() -> Answered<String> {
    play::query(Method::Symbol, || state::config().token_symbol.clone())
}

#[query(manual_reply = true)]
fn icrc1_decimals() -> Answered<u8> {
    play::query(Method::Decimals, || state::config().decimals)
}

#[query(manual_reply = true)]
fn icrc1_fee() -> Answered<Nat> {
    play::query(Method::Fee, || Nat::from(state::config().transfer_fee))
}

#[query]
fn icrc1_metadata() -> Vec<MetadataEntry> {
    state::config().metadata()
}

#[query]
fn icrc1_minting_account() -> Option<Account> {
    Some(state::config().minting_account)
}

#[query]
fn icrc1_total_supply() -> Nat {
    state::read(|ledger| ledger.total_supply()).into()
}

#[query(manual_reply = true)]
fn icrc1_balance_of(account: Account) -> Answered<Nat> {
    play::query(Method::BalanceOf, || {
        Nat::from(state::read(|ledger| ledger.balance(&account)))
    })
}

#[query(manual_reply = true)]
fn icrc1_supported_standards() -> Answered<Vec<StandardRecord>> {
    play::query(Method::SupportedStandards, icrc10_supported_standards)
}

#[query]
fn icrc10_supported_standards() -> Vec<StandardRecord> {
    let hides_log = state::config().icp || state::faults(|faults| faults.hides_log());
    STANDARDS
        .iter()
        .filter(|(name, _)| !hides_log || *name != "ICRC-3")
        .map(|(name, url)| StandardRecord {
            name: name.to_string(),
            url: url.to_string(),
        })
        .collect()
}

#[update(manual_reply = true)]
async fn icrc1_transfer(arg: TransferArg) -> Answered<Result<Nat, TransferError>> {
    let request = convert::transfer_request(ic_cdk::api::msg_caller(), arg);
    play::update(Method::Transfer, || {
        convert::answer(transfer(request), convert::transfer_error)
    })
    .await
}

// ---- ICRC-2 -----------------------------------------------------------------------------------------

#[update(manual_reply = true)]
async fn icrc2_approve(arg: ApproveArgs) -> Answered<Result<Nat, ApproveError>> {
    let request = convert::approve_request(ic_cdk::api::msg_caller(), arg);
    play::update(Method::Approve, || {
        let (config, now) = (state::config(), state::now());
        let result = state::mutate(|ledger| rules::approve(ledger, &config, request, now));
        convert::answer(result, convert::approve_error)
    })
    .await
}

#[update(manual_reply = true)]
async fn icrc2_transfer_from(arg: TransferFromArgs) -> Answered<Result<Nat, TransferFromError>> {
    if state::config().test_faults {
        let memo = arg.memo.clone().map(|memo| memo.0.into_vec());
        state::faults(|faults| faults.note_memo(memo.unwrap_or_default()));
    }
    let request = convert::transfer_from_request(ic_cdk::api::msg_caller(), arg);
    play::update(Method::TransferFrom, || {
        convert::answer(transfer(request), convert::transfer_from_error)
    })
    .await
}

#[query(manual_reply = true)]
fn icrc2_allowance(arg: AllowanceArgs) -> Answered<Allowance> {
    play::query(Method::Allowance, || {
        let now = state::now();
        let allowance = state::read(|ledger| ledger.allowance(&arg.account, &arg.spender, now));
        Allowance {
            allowance: allowance.amount.into(),
            expires_at: allowance.expires_at,
        }
    })
}

fn transfer(request: TransferRequest) -> Result<u64, crate::domain::TransferRefusal> {
    let (config, now) = (state::config(), state::now());
    let order = state::faults(|faults| faults.check_order());
    state::mutate(|ledger| rules::transfer_in_order(ledger, &config, request, now, order))
}

// ---- ICRC-3 -----------------------------------------------------------------------------------------

#[query(manual_reply = true)]
fn icrc3_get_blocks(args: Vec<GetBlocksRequest>) -> Answered<GetBlocksResult> {
    let caller = ic_cdk::api::msg_caller();
    // Tests look at the blocks of the ICP interface in this way, too.
    if state::config().icp && caller != Principal::anonymous() {
        ic_cdk::api::trap("there is no block log of ICRC-3");
    }
    require_log();
    play::query(Method::GetBlocks, || log::blocks(args))
}

#[query]
fn icrc3_get_archives(args: GetArchivesArgs) -> GetArchivesResult {
    log::archives(args)
}

#[query]
fn icrc3_get_tip_certificate() -> Option<ICRC3DataCertificate> {
    log::tip_certificate()
}

#[query]
fn icrc3_supported_block_types() -> Vec<SupportedBlockType> {
    log::block_types()
}

/// Traps if a test hid the log, except for controllers.
fn require_log() {
    let hidden = state::faults(|faults| faults.hides_log());
    if hidden && !ic_cdk::api::is_controller(&ic_cdk::api::msg_caller()) {
        ic_cdk::api::trap("there is no block log");
    }
}

// ---- The ICP ledger's own interface -----------------------------------------------------------------

#[query(manual_reply = true)]
fn query_blocks(args: icp::GetBlocksArgs) -> Answered<icp::QueryBlocksResponse> {
    icp_log::require();
    require_log();
    play::query(Method::QueryBlocks, || icp_log::blocks(args))
}

/// For archives of such a ledger.
#[query(manual_reply = true)]
fn get_blocks(args: icp::GetBlocksArgs) -> Answered<Result<icp::BlockRange, icp::GetBlocksError>> {
    play::query(Method::ArchivedBlocks, || icp_log::archived(args))
}

// ---- ICRC-21 ----------------------------------------------------------------------------------------

#[update]
fn icrc21_canister_call_consent_message(
    request: ConsentMessageRequest,
) -> Result<ConsentInfo, Icrc21Error> {
    let offset = request.user_preferences.metadata.utc_offset_minutes;
    if offset.is_some_and(|minutes| minutes.unsigned_abs() > MAX_UTC_OFFSET_MINUTES) {
        return Err(Icrc21Error::GenericError {
            error_code: Nat::from(400_u32),
            description: format!("utc_offset_minutes: at most {MAX_UTC_OFFSET_MINUTES} either way"),
        });
    }
    let config = state::config();
    build_icrc21_consent_info_for_icrc1_and_icrc2_endpoints(
        request,
        ic_cdk::api::msg_caller(),
        config.transfer_fee.into(),
        config.token_symbol.clone(),
        config.token_name.clone(),
        config.decimals,
    )
}

// ---- Test interface: traps unless the installation argument opened it -------------------------------

#[update]
fn test_queue_fault(method: String, calls: u32, fault: Fault) -> Result<(), String> {
    state::require_test_interface();
    state::faults(|faults| faults.queue(&method, calls, fault)).map_err(|error| error.to_string())
}

#[update]
fn test_clear_faults() {
    state::require_test_interface();
    state::faults(|faults| faults.clear());
}

#[update]
fn test_release() -> u32 {
    state::require_test_interface();
    state::faults(|faults| faults.release())
}

#[update]
fn test_release_one(number: u32) -> Option<u32> {
    state::require_test_interface();
    state::faults(|faults| faults.release_one(number))
}

#[update]
fn test_hide_log(hide: bool) {
    state::require_test_interface();
    state::faults(|faults| faults.hide_log(hide));
}

#[query]
fn test_was_asked(memo: ByteBuf) -> bool {
    state::require_test_interface();
    state::faults(|faults| faults.was_asked(&memo))
}

#[query]
fn test_fault_status() -> Vec<FaultStatus> {
    state::require_test_interface();
    state::faults(|faults| faults.status())
}

#[update]
fn test_set_fee(fee: Nat) {
    state::require_test_interface();
    let mut config = Config::clone(&state::config());
    config.transfer_fee =
        crate::domain::config::tokens("transfer_fee", &fee).unwrap_or_else(refuse_installation);
    state::mutate(|ledger| ledger.set_config(config));
}

#[update]
fn test_set_time_skew(nanoseconds: i64) {
    state::require_test_interface();
    state::faults(|faults| faults.set_skew(nanoseconds));
}

/// What transfers are checked for first, until an upgrade.
#[update]
fn test_set_check_order(order: CheckOrder) {
    state::require_test_interface();
    state::faults(|faults| faults.set_check_order(order));
}

/// Moves the oldest `count` blocks to `archive`, another installation of this wasm with the test interface.
#[update]
async fn test_archive(archive: Principal, count: u64) -> Result<u64, String> {
    state::require_test_interface();
    log::move_to(archive, count).await
}

/// For archives: takes blocks over from their ledger.
#[update]
fn test_receive_blocks(start: u64, blocks: Vec<ByteBuf>) -> Result<(), String> {
    state::require_test_interface();
    log::receive(start, blocks)
}

ic_cdk::export_candid!();

#[cfg(test)]
mod tests {
    use candid_parser::utils::{CandidSource, service_equal};

    #[test]
    fn should_have_the_committed_interface() {
        let code = super::__export_service();
        let committed = include_str!("../../test_ledger.did");
        service_equal(CandidSource::Text(&code), CandidSource::Text(committed))
            .unwrap_or_else(|error| panic!("test_ledger.did differs: {error}\n{code}"));
    }
}
