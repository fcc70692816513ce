//! Payments by the payer's own transfer, in a ledger with the ICP ledger's own log.

use super::{
    prove::{BLOCK, account_of, is_recorded, of, transfer_shop},
    *,
};
use crate::{
    domain::{
        block_log::{
            Transfer,
            icp_tests::{block_of, of_archive, response},
        },
        window::MAX_REFUND_AGE,
    },
    storage::ledgers::tests::icp_ledger,
};
use candid::Encode;
use test_ledger::domain::icp;

/// A shop whose ledger has no ICRC-3, and answers `query_blocks`. Its route offers transfers.
fn icp_shop() -> Shop {
    let shop = transfer_shop();
    storage::ledgers::put(&icp_ledger()).unwrap();
    shop
}

impl Shop {
    fn will_show_one(&self, block: icp::Block) -> &Self {
        self.runtime
            .will_reply(response(BLOCK + 1, BLOCK, vec![block], &[]));
        self
    }
}

#[test]
fn a_transfer_in_the_icp_ledger_buys_with_one_call() {
    let shop = icp_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    shop.will_show_one(block_of(&shop.transfer_of(&proof, 10_000)));
    assert_eq!(shop.fetch(&request), b"goods");
    let payment = of(&proof);
    // The accounts are those of the proof: the block names their identifiers alone.
    assert_eq!(
        (payment.from, payment.to),
        (account_of(1), proof.proof.pay_to)
    );
    assert_eq!(payment.fee, Amount(10), "the block's");
    assert_eq!(shop.fetch(&request), b"goods", "a repetition");
    assert_eq!(shop.runtime.made(), 1);
    let calls = shop.runtime.calls.borrow();
    assert_eq!(calls[0].method, "query_blocks");
    let asked = Decode!(&calls[0].argument, icp::GetBlocksArgs).unwrap();
    assert_eq!((asked.start, asked.length), (BLOCK, 1));
}

#[test]
fn a_block_of_the_icp_ledger_is_followed_into_its_archive() {
    let shop = icp_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.runtime
        .will_reply(response(100, 0, vec![], &[(ARCHIVE, BLOCK, 1)]));
    let block = block_of(&shop.transfer_of(&proof, 10_000));
    shop.runtime.will_reply(of_archive(vec![block]));
    assert_eq!(shop.fetch(&shop.presented(proof)), b"goods");
    let calls = shop.runtime.calls.borrow();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (calls[1].canister, calls[1].method.as_str()),
        (ARCHIVE, "get_blocks")
    );
}

#[test]
fn an_icp_ledger_that_is_its_own_archive_shows_the_block() {
    let shop = icp_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.runtime
        .will_reply(response(100, 0, vec![], &[(ledger(0).id, BLOCK, 1)]));
    let block = block_of(&shop.transfer_of(&proof, 10_000));
    shop.runtime.will_reply(of_archive(vec![block]));
    assert_eq!(shop.fetch(&shop.presented(proof)), b"goods");
}

/// Another memo, sender, subaccount or recipient; pulled by a spender; a number as memo; mint, burn and approval.
#[test]
fn attack_blocks_of_the_icp_ledger_that_are_not_the_transfer_pay_nothing() {
    let shop = icp_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    let right = shop.transfer_of(&proof, 10_000);
    let odd = |change: &dyn Fn(&mut Transfer)| {
        let mut transfer = right.clone();
        change(&mut transfer);
        block_of(&transfer)
    };
    let with = |change: &dyn Fn(&mut icp::Transaction)| {
        let mut block = odd(&|_| {});
        change(&mut block.transaction);
        block
    };
    let (amount, fee) = (icp::E8s { e8s: 10_000 }, icp::E8s { e8s: 10 });
    let id = |account: Account| icp::account_identifier(&account);
    let (from, to) = (right.from, right.to);
    let approval = icp::IcpOperation::Approve {
        from: id(from),
        spender: id(to),
        allowance_e8s: 10_000,
        allowance: amount,
        fee,
        expires_at: None,
        expected_allowance: None,
    };
    let (mint, burn) = (
        icp::IcpOperation::Mint { to: id(to), amount },
        icp::IcpOperation::Burn {
            from: id(from),
            spender: None,
            amount,
        },
    );
    let blocks = [
        odd(&|t| t.memo[0] ^= 1),
        odd(&|t| t.from = account_of(2)),
        odd(&|t| t.from.subaccount = Some([1; 32])),
        odd(&|t| t.to = account_of(2)),
        odd(&|t| t.to.subaccount = Some([1; 32])),
        odd(&|t| t.spender = Some(account_of(2))),
        odd(&|t| t.spender = Some(t.from)),
        with(&|t| (t.icrc1_memo, t.memo) = (None, 7)),
        with(&|t| t.operation = None),
        with(&|t| t.operation = Some(mint.clone())),
        with(&|t| t.operation = Some(burn.clone())),
        with(&|t| t.operation = Some(approval.clone())),
    ];
    for (n, block) in blocks.into_iter().enumerate() {
        shop.will_show_one(block);
        assert_eq!(refused(shop.settle(&request)), Code::Transfer, "{n}");
    }
    assert!(!is_recorded(&proof));
    shop.will_show_one(block_of(&right));
    assert_eq!(shop.fetch(&request), b"goods");
}

/// The ledger or an archive shows another block, too many, or names an archive that cannot be one.
#[test]
fn attack_an_icp_ledger_or_archive_that_lies_leaves_the_proof_pending() {
    let shop = icp_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    let block = || block_of(&shop.transfer_of(&proof, 10_000));
    let other_place = response(BLOCK + 2, BLOCK + 1, vec![block()], &[]);
    let two = response(BLOCK + 2, BLOCK, vec![block(), block()], &[]);
    shop.runtime.will_reply(other_place).will_reply(two);
    let mut asked = 2;
    for archive in shop.no_canisters() {
        let named = response(BLOCK + 1, 0, vec![], &[(archive, 0, BLOCK + 1)]);
        shop.runtime.will_reply(named);
        asked += 1;
    }
    let elsewhere = || response(BLOCK + 1, 0, vec![], &[(ARCHIVE, BLOCK, 1)]);
    let theirs = [
        Encode!(&of_archive(vec![])).unwrap(),
        Encode!(&of_archive(vec![block(), block()])).unwrap(),
        Encode!(&elsewhere()).unwrap(),
        b"DIDL".to_vec(),
    ];
    for reply in theirs {
        shop.runtime
            .will_reply(elsewhere())
            .will(CallOutcome::Reply(reply));
        asked += 1;
    }
    for n in 0..asked {
        assert!(is_pending(&shop.settle(&request)), "{n}");
    }
    assert!(!is_recorded(&proof));
    shop.will_show_one(block());
    assert_eq!(shop.fetch(&request), b"goods");
}

#[test]
fn attack_a_transfer_in_the_icp_ledger_pays_once_and_not_for_ever() {
    let shop = icp_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let block = block_of(&shop.transfer_of(&proof, 10_000));
    // Two read the block before either records it.
    let request = shop.presented(proof.clone());
    for outcome in shop.settle_twice(request, || {
        shop.will_show_one(block.clone())
            .will_show_one(block.clone());
    }) {
        assert!(matches!(outcome, PayOutcome::Paid { .. }), "{outcome:?}");
    }
    assert_eq!(storage::payments::settled_count(), 1);
    // Nor does it pay with another secret.
    shop.will_show_one(block);
    let other = shop.presented(shop.proof(1, 8, BLOCK));
    assert_eq!(refused(shop.settle(&other)), Code::Transfer);
    // A transfer that was never presented is too old at last.
    let late = shop.proof(1, 9, BLOCK + 1);
    let block = block_of(&shop.transfer_of(&late, 10_000));
    let now = shop.runtime.now();
    let too_late = now.plus(MAX_REFUND_AGE).plus(Seconds(1));
    shop.runtime.now.set(too_late);
    let shown = response(BLOCK + 2, BLOCK + 1, vec![block], &[]);
    shop.runtime.will_reply(shown);
    assert_eq!(
        refused(shop.settle(&shop.presented(late))),
        Code::ProofTooOld
    );
}
