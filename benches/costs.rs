//! Measures what requests cost, in instructions, cycles and bytes, on the embedded runtime; `scripts/bench`
//! runs it and compares. Prints one JSON object: figure → number.

#[allow(dead_code, unused_imports)]
#[path = "../tests/integration/support/mod.rs"]
mod support;

#[path = "costs/call.rs"]
mod call;
#[path = "costs/expensive.rs"]
mod expensive;
#[path = "costs/growth.rs"]
mod growth;
#[path = "costs/invoice.rs"]
mod invoice;
#[path = "costs/receipts.rs"]
mod receipts;
#[path = "costs/transfer.rs"]
mod transfer;

use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};
use support::{
    Payer, Request, Setup,
    flow::{ARTICLE, Sale},
};
use x402_icp::{encode_header, wire::ResourceInfo};

/// Payments made between the first measured one and the last.
const PAYMENTS_BETWEEN: u64 = 300;
/// With this variable set to a number, only the growth is measured: payments without stored payments, and with this
/// many.
const STORED: &str = "TOLLKEEPER_BENCH_STORED";
const PRICE: u128 = 10_000;
/// The number of payers that pay a canister with five trillion cycles at the same time.
const PAYERS: u8 = 120;

/// One execution, as the runtime reports it.
#[derive(Deserialize)]
struct Cost {
    canister: String,
    entry: String,
    instructions: u64,
}

/// What some action cost.
struct Spent {
    query: u64,
    updates: u64,
    ledger_calls: u64,
    cycles: u64,
}

/// The effects of one request.
struct Measured {
    query: u64,
    updates: u64,
    ledger_calls: u64,
    cycles: u64,
    reply: usize,
    request: usize,
    status: u16,
}

struct Bench {
    setup: Setup,
    http: reqwest::blocking::Client,
}

impl Bench {
    fn new() -> Self {
        Self {
            setup: Setup::with_any_ledger(),
            http: reqwest::blocking::Client::new(),
        }
    }

    /// Executions since the last call.
    fn costs(&self) -> Vec<Cost> {
        let pic = &self.setup.pic;
        let url = pic
            .get_server_url()
            .join(&format!("/instances/{}/local/costs", pic.instance_id()))
            .expect("BUG: a good path");
        let answer = self.http.get(url).send().expect("the server answers");
        assert!(
            answer.status().is_success(),
            "only the embedded runtime counts instructions"
        );
        answer.json().expect("a list of costs")
    }

    /// What an action costs the canister.
    fn spent<T>(&self, act: impl FnOnce() -> T) -> (T, Spent) {
        let pic = &self.setup.pic;
        let canister = self.setup.canister;
        let own = canister.to_text();
        self.costs();
        let before = pic.cycle_balance(canister);
        let done = act();
        let cycles = before - pic.cycle_balance(canister);
        let costs = self.costs();
        let of = |query: bool| {
            costs
                .iter()
                .filter(|cost| cost.canister == own && cost.entry.starts_with("query") == query)
                .map(|cost| cost.instructions)
                .sum()
        };
        let spent = Spent {
            query: of(true),
            updates: of(false),
            ledger_calls: costs
                .iter()
                .filter(|cost| cost.canister == self.setup.ledger.0.to_text())
                .count() as u64,
            cycles: cycles.try_into().expect("BUG: less than 2^64"),
        };
        (done, spent)
    }

    fn measure(&self, request: &Request) -> Measured {
        let setup = &self.setup;
        let (answer, spent) = self.spent(|| request.send(&setup.pic, setup.canister));
        Measured {
            query: spent.query,
            updates: spent.updates,
            ledger_calls: spent.ledger_calls,
            cycles: spent.cycles,
            reply: answer.body.len()
                + answer
                    .headers
                    .iter()
                    .map(|(n, v)| n.len() + v.len())
                    .sum::<usize>(),
            request: request.update_argument().len(),
            status: answer.status,
        }
    }

    /// A paid request as a stock client sends it: the echoed resource, and the headers of Node's fetch as a gateway
    /// forwards them.
    fn paid(&self, sale: &Sale, payer: &Payer) -> Request {
        let mut signed = payer.sign(&sale.offer(), self.setup.now());
        signed.payload.resource = Some(self.resource());
        stock_request().payment(&encode_header(&signed.payload))
    }

    fn resource(&self) -> ResourceInfo {
        let unpaid = self.setup.get("/report");
        unpaid
            .payment_required()
            .expect("a 402 has offers")
            .resource
    }
}

/// The canister's work by itself, from a payment whose reply was lost to an hour without work.
fn recovery(figures: &mut BTreeMap<&str, u64>) {
    let bench = Bench {
        setup: Setup::new(),
        http: reqwest::blocking::Client::new(),
    };
    let setup = &bench.setup;
    let sale = setup.sell("/report", PRICE);
    let payer = setup.payer(1);
    // The authorization is valid for an hour: after five seconds the same transfer is sent again, after two hours the
    // block log is read.
    for (calls, cycles, wait) in [
        ("recovery.ledger_calls", "recovery.cycles", 6),
        (
            "recovery_by_log.ledger_calls",
            "recovery_by_log.cycles",
            7_200,
        ),
    ] {
        let lost = test_ledger::testing::Fault::lost_after_transfer();
        setup.ledger.fault(setup, 1, &lost);
        let signed = sale.pay(&payer).send().expect_pending();
        bench.costs();
        let before = setup.pic.cycle_balance(setup.canister);
        setup.pic.advance_time(Duration::from_secs(wait));
        for _ in 0..14 {
            setup.pic.tick();
        }
        let spent = before - setup.pic.cycle_balance(setup.canister);
        let ledger = setup.ledger.0.to_text();
        let asked = bench
            .costs()
            .iter()
            .filter(|c| c.canister == ledger)
            .count();
        assert!(setup.payment(signed.id.0).unwrap().status.is_paid());
        figures.insert(calls, asked as u64);
        figures.insert(cycles, spent.saturating_sub(memory(setup, wait)) as u64);
        assert_eq!(sale.present(signed).send().answer.status, 200);
    }
    // The timer that was set for the payments fires at most once more.
    hour(setup);
    figures.insert("idle_hour.cycles", hour(setup) as u64);
}

/// The cost of a payment for a canister with five trillion cycles, and the number of payments of as many payers that it
/// accepts at one time.
fn with_five_trillion_cycles(figures: &mut BTreeMap<&str, u64>) {
    let bench = Bench {
        setup: Setup::with_cycles(5_000_000_000_000),
        http: reqwest::blocking::Client::new(),
    };
    let setup = &bench.setup;
    let sale = setup.sell("/report", PRICE);
    let payer = setup.payer(1);
    assert_eq!(bench.measure(&bench.paid(&sale, &payer)).status, 200);
    let paid = bench.measure(&bench.paid(&sale, &payer));
    assert_eq!(paid.status, 200);
    figures.insert("payment_5t.cycles", paid.cycles);

    let held = test_ledger::testing::Fault::delayed_before_transfer();
    setup.ledger.fault(setup, PAYERS.into(), &held);
    let (offer, now) = (sale.offer(), setup.now());
    let calls: Vec<_> = (0..PAYERS)
        .map(|seed| {
            // Keys without money: no money has moved when the places are taken.
            let signed = Payer::ed25519(100 + seed).sign(&offer, now);
            let request = Request::get("/report").payment(&signed.header());
            setup.submit(&request)
        })
        .collect();
    for _ in 0..10 {
        setup.pic.tick();
    }
    setup.ledger.release(setup);
    let taken = calls
        .into_iter()
        .filter(|call| setup.collect(call.clone()).payment_response().is_some());
    figures.insert("payment_5t.places", taken.count() as u64);
}

/// The cycles of an hour without messages, beyond those for the canister's memory.
fn hour(setup: &Setup) -> u128 {
    let before = setup.pic.cycle_balance(setup.canister);
    for _ in 0..60 {
        setup.pic.advance_time(Duration::from_secs(60));
        setup.pic.tick();
        setup.pic.tick();
    }
    let burned = before - setup.pic.cycle_balance(setup.canister);
    burned.saturating_sub(memory(setup, 3_600))
}

/// The cycles of the canister's memory in this time.
fn memory(setup: &Setup, seconds: u64) -> u128 {
    let status = setup
        .pic
        .canister_status(setup.canister, Some(support::setup::controller()))
        .expect("controllers see it");
    let day = support::ledger::number(&status.idle_cycles_burned_per_day);
    day * u128::from(seconds) / 86_400
}

/// A request as a gateway forwards it, without a payment.
fn stock_request() -> Request {
    stock_headers(Request {
        headers: vec![],
        ..Request::get("/report")
    })
}

fn stock_headers(request: Request) -> Request {
    request
        .header("host", "lxzze-o7777-77777-aaaaa-cai.icp0.io")
        .header(
            "access-control-expose-headers",
            "PAYMENT-RESPONSE,X-PAYMENT-RESPONSE",
        )
        .header("accept", "*/*")
        .header("accept-language", "*")
        .header("sec-fetch-mode", "cors")
        .header("user-agent", "node")
        .header("accept-encoding", "gzip, deflate, identity")
}

fn main() {
    if let Ok(stored) = std::env::var(STORED) {
        let figures = growth::growth(stored.parse().expect("a number of payments"));
        println!(
            "{}",
            serde_json::to_string_pretty(&figures).expect("BUG: a map of numbers")
        );
        return;
    }
    let bench = Bench::new();
    let setup = &bench.setup;
    let sale = setup.sell("/report", PRICE);
    setup.publish_free("/about", ARTICLE);
    let payer = setup.payer(1);
    let mut figures: BTreeMap<&str, u64> = BTreeMap::new();

    let unpaid = bench.measure(&stock_request());
    assert_eq!(unpaid.status, 402);
    figures.insert("unpaid_402.query_instructions", unpaid.query);
    figures.insert("unpaid_402.reply_bytes", unpaid.reply as u64);
    let free = bench.measure(&Request::get("/about"));
    assert_eq!(free.status, 200);
    figures.insert("free_200.query_instructions", free.query);

    // The first payment touches fresh memory; the second is the ordinary one.
    assert_eq!(bench.measure(&bench.paid(&sale, &payer)).status, 200);
    let paid = bench.measure(&bench.paid(&sale, &payer));
    assert_eq!(paid.status, 200);
    figures.insert("payment.update_instructions", paid.updates);
    figures.insert("payment.query_instructions", paid.query);
    figures.insert("payment.cycles", paid.cycles);
    figures.insert("payment.ledger_calls", paid.ledger_calls);
    figures.insert("payment.request_bytes", paid.request as u64);

    for (figure, payer) in [
        ("payment_secp256k1.update_instructions", Payer::secp256k1(2)),
        ("payment_p256.update_instructions", Payer::p256(3)),
    ] {
        let payer = setup.funded(payer);
        let paid = bench.measure(&bench.paid(&sale, &payer));
        assert_eq!(paid.status, 200);
        figures.insert(figure, paid.updates);
    }

    let request = bench.paid(&sale, &payer);
    assert_eq!(bench.measure(&request).status, 200);
    let again = bench.measure(&request);
    assert_eq!(again.status, 200);
    figures.insert("redelivery.update_instructions", again.updates);
    figures.insert("redelivery.cycles", again.cycles);

    let mut forged = payer.sign(&sale.offer(), setup.now());
    forged.payload.payload.nonce = "ab".repeat(32);
    let forged = bench.measure(&stock_request().payment(&forged.header()));
    assert_eq!(forged.status, 402);
    figures.insert("refused_signature.cycles", forged.cycles);
    let now = setup.now();
    let expired = payer.sign_with(
        &sale.offer(),
        x402_icp::Nonce([0xcd; 32]),
        now - 200,
        now - 100,
    );
    let expired = bench.measure(&stock_request().payment(&expired.header()));
    assert_eq!(expired.status, 402);
    figures.insert("refused_expired.cycles", expired.cycles);

    let spender = setup.payer(4);
    let after = (0..PAYMENTS_BETWEEN).map(|number| {
        let signed = spender.sign_with(
            &sale.offer(),
            nonce(number),
            setup.now() - 30,
            setup.now() + 200,
        );
        setup.sale(Request::get("/report")).present(signed).send()
    });
    for outcome in after {
        assert_eq!(outcome.answer.status, 200);
    }
    let late = bench.measure(&bench.paid(&sale, &spender));
    assert_eq!(late.status, 200);
    figures.insert("payment_after_300.update_instructions", late.updates);
    figures.insert("payment_after_300.cycles", late.cycles);

    recovery(&mut figures);
    expensive::chains(&mut figures);
    call::purchases(&mut figures);
    transfer::transfers(&mut figures);
    invoice::invoices(&mut figures);
    with_five_trillion_cycles(&mut figures);

    bench.costs();
    setup.upgrade();
    let upgrade = bench.costs().iter().map(|cost| cost.instructions).sum();
    figures.insert("upgrade.instructions", upgrade);
    let kept = setup.settled().len() as u64;
    assert!(kept > PAYMENTS_BETWEEN);
    figures.insert(
        "wasm.gz_bytes",
        support::environment::tollkeeper_wasm().len() as u64,
    );
    receipts::appending(&mut figures);
    receipts::proofs(&mut figures);
    println!(
        "{}",
        serde_json::to_string_pretty(&figures).expect("BUG: a map of numbers")
    );
}

fn nonce(number: u64) -> x402_icp::Nonce {
    let mut bytes = [0x11; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    x402_icp::Nonce(bytes)
}
