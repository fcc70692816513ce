//! The ledger as a canister: the measured facts of the ICRC ledger suite through its public interface. Runs
//! on our ledger, or on the wasm that `LEDGER_WASM` names.

mod support;

use std::time::Duration;

use candid::{Nat, Principal};
use ic_certification::{HashTree, LookupResult};
use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use icrc_ledger_types::icrc1::account::Account;
use icrc_ledger_types::icrc1::transfer::{Memo, TransferError};
use icrc_ledger_types::icrc2::approve::ApproveError;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use icrc_ledger_types::icrc3::archive::{GetArchivesArgs, GetArchivesResult};
use icrc_ledger_types::icrc3::blocks::ICRC3DataCertificate;
use pocket_ic::RejectCode;
use support::pocket::{
    FEE, FUNDS, Pocket, approve_arg, is_foreign, merchant, minter, payer, shop, transfer_arg,
    transfer_from_arg,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ends the server's own rounding: the next message runs exactly at the time returned.
fn jump(ledger: &Pocket, by: Duration) -> u64 {
    ledger.pic.advance_time(by);
    ledger.now()
}

mod transfer {
    use super::*;

    #[test]
    fn should_move_the_amount_and_burn_the_fee() {
        let ledger = Pocket::new();
        let supply: Nat = ledger.query("icrc1_total_supply", ());
        let index = ledger.transfer(payer(), transfer_arg(merchant(), 1_000));
        assert_eq!(index, Ok(Nat::from(1_u8)));
        assert_eq!(ledger.balance(payer()), FUNDS - 1_000 - FEE);
        assert_eq!(ledger.balance(merchant()), 1_000);
        let after: Nat = ledger.query("icrc1_total_supply", ());
        assert_eq!(after, supply - FEE);
    }

    #[test]
    fn should_trap_on_a_memo_of_33_bytes() {
        let ledger = Pocket::new();
        let mut arg = transfer_arg(merchant(), 1);
        arg.memo = Some(Memo::from(vec![1; 33]));
        let reject = ledger
            .try_update::<Result<Nat, TransferError>>(payer(), "icrc1_transfer", (arg,))
            .expect_err("a trap");
        assert_eq!(reject.reject_code, RejectCode::CanisterError);
        assert_eq!(ledger.balance(payer()), FUNDS);
    }

    #[test]
    fn should_trap_on_a_subaccount_of_31_bytes() {
        #[derive(candid::CandidType)]
        struct Loose {
            owner: Principal,
            subaccount: Option<Vec<u8>>,
        }
        let ledger = Pocket::new();
        let account = Loose {
            owner: payer(),
            subaccount: Some(vec![0; 31]),
        };
        let reject = ledger
            .try_query::<Nat>("icrc1_balance_of", (account,))
            .expect_err("a trap");
        assert_eq!(reject.reject_code, RejectCode::CanisterError);
    }

    #[test]
    fn should_check_fee_then_time_then_balance() {
        let ledger = Pocket::new();
        jump(&ledger, 2 * DAY);
        let mut arg = transfer_arg(merchant(), 100 * FUNDS);
        arg.fee = Some(Nat::from(FEE - 1));
        arg.created_at_time = Some(0);
        let expected_fee = Nat::from(FEE);
        assert_eq!(
            ledger.transfer(payer(), arg.clone()),
            Err(TransferError::BadFee { expected_fee })
        );
        arg.fee = Some(Nat::from(FEE));
        assert_eq!(
            ledger.transfer(payer(), arg.clone()),
            Err(TransferError::TooOld)
        );
        arg.created_at_time = None;
        let balance = Nat::from(FUNDS);
        assert_eq!(
            ledger.transfer(payer(), arg),
            Err(TransferError::InsufficientFunds { balance })
        );
    }

    #[test]
    fn should_accept_24_hours_back_and_60_seconds_ahead_exactly() {
        let ledger = Pocket::new();
        let day = DAY.as_nanos() as u64;
        let drift = 60_000_000_000;
        // Jumping makes the next round run at exactly the time read.
        let at = |offset: i64| {
            let now = jump(&ledger, DAY);
            let mut arg = transfer_arg(merchant(), 1);
            arg.created_at_time = Some(now.saturating_add_signed(offset));
            (now, ledger.transfer(payer(), arg))
        };
        assert!(at(-(day as i64)).1.is_ok());
        assert_eq!(at(-(day as i64) - 1).1, Err(TransferError::TooOld));
        assert!(at(drift).1.is_ok());
        let (ledger_time, answer) = at(drift + 1);
        assert_eq!(answer, Err(TransferError::CreatedInFuture { ledger_time }));
    }

    #[test]
    fn should_deduplicate_the_transaction_as_sent_for_24_hours() {
        let ledger = Pocket::new();
        let start = jump(&ledger, DAY);
        let mut arg = transfer_arg(merchant(), 5);
        arg.created_at_time = Some(start);
        let index = ledger.transfer(payer(), arg.clone()).expect("a transfer");
        let duplicate = Err(TransferError::Duplicate {
            duplicate_of: index,
        });
        assert_eq!(ledger.transfer(payer(), arg.clone()), duplicate);

        let mut with_fee = arg.clone();
        with_fee.fee = Some(Nat::from(FEE));
        assert!(ledger.transfer(payer(), with_fee.clone()).is_ok());
        let mut with_subaccount = arg.clone();
        with_subaccount.from_subaccount = Some([0; 32]);
        assert!(ledger.transfer(payer(), with_subaccount).is_ok());
        with_fee.fee = Some(Nat::from(FEE + 1));
        let expected_fee = Nat::from(FEE);
        assert_eq!(
            ledger.transfer(payer(), with_fee),
            Err(TransferError::BadFee { expected_fee })
        );

        jump(&ledger, DAY - Duration::from_secs(1));
        assert_eq!(ledger.transfer(payer(), arg.clone()), duplicate);
        jump(&ledger, Duration::from_secs(2));
        assert_eq!(ledger.transfer(payer(), arg), Err(TransferError::TooOld));
        assert_eq!(ledger.balance(merchant()), 15);
    }

    #[test]
    fn should_allow_amount_zero_and_transfers_to_oneself() {
        let ledger = Pocket::new();
        assert!(
            ledger
                .transfer(payer(), transfer_arg(merchant(), 0))
                .is_ok()
        );
        assert!(ledger.transfer(payer(), transfer_arg(payer(), 7)).is_ok());
        assert_eq!(ledger.balance(payer()), FUNDS - 2 * FEE);
    }
}

mod mint_and_burn {
    use super::*;

    #[test]
    fn should_mint_and_burn_without_fee() {
        let ledger = Pocket::new();
        let mut mint = transfer_arg(merchant(), 50_000);
        mint.fee = Some(Nat::from(FEE));
        let expected_fee = Nat::from(0_u8);
        let bad_fee = Err(TransferError::BadFee { expected_fee });
        assert_eq!(ledger.transfer(minter(), mint.clone()), bad_fee);
        mint.fee = Some(Nat::from(0_u8));
        assert!(ledger.transfer(minter(), mint).is_ok());
        let mut burn = transfer_arg(minter(), FEE);
        burn.fee = Some(Nat::from(FEE));
        assert_eq!(ledger.transfer(merchant(), burn.clone()), bad_fee);
        burn.fee = None;
        assert!(ledger.transfer(merchant(), burn.clone()).is_ok());
        assert_eq!(ledger.balance(merchant()), 40_000);
        burn.amount = Nat::from(FEE - 1);
        let min_burn_amount = Nat::from(FEE);
        assert_eq!(
            ledger.transfer(merchant(), burn),
            Err(TransferError::BadBurn { min_burn_amount })
        );
    }

    #[test]
    fn should_find_no_funds_when_the_minter_pays_itself() {
        let ledger = Pocket::new();
        let balance = Nat::from(0_u8);
        assert_eq!(
            ledger.transfer(minter(), transfer_arg(minter(), 5)),
            Err(TransferError::InsufficientFunds { balance })
        );
    }
}

mod approve {
    use super::*;

    fn trapped(ledger: &Pocket, caller: Principal, spender: Principal) {
        let arg = approve_arg(spender, 1);
        let reject = ledger
            .try_update::<Result<Nat, ApproveError>>(caller, "icrc2_approve", (arg,))
            .expect_err("a trap");
        assert_eq!(reject.reject_code, RejectCode::CanisterError);
    }

    #[test]
    fn should_trap_on_self_approval_and_on_the_minter() {
        let ledger = Pocket::new();
        trapped(&ledger, payer(), payer());
        trapped(&ledger, minter(), payer());
    }

    #[test]
    fn should_set_and_not_add() {
        let ledger = Pocket::new();
        assert!(ledger.approve(payer(), approve_arg(shop(), 9)).is_ok());
        assert!(ledger.approve(payer(), approve_arg(shop(), 7)).is_ok());
        assert_eq!(ledger.allowance(payer(), shop()).allowance, 7_u8);
        assert_eq!(ledger.balance(payer()), FUNDS - 2 * FEE);
    }

    #[test]
    fn should_check_fee_then_expiry_then_expected_allowance_then_balance() {
        let ledger = Pocket::new();
        let now = jump(&ledger, DAY);
        let mut arg = approve_arg(shop(), 9);
        arg.fee = Some(Nat::from(1_u8));
        arg.expires_at = Some(now);
        arg.expected_allowance = Some(Nat::from(3_u8));
        let expected_fee = Nat::from(FEE);
        assert_eq!(
            ledger.approve(merchant(), arg.clone()),
            Err(ApproveError::BadFee { expected_fee })
        );
        arg.fee = None;
        // The round before was the first one at `now`; expiry at the very time of the round is too late.
        let ledger_time = jump(&ledger, DAY);
        arg.expires_at = Some(ledger_time);
        assert_eq!(
            ledger.approve(merchant(), arg.clone()),
            Err(ApproveError::Expired { ledger_time })
        );
        arg.expires_at = None;
        let current_allowance = Nat::from(0_u8);
        assert_eq!(
            ledger.approve(merchant(), arg.clone()),
            Err(ApproveError::AllowanceChanged { current_allowance })
        );
        arg.expected_allowance = None;
        let balance = Nat::from(0_u8);
        assert_eq!(
            ledger.approve(merchant(), arg),
            Err(ApproveError::InsufficientFunds { balance })
        );
    }

    #[test]
    fn should_forget_an_expired_allowance() {
        let ledger = Pocket::new();
        let mut arg = approve_arg(shop(), 900_000);
        let expires_at = ledger.now() + DAY.as_nanos() as u64;
        arg.expires_at = Some(expires_at);
        ledger.approve(payer(), arg).expect("an approval");
        assert_eq!(
            ledger.allowance(payer(), shop()).expires_at,
            Some(expires_at)
        );
        jump(&ledger, DAY);
        ledger.pic.tick();
        assert_eq!(ledger.allowance(payer(), shop()).allowance, 0_u8);
        assert_eq!(
            ledger.transfer_from(shop(), transfer_from_arg(payer(), merchant(), 1)),
            Err(TransferFromError::InsufficientAllowance {
                allowance: Nat::from(0_u8)
            })
        );
    }
}

mod transfer_from {
    use super::*;

    #[test]
    fn should_debit_amount_and_fee_from_the_allowance() {
        let ledger = Pocket::new();
        ledger
            .approve(payer(), approve_arg(shop(), 40_000 + FEE))
            .expect("an approval");
        let arg = transfer_from_arg(payer(), merchant(), 40_000);
        assert!(ledger.transfer_from(shop(), arg.clone()).is_ok());
        assert_eq!(ledger.allowance(payer(), shop()).allowance, 0_u8);
        assert_eq!(ledger.balance(merchant()), 40_000);
        assert_eq!(
            ledger.transfer_from(shop(), arg),
            Err(TransferFromError::InsufficientAllowance {
                allowance: Nat::from(0_u8)
            })
        );
    }

    #[test]
    fn should_check_fee_then_allowance_then_balance() {
        let ledger = Pocket::new();
        let mut arg = transfer_from_arg(payer(), merchant(), 2 * FUNDS);
        arg.fee = Some(Nat::from(FEE + 1));
        let expected_fee = Nat::from(FEE);
        assert_eq!(
            ledger.transfer_from(shop(), arg.clone()),
            Err(TransferFromError::BadFee { expected_fee })
        );
        arg.fee = Some(Nat::from(FEE));
        let enough = 2 * FUNDS + FEE;
        ledger
            .approve(payer(), approve_arg(shop(), enough - 1))
            .expect("an approval");
        assert_eq!(
            ledger.transfer_from(shop(), arg.clone()),
            Err(TransferFromError::InsufficientAllowance {
                allowance: Nat::from(enough - 1)
            })
        );
        ledger
            .approve(payer(), approve_arg(shop(), enough))
            .expect("an approval");
        let balance = Nat::from(FUNDS - 2 * FEE);
        assert_eq!(
            ledger.transfer_from(shop(), arg),
            Err(TransferFromError::InsufficientFunds { balance })
        );
    }

    #[test]
    fn should_need_no_allowance_for_ones_own_but_one_for_burning() {
        let ledger = Pocket::new();
        let own = transfer_from_arg(payer(), merchant(), 5);
        assert!(ledger.transfer_from(payer(), own).is_ok());
        let burn = transfer_from_arg(payer(), minter(), FEE);
        assert_eq!(
            ledger.transfer_from(shop(), burn),
            Err(TransferFromError::InsufficientAllowance {
                allowance: Nat::from(0_u8)
            })
        );
    }

    #[test]
    fn should_deduplicate_by_memo_and_time_so_that_a_retry_is_safe() {
        let ledger = Pocket::new();
        ledger
            .approve(payer(), approve_arg(shop(), FUNDS))
            .expect("an approval");
        let mut arg = transfer_from_arg(payer(), merchant(), 5);
        arg.memo = Some(Memo::from(vec![9; 32]));
        arg.created_at_time = Some(ledger.now());
        arg.fee = Some(Nat::from(FEE));
        let index = ledger.transfer_from(shop(), arg.clone()).expect("a block");
        assert_eq!(
            ledger.transfer_from(shop(), arg.clone()),
            Err(TransferFromError::Duplicate {
                duplicate_of: index
            })
        );
        arg.memo = Some(Memo::from(vec![8; 32]));
        assert!(ledger.transfer_from(shop(), arg).is_ok());
        assert_eq!(ledger.balance(merchant()), 10);
    }
}

mod block_log {
    use super::*;

    fn field<'a>(value: &'a ICRC3Value, key: &str) -> Option<&'a ICRC3Value> {
        match value {
            ICRC3Value::Map(map) => map.get(key),
            other => panic!("no map: {other}"),
        }
    }

    #[test]
    fn should_chain_blocks_of_every_kind() {
        let ledger = Pocket::new();
        ledger
            .approve(payer(), approve_arg(shop(), FUNDS))
            .expect("an approval");
        let mut arg = transfer_from_arg(payer(), merchant(), 50_000);
        arg.fee = Some(Nat::from(FEE));
        arg.memo = Some(Memo::from(vec![9; 32]));
        ledger.transfer_from(shop(), arg).expect("a transfer");
        ledger
            .transfer(payer(), transfer_arg(merchant(), 1))
            .expect("a transfer");
        ledger
            .transfer(merchant(), transfer_arg(minter(), FEE))
            .expect("a burn");

        let log = ledger.blocks(0, 10);
        assert_eq!(log.log_length, 5_u8);
        assert!(log.archived_blocks.is_empty());
        let kinds = ["1mint", "2approve", "2xfer", "1xfer", "1burn"];
        let ops = ["mint", "approve", "xfer", "xfer", "burn"];
        let mut parent = None;
        for (index, entry) in log.blocks.iter().enumerate() {
            assert_eq!(entry.id, Nat::from(index));
            let tx = field(&entry.block, "tx").expect("a tx");
            assert_eq!(
                field(tx, "op"),
                Some(&ICRC3Value::Text(ops[index].to_string()))
            );
            if !is_foreign() {
                assert_eq!(
                    field(&entry.block, "btype"),
                    Some(&ICRC3Value::Text(kinds[index].to_string()))
                );
            }
            assert_eq!(field(&entry.block, "phash"), parent.as_ref());
            let hash = entry.block.clone().hash();
            parent = Some(ICRC3Value::Blob(serde_bytes::ByteBuf::from(hash)));
        }
        // The fee stands in the transaction if it was sent, beside it if not.
        let (sent, unsent) = (&log.blocks[2].block, &log.blocks[3].block);
        let fee = Some(ICRC3Value::Nat(Nat::from(FEE)));
        let tx_fee = |block| field(field(block, "tx").expect("a tx"), "fee").cloned();
        assert_eq!((tx_fee(sent), field(sent, "fee")), (fee.clone(), None));
        assert_eq!((tx_fee(unsent), field(unsent, "fee").cloned()), (None, fee));
    }

    #[test]
    fn should_page_at_100_blocks_and_have_no_archives() {
        let ledger = Pocket::new();
        for _ in 0..120 {
            ledger
                .transfer(minter(), transfer_arg(merchant(), 1))
                .expect("a mint");
        }
        assert_eq!(ledger.blocks(0, 1_000).blocks.len(), 100);
        let rest = ledger.blocks(100, 1_000);
        assert_eq!(rest.blocks.len(), 21);
        assert_eq!(rest.log_length, 121_u8);
        assert!(ledger.blocks(121, 5).blocks.is_empty());
        let archives: GetArchivesResult =
            ledger.query("icrc3_get_archives", (GetArchivesArgs { from: None },));
        assert!(archives.is_empty());
    }

    #[test]
    fn should_certify_the_tip() {
        let ledger = Pocket::new();
        ledger
            .transfer(payer(), transfer_arg(merchant(), 1))
            .expect("a transfer");
        ledger.pic.tick();
        let tip: Option<ICRC3DataCertificate> = ledger.query("icrc3_get_tip_certificate", ());
        let tip = tip.expect("a certificate");
        let tree: HashTree = serde_cbor::from_slice(&tip.hash_tree).expect("a hash tree");
        let certificate: ic_certification::Certificate =
            serde_cbor::from_slice(&tip.certificate).expect("a certificate");
        let path: [&[u8]; 3] = [b"canister", ledger.id.as_slice(), b"certified_data"];
        match certificate.tree.lookup_path(path) {
            LookupResult::Found(certified) => assert_eq!(certified, tree.digest()),
            other => panic!("no certified data: {other:?}"),
        }
        let newest = ledger.blocks(1, 1).blocks.remove(0).block.hash();
        match tree.lookup_path([b"last_block_hash".as_slice()]) {
            LookupResult::Found(hash) => assert_eq!(hash, newest),
            other => panic!("no hash: {other:?}"),
        }
        match tree.lookup_path([b"last_block_index".as_slice()]) {
            LookupResult::Found(index) => assert_eq!(index, [1]),
            other => panic!("no index: {other:?}"),
        }
    }
}

mod information {
    use super::*;
    use icrc_ledger_types::icrc21::errors::Icrc21Error;
    use icrc_ledger_types::icrc21::requests::{
        ConsentMessageMetadata, ConsentMessageRequest, ConsentMessageSpec, DisplayMessageType,
    };
    use icrc_ledger_types::icrc21::responses::{ConsentInfo, ConsentMessage};

    #[derive(candid::CandidType, serde::Deserialize)]
    struct Standard {
        name: String,
        url: String,
    }

    #[test]
    fn should_claim_the_standards_it_has() {
        let ledger = Pocket::new();
        for method in ["icrc1_supported_standards", "icrc10_supported_standards"] {
            let standards: Vec<Standard> = ledger.query(method, ());
            for name in ["ICRC-1", "ICRC-2", "ICRC-3", "ICRC-10", "ICRC-21"] {
                let found = standards.iter().find(|standard| standard.name == name);
                assert!(found.is_some_and(|standard| standard.url.starts_with("https://")));
            }
        }
    }

    #[test]
    fn should_tell_the_tokens_constants() {
        let ledger = Pocket::new();
        assert_eq!(ledger.query::<String>("icrc1_symbol", ()), "ckUSDC");
        assert_eq!(ledger.query::<String>("icrc1_name", ()), "ckUSDC");
        assert_eq!(ledger.query::<u8>("icrc1_decimals", ()), 6);
        assert_eq!(ledger.query::<Nat>("icrc1_fee", ()), Nat::from(FEE));
        assert_eq!(
            ledger.query::<Option<Account>>("icrc1_minting_account", ()),
            Some(minter().into())
        );
    }

    fn consent(method: &str, arg: Vec<u8>, offset: i16) -> Result<ConsentInfo, Icrc21Error> {
        let ledger = Pocket::new();
        let request = ConsentMessageRequest {
            method: method.to_string(),
            arg,
            user_preferences: ConsentMessageSpec {
                metadata: ConsentMessageMetadata {
                    language: "en".to_string(),
                    utc_offset_minutes: Some(offset),
                },
                device_spec: Some(DisplayMessageType::GenericDisplay),
            },
        };
        ledger.update(payer(), "icrc21_canister_call_consent_message", (request,))
    }

    #[test]
    fn should_put_every_update_method_into_words() {
        let approve = candid::encode_one(approve_arg(shop(), 5_000_000)).expect("encodes");
        let transfer = candid::encode_one(transfer_arg(shop(), 5_000_000)).expect("encodes");
        let pull = candid::encode_one(transfer_from_arg(payer(), shop(), 5_000_000));
        let pull = pull.expect("encodes");
        for (method, arg) in [
            ("icrc2_approve", approve),
            ("icrc1_transfer", transfer),
            ("icrc2_transfer_from", pull),
        ] {
            let info = consent(method, arg, 60).expect("a message");
            let ConsentMessage::GenericDisplayMessage(text) = info.consent_message else {
                panic!("another kind of message was asked for");
            };
            assert!(text.contains("5 ckUSDC"), "{text}");
            assert!(text.contains(&shop().to_string()), "{text}");
        }
    }

    #[test]
    fn should_refuse_to_word_what_it_does_not_know() {
        assert!(matches!(
            consent("icrc1_balance_of", vec![], 0),
            Err(Icrc21Error::UnsupportedCanisterCall(_))
        ));
    }
}
