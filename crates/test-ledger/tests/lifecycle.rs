//! Installation arguments and upgrades of our ledger.

mod support;

use candid::{CandidType, Nat, Principal};
use icrc_ledger_types::icrc::generic_metadata_value::MetadataValue;
use icrc_ledger_types::icrc1::account::Account;
use icrc_ledger_types::icrc1::transfer::TransferError;
use icrc_ledger_types::icrc21::errors::Icrc21Error;
use pocket_ic::RejectResponse;
use support::pocket::{
    FEE, FUNDS, Pocket, approve_arg, merchant, minter, own_wasm, payer, pocket, shop, transfer_arg,
};
use test_ledger::args::{ChangeFeeCollector, FeatureFlags, LedgerArg, UpgradeArgs};
use test_ledger::testing::LedgerInit;

fn upgrade(ledger: &Pocket, args: Option<UpgradeArgs>) -> Result<(), RejectResponse> {
    let arg = candid::encode_one(LedgerArg::Upgrade(args)).expect("encodes");
    ledger.upgrade(arg)
}

/// The message of a refused installation.
fn refusal(arg: Vec<u8>) -> String {
    let pic = pocket();
    let id = pic.create_canister();
    pic.add_cycles(id, 100_000_000_000_000);
    let install = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pic.install_canister(id, own_wasm(), arg, None);
    }));
    let panic = install.expect_err("the installation must be refused");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(other) => panic!("a panic without a message: {other:?}"),
    }
}

#[test]
fn should_keep_everything_across_an_upgrade() {
    let ledger = Pocket::own();
    let start = ledger.now();
    ledger
        .approve(payer(), approve_arg(shop(), 12_345))
        .expect("an approval");
    let mut arg = transfer_arg(merchant(), 5);
    arg.created_at_time = Some(start);
    let index = ledger.transfer(payer(), arg.clone()).expect("a transfer");
    let blocks = ledger.blocks(0, 10);

    upgrade(&ledger, None).expect("an upgrade");
    assert_eq!(ledger.blocks(0, 10), blocks);
    assert_eq!(ledger.balance(payer()), FUNDS - 2 * FEE - 5);
    assert_eq!(ledger.allowance(payer(), shop()).allowance, 12_345_u32);
    assert_eq!(
        ledger.transfer(payer(), arg),
        Err(TransferError::Duplicate {
            duplicate_of: index
        })
    );
    let tip: Option<icrc_ledger_types::icrc3::blocks::ICRC3DataCertificate> =
        ledger.query("icrc3_get_tip_certificate", ());
    assert!(tip.is_some());
}

#[test]
fn should_change_what_an_upgrade_names() {
    let ledger = Pocket::own();
    let args = UpgradeArgs {
        transfer_fee: Some(Nat::from(77_u8)),
        token_symbol: Some("NEW".to_string()),
        token_name: Some("New".to_string()),
        max_memo_length: Some(64),
        metadata: Some(vec![(
            "icrc1:logo".to_string(),
            MetadataValue::Text("data:,".to_string()),
        )]),
        change_fee_collector: Some(ChangeFeeCollector::Unset),
        ..UpgradeArgs::default()
    };
    upgrade(&ledger, Some(args)).expect("an upgrade");
    let metadata: Vec<(String, MetadataValue)> = ledger.query("icrc1_metadata", ());
    for (key, value) in [
        ("icrc1:logo", MetadataValue::Text("data:,".to_string())),
        ("icrc1:symbol", MetadataValue::Text("NEW".to_string())),
        ("icrc1:name", MetadataValue::Text("New".to_string())),
        ("icrc1:fee", MetadataValue::Nat(Nat::from(77_u8))),
        (
            "icrc1:max_memo_length",
            MetadataValue::Nat(Nat::from(64_u8)),
        ),
    ] {
        assert!(metadata.contains(&(key.to_string(), value)), "{key}");
    }
}

#[test]
fn should_refuse_upgrades_it_cannot_honour() {
    let ledger = Pocket::own();
    let collector = UpgradeArgs {
        change_fee_collector: Some(ChangeFeeCollector::SetTo(payer().into())),
        ..UpgradeArgs::default()
    };
    let without_icrc2 = UpgradeArgs {
        feature_flags: Some(FeatureFlags { icrc2: false }),
        ..UpgradeArgs::default()
    };
    let shorter_memo = UpgradeArgs {
        max_memo_length: Some(31),
        ..UpgradeArgs::default()
    };
    for (args, field) in [
        (collector, "change_fee_collector"),
        (without_icrc2, "feature_flags.icrc2"),
        (shorter_memo, "max_memo_length"),
    ] {
        let reject = upgrade(&ledger, Some(args)).expect_err("refused");
        assert!(reject.reject_message.contains(field), "{reject:?}");
    }
    let init = LedgerInit::icp(minter()).encode();
    assert!(ledger.upgrade(init).is_err());
    assert_eq!(ledger.balance(payer()), FUNDS);
}

#[test]
fn should_refuse_installations_it_cannot_honour() {
    let mut collector = LedgerInit::icp(minter()).args();
    collector.fee_collector_account = Some(payer().into());
    let mut without_icrc2 = LedgerInit::icp(minter()).args();
    without_icrc2.feature_flags = Some(FeatureFlags { icrc2: false });
    let rich_minter = LedgerInit::icp(minter()).balance(minter(), 1).args();
    let mut huge_fee = LedgerInit::icp(minter()).args();
    huge_fee.transfer_fee = Nat::from(u128::MAX) + 1_u8;
    for (args, field) in [
        (collector, "fee_collector_account"),
        (without_icrc2, "feature_flags.icrc2"),
        (rich_minter, "initial_balances"),
        (huge_fee, "transfer_fee"),
    ] {
        let arg = candid::encode_one(LedgerArg::Init(args)).expect("encodes");
        let message = refusal(arg);
        assert!(message.contains(field), "{message}");
    }
    let upgrade = candid::encode_one(LedgerArg::Upgrade(None)).expect("encodes");
    assert!(refusal(upgrade).contains("Init"));
}

/// What scripts in the field pass to the standard ledger: fields of several of its versions at once, and
/// standard keys in the metadata.
#[test]
fn should_accept_the_argument_that_dfx_users_pass() {
    #[derive(CandidType)]
    enum Arg {
        Init(Box<Init>),
    }
    #[derive(CandidType)]
    struct Init {
        minting_account: Account,
        fee_collector_account: Option<Account>,
        transfer_fee: Nat,
        token_symbol: String,
        token_name: String,
        metadata: Vec<(String, MetadataValue)>,
        initial_balances: Vec<(Account, Nat)>,
        maximum_number_of_accounts: Option<u64>,
        accounts_overflow_trim_quantity: Option<u64>,
        index_principal: Option<Principal>,
        archive_options: Archive,
    }
    #[derive(CandidType)]
    struct Archive {
        num_blocks_to_archive: u64,
        trigger_threshold: u64,
        controller_id: Principal,
    }
    let arg = Arg::Init(Box::new(Init {
        minting_account: minter().into(),
        fee_collector_account: None,
        transfer_fee: Nat::from(FEE),
        token_symbol: "ICP".to_string(),
        token_name: "Internet Computer".to_string(),
        metadata: vec![(
            "icrc1:symbol".to_string(),
            MetadataValue::Text("WRONG".to_string()),
        )],
        initial_balances: vec![(payer().into(), Nat::from(FUNDS))],
        maximum_number_of_accounts: Some(5),
        accounts_overflow_trim_quantity: None,
        index_principal: None,
        archive_options: Archive {
            num_blocks_to_archive: 1_000,
            trigger_threshold: 2_000,
            controller_id: minter(),
        },
    }));
    let arg = candid::encode_one(arg).expect("encodes");
    let ledger = Pocket::install(own_wasm(), arg);
    assert_eq!(ledger.query::<String>("icrc1_symbol", ()), "ICP");
    assert_eq!(ledger.query::<u8>("icrc1_decimals", ()), 8);
    assert_eq!(ledger.balance(payer()), FUNDS);
    let metadata: Vec<(String, MetadataValue)> = ledger.query("icrc1_metadata", ());
    let symbols = metadata.iter().filter(|(key, _)| key == "icrc1:symbol");
    assert_eq!(symbols.count(), 1);
}

/// The argument that the project's own `dfx.json` installs the ledger with.
#[test]
fn should_accept_the_argument_in_dfx_json() {
    let text = include_str!("../../../dfx.json");
    let config: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let arg = config["canisters"]["ckusdc_ledger"]["init_arg"].as_str();
    let args = candid_parser::parse_idl_args(arg.expect("an argument")).expect("Candid");
    let ledger = Pocket::install(own_wasm(), args.to_bytes().expect("encodes"));
    assert_eq!(ledger.query::<String>("icrc1_symbol", ()), "ckUSDC");
    assert_eq!(ledger.query::<u8>("icrc1_decimals", ()), 6);
}

#[test]
fn should_be_a_plain_ledger_unless_told_otherwise() {
    let init = LedgerInit::icp(minter()).balance(payer(), FUNDS);
    let ledger = Pocket::install(own_wasm(), init.encode());
    let anonymous = Principal::anonymous();
    for result in [
        ledger
            .try_update::<()>(anonymous, "test_clear_faults", ())
            .map(drop),
        ledger
            .try_update::<u32>(anonymous, "test_release", ())
            .map(drop),
        ledger.try_update::<()>(anonymous, "test_set_fee", (Nat::from(0_u8),)),
        ledger.try_update::<()>(anonymous, "test_set_time_skew", (1_i64,)),
        ledger
            .try_query::<Vec<test_ledger::testing::FaultStatus>>("test_fault_status", ())
            .map(drop),
        ledger
            .try_update::<Result<(), String>>(
                minter(),
                "test_queue_fault",
                ("icrc1_transfer", 1_u32, test_ledger::testing::Fault::trap()),
            )
            .map(drop),
    ] {
        let reject = result.expect_err("the test interface must be off");
        assert!(reject.reject_message.contains("test interface is off"));
    }
    assert_eq!(ledger.query::<Nat>("icrc1_fee", ()), Nat::from(FEE));
    assert!(
        ledger
            .transfer(payer(), transfer_arg(merchant(), 1))
            .is_ok()
    );
}

#[test]
fn should_refuse_a_time_zone_no_place_has() {
    use icrc_ledger_types::icrc21::requests::{
        ConsentMessageMetadata, ConsentMessageRequest, ConsentMessageSpec,
    };
    use icrc_ledger_types::icrc21::responses::ConsentInfo;
    let ledger = Pocket::own();
    let request = ConsentMessageRequest {
        method: "icrc2_approve".to_string(),
        arg: candid::encode_one(approve_arg(shop(), 5)).expect("encodes"),
        user_preferences: ConsentMessageSpec {
            metadata: ConsentMessageMetadata {
                language: "en".to_string(),
                utc_offset_minutes: Some(i16::MIN),
            },
            device_spec: None,
        },
    };
    let answer: Result<ConsentInfo, Icrc21Error> =
        ledger.update(payer(), "icrc21_canister_call_consent_message", (request,));
    assert!(matches!(answer, Err(Icrc21Error::GenericError { .. })));
}
