mod clock;
mod cycles;
mod expensive;
mod forward;
mod forward_chaos;
mod golden;
mod happy_path;
mod identifiers;
mod known_failures;
mod one_block_one_claim;
mod one_payment_many_requests;
mod owed;
mod prove;
mod prove_icp;
mod prove_owed;
mod refusals;
mod stopping;
mod unknown_outcomes;
mod unreadable;

use super::{fulfil::resource, verify::verified, *};
pub(crate) use crate::domain::{
    purchase::Purchase,
    request::{Credential, PayOutcome, PaymentRequest},
};
use crate::{
    domain::{
        capacity::{DOUBT_PAUSE, MAX_DOUBTS, MAX_OPEN_PER_LEDGER, MAX_OPEN_PER_PAYER},
        config::{Config, Limits},
        payment::{Doubt, Event, FailureKind, Payment, Receipt, State},
        rail::TxRef,
        route::{Price, Route, tests::draft},
        settlement::{CallOutcome, Claimant},
        verify::Refusal,
    },
    runtime::{
        scripted::{ScriptedRuntime, poll, run},
        with_spare,
    },
    service::{cancel, catalogue, content, lifecycle, payments, retention},
    storage::{self, config::tests::config, ledgers::tests::ledger, payments::Change},
    types::{
        Account, Amount, AuthorizationDigest, BlockIndex, ClaimKey, Cycles, Method, Nonce,
        PaymentId, RouteKey, Seconds, TimestampNs,
    },
};
use candid::{Decode, Nat, Principal};
use ic_ed25519::PrivateKey;
use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use sha2::{Digest, Sha256};
use std::{pin::pin, task::Poll};
use x402_icp::{
    Code, Terms, authorization::authorize, decode::DecodedPayment, wire::PaymentPayload,
};

pub(crate) const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

pub(crate) type Reply = Result<Nat, TransferFromError>;

pub(crate) struct Shop {
    pub(crate) runtime: ScriptedRuntime,
    route: RouteKey,
}

pub(crate) fn shop() -> Shop {
    storage::config::write(&config()).unwrap();
    storage::ledgers::put(&ledger(0)).unwrap();
    let runtime = ScriptedRuntime::new(NOW);
    runtime.will_name_fee(Nat::from(10u8));
    let price = Price {
        ledger: ledger(0).id,
        amount: Amount(10_000),
    };
    let wanted = crate::domain::route::RouteDraft {
        prices: vec![price],
        ..draft("/a")
    };
    let route = catalogue::put(&runtime, wanted).unwrap();
    let shop = Shop {
        runtime,
        route: route.key.clone(),
    };
    shop.stock(b"goods");
    shop
}

fn payer(n: u8) -> PrivateKey {
    PrivateKey::generate_from_seed(&[n])
}

/// An archive of the ledger's log.
pub(crate) const ARCHIVE: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 50, 1, 1]);

impl Shop {
    /// What cannot be an archive, whatever the ledger says.
    pub(crate) fn no_canisters(&self) -> [Principal; 3] {
        [
            self.runtime.canister_id(),
            Principal::management_canister(),
            Principal::anonymous(),
        ]
    }

    /// Sets the route's content.
    pub(crate) fn stock(&self, body: &[u8]) {
        let bytes = body.len() as u64;
        let sha256 = Sha256::digest(body).into();
        let key = self.route.clone();
        self.runtime.caller.set(self.runtime.controller);
        let id = content::begin(&self.runtime, key, bytes, sha256).unwrap();
        content::chunk(&self.runtime, id, 0, body).unwrap();
        content::commit(&self.runtime, id).unwrap();
    }

    /// Settles, and returns the delivered bytes.
    pub(crate) fn fetch(&self, request: &PaymentRequest) -> Vec<u8> {
        match self.settle(request) {
            PayOutcome::Paid { resource, .. } => resource.body,
            other => panic!("expected the resource, got {other:?}"),
        }
    }

    pub(crate) fn state(&self, request: &PaymentRequest) -> State {
        payments::payment(&id(request)).unwrap().state
    }

    /// The payment of the n-th payer with this nonce, for the current offer.
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

    pub(crate) fn request(&self, n: u8, nonce: u8) -> PaymentRequest {
        PaymentRequest {
            work: None,
            purchase: Purchase::Route(RouteKey::new(Method::Get, "/a")),
            route: self.route.clone(),
            credential: Credential::Signed(Box::new(self.payment(n, nonce))),
            fingerprint: [1; 32],
            identifier: None,
        }
    }

    pub(crate) fn settle(&self, request: &PaymentRequest) -> PayOutcome {
        run(settle(&self.runtime, request.clone()))
    }

    pub(crate) fn will(&self, reply: Reply) -> &Self {
        self.runtime.will_reply(reply);
        self
    }

    pub(crate) fn will_reject(&self, code: u32) -> &Self {
        self.runtime.will(CallOutcome::Rejected {
            code,
            message: "rejected".into(),
        });
        self
    }

    pub(crate) fn asked(&self, n: usize) -> TransferFromArgs {
        let call = self.runtime.calls.borrow()[n].clone();
        assert_eq!(
            (call.canister, call.method.as_str()),
            (ledger(0).id, "icrc2_transfer_from")
        );
        Decode!(&call.argument, TransferFromArgs).unwrap()
    }
}

impl PaymentRequest {
    pub(crate) fn signed(&self) -> &DecodedPayment {
        match &self.credential {
            Credential::Signed(payment) => payment,
            _ => panic!("not a signed payment"),
        }
    }

    fn signed_mut(&mut self) -> &mut DecodedPayment {
        match &mut self.credential {
            Credential::Signed(payment) => payment,
            _ => panic!("not a signed payment"),
        }
    }
}

pub(crate) fn id(request: &PaymentRequest) -> PaymentId {
    let terms = Terms::from(&request.signed().payload.accepted);
    x402_icp::authorization::payment_id(&x402_icp::authorization::signed_message(
        &terms,
        &request.signed().payload.payload,
    ))
}

fn block(n: u64) -> Reply {
    Ok(Nat::from(n))
}

fn paid(outcome: PayOutcome) -> Receipt {
    match outcome {
        PayOutcome::Paid { receipt, .. } => receipt,
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
