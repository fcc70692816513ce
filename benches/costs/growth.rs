//! How the costs of a payment grow with the payments that are stored.

use super::{
    Bench, nonce,
    support::{Payer, Request},
};
use std::collections::BTreeMap;

/// Payments measured for each figure of the growth: the tables are trees, whose nodes split at times.
const SAMPLES: u64 = 32;
/// Concurrent payments while the tables are filled; one payer may have 150.
const BATCH: u64 = 100;

/// The costs of payments without stored payments, and with `stored` ones.
pub fn growth(stored: u64) -> BTreeMap<&'static str, u64> {
    let bench = Bench::new();
    let setup = &bench.setup;
    let sale = setup.sell("/report", 1);
    let payer = setup.payer(1);
    // The first payment touches fresh memory.
    assert_eq!(bench.measure(&bench.paid(&sale, &payer)).status, 200);
    let mean = || {
        let mut sums = (0, 0);
        for _ in 0..SAMPLES {
            let paid = bench.measure(&bench.paid(&sale, &payer));
            assert_eq!(paid.status, 200);
            sums = (sums.0 + paid.updates, sums.1 + paid.cycles);
        }
        (sums.0 / SAMPLES, sums.1 / SAMPLES)
    };
    let empty = mean();
    let offer = sale.offer();
    let mut spender = setup.payer(4);
    for first in (0..stored).step_by(BATCH as usize) {
        if first % 50_000 == 0 {
            spender = setup.funded(Payer::ed25519(4 + (first / 50_000) as u8));
        }
        let now = setup.now();
        let calls: Vec<_> = (first..stored.min(first + BATCH))
            .map(|number| {
                let signed = spender.sign_with(&offer, nonce(number), now - 30, now + 200);
                let request = Request::get("/report").payment(&signed.header());
                setup.submit(&request)
            })
            .collect();
        for call in calls {
            assert_eq!(setup.collect(call).status, 200);
        }
    }
    bench.costs();
    let full = mean();
    BTreeMap::from([
        ("growth.stored", stored),
        ("growth.empty.update_instructions", empty.0),
        ("growth.empty.cycles", empty.1),
        ("growth.full.update_instructions", full.0),
        ("growth.full.cycles", full.1),
    ])
}
