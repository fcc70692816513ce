use super::*;
use crate::types::Method;

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);
const FEE: Amount = Amount(10);

fn invoice() -> Invoice {
    Invoice {
        ledger: Principal::from_slice(&[7]),
        request: RouteKey::new(Method::Get, "/a"),
        offered: Offered {
            id: [1; 16],
            symbol: "T".into(),
            decimals: 6,
        },
        price: Amount(1_000),
        fee: FEE,
        pay_to: Principal::from_slice(&[9]).into(),
        refund_to: None,
        created_at: NOW,
        stage: Stage::Open,
        since: NOW,
        attempts: 0,
        balance: Amount(0),
        read_at: None,
        unanswered: 0,
        due: None,
    }
}

#[test]
fn accounts_are_recognised_by_form_and_show_nothing_of_the_id() {
    let canister = Principal::from_slice(&[1; 10]);
    let (one, two) = (InvoiceId([1; 32]), InvoiceId([2; 32]));
    let account = one.account(canister);
    assert!(is_invoice_account(&account));
    assert_ne!(account, two.account(canister));
    assert_ne!(account, one.account(Principal::from_slice(&[2; 10])));
    for other in [
        None,
        Some([0; 32]),
        Some(*b"x402-invoicX00000000000000000000"),
    ] {
        assert!(!is_invoice_account(&Account {
            owner: canister,
            subaccount: other
        }));
    }
    // Nothing that is public is the same as another thing.
    let public = [
        one.payment_id(&canister, 1).0,
        one.payment_id(&canister, 2).0,
        one.return_memo(&canister),
        two.return_memo(&canister),
        account.subaccount.unwrap(),
    ];
    for (n, hash) in public.iter().enumerate() {
        assert_eq!(public.iter().position(|other| other == hash), Some(n));
        assert_ne!(*hash, one.0);
    }
    assert_eq!(one.claim_keys().count(), usize::from(MAX_ATTEMPTS));
    assert_ne!(one.claim_key(1), one.claim_key(2));
    assert_eq!(format!("{one:?}"), "InvoiceId", "a secret is not printed");
}

#[test]
fn money_in_time_buys_and_the_first_reading_after_the_expiry_decides() {
    let open = invoice();
    let (expiry, late) = (open.expires_at(), open.expires_at().plus(Seconds(90)));
    let before = TimestampNs(expiry.0 - 1);
    let next = |balance, asked_at, sold| open.next(Amount(balance), asked_at, FEE, sold, late);
    assert_eq!(next(1_010, NOW, true), Next::Collect);
    assert_eq!(
        next(u128::MAX, late, true),
        Next::Collect,
        "it was not read before"
    );
    assert_eq!(next(1_009, before, true), Next::Wait);
    assert_eq!(next(1_009, expiry, true), Next::End(Stage::Short));
    assert_eq!(next(0, expiry, true), Next::End(Stage::Expired));
    assert_eq!(next(1_010, NOW, false), Next::End(Stage::NotSold));
    assert_eq!(next(0, NOW, false), Next::Wait, "the route may come back");
    // The fee rose: the same amount does not suffice any more, and the page asks for more.
    let (dearer, cheaper) = (Amount(11), Amount(9));
    assert_eq!(open.next(Amount(1_010), NOW, dearer, true, NOW), Next::Wait);
    assert_eq!(
        (open.amount(dearer), open.amount(cheaper)),
        (Amount(1_011), Amount(1_010))
    );
    assert_eq!(
        open.next(Amount(1_009), NOW, cheaper, true, NOW),
        Next::Collect
    );
}

#[test]
fn attempts_that_failed_are_followed_by_pauses() {
    let mut open = invoice();
    assert_eq!(open.paused_until(NOW), None);
    assert_eq!(open.next_look(NOW), open.expires_at());
    for (attempts, minutes) in [(1, 1), (2, 4), (3, 16), (6, 1_024), (255, 1_024)] {
        open.attempts = attempts;
        let until = NOW.plus(Seconds(60 * minutes));
        assert_eq!(open.paused_until(NOW), Some(until));
        assert_eq!(open.paused_until(until), None);
        let enough = Amount(1_010);
        assert_eq!(open.next(enough, NOW, FEE, true, NOW), Next::Wait);
        assert_eq!(open.next(enough, NOW, FEE, true, until), Next::Collect);
    }
}

#[test]
fn a_return_repeats_a_transfer_in_doubt_until_no_ledger_can_make_it() {
    use crate::domain::{
        outgoing::TransferTerms,
        window::{DEDUP_WINDOW, FORGOTTEN},
    };
    let mut known = Return::new(Principal::from_slice(&[8]).into(), NOW);
    assert_eq!(known.step(NOW), Step::Fresh);
    let terms = TransferTerms {
        created_at: NOW,
        fee: FEE,
    };
    known.outgoing.begin(terms, NOW);
    assert!(matches!(known.step(NOW), Step::Wait(_)));
    assert_eq!(known.step(NOW.plus(DEDUP_WINDOW)), Step::Again(terms));
    let forgotten = NOW.plus(FORGOTTEN);
    assert!(matches!(known.step(forgotten), Step::Wait(_)));
    assert_eq!(known.step(forgotten.plus(Seconds(1))), Step::Fresh);
    for _ in 0..100 {
        known.failed(NOW, Seconds(1));
        assert!(known.due.is_some(), "a doubt is never left alone");
    }
    known.outgoing.never_made(NOW);
    known.failed(NOW, Seconds(1));
    assert_eq!(known.due, None);
}
