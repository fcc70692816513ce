use super::*;
use crate::{
    domain::{
        config::{Config, Limits},
        ledger::Ledger,
        offer::offers,
        route::{ContentMeta, Price, tests::draft},
    },
    types::{Amount, Nonce},
};
use ic_ed25519::PrivateKey;
use std::cell::RefCell;
use x402_icp::{
    authorization::authorize,
    decode::DecodedPayment,
    signer::Signer,
    wire::{ExactIcrc2Payload, PaymentPayload},
};

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);
const NOW_S: u64 = 1_800_000_000;
const FREE: Capacity = Capacity {
    public: Ok(()),
    of_payer: Ok(()),
};

struct Shop {
    route: Route,
    offers: Vec<Offer>,
    key: PrivateKey,
    expensive: RefCell<ExpensiveSignatures>,
}

fn ledger(n: u8) -> Ledger {
    Ledger {
        id: Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1]),
        symbol: format!("T{n}"),
        decimals: 6,
        fee: Amount(10),
        standards: vec![],
        answers_query_blocks: false,
        enabled: true,
    }
}

fn spender() -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 99, 1, 1])
}

fn shop() -> Shop {
    let config = Config {
        network: "icp:1".into(),
        pay_to: Account::from(Principal::from_slice(&[1])),
        operators: vec![],
        limits: Limits::default(),
        origin: None,
        trusted_origins: vec![],
        readers: vec![],
    };
    let mut draft = draft("/a");
    draft.prices = vec![
        Price {
            ledger: ledger(1).id,
            amount: Amount(100),
        },
        Price {
            ledger: ledger(1).id,
            amount: Amount(200),
        },
        Price {
            ledger: ledger(2).id,
            amount: Amount(300),
        },
    ];
    let mut route = draft.apply(None, None, &config.limits, 1);
    route.content = Some(ContentMeta {
        blob: 1,
        bytes: 1,
        sha256: [0; 32],
    });
    let ledgers = [ledger(1), ledger(2)];
    let find = |id: &Principal| ledgers.iter().find(|ledger| ledger.id == *id);
    let offers = offers(&route, find, &config, spender());
    let key = PrivateKey::generate_from_seed(b"payer");
    Shop {
        route,
        offers,
        key,
        expensive: RefCell::default(),
    }
}

impl Shop {
    fn sign(&self, offer: &Offer, after: u64, before: u64) -> ExactIcrc2Payload {
        let terms = Terms::from(&offer.requirements);
        authorize(&terms, None, Nonce([7; 32]), after, before, &self.key).unwrap()
    }

    fn pay(&self, offer: &Offer) -> PaymentPayload {
        PaymentPayload {
            x402_version: 2,
            resource: None,
            accepted: offer.requirements.clone(),
            payload: self.sign(offer, NOW_S - 10, NOW_S + 100),
            extensions: None,
        }
    }

    fn verify_with(
        &self,
        payload: PaymentPayload,
        nonce: NonceState,
        capacity: Capacity,
    ) -> Result<VerifiedPayment<'_>, Code> {
        let authorization = payload.payload.parse().unwrap();
        let sale = Sale {
            claim_key: ClaimKey::icrc2(&authorization.from.owner, &authorization.nonce),
            route: &self.route,
            offers: &self.offers,
            network: "icp:1",
            spender: spender(),
            now: NOW,
            spare: Cycles(1_000_000_000_000),
            root_key: x402_icp::network::MAINNET_ROOT_KEY_DER,
        };
        let payment = DecodedPayment {
            payload,
            authorization,
        };
        let expensive = &mut self.expensive.borrow_mut();
        verify(&payment, &sale, |_| nonce, expensive, |_, _| capacity)
            .map_err(|refusal| refusal.code)
    }

    fn verify(&self, payload: PaymentPayload) -> Result<VerifiedPayment<'_>, Code> {
        self.verify_with(payload, NonceState::Free, FREE)
    }
}

#[test]
fn every_offer_of_the_route_can_be_paid() {
    let shop = shop();
    for offer in &shop.offers {
        let verified = shop.verify(shop.pay(offer)).unwrap();
        assert_eq!(verified.offer, offer);
        let owner = Principal::self_authenticating(shop.key.public_key_der());
        assert_eq!(verified.from, Account::from(owner));
    }
}

#[test]
fn each_step_has_its_code() {
    let shop = shop();
    type Spoil = fn(&mut PaymentPayload);
    let cases: [(Code, Spoil); 15] = [
        (Code::InvalidX402Version, |p| p.x402_version = 1),
        (Code::UnsupportedScheme, |p| {
            p.accepted.scheme = "upto".into()
        }),
        (Code::NetworkMismatch, |p| {
            p.accepted.network = "icp:2".into()
        }),
        (Code::Method, |p| {
            p.accepted.extra.asset_transfer_method = "icrc1".into()
        }),
        (Code::AssetMismatch, |p| {
            p.accepted.asset = "aaaaa-aa".into()
        }),
        (Code::AmountMismatch, |p| p.accepted.amount = "99".into()),
        // 300 is a price, but not in that ledger.
        (Code::AmountMismatch, |p| p.accepted.amount = "300".into()),
        (Code::RecipientMismatch, |p| {
            p.accepted.pay_to = "aaaaa-aa".into()
        }),
        (Code::SpenderMismatch, |p| {
            p.accepted.extra.spender = "aaaaa-aa".into()
        }),
        (Code::OfferMismatch, |p| {
            p.accepted.extra.offer = "00".into()
        }),
        (Code::OfferMismatch, |p| p.accepted.extra.fee = "11".into()),
        (Code::OfferMismatch, |p| {
            p.accepted.extra.symbol = "X".into()
        }),
        (Code::OfferMismatch, |p| p.accepted.extra.decimals = 7),
        (Code::OfferMismatch, |p| {
            p.accepted.extra.payment_flow = Some("upfront".into())
        }),
        (Code::OfferMismatch, |p| {
            p.accepted.max_timeout_seconds = 299
        }),
    ];
    for (code, spoil) in cases {
        let mut payment = shop.pay(&shop.offers[0]);
        spoil(&mut payment);
        assert_eq!(shop.verify(payment).unwrap_err(), code);
    }
}

#[test]
fn the_window_is_checked_against_the_clock_and_the_offer() {
    let shop = shop();
    let offer = &shop.offers[0];
    let at = |after: u64, before: u64| {
        let mut payment = shop.pay(offer);
        payment.payload = shop.sign(offer, after, before);
        shop.verify(payment).map(|_| ())
    };
    assert_eq!(at(NOW_S, NOW_S + 1), Ok(()));
    assert_eq!(at(NOW_S + 1, NOW_S + 10), Err(Code::NotYetValid));
    assert_eq!(at(NOW_S - 10, NOW_S), Err(Code::Expired));
    assert_eq!(at(NOW_S, NOW_S + 300), Ok(()));
    assert_eq!(at(NOW_S, NOW_S + 10_000), Err(Code::WindowTooLong));
}

#[test]
fn the_nonce_is_looked_up_before_the_signature_is_checked() {
    let shop = shop();
    let mut payment = shop.pay(&shop.offers[0]);
    payment.payload.signature = x402_icp::values::to_base64(&[0; 64]);
    for (state, code) in [
        (NonceState::Used, Code::NonceUsed),
        (NonceState::Cancelled, Code::Cancelled),
        (NonceState::Free, Code::Signature),
    ] {
        assert_eq!(
            shop.verify_with(payment.clone(), state, FREE).unwrap_err(),
            code
        );
    }
}

#[test]
fn only_the_payer_can_sign_and_only_for_these_terms() {
    let shop = shop();
    let mut payment = shop.pay(&shop.offers[0]);
    payment.payload.from = Principal::from_slice(&[5]).to_text();
    assert_eq!(shop.verify(payment).unwrap_err(), Code::PayerMismatch);

    // A signature for the expensive offer presented with the cheap one, and the reverse.
    for (signed, accepted) in [(0, 1), (1, 0), (0, 2)] {
        let mut payment = shop.pay(&shop.offers[signed]);
        payment.accepted = shop.offers[accepted].requirements.clone();
        assert_eq!(shop.verify(payment).unwrap_err(), Code::Signature);
    }

    // Every signed text, changed after signing.
    let changes: [fn(&mut ExactIcrc2Payload); 3] = [
        |p| p.nonce = "08".repeat(32),
        |p| p.valid_before = (NOW_S + 101).to_string(),
        |p| p.valid_after = (NOW_S - 11).to_string(),
    ];
    for change in changes {
        let mut payment = shop.pay(&shop.offers[0]);
        change(&mut payment.payload);
        assert_eq!(shop.verify(payment).unwrap_err(), Code::Signature);
    }
}

/// A forged payment, and the same one with a valid signature.
fn forged_and_genuine(shop: &Shop) -> [PaymentPayload; 2] {
    let genuine = shop.pay(&shop.offers[0]);
    let mut forged = genuine.clone();
    forged.payload.signature = x402_icp::values::to_base64(&[0; 64]);
    [forged, genuine]
}

/// An expensive chain costs as much as many payments; below the floor the cycles are reserved for what is owed.
#[test]
fn attack_25_no_signature_is_verified_below_the_cycles_floor() {
    let shop = shop();
    let [forged, _] = forged_and_genuine(&shop);
    let poor = Capacity {
        public: Err(NoCapacity::Cycles),
        ..FREE
    };
    let refused = shop.verify_with(forged.clone(), NonceState::Free, poor);
    assert_eq!(refused.unwrap_err(), Code::LedgerUnavailable);
    assert_eq!(shop.verify(forged).unwrap_err(), Code::Signature);
}

#[test]
fn attack_31_what_anybody_may_know_is_refused_before_a_signature_is_verified() {
    let mut shop = shop();
    let both = |shop: &Shop, capacity| {
        for payment in forged_and_genuine(shop) {
            let refused = shop.verify_with(payment, NonceState::Free, capacity);
            assert_eq!(refused.unwrap_err(), Code::LedgerUnavailable);
        }
    };
    let full = Capacity {
        public: Err(NoCapacity::Open),
        ..FREE
    };
    both(&shop, full);
    shop.offers[0].ledger.enabled = false;
    both(&shop, FREE);
    shop.offers[0].ledger.enabled = true;
    let content = shop.route.content.take();
    both(&shop, FREE);
    shop.route.content = content;
    shop.route.on_sale = false;
    both(&shop, FREE);
}

#[test]
fn what_concerns_one_payer_is_told_to_nobody_else() {
    let shop = shop();
    let busy = Capacity {
        of_payer: Err(NoCapacity::OpenOfPayer),
        ..FREE
    };
    let [forged, genuine] = forged_and_genuine(&shop);
    let refused = shop.verify_with(forged, NonceState::Free, busy);
    assert_eq!(refused.unwrap_err(), Code::Signature);
    let refused = shop.verify_with(genuine, NonceState::Free, busy);
    assert_eq!(refused.unwrap_err(), Code::LedgerUnavailable);
}

#[test]
fn no_compared_term_is_put_right_by_editing_what_was_accepted() {
    // The offer changes after the payer signed, and a stranger who saw the payment edits `accepted`.
    type Change = fn(&mut PaymentRequirements);
    let changes: [(&str, Change, Code); 10] = [
        (
            "asset",
            |o| o.asset = "aaaaa-aa".into(),
            Code::AssetMismatch,
        ),
        ("amount", |o| o.amount = "101".into(), Code::AmountMismatch),
        (
            "payTo",
            |o| o.pay_to = "aaaaa-aa".into(),
            Code::RecipientMismatch,
        ),
        (
            "spender",
            |o| o.extra.spender = "aaaaa-aa".into(),
            Code::SpenderMismatch,
        ),
        (
            "offer",
            |o| o.extra.offer = "00".repeat(16),
            Code::OfferMismatch,
        ),
        ("fee", |o| o.extra.fee = "11".into(), Code::OfferMismatch),
        (
            "symbol",
            |o| o.extra.symbol = "T2".into(),
            Code::OfferMismatch,
        ),
        ("decimals", |o| o.extra.decimals = 8, Code::OfferMismatch),
        (
            "paymentFlow",
            |o| o.extra.payment_flow = Some("upfront".into()),
            Code::OfferMismatch,
        ),
        (
            "maxTimeoutSeconds",
            |o| o.max_timeout_seconds -= 1,
            Code::OfferMismatch,
        ),
    ];
    for (term, change, code) in changes {
        let mut shop = shop();
        shop.offers.truncate(1);
        let mut payment = shop.pay(&shop.offers[0]);
        change(&mut shop.offers[0].requirements);
        assert_eq!(shop.verify(payment.clone()).unwrap_err(), code, "{term}");
        payment.accepted = shop.offers[0].requirements.clone();
        assert_eq!(shop.verify(payment).unwrap_err(), Code::Signature, "{term}");
    }
}

#[test]
fn an_unknown_subaccount_form_does_not_change_the_payer() {
    let shop = shop();
    let owner = Principal::self_authenticating(shop.key.public_key_der());
    let from = Account {
        owner,
        subaccount: Some([3; 32]),
    };
    let offer = &shop.offers[0];
    let mut payment = shop.pay(offer);
    let terms = Terms::from(&offer.requirements);
    payment.payload = authorize(
        &terms,
        Some(from),
        Nonce([7; 32]),
        NOW_S,
        NOW_S + 10,
        &shop.key,
    )
    .unwrap();
    let verified = shop.verify(payment).unwrap();
    assert_eq!(verified.from, from);
    // All accounts of a principal share one space of nonces.
    assert_eq!(verified.claim_key, ClaimKey::icrc2(&owner, &Nonce([7; 32])));
}
