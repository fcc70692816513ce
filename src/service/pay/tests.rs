mod happy_path;
mod known_failures;
mod one_payment_many_requests;
mod refusals;
mod unknown_outcomes;

use super::*;
use crate::{
    domain::{
        capacity::{DOUBT_PAUSE, MAX_DOUBTS, MAX_OPEN_PER_PAYER},
        config::Limits,
        payment::FailureKind,
        route::{ContentMeta, Price, Route, tests::draft},
    },
    runtime::scripted::{ScriptedRuntime, poll, run},
    service::{cancel, catalogue, lifecycle, payments},
    storage::{config::tests::config, ledgers::tests::ledger},
    types::{Amount, Cycles, Method, Nonce, Seconds},
};
use candid::{Decode, Nat};
use ic_ed25519::PrivateKey;
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use std::{pin::pin, task::Poll};
use x402_icp::{Terms, authorization::authorize, wire::PaymentPayload};

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

type Reply = Result<Nat, TransferFromError>;

struct Shop {
    runtime: ScriptedRuntime,
    route: RouteKey,
}

fn shop() -> Shop {
    storage::config::write(&config()).unwrap();
    storage::ledgers::put(&ledger(0)).unwrap();
    let runtime = ScriptedRuntime::new(NOW);
    let price = Price {
        ledger: ledger(0).id,
        amount: Amount(10_000),
    };
    let wanted = crate::domain::route::RouteDraft {
        prices: vec![price],
        ..draft("/a")
    };
    let route = catalogue::put(&runtime, wanted).unwrap();
    let mut route = Route::clone(&route);
    route.content = Some(ContentMeta {
        blob: 1,
        bytes: 1,
        sha256: [0; 32],
    });
    let key = route.key.clone();
    storage::routes::put(route);
    Shop {
        runtime,
        route: key,
    }
}

fn payer(n: u8) -> PrivateKey {
    PrivateKey::generate_from_seed(&[n])
}

impl Shop {
    /// The payment of the n-th payer with this nonce, for the offer as it is now.
    fn payment(&self, n: u8, nonce: u8) -> DecodedPayment {
        let route = storage::routes::get(&self.route).unwrap();
        let accepted = catalogue::offers(&route, self.runtime.canister_id()).remove(0);
        let now = self.runtime.now().seconds();
        let payload = authorize(
            &Terms::from(&accepted),
            None,
            Nonce([nonce; 32]),
            now - 5,
            now + 200,
            &payer(n),
        )
        .unwrap();
        let authorization = payload.parse().unwrap();
        let payload = PaymentPayload {
            x402_version: 2,
            resource: None,
            accepted,
            payload,
            extensions: None,
        };
        DecodedPayment {
            payload,
            authorization,
        }
    }

    fn request(&self, n: u8, nonce: u8) -> PaymentRequest {
        PaymentRequest {
            route: self.route.clone(),
            path: "/a".into(),
            payment: self.payment(n, nonce),
            fingerprint: [1; 32],
            deliverable: true,
        }
    }

    fn settle(&self, request: &PaymentRequest) -> PayOutcome {
        run(settle(&self.runtime, request.clone()))
    }

    fn will(&self, reply: Reply) -> &Self {
        self.runtime.will_reply(reply);
        self
    }

    fn will_reject(&self, code: u32) -> &Self {
        self.runtime.will(CallOutcome::Rejected {
            code,
            message: "rejected".into(),
        });
        self
    }

    fn asked(&self, n: usize) -> TransferFromArgs {
        let call = self.runtime.calls.borrow()[n].clone();
        assert_eq!(
            (call.canister, call.method.as_str()),
            (ledger(0).id, "icrc2_transfer_from")
        );
        Decode!(&call.argument, TransferFromArgs).unwrap()
    }
}

fn id(request: &PaymentRequest) -> PaymentId {
    let terms = Terms::from(&request.payment.payload.accepted);
    x402_icp::authorization::payment_id(&x402_icp::authorization::signed_message(
        &terms,
        &request.payment.payload.payload,
    ))
}

fn block(n: u64) -> Reply {
    Ok(Nat::from(n))
}

fn paid(outcome: PayOutcome) -> Receipt {
    match outcome {
        PayOutcome::Paid { receipt } => receipt,
        other => panic!("expected a receipt, got {other:?}"),
    }
}

fn refused(outcome: PayOutcome) -> Code {
    match outcome {
        PayOutcome::Refused(refusal) => refusal.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn failed(outcome: PayOutcome) -> Code {
    match outcome {
        PayOutcome::Failed { code, .. } => code,
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn is_pending(outcome: &PayOutcome) -> bool {
    matches!(outcome, PayOutcome::Pending { .. })
}
