//! The costs of payments by a transfer of the payer's own.

use super::{
    Bench, PRICE, Spent,
    support::{
        Request, Setup,
        flow::ARTICLE,
        interface::RouteArgs,
        transfer::{Offer, offer, payer, proof, transfer},
    },
};
use icrc_ledger_types::icrc1::account::Account;
use std::collections::BTreeMap;

/// A shop that sells by transfer, with its buyer and offer.
struct Sale {
    bench: Bench,
    payer: Account,
    offer: Offer,
}

impl Sale {
    fn new(bench: Bench) -> Self {
        let setup = &bench.setup;
        setup.sell("/report", PRICE);
        let route = RouteArgs {
            transfers: Some(true),
            ..setup.priced("GET", "/report", PRICE)
        };
        setup.route_put(route).expect("a good route");
        Sale {
            payer: payer(setup, 1),
            offer: offer(setup, "/report"),
            bench,
        }
    }

    /// A transfer with this secret: its block, and the request with its proof.
    fn made(&self, secret: u8) -> (u64, Request) {
        let setup = &self.bench.setup;
        let block = transfer(setup, self.payer, &self.offer, secret, PRICE);
        (
            block,
            proof("/report", self.payer, &self.offer, secret, block),
        )
    }

    fn bought(&self, request: &Request) -> Spent {
        let (answer, spent) = self.bench.spent(|| self.bench.setup.send(request));
        assert_eq!((answer.status, answer.body.as_slice()), (200, ARTICLE));
        spent
    }
}

/// A proof, the same again, one with a wrong secret, and a proof of an archived block.
pub fn transfers(figures: &mut BTreeMap<&str, u64>) {
    let sale = Sale::new(Bench::new());
    // The first payment touches fresh memory; the second is the ordinary one.
    sale.bought(&sale.made(1).1);
    let (_, request) = sale.made(2);
    let first = sale.bought(&request);
    figures.insert("transfer.update_instructions", first.updates);
    figures.insert("transfer.cycles", first.cycles);
    figures.insert("transfer.ledger_calls", first.ledger_calls);
    let again = sale.bought(&request);
    assert_eq!(again.ledger_calls, 0);
    figures.insert("transfer_again.cycles", again.cycles);

    let (block, _) = sale.made(3);
    let guessed = proof("/report", sale.payer, &sale.offer, 4, block);
    let setup = &sale.bench.setup;
    let (answer, spent) = sale.bench.spent(|| setup.send(&guessed));
    assert_eq!(answer.status, 402);
    figures.insert("transfer_guessed.cycles", spent.cycles);

    let sale = Sale::new(Bench {
        setup: Setup::new(),
        ..Bench::new()
    });
    sale.bought(&sale.made(1).1);
    let (block, request) = sale.made(2);
    let archive = sale
        .bench
        .setup
        .ledger
        .archive(&sale.bench.setup, block + 1);
    let archived = sale.bought(&request);
    figures.insert("transfer_archived.update_instructions", archived.updates);
    figures.insert("transfer_archived.cycles", archived.cycles);
    assert_ne!(archive, sale.bench.setup.ledger.0);
    figures.insert("transfer_archived.ledger_calls", archived.ledger_calls + 1);
}
