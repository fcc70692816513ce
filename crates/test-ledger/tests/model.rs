//! Random histories: whatever is sent, the books stay consistent, and the block log alone tells them.

mod support;

use std::collections::BTreeMap;

use candid::{Nat, Principal};
use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use icrc_ledger_types::icrc1::account::Account;
use proptest::prelude::*;
use support::native::{Native, account, minter, sub};
use test_ledger::domain::{
    ApproveRefusal, ApproveRequest, TRANSACTION_WINDOW_NS, TimeRefusal, TransferRefusal,
    TransferRequest,
};

const FEE: u128 = 10;
const START: u64 = 1_700_000_000_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Transfer(TransferRequest),
    Approve(ApproveRequest),
    /// Lets this many nanoseconds pass.
    Wait(u64),
    /// What an upgrade does: nothing but stable memory survives.
    Reopen,
    /// The fee becomes this.
    SetFee(u128),
}

fn any_account() -> impl Strategy<Value = Account> {
    prop_oneof![
        6 => (1..4_u8).prop_map(account),
        1 => (1..4_u8).prop_map(|n| sub(n, [0; 32])),
        1 => (1..4_u8).prop_map(|n| sub(n, [n; 32])),
        2 => Just(minter()),
    ]
}

fn any_amount() -> impl Strategy<Value = Nat> {
    prop_oneof![
        6 => (0..1_000_u128).prop_map(Nat::from),
        1 => Just(Nat::from(u128::MAX)),
        1 => Just(Nat::from(u128::MAX) + 1_u8),
    ]
}

fn any_fee() -> impl Strategy<Value = Option<Nat>> {
    prop_oneof![
        5 => Just(None),
        3 => Just(Some(Nat::from(FEE))),
        1 => Just(Some(Nat::from(0_u8))),
        1 => Just(Some(Nat::from(FEE + 1))),
    ]
}

fn any_memo() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        4 => Just(None),
        1 => (0..40_usize).prop_map(|length| Some(vec![7; length])),
    ]
}

/// Creation times around the start; few enough that transactions repeat.
fn any_time() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        2 => Just(None),
        3 => (0..3_u64).prop_map(|n| Some(START + n)),
        1 => Just(Some(START + TRANSACTION_WINDOW_NS)),
        1 => Just(Some(0)),
        1 => Just(Some(u64::MAX)),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let transfer = (
        any_account(),
        any_account(),
        prop::option::of(any_account()),
        any_amount(),
        any_fee(),
        any_memo(),
        any_time(),
    )
        .prop_map(|(from, to, spender, amount, fee, memo, created_at_time)| {
            Step::Transfer(TransferRequest {
                from,
                to,
                spender,
                amount,
                fee,
                memo,
                created_at_time,
            })
        });
    let approve = (
        any_account(),
        any_account(),
        any_amount(),
        prop::option::of(any_amount()),
        any_time(),
        any_fee(),
        any_memo(),
        any_time(),
    )
        .prop_map(
            |(from, spender, amount, expected_allowance, expires_at, fee, memo, created)| {
                Step::Approve(ApproveRequest {
                    from,
                    spender,
                    amount,
                    expected_allowance,
                    expires_at,
                    fee,
                    memo,
                    created_at_time: created,
                })
            },
        );
    prop_oneof![
        10 => transfer,
        5 => approve,
        1 => prop_oneof![Just(1), Just(TRANSACTION_WINDOW_NS / 2)].prop_map(Step::Wait),
        1 => Just(Step::Reopen),
        1 => prop_oneof![Just(FEE), Just(FEE * 2)].prop_map(Step::SetFee),
    ]
}

/// Balances and allowances as a stranger computes them from `icrc3_get_blocks` alone.
#[derive(Default)]
struct Replayed {
    balances: BTreeMap<Account, u128>,
    allowances: BTreeMap<(Account, Account), (u128, Option<u64>)>,
}

type Map = BTreeMap<String, ICRC3Value>;

fn nat(map: &Map, key: &str) -> Option<u128> {
    match map.get(key)? {
        ICRC3Value::Nat(nat) => Some(u128::try_from(&nat.0).expect("fits")),
        other => panic!("{key} is no Nat: {other}"),
    }
}

fn text<'a>(map: &'a Map, key: &str) -> &'a str {
    match &map[key] {
        ICRC3Value::Text(text) => text,
        other => panic!("{key} is no Text: {other}"),
    }
}

fn read_account(map: &Map, key: &str) -> Option<Account> {
    let ICRC3Value::Array(parts) = map.get(key)? else {
        panic!("{key} is no Array")
    };
    let blob = |value: &ICRC3Value| match value {
        ICRC3Value::Blob(bytes) => bytes.to_vec(),
        other => panic!("{key} holds no Blob: {other}"),
    };
    Some(Account {
        owner: Principal::from_slice(&blob(&parts[0])),
        subaccount: parts
            .get(1)
            .map(|part| blob(part).try_into().expect("32 bytes")),
    })
}

impl Replayed {
    fn debit(&mut self, account: Account, amount: u128) {
        let balance = self.balances.entry(account).or_default();
        *balance = balance.checked_sub(amount).expect("the log overdraws");
    }

    fn credit(&mut self, account: Account, amount: u128) {
        *self.balances.entry(account).or_default() += amount;
    }

    fn use_allowance(&mut self, from: Account, spender: Option<Account>, amount: u128) {
        if let Some(spender) = spender.filter(|spender| *spender != from) {
            let entry = self.allowances.entry((from, spender)).or_default();
            entry.0 = entry.0.checked_sub(amount).expect("the log overspends");
        }
    }

    fn apply(&mut self, block: &Map) {
        let ICRC3Value::Map(tx) = &block["tx"] else {
            panic!("tx is no Map")
        };
        let amount = nat(tx, "amt").expect("an amount");
        let fee = nat(tx, "fee").or(nat(block, "fee")).unwrap_or(0);
        let from = || read_account(tx, "from").expect("from");
        let to = || read_account(tx, "to").expect("to");
        let spender = read_account(tx, "spender");
        match (text(block, "btype"), text(tx, "op")) {
            ("1mint", "mint") => self.credit(to(), amount),
            ("1burn", "burn") => {
                self.use_allowance(from(), spender, amount);
                self.debit(from(), amount);
            }
            (btype @ ("1xfer" | "2xfer"), "xfer") => {
                assert_eq!(spender.is_some(), btype == "2xfer");
                self.use_allowance(from(), spender, amount + fee);
                self.debit(from(), amount + fee);
                self.credit(to(), amount);
            }
            ("2approve", "approve") => {
                self.debit(from(), fee);
                let expires_at = nat(tx, "expires_at").map(|ns| ns as u64);
                let spender = spender.expect("a spender");
                self.allowances
                    .insert((from(), spender), (amount, expires_at));
            }
            other => panic!("unknown block type {other:?}"),
        }
    }
}

fn check_consistent(ledger: &Native) -> Result<(), TestCaseError> {
    let mut replayed = Replayed::default();
    let mut parent = None;
    for block in ledger.blocks() {
        let value = block.to_value();
        prop_assert_eq!(block.parent_hash, parent);
        parent = Some(value.clone().hash());
        let ICRC3Value::Map(map) = value else {
            panic!("a block is no Map")
        };
        replayed.apply(&map);
    }
    prop_assert_eq!(ledger.tip().map(|tip| tip.hash), parent);
    for (account, balance) in &replayed.balances {
        prop_assert_eq!(ledger.balance_of(account), *balance);
    }
    prop_assert_eq!(replayed.balances.values().sum::<u128>(), ledger.supply());
    for ((from, spender), (amount, expires_at)) in &replayed.allowances {
        let expired = expires_at.is_some_and(|at| at <= ledger.now);
        let expected = if expired { 0 } else { *amount };
        prop_assert_eq!(ledger.allowance_of(from, spender).amount, expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn should_keep_the_books_that_the_block_log_tells(steps in prop::collection::vec(any_step(), 1..60)) {
        let rich: Vec<_> = (1..4).map(|n| (account(n), 2_000)).collect();
        let mut ledger = Native::new(FEE, START, &rich);
        for step in steps {
            let (tip, supply) = (ledger.tip(), ledger.supply());
            let refused = match step.clone() {
                Step::Transfer(request) => ledger.apply(request).is_err(),
                Step::Approve(request) => ledger.apply_approve(request).is_err(),
                Step::Wait(nanos) => { ledger.now += nanos; true }
                Step::Reopen => { ledger.reopen(); true }
                Step::SetFee(fee) => { ledger.set_fee(fee); true }
            };
            if refused {
                prop_assert_eq!((ledger.tip(), ledger.supply()), (tip, supply));
            }
            check_consistent(&ledger)?;
            if !refused {
                check_sent_again(&mut ledger, step)?;
            }
        }
    }
}

/// What was accepted a moment ago is a duplicate now, if it said when it was created.
fn check_sent_again(ledger: &mut Native, step: Step) -> Result<(), TestCaseError> {
    let newest = ledger.tip().map_or(0, |tip| tip.index);
    let duplicate = TimeRefusal::Duplicate {
        duplicate_of: newest,
    };
    match step {
        Step::Transfer(request) if request.created_at_time.is_some() => {
            // A burn's smallest amount depends on the balance, which the first one may have changed.
            match ledger.apply(request) {
                Err(TransferRefusal::BadBurn { .. }) => {}
                other => prop_assert_eq!(other, Err(TransferRefusal::Time(duplicate))),
            }
        }
        Step::Approve(request) if request.created_at_time.is_some() => {
            prop_assert_eq!(
                ledger.apply_approve(request),
                Err(ApproveRefusal::Time(duplicate))
            );
        }
        _ => {}
    }
    Ok(())
}
