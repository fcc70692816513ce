//! The costs of expensive signatures: chains behind a canister's key.

use super::{
    Bench, PRICE, nonce,
    support::{CanisterSigner, Payer, Setup, flow::Sale, payer::Forged},
};
use std::collections::BTreeMap;

/// Payments with expensive chains, accepted and refused.
pub fn chains(figures: &mut BTreeMap<&str, u64>) {
    let bench = Bench::new();
    let setup = &bench.setup;
    let sale = setup.sell("/report", PRICE);
    // The first payment touches fresh memory.
    assert_eq!(
        bench.measure(&bench.paid(&sale, &setup.payer(1))).status,
        200
    );
    let identity = CanisterSigner::new(setup, [7; 32]);
    let until = setup.now_ns() + 86_400_000_000_000;
    let mut pay = |figure, payer: &Payer| {
        let paid = bench.measure(&bench.paid(&sale, payer));
        assert_eq!(paid.status, 200, "{figure}");
        figures.insert(figure, paid.updates);
    };
    let session = setup.funded(Payer::delegated_by(&identity, 5, until, None));
    pay("payment_internet_identity.update_instructions", &session);
    pay(
        "payment_internet_identity_again.update_instructions",
        &session,
    );
    let other = CanisterSigner::new(setup, [8; 32]);
    let dearest = setup.funded(Payer::p256_chain(&other, 10, 2, until));
    pay("payment_dearest_chain.update_instructions", &dearest);

    let forged = Payer::p256_chain(&Forged(other), 10, 2, until);
    let mut refuse = |figure, number: u64, payer: &Payer| {
        let refused = refused(&bench, setup, &sale, number, payer);
        figures.insert(figure, refused);
    };
    refuse("refused_dearest_chain.update_instructions", 1, &forged);
    refuse(
        "refused_dearest_chain_again.update_instructions",
        2,
        &forged,
    );
    let too_expensive = Payer::p256_chain(&identity, 10, 20, until);
    refuse(
        "refused_too_dear_chain.update_instructions",
        3,
        &too_expensive,
    );
}

fn refused(bench: &Bench, setup: &Setup, sale: &Sale<'_>, number: u64, payer: &Payer) -> u64 {
    let now = setup.now();
    let signed = payer.sign_with(&sale.offer(), nonce(number), now - 30, now + 200);
    let refused = bench.measure(&super::stock_request().payment(&signed.header()));
    assert_eq!(refused.status, 402);
    refused.updates
}
