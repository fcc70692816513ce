//! The content of a snapshot: payments in every state that is stored, and all other stored data.

use super::*;
use crate::{
    domain::{config::Config, identifier, payment::RefundCause, work::WorkRequest},
    service::withdraw::WithdrawRequest,
    types::RouteKey,
};
use serde_json::json;

/// The numbers of payments. They determine payer, nonce and minute.
pub const DELIVERED: u8 = 1;
pub const FAILED: u8 = 2;
pub const DELIVERED_LATER: u8 = 3;
/// Paid to an account of the canister.
pub const UNDELIVERED: u8 = 4;
/// Its refund waits for a controller.
pub const WAITING: u8 = 5;
pub const MERCHANT_PAYS: u8 = 6;
pub const REFUND_IN_DOUBT: u8 = 7;
pub const REFUNDED: u8 = 8;
/// With an identifier.
pub const NAMED: u8 = 9;
pub const LAPSED: u8 = 10;
pub const SETTLING: u8 = 11;
pub const UNKNOWN: u8 = 12;

/// Its work is done.
pub const WORKED: u8 = 15;
/// Its work failed, and is tried again.
pub const UNDONE: u8 = 16;

/// Its nonce is cancelled.
pub const CANCELLED: u8 = 20;
/// Withdrawals.
pub const MADE: u8 = 13;
pub const DOUBTFUL: u8 = 14;
/// The number of an unfinished upload.
pub const UPLOAD: u64 = 4;

/// The uploaded part, and the rest.
pub const FIRST: u64 = 65_536;
pub const REST: &[u8] = b"the rest";

/// The time of the snapshot.
pub const END: TimestampNs = TimestampNs(NOW.0 + (14 * 60 + 5) * 1_000_000_000);

/// The time of the payment with this number.
pub fn at(n: u8) -> TimestampNs {
    NOW.plus(Seconds(60 * u32::from(n.min(14))))
}

pub fn route(path: &str) -> RouteKey {
    RouteKey::new(Method::Get, path)
}

pub fn settings() -> Config {
    Config {
        origin: Some("https://shop.example".into()),
        ..config()
    }
}

/// The same request each time, at any time.
pub fn request(shop: &Shop, n: u8) -> PaymentRequest {
    let now = shop.runtime.now();
    shop.runtime.now.set(at(n));
    let path = match n {
        UNDELIVERED => "/own",
        NAMED => "/named",
        WORKED | UNDONE => "/work",
        _ => "/a",
    };
    let of_route = Shop {
        runtime: ScriptedRuntime::new(at(n)),
        route: route(path),
    };
    let request = PaymentRequest {
        purchase: Purchase::Route(route(path)),
        work: (path == "/work").then(|| WorkRequest::new(path, "", &[], b"please")),
        ..of_route.request(n, n)
    };
    shop.runtime.now.set(now);
    if n == NAMED { named(request) } else { request }
}

/// With the identifier of the payment [`NAMED`].
pub fn named(mut request: PaymentRequest) -> PaymentRequest {
    let info = json!({ "required": true, "id": "pay_7d5d747be160e280504c099d984bcfe0" });
    let extensions = json!({ identifier::KEY: { "info": info } });
    request.signed_mut().payload.extensions = extensions.as_object().cloned();
    request
}

pub fn key(shop: &Shop, n: u8) -> ClaimKey {
    request(shop, n).claim_key()
}

pub fn withdrawal(n: u8) -> WithdrawRequest {
    WithdrawRequest {
        ledger: ledger(0).id,
        from_subaccount: None,
        to: Account::from(Principal::from_slice(&[5; 29])),
        amount: Amount(n.into()),
        created_at: Some(at(n)),
    }
}

fn happens(shop: &Shop, n: u8, event: Event) {
    storage::payments::record(&key(shop, n), Change::Event(event), shop.runtime.now()).unwrap();
}

/// A payment whose money moved while no request waited.
fn settled_unseen(shop: &Shop, n: u8) {
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request(shop, n))));
    let block = BlockIndex(100 + u64::from(n));
    let tx = TxRef::Block(block);
    happens(shop, n, Event::ProvedMoved { tx });
}

fn refund_due(shop: &Shop, n: u8, approved: bool) {
    settled_unseen(shop, n);
    let cause = RefundCause::NotFetched;
    happens(shop, n, Event::RefundDue { cause, approved });
}

/// Leaves a canister with data in every table.
pub fn scenario() {
    let shop = shop();
    let runtime = &shop.runtime;
    storage::config::write(&settings()).unwrap();
    storage::liabilities::set_canister(runtime.canister_id());
    storage::ledgers::put(&ledger(1)).unwrap();
    sell(&shop);
    for n in 1..=UNKNOWN {
        runtime.now.set(at(n));
        pay(&shop, n);
    }
    runtime.now.set(at(MADE));
    runtime.caller.set(runtime.controller);
    runtime.will_reply(Nat::from(1_000_000u32));
    runtime.will_reply(Transferred::Ok(Nat::from(130u8)));
    let made = run(withdraw::withdraw(runtime, withdrawal(MADE)));
    assert_eq!(made, Ok(BlockIndex(130)));
    runtime.now.set(at(DOUBTFUL));
    runtime.will_reply(Nat::from(1_000_000u32));
    shop.will_reject(6);
    run(withdraw::withdraw(runtime, withdrawal(DOUBTFUL))).unwrap_err();
    for (n, status) in [(WORKED, 200), (UNDONE, 500)] {
        let request = request(&shop, n);
        shop.will(block(u64::from(n) + 125));
        shop.will_serve(status, b"worked");
        let outcome = shop.settle(&request);
        assert_eq!(is_pending(&outcome), n == UNDONE, "{outcome:?}");
    }
    let request = request(&shop, CANCELLED).signed().authorization.clone();
    runtime.caller.set(request.from.owner);
    cancel::cancel(runtime, request.nonce, request.valid_before + 600).unwrap();
    // Some time passes until the snapshot is taken.
    runtime.now.set(END);
}

/// Five routes: with a price, paid to the canister, with identifiers, free, and with a target. One upload is unfinished.
fn sell(shop: &Shop) {
    let runtime = &shop.runtime;
    let price = |n: u8, amount| Price {
        ledger: ledger(n).id,
        amount: Amount(amount),
    };
    let put = |path: &str, change: &dyn Fn(&mut crate::domain::route::RouteDraft)| {
        let mut wanted = draft(path);
        wanted.prices = vec![price(0, 10_000)];
        change(&mut wanted);
        catalogue::put(runtime, wanted).unwrap();
    };
    runtime.caller.set(runtime.controller);
    let own = Account::from(runtime.canister_id());
    put("/own", &|draft| {
        draft.pay_to = Some(own);
        draft.prices.push(price(1, 7));
    });
    put("/named", &|draft| {
        draft.payment_identifier = Some(identifier::Policy::Required);
    });
    put("/free/{id}", &|draft| draft.prices.clear());
    put("/work", &|draft| draft.forward = Some(forward::retrying()));
    for (path, body) in [("/own", "own goods"), ("/named", "goods")] {
        let of_route = Shop {
            runtime: ScriptedRuntime::new(NOW),
            route: route(path),
        };
        of_route.stock(body.as_bytes());
    }
    let first = [b'x'; FIRST as usize];
    let sha256 = Sha256::new()
        .chain_update(first)
        .chain_update(REST)
        .finalize();
    let bytes = FIRST + REST.len() as u64;
    let upload = content::begin(runtime, route("/free/{id}"), bytes, sha256.into()).unwrap();
    content::chunk(runtime, upload, 0, &first).unwrap();
    assert_eq!(upload, UPLOAD);
}

/// Brings a payment into its state.
fn pay(shop: &Shop, n: u8) {
    let request = request(shop, n);
    match n {
        DELIVERED => {
            shop.will(block(1));
            assert_eq!(shop.fetch(&request), b"goods");
        }
        FAILED => {
            let allowance = Nat::from(0u8);
            shop.will(Err(TransferFromError::InsufficientAllowance { allowance }));
            failed(shop.settle(&request));
        }
        DELIVERED_LATER => {
            settled_unseen(shop, n);
            shop.runtime.now.set(at(n).plus(Seconds(1)));
            assert_eq!(shop.fetch(&request), b"goods");
        }
        UNDELIVERED => settled_unseen(shop, n),
        WAITING => refund_due(shop, n, false),
        MERCHANT_PAYS => {
            settled_unseen(shop, n);
            happens(shop, n, Event::RefundLeftToMerchant);
        }
        REFUND_IN_DOUBT | REFUNDED => {
            refund_due(shop, n, true);
            shop.runtime.will_reply(Nat::from(1_000_000u32));
            if n == REFUNDED {
                shop.runtime.will_reply(Transferred::Ok(Nat::from(109u8)));
            } else {
                shop.will_reject(6);
            }
            run(refund::step(&shop.runtime, &key(shop, n)));
        }
        NAMED => {
            shop.will(block(120));
            let route = storage::routes::get(&request.route);
            let bought = crate::service::purchase::settle(&shop.runtime, route.as_deref(), request);
            paid(run(bought).unwrap());
        }
        LAPSED => {
            shop.will_reject(5);
            assert!(is_pending(&shop.settle(&request)));
            happens(shop, n, Event::Lapsed);
        }
        SETTLING => {
            // The answer arrives after the snapshot.
            shop.runtime
                .leave_waiting(super::settle(&shop.runtime, request));
        }
        _ => {
            shop.will_reject(6);
            assert!(is_pending(&shop.settle(&request)));
        }
    }
}
