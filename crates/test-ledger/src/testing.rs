//! For tests of other packages: installation arguments and faults by name.
//!
//! ```
//! use candid::Principal;
//! use test_ledger::testing::{Fault, LedgerInit, queue_fault};
//!
//! let minter = Principal::from_slice(&[1]);
//! let payer = Principal::from_slice(&[2]);
//! let install_arg = LedgerInit::ckusdc(minter).balance(payer, 5_000_000).with_faults().encode();
//! let method_and_arg = queue_fault("icrc2_transfer_from", 1, &Fault::lost_after_transfer());
//! # assert!(!install_arg.is_empty() && method_and_arg.0 == "test_queue_fault");
//! ```

use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use icrc_ledger_types::icrc1::transfer::TransferError;
use icrc_ledger_types::icrc2::approve::ApproveError;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use icrc_ledger_types::icrc3::blocks::{ArchivedBlocks, BlockWithId, GetBlocksResult};
use serde_bytes::ByteBuf;

use crate::args::{ArchiveOptions, FeatureFlags, InitArgs, LedgerArg};
pub use crate::faults::{Answer, Effect, Fault, FaultStatus, Hold};

/// ckUSDC's ledger on mainnet.
pub const CKUSDC_ID: &str = "xevnm-gaaaa-aaaar-qafnq-cai";
/// The ICP ledger on mainnet.
pub const ICP_ID: &str = "ryjl3-tyaaa-aaaaa-aaaba-cai";

/// Builds the installation argument of this ledger, and of any standard ICRC ledger.
#[derive(Clone, Debug)]
pub struct LedgerInit(InitArgs);

impl LedgerInit {
    /// A token with 8 decimals and a fee of 10,000 units.
    pub fn new(symbol: &str, name: &str, minter: impl Into<Account>) -> Self {
        let minting_account = minter.into();
        Self(InitArgs {
            minting_account,
            fee_collector_account: None,
            transfer_fee: Nat::from(10_000_u32),
            decimals: Some(8),
            max_memo_length: Some(32),
            token_symbol: symbol.to_string(),
            token_name: name.to_string(),
            metadata: vec![],
            initial_balances: vec![],
            feature_flags: Some(FeatureFlags { icrc2: true }),
            archive_options: ArchiveOptions {
                num_blocks_to_archive: 1_000,
                max_transactions_per_response: None,
                trigger_threshold: 2_000,
                max_message_size_bytes: None,
                cycles_for_archive_creation: None,
                node_max_memory_size_bytes: None,
                controller_id: minting_account.owner,
                more_controller_ids: None,
            },
            test_faults: None,
            test_icp: None,
        })
    }

    /// As ckUSDC on mainnet: 6 decimals, fee 10,000.
    pub fn ckusdc(minter: impl Into<Account>) -> Self {
        Self::new("ckUSDC", "ckUSDC", minter).decimals(6)
    }

    /// As ICP on mainnet: 8 decimals, fee 10,000.
    pub fn icp(minter: impl Into<Account>) -> Self {
        Self::new("ICP", "Internet Computer", minter)
    }

    /// For an installation that is to be an archive of another one: no blocks of its own.
    pub fn archive() -> Self {
        Self::new("ARCHIVE", "Archive", Principal::management_canister()).with_faults()
    }

    pub fn decimals(mut self, decimals: u8) -> Self {
        self.0.decimals = Some(decimals);
        self
    }

    pub fn fee(mut self, fee: u128) -> Self {
        self.0.transfer_fee = Nat::from(fee);
        self
    }

    /// Mints `amount` to `account` at installation.
    pub fn balance(mut self, account: impl Into<Account>, amount: u128) -> Self {
        let balances = &mut self.0.initial_balances;
        balances.push((account.into(), Nat::from(amount)));
        self
    }

    /// Opens the test interface.
    pub fn with_faults(mut self) -> Self {
        self.0.test_faults = Some(true);
        self
    }

    /// The interface of the ICP ledger in place of ICRC-3.
    pub fn with_icp_interface(mut self) -> Self {
        self.0.test_icp = Some(true);
        self
    }

    pub fn args(self) -> InitArgs {
        self.0
    }

    /// The Candid argument for `install_code`.
    pub fn encode(self) -> Vec<u8> {
        candid::encode_one(LedgerArg::Init(self.0)).expect("BUG: the argument is not Candid")
    }
}

impl Fault {
    /// Nothing happens; the caller is told `answer` at once.
    pub fn instead(answer: Answer) -> Self {
        Self {
            effect: Effect::None,
            hold: Hold::No,
            answer,
        }
    }

    /// The books change as asked; the caller is told `answer` at once.
    pub fn afterwards(answer: Answer) -> Self {
        Self {
            effect: Effect::BeforeHold,
            ..Self::instead(answer)
        }
    }

    /// The same fault with the reply held back.
    pub fn held(mut self, hold: Hold) -> Self {
        self.hold = hold;
        self
    }

    /// `icrc2_transfer_from` refuses with this error; nothing moved.
    pub fn transfer_from_error(error: TransferFromError) -> Self {
        Self::instead(Answer::TransferFromError(error))
    }

    /// `icrc1_transfer` refuses with this error; nothing moved.
    pub fn transfer_error(error: TransferError) -> Self {
        Self::instead(Answer::TransferError(error))
    }

    /// `icrc2_approve` refuses with this error; nothing changed.
    pub fn approve_error(error: ApproveError) -> Self {
        Self::instead(Answer::ApproveError(error))
    }

    /// An explicit reject (code 4); nothing moved.
    pub fn reject() -> Self {
        Self::instead(Answer::Reject("rejected on request".to_string()))
    }

    /// A trap (code 5); nothing moved.
    pub fn trap() -> Self {
        Self::instead(Answer::Trap("trapped on request".to_string()))
    }

    /// The transfer is made, the caller sees an explicit reject (code 4).
    pub fn lost_after_transfer() -> Self {
        Self::afterwards(Answer::Reject("reply lost on request".to_string()))
    }

    /// The transfer is made and committed, then the ledger traps (code 5).
    pub fn trap_after_transfer() -> Self {
        Self::afterwards(Answer::Trap("trapped on request".to_string()))
    }

    /// The transfer is made at once, the true reply comes when it is released.
    pub fn delayed_after_transfer() -> Self {
        Self::afterwards(Answer::Honest).held(Hold::UntilRelease)
    }

    /// Nothing happens until the reply is released, then everything as asked.
    pub fn delayed_before_transfer() -> Self {
        Self {
            effect: Effect::AfterHold,
            hold: Hold::UntilRelease,
            answer: Answer::Honest,
        }
    }

    /// `Ok` with an index out of the air; nothing moved.
    pub fn lying_ok(index: u64) -> Self {
        Self::instead(Answer::Index(Nat::from(index)))
    }

    /// `Ok` with the index of the newest block; nothing moved.
    pub fn repeated_index() -> Self {
        Self::instead(Answer::RepeatIndex)
    }

    /// Bytes that are not Candid; nothing moved.
    pub fn garbage() -> Self {
        Self::instead(Answer::Bytes(ByteBuf::from(b"not Candid".to_vec())))
    }

    /// Two million bytes of text where a result is expected; nothing moved.
    pub fn huge_text() -> Self {
        Self::instead(Answer::Text(2_000_000))
    }

    /// A number of 10,000 digits where an index or amount is expected; nothing moved.
    pub fn huge_nat() -> Self {
        Self::instead(Answer::NatOfDigits(10_000))
    }
}

/// Method and argument of the call that queues `fault` for the next `calls` calls of `method`; the reply is
/// decoded by [`decode_queued`].
pub fn queue_fault(method: &str, calls: u32, fault: &Fault) -> (&'static str, Vec<u8>) {
    let arg = candid::encode_args((method, calls, fault));
    let arg = arg.expect("BUG: the argument is not Candid");
    ("test_queue_fault", arg)
}

/// The reply of `test_queue_fault`.
pub fn decode_queued(reply: &[u8]) -> Result<(), String> {
    candid::decode_one::<Result<(), String>>(reply).map_err(|error| error.to_string())?
}

/// Method and argument of the call that moves the oldest `count` blocks to `archive`; the reply is decoded
/// by [`decode_moved`].
pub fn move_to_archive(archive: Principal, count: u64) -> (&'static str, Vec<u8>) {
    let arg = candid::encode_args((archive, count));
    (
        "test_archive",
        arg.expect("BUG: the argument is not Candid"),
    )
}

/// The reply of `test_archive`: how many blocks are archived now.
pub fn decode_moved(reply: &[u8]) -> Result<u64, String> {
    candid::decode_one::<Result<u64, String>>(reply).map_err(|error| error.to_string())?
}

/// `icrc3_get_blocks` answers this, whatever is asked.
pub fn log_reply(
    log_length: Nat,
    blocks: Vec<BlockWithId>,
    archived: Vec<ArchivedBlocks>,
) -> Fault {
    let result = GetBlocksResult {
        log_length,
        blocks,
        archived_blocks: archived,
    };
    let bytes = candid::encode_one(result).expect("BUG: the result is not Candid");
    Fault::instead(Answer::Bytes(ByteBuf::from(bytes)))
}

/// Canister id of a constant of this module.
pub fn id(text: &str) -> Principal {
    Principal::from_text(text).expect("BUG: not a principal")
}
