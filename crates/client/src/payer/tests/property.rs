//! Any behaviour of the seller and any end of the calls: one payment for one request, never more than the limit, and
//! every call ends.
//!
//! `TOLLKEEPER_PAYER_CASES` sets the number of cases.

use super::{
    calls::{
        calling,
        till::{Till, Word},
    },
    seller::{Act, RECEIPT_KINDS, ReceiptKind, Seller, offer, priced, receipt, transfer_offer},
    transfers::{
        bank::{Answer as LedgerAnswer, Bank, memo},
        paying_from,
    },
    *,
};
use crate::offer::Method;
use icrc_ledger_types::icrc1::transfer::TransferError;
use proptest::prelude::*;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Mutex};
use x402_icp::decode::decode_header;

/// The way in which a response to a payment arrives.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Whole,
    Cut,
    Stalls,
    HangsUp,
    Silent,
}

/// A response to a payment.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    receipt: ReceiptKind,
    manner: Manner,
    delay: u64,
}

/// One call of the buyer.
#[derive(Clone, Copy, Debug)]
struct Call {
    path: usize,
    /// The call is dropped after this many milliseconds.
    dropped: Option<u64>,
    /// A new process: a new payer on the same files.
    reload: bool,
    /// At the same time as the call before it.
    at_once: bool,
}

fn answer() -> impl Strategy<Value = Answer> {
    (
        prop::sample::select(vec![
            200, 200, 204, 301, 302, 400, 402, 402, 404, 409, 410, 429, 500, 502, 503,
        ]),
        prop::sample::select(RECEIPT_KINDS.to_vec()),
        prop::sample::select(vec![
            Manner::Whole,
            Manner::Whole,
            Manner::Whole,
            Manner::Cut,
            Manner::Stalls,
            Manner::HangsUp,
            Manner::Silent,
        ]),
        prop::sample::select(vec![0, 0, 0, 20, 120]),
    )
        .prop_map(|(status, receipt, manner, delay)| Answer {
            status,
            receipt,
            manner,
            delay,
        })
}

fn call() -> impl Strategy<Value = Call> {
    (
        0..2usize,
        prop::option::of(0..90u64),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(path, dropped, reload, at_once)| Call {
            path,
            dropped,
            reload,
            at_once,
        })
}

const PATHS: [&str; 2] = ["/data/1", "/data/2"];

/// For each authorization: whether a response ended the purchase.
type Ends = Arc<Mutex<BTreeMap<String, bool>>>;

fn act(got: &Got, answer: &Answer) -> Act {
    let headers = receipt(got, answer.receipt);
    let act = match answer.manner {
        Manner::Whole => Act::Answer(answer.status, headers, b"content".to_vec()),
        Manner::Cut => Act::Cut(answer.status, headers),
        Manner::Stalls => Act::Stall(answer.status, headers),
        Manner::HangsUp => Act::HangUp,
        Manner::Silent => Act::Silent,
    };
    Act::Late(Duration::from_millis(answer.delay), Box::new(act))
}

/// How the seller is paid.
#[derive(Clone)]
enum Way {
    Allowance,
    Transfer(Arc<Bank>),
    Call(Arc<Till>),
}

/// Runs the calls, and compares the requests that the seller got with its responses.
async fn run(
    base: &Payer,
    way: Way,
    answers: Vec<Answer>,
    prices: Vec<u64>,
    calls: Vec<Call>,
) -> Result<(), TestCaseError> {
    let ends: Ends = Arc::default();
    let told = ends.clone();
    let by_transfer = matches!(way, Way::Transfer(_));
    let seller = Seller::open(move |got, before| {
        let Some(payment) = &got.payment else {
            let mut offered = match by_transfer {
                true => transfer_offer("GET", &got.path),
                false => offer("GET", &got.path),
            };
            offered["amount"] = json!(prices[before % prices.len()].to_string());
            return priced(json!([offered]));
        };
        let answer = &answers[before % answers.len()];
        // A 204 has no body that could be cut.
        let whole = match answer.manner {
            Manner::Whole => true,
            Manner::Cut | Manner::Stalls => answer.status == 204,
            Manner::HangsUp | Manner::Silent => false,
        };
        let ended =
            (200..300).contains(&answer.status) && answer.receipt == ReceiptKind::Good && whole;
        *told.lock().unwrap().entry(payment.clone()).or_default() |= ended;
        act(got, answer)
    })
    .await;
    let folder = folder();
    // Creating the HTTP clients takes longer than a whole case, so new processes share them.
    let process = || {
        let payer = base.clone().with_journal(files(&folder));
        match &way {
            Way::Allowance => payer,
            Way::Transfer(bank) => paying_from(payer, bank.clone()),
            Way::Call(till) => calling(payer, till),
        }
    };
    let mut current = process();
    let mut running = Vec::new();
    for call in calls {
        if !call.at_once {
            for task in running.drain(..) {
                ended(task).await?;
            }
        }
        if call.reload {
            current = process();
        }
        let (payer, request) = (current.clone(), get(&seller, PATHS[call.path]));
        running.push(tokio::spawn(async move {
            let paying = payer.pay(&request);
            match call.dropped {
                None => drop(paying.await),
                Some(after) => {
                    drop(tokio::time::timeout(Duration::from_millis(after), paying).await)
                }
            }
        }));
    }
    for task in running {
        ended(task).await?;
    }
    let ends = ends.lock().unwrap().clone();
    for path in PATHS {
        let sent = seller.authorizations(path);
        let open = sent.iter().filter(|payment| !ends[*payment]).count();
        prop_assert!(
            open <= 1,
            "{path}: {open} of {} authorizations are open",
            sent.len()
        );
        for payment in sent {
            let payment: Value = decode_header("payment", payment.as_bytes()).unwrap();
            let amount: u64 = payment["accepted"]["amount"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            prop_assert!(amount <= 1_000_000, "{amount} is above the limit");
        }
    }
    let both = seller
        .authorizations(PATHS[0])
        .intersection(&seller.authorizations(PATHS[1]))
        .count();
    prop_assert_eq!(both, 0, "an authorization went out with another request");
    let recorded = process().unresolved().unwrap();
    prop_assert!(recorded.len() <= PATHS.len());
    if let Way::Call(till) = &way {
        called_once(till, &recorded)?;
    }
    let made = match &way {
        Way::Transfer(bank) => bank.made(),
        _ => Vec::new(),
    };
    let over: Vec<String> = ends
        .iter()
        .filter(|(_, over)| **over)
        .map(|(payment, _)| {
            let payment: Value = decode_header("payment", payment.as_bytes()).unwrap();
            payment["payload"]["blockIndex"].to_string()
        })
        .collect();
    for (block, transfer) in made.iter().enumerate() {
        let is_open = !over.contains(&json!(block.to_string()).to_string());
        let memo = hex::encode(memo(transfer));
        let is_recorded = recorded.iter().any(|e| e.payment.payment_id == memo);
        prop_assert!(!is_open || is_recorded, "block {block} is lost");
    }
    std::fs::remove_dir_all(folder).unwrap();
    Ok(())
}

/// Of each path at most one payment by call is open, and none is lost.
fn called_once(till: &Till, recorded: &[Entry]) -> Result<(), TestCaseError> {
    let sent: Vec<_> = till.sent().into_iter().map(|(args, _)| args).collect();
    for path in PATHS {
        let mut open: Vec<_> = sent
            .iter()
            .filter(|args| args.path == path && !till.told(args))
            .map(|args| till.id(args))
            .collect();
        open.dedup();
        prop_assert!(open.len() <= 1, "{path}: open are {open:?}");
    }
    for args in &sent {
        prop_assert!(args.amount <= 1_000_000u32, "{}", args.amount);
        let id = till.id(args);
        let is_recorded = recorded.iter().any(|e| e.payment.id() == Some(id));
        prop_assert!(till.told(args) || is_recorded, "{id} is lost");
    }
    Ok(())
}

/// Waits for the call to end.
async fn ended(task: tokio::task::JoinHandle<()>) -> Result<(), TestCaseError> {
    match tokio::time::timeout(Duration::from_secs(20), task).await {
        Ok(ended) => ended.map_err(|e| TestCaseError::fail(e.to_string())),
        Err(_) => Err(TestCaseError::fail("a call does not end")),
    }
}

fn ledger_answer() -> impl Strategy<Value = LedgerAnswer> {
    let refused = LedgerAnswer::Refused(TransferError::InsufficientFunds {
        balance: 0u8.into(),
    });
    prop::sample::select(vec![
        LedgerAnswer::Made,
        LedgerAnswer::Made,
        LedgerAnswer::SlowAfter(20),
        LedgerAnswer::SlowAfter(80),
        LedgerAnswer::LostAfter,
        LedgerAnswer::LostBefore,
        LedgerAnswer::Refused(TransferError::TemporarilyUnavailable),
        refused,
    ])
}

fn word() -> impl Strategy<Value = Word> {
    prop::sample::select(vec![
        Word::Sold,
        Word::Sold,
        Word::SlowAfter(20),
        Word::SlowAfter(80),
        Word::LostAfter,
        Word::LostBefore,
        Word::Late(20),
        Word::Pending,
        Word::Refused("ledger_unavailable"),
        Word::Failed("insufficient_allowance"),
        Word::Duplicate,
    ])
}

#[test]
fn a_request_never_has_two_open_authorizations() {
    check(Method::Allowance);
}

#[test]
fn a_request_never_has_two_open_transfers() {
    check(Method::Transfer);
}

#[test]
fn a_request_never_has_two_open_calls() {
    check(Method::Call);
}

fn check(method: Method) {
    let cases = std::env::var("TOLLKEEPER_PAYER_CASES").ok();
    let cases = cases.and_then(|text| text.parse().ok()).unwrap_or(48);
    let mut config = ProptestConfig::with_cases(cases);
    config.max_shrink_iters = 64;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let base = {
        let mut limits = short();
        limits.idle = Duration::from_millis(60);
        limits.connect = Duration::from_millis(500);
        limits.agent = Duration::from_millis(50);
        limits.first_pause = Duration::from_millis(2);
        let payer = payer(Arc::new(MemoryJournal::new()));
        let payer = payer.with_limits(limits).unwrap();
        payer.with_patience(Duration::from_millis(30))
    };
    let cases = (
        prop::collection::vec(answer(), 1..6),
        prop::collection::vec(
            prop::sample::select(vec![1u64, 10_000, 1_000_000, 1_000_001]),
            1..4,
        ),
        prop::collection::vec(call(), 2..9),
        prop::collection::vec(ledger_answer(), 1..6),
        prop::collection::vec(word(), 1..6),
    );
    proptest!(config, |((answers, prices, calls, ledger, words) in cases)| {
        let owner = base.account.owner;
        let way = match method {
            Method::Allowance => Way::Allowance,
            Method::Transfer => {
                Way::Transfer(Bank::open(owner, move |call| ledger[call % ledger.len()].clone()))
            }
            Method::Call => {
                Way::Call(Till::open(owner, move |call| words[call % words.len()].clone()))
            }
        };
        runtime.block_on(run(&base, way, answers, prices, calls))?;
    });
}
