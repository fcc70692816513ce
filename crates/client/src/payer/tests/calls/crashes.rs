//! A crash between any two steps loses nothing and pays nothing twice.

use super::{super::crashes::at_each_point, *};

#[tokio::test]
async fn a_crash_at_any_step_of_a_call_loses_nothing_and_pays_once() {
    let steps = ["the record", "the call", "the end"];
    at_each_point(&steps, |crash| async move {
        let at_canister = crash.points.clone();
        let till = Till::watched(
            identity().principal(),
            |_| Word::Sold,
            move |name| at_canister.pass(name),
        );
        let seller = shop().await;
        let first = buyer(crash.journal.clone(), &till).with_patience(Duration::ZERO);
        let second = buyer(files(&crash.folder), &till);
        let moved = || till.moved().len();
        crash
            .pays_once(first, second, get(&seller, "/a"), moved)
            .await
    })
    .await;
}
