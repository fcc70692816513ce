//! A crash between any two steps loses nothing and pays nothing twice.

use super::{
    super::crashes::at_each_point,
    bank::{Answer, Bank},
    *,
};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing_and_pays_once() {
    let steps = ["the record", "the transfer", "the block", "the end"];
    at_each_point(&steps, |crash| async move {
        let (at_ledger, at_seller) = (crash.points.clone(), crash.points.clone());
        let bank = Bank::watched(
            identity().principal(),
            |_| Answer::Made,
            move |name| at_ledger.pass(name),
        );
        let seller = shop(move |got, _| {
            // The buyer's process ends while the seller has the proof: its answer reaches nobody.
            let number = at_seller.passed.fetch_add(1, Ordering::SeqCst);
            match number == at_seller.crash_at {
                true => Act::Silent,
                false => delivered(got),
            }
        })
        .await;
        let first = buyer(crash.journal.clone(), bank.clone()).with_patience(Duration::ZERO);
        let second = buyer(files(&crash.folder), bank.clone());
        let moved = || bank.made().len();
        crash
            .pays_once(first, second, get(&seller, "/a"), moved)
            .await
    })
    .await;
}
