//! The costs of payments by a transfer of the payer's own.

use super::{
    Bench, PRICE,
    support::{
        flow::ARTICLE,
        interface::RouteArgs,
        transfer::{offer, payer, proof, transfer},
    },
};
use std::collections::BTreeMap;

/// A proof, the same again, a proof of an archived block, and one with a wrong secret.
pub fn transfers(figures: &mut BTreeMap<&str, u64>) {
    let bench = Bench::new();
    let setup = &bench.setup;
    setup.sell("/report", PRICE);
    let route = RouteArgs {
        transfers: Some(true),
        ..setup.priced("GET", "/report", PRICE)
    };
    setup.route_put(route).expect("a good route");
    let (payer, offer) = (payer(setup, 1), offer(setup, "/report"));
    let made = |secret: u8| {
        let block = transfer(setup, payer, &offer, secret, PRICE);
        (block, proof("/report", payer, &offer, secret, block))
    };
    let bought = |request| {
        let (answer, spent) = bench.spent(|| setup.send(request));
        assert_eq!((answer.status, answer.body.as_slice()), (200, ARTICLE));
        spent
    };
    // The first payment touches fresh memory; the second is the ordinary one.
    let (_, fresh) = made(1);
    bought(&fresh);
    let (_, request) = made(2);
    let first = bought(&request);
    figures.insert("transfer.update_instructions", first.updates);
    figures.insert("transfer.cycles", first.cycles);
    figures.insert("transfer.ledger_calls", first.ledger_calls);
    let again = bought(&request);
    assert_eq!(again.ledger_calls, 0);
    figures.insert("transfer_again.cycles", again.cycles);

    let (block, _) = made(3);
    let guessed = proof("/report", payer, &offer, 4, block);
    let (answer, spent) = bench.spent(|| setup.send(&guessed));
    assert_eq!(answer.status, 402);
    figures.insert("transfer_guessed.cycles", spent.cycles);

    let (block, request) = made(5);
    setup.ledger.archive(setup, block + 1);
    let archived = bought(&request);
    figures.insert("transfer_archived.update_instructions", archived.updates);
    figures.insert("transfer_archived.cycles", archived.cycles);
    figures.insert("transfer_archived.ledger_calls", archived.ledger_calls);
}
