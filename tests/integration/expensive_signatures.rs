//! Signatures that cost a hundredfold, presented by strangers who pay nothing.

use crate::support::{CanisterSigner, Payer, Setup, payer::Forged};
use x402_icp::Code;

const PRICE: u128 = 40_000;
/// The chains of Internet Identity that are verified a minute without payment.
const AFFORDABLE: u8 = 11;

#[test]
fn attack_31_forged_chains_starve_new_sessions_for_a_minute_and_nobody_else() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let until = setup.now_ns() + 3_600_000_000_000;
    let identity = CanisterSigner::new(&setup, [31; 32]);
    let known = setup.funded(Payer::delegated_by(&identity, 1, until, None));
    sale.pay(&known).send().expect_settled();

    let root = Forged(CanisterSigner::new(&setup, [32; 32]));
    let forged = |n: u8| Payer::delegated_by(&root, n, until, None);
    let chains: Vec<_> = (0..AFFORDABLE).map(forged).collect();
    let refuse_all = || {
        for chain in &chains {
            sale.pay(chain).send().expect_refused(Code::Signature);
        }
    };
    refuse_all();
    let one_more = forged(AFFORDABLE);
    sale.pay(&one_more)
        .send()
        .expect_refused(Code::LedgerUnavailable);
    // A failed proof is remembered, and refused without using budget.
    refuse_all();
    assert_eq!(setup.payments().len(), 1);

    let honest = CanisterSigner::new(&setup, [33; 32]);
    let honest = setup.funded(Payer::delegated_by(&honest, 1, until, None));
    let waiting = honest.sign(&sale.offer(), setup.now());
    let busy = sale.present(waiting.clone()).send();
    busy.expect_refused(Code::LedgerUnavailable);
    sale.pay(&known).send().expect_settled();
    for cheap in [
        Payer::ed25519(40),
        Payer::secp256k1(41),
        Payer::p256(42),
        Payer::delegated(43, until, None),
    ] {
        let cheap = setup.funded(cheap);
        sale.pay(&cheap).send().expect_settled();
    }
    setup.advance(60);
    sale.present(waiting).send().expect_settled();
}

#[test]
fn attack_31_a_chain_of_twenty_p256_keys_behind_a_canisters_is_refused() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let until = setup.now_ns() + 3_600_000_000_000;
    let chain = |seed: u8, keys| {
        let identity = CanisterSigner::new(&setup, [seed; 32]);
        setup.funded(Payer::p256_chain(&identity, 10, keys, until))
    };
    for (seed, keys) in [(34, 3), (35, 20)] {
        let too_expensive = chain(seed, keys);
        for _ in 0..20 {
            let refused = sale.pay(&too_expensive).send();
            refused.expect_refused(Code::Signature);
        }
    }
    assert!(setup.payments().is_empty());
    // No budget was used.
    sale.pay(&chain(36, 2)).send().expect_settled();
}

#[test]
fn a_session_that_was_verified_does_not_outlive_its_delegation() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let until = setup.now_ns() + 600_000_000_000;
    let identity = CanisterSigner::new(&setup, [37; 32]);
    let session = setup.funded(Payer::delegated_by(&identity, 1, until, None));
    sale.pay(&session).send().expect_settled();
    sale.pay(&session).send().expect_settled();
    setup.advance(600);
    sale.pay(&session).send().expect_refused(Code::Signature);
    // What an upgrade loses is verified again.
    let renewed = setup.now_ns() + 600_000_000_000;
    let renewed = Payer::delegated_by(&identity, 2, renewed, None).after(&session);
    sale.pay(&renewed).send().expect_settled();
    setup.upgrade();
    sale.pay(&renewed).send().expect_settled();
}
