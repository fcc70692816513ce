use super::*;
use crate::{
    domain::{
        config::tests::config,
        offer::{offers, transfer_offers},
        route::{ContentMeta, tests::draft},
    },
    types::Nonce,
};
use x402_icp::{
    transfer::TransferProof,
    wire::{ExactIcrc1Payload, PaymentPayload},
};

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);
const CANISTER: Principal = Principal::from_slice(&[9]);

struct Shop {
    route: Route,
    offers: Vec<Offer>,
    ledger: Ledger,
    config: crate::domain::config::Config,
}

fn shop() -> Shop {
    let config = config();
    let ledger = Ledger {
        id: Principal::from_slice(&[7]),
        symbol: "T".into(),
        decimals: 6,
        fee: Amount(10),
        standards: vec!["ICRC-3".into()],
        answers_query_blocks: false,
        enabled: true,
    };
    let mut route = draft("/items/{id}").apply(None, None, &config.limits, 4);
    route.content = Some(ContentMeta {
        blob: 1,
        bytes: 1,
        sha256: [0; 32],
    });
    let offers = offers(&route, |_| Some(&ledger), &config, CANISTER);
    Shop {
        route,
        offers,
        ledger,
        config,
    }
}

impl Shop {
    fn sale(&self) -> TransferSale<'_> {
        TransferSale {
            route: Some(&self.route),
            offers: &self.offers,
            ledger: Some(&self.ledger),
            pay_to: self.config.pay_to,
            was_paid: false,
            earlier_revisions: 3,
            transfers_offered: true,
            network: &self.config.network,
            canister: CANISTER,
            now: NOW,
        }
    }

    fn accepted(&self) -> x402_icp::wire::PaymentRequirements<x402_icp::wire::ExactIcrc1Extra> {
        transfer_offers(&self.offers, &self.route, CANISTER).remove(0)
    }

    fn transfer(&self) -> DecodedTransfer {
        decoded(self.accepted())
    }

    /// The block of the transfer that was agreed to.
    fn block(&self) -> PlainTransfer {
        let proof = self.transfer().proof;
        PlainTransfer {
            from: proof.from.into(),
            to: proof.pay_to.into(),
            amount: proof.amount,
            fee: None,
            memo: proof.memo,
            at: NOW,
        }
    }
}

fn decoded(
    accepted: x402_icp::wire::PaymentRequirements<x402_icp::wire::ExactIcrc1Extra>,
) -> DecodedTransfer {
    let payload = ExactIcrc1Payload {
        from: Account::from(Principal::from_slice(&[1])).to_string(),
        block_index: "12".into(),
        secret: Nonce([3; 32]).to_string(),
    };
    let proof = TransferProof::parse(&accepted, &payload).unwrap();
    let payload = PaymentPayload {
        x402_version: 2,
        resource: None,
        accepted,
        payload,
        extensions: None,
    };
    DecodedTransfer { payload, proof }
}

fn request() -> RouteKey {
    RouteKey::new(Method::Get, "/items/7")
}

fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Code {
    result.unwrap_err().code
}

#[test]
fn the_transfer_of_an_offer_is_read_and_buys() {
    let shop = shop();
    let transfer = shop.transfer();
    assert_eq!(admit(&transfer, &request(), &shop.sale()), Ok(()));
    let paid = judge(&transfer, &shop.block(), &shop.sale());
    assert_eq!(paid, Ok(Paid::Offer));
}

#[test]
fn a_proof_with_one_wrong_term_is_refused_before_its_block_is_read() {
    let shop = shop();
    type Spoil = fn(&mut DecodedTransfer);
    let cases: [(Code, Spoil); 11] = [
        (Code::InvalidX402Version, |t| t.payload.x402_version = 1),
        (Code::UnsupportedScheme, |t| {
            t.payload.accepted.scheme = "upto".into()
        }),
        (Code::NetworkMismatch, |t| {
            t.payload.accepted.network = "icp:0".into()
        }),
        (Code::Method, |t| {
            t.payload.accepted.extra.asset_transfer_method = "icrc2".into()
        }),
        (Code::OfferMismatch, |t| {
            t.payload.accepted.extra.payment_flow = "authorization".into()
        }),
        (Code::SpenderMismatch, |t| {
            t.payload.accepted.extra.canister = "aaaaa-aa".into()
        }),
        (Code::OfferMismatch, |t| {
            t.payload.accepted.extra.revision = 5
        }),
        (Code::OfferMismatch, |t| {
            t.payload.accepted.extra.method = "POST".into()
        }),
        (Code::OfferMismatch, |t| {
            t.payload.accepted.extra.route = "/{id}".into()
        }),
        (Code::OfferMismatch, |t| {
            t.payload.accepted.extra.offer = String::new()
        }),
        (Code::RecipientMismatch, |t| {
            t.proof.pay_to = Account::from(Principal::from_slice(&[5]))
        }),
    ];
    for (n, (wanted, spoil)) in cases.into_iter().enumerate() {
        let mut transfer = shop.transfer();
        spoil(&mut transfer);
        assert_eq!(
            code(admit(&transfer, &request(), &shop.sale())),
            wanted,
            "{n}"
        );
    }
    let other = RouteKey::new(Method::Post, "/items/7");
    let transfer = shop.transfer();
    assert_eq!(
        code(admit(&transfer, &other, &shop.sale())),
        Code::OfferMismatch
    );
    let other = RouteKey::new(Method::Get, "/other");
    assert_eq!(
        code(admit(&transfer, &other, &shop.sale())),
        Code::OfferMismatch
    );
}

#[test]
fn what_was_transferred_in_a_ledger_that_is_disabled_now_is_owed_back() {
    let mut shop = shop();
    let transfer = shop.transfer();
    shop.ledger.enabled = false;
    shop.offers[0].ledger.enabled = false;
    assert_eq!(admit(&transfer, &request(), &shop.sale()), Ok(()));
    let judged = judge(&transfer, &shop.block(), &shop.sale());
    assert_eq!(judged, Ok(Paid::Nothing));
}

/// A canister that was installed again has forgotten which blocks it claimed.
#[test]
fn an_offer_of_an_earlier_installation_is_refused() {
    let shop = shop();
    let transfer = shop.transfer();
    let sale = TransferSale {
        earlier_revisions: 4,
        ..shop.sale()
    };
    let refused = admit(&transfer, &request(), &sale);
    assert_eq!(code(refused), Code::OfferMismatch);
}

/// Strangers must not have blocks read where no transfer was ever asked for.
#[test]
fn a_canister_that_never_offered_transfers_takes_none() {
    let shop = shop();
    let sale = TransferSale {
        transfers_offered: false,
        ..shop.sale()
    };
    let refused = admit(&shop.transfer(), &request(), &sale);
    assert_eq!(code(refused), Code::Method);
}

/// A refund costs at least the fee that the transfer cost.
#[test]
fn dust_is_what_the_higher_fee_would_eat() {
    let shop = shop();
    let block = PlainTransfer {
        amount: Amount(20),
        fee: Some(Amount(20)),
        ..shop.block()
    };
    let judged = judge(&shop.transfer(), &block, &shop.sale());
    assert_eq!(code(judged), Code::AmountMismatch);
}

/// The route paid another account when the transfer was made.
#[test]
fn a_transfer_to_an_account_that_was_paid_before_is_to_be_refunded() {
    let shop = shop();
    let mut accepted = shop.accepted();
    let before = Account::from(Principal::from_slice(&[5]));
    accepted.pay_to = before.to_string();
    let transfer = decoded(accepted);
    let sale = TransferSale {
        was_paid: true,
        ..shop.sale()
    };
    assert_eq!(admit(&transfer, &request(), &sale), Ok(()));
    let block = PlainTransfer {
        to: before.into(),
        memo: transfer.proof.memo,
        ..shop.block()
    };
    assert_eq!(judge(&transfer, &block, &sale), Ok(Paid::Nothing));
}

#[test]
fn a_ledger_without_a_block_log_proves_nothing() {
    let shop = shop();
    let transfer = shop.transfer();
    let admitted = |ledger: Option<&Ledger>| {
        code(admit(
            &transfer,
            &request(),
            &TransferSale {
                ledger,
                ..shop.sale()
            },
        ))
    };
    assert_eq!(admitted(None), Code::AssetMismatch);
    let mut other = shop.ledger.clone();
    other.standards.clear();
    assert_eq!(admitted(Some(&other)), Code::LedgerUnavailable);
}

/// What a stranger can do with a block of the public ledger: nothing.
#[test]
fn a_foreign_block_or_a_guessed_secret_claims_nothing() {
    let shop = shop();
    let transfer = shop.transfer();
    type Spoil = fn(&mut PlainTransfer);
    let cases: [Spoil; 3] = [
        |block| block.memo = [0; 32],
        |block| block.to = Account::from(Principal::from_slice(&[5])).into(),
        |block| block.from = Account::from(Principal::from_slice(&[5])).into(),
    ];
    for spoil in cases {
        let mut block = shop.block();
        spoil(&mut block);
        assert_eq!(code(judge(&transfer, &block, &shop.sale())), Code::Transfer);
    }
    let subaccount = PlainTransfer {
        to: Account {
            subaccount: Some([1; 32]),
            ..shop.transfer().proof.pay_to
        }
        .into(),
        ..shop.block()
    };
    assert_eq!(
        code(judge(&transfer, &subaccount, &shop.sale())),
        Code::Transfer
    );
}

#[test]
fn a_block_that_is_older_than_the_limit_buys_nothing() {
    let shop = shop();
    let transfer = shop.transfer();
    let judged = |at: u64| {
        let block = PlainTransfer {
            at: TimestampNs(at),
            ..shop.block()
        };
        judge(&transfer, &block, &shop.sale())
    };
    let day = u64::from(MAX_PROOF_AGE.0) * 1_000_000_000;
    assert_eq!(judged(NOW.0 - day), Ok(Paid::Offer));
    assert_eq!(judged(NOW.0 - day - 1), Ok(Paid::Nothing), "it is owed");
    assert_eq!(judged(NOW.0 - 30 * day), Ok(Paid::Nothing));
    assert_eq!(code(judged(NOW.0 - 30 * day - 1)), Code::ProofTooOld);
    assert_eq!(judged(NOW.plus(DRIFT).0), Ok(Paid::Offer));
    assert_eq!(code(judged(NOW.plus(DRIFT).0 + 1)), Code::ProofTooOld);
    assert_eq!(code(judged(0)), Code::ProofTooOld);
    assert_eq!(code(judged(u64::MAX)), Code::ProofTooOld);
}

#[test]
fn more_buys_and_less_is_to_be_refunded_unless_it_is_dust() {
    let mut shop = shop();
    let transfer = shop.transfer();
    let judged = |shop: &Shop, amount: u128| {
        let block = PlainTransfer {
            amount: Amount(amount),
            ..shop.block()
        };
        judge(&transfer, &block, &shop.sale())
    };
    assert_eq!(judged(&shop, 10_001), Ok(Paid::Offer));
    assert_eq!(judged(&shop, u128::MAX), Ok(Paid::Offer));
    assert_eq!(judged(&shop, 9_999), Ok(Paid::Nothing));
    assert_eq!(judged(&shop, 11), Ok(Paid::Nothing));
    assert_eq!(code(judged(&shop, 10)), Code::AmountMismatch);
    assert_eq!(code(judged(&shop, 0)), Code::AmountMismatch);
    // The price rose, or fell, after the transfer.
    shop.offers[0].price.amount = Amount(10_001);
    assert_eq!(judged(&shop, 10_000), Ok(Paid::Nothing));
    shop.offers[0].price.amount = Amount(9_000);
    assert_eq!(judged(&shop, 9_000), Ok(Paid::Offer));
}

#[test]
fn a_transfer_for_a_route_that_is_gone_is_to_be_refunded() {
    let mut shop = shop();
    let transfer = shop.transfer();
    let gone = TransferSale {
        route: None,
        offers: &[],
        ..shop.sale()
    };
    assert_eq!(admit(&transfer, &request(), &gone), Ok(()));
    assert_eq!(judge(&transfer, &shop.block(), &gone), Ok(Paid::Nothing));
    shop.route.on_sale = false;
    assert_eq!(
        judge(&transfer, &shop.block(), &shop.sale()),
        Ok(Paid::Nothing)
    );
}

#[test]
fn another_secret_or_block_is_another_key_and_other_terms_another_digest() {
    let shop = shop();
    let base = shop.transfer();
    let mut other = shop.transfer();
    other.proof.secret = Nonce([4; 32]);
    assert_ne!(claim_key(&base), claim_key(&other));
    let mut other = shop.transfer();
    other.proof.block = 13;
    assert_ne!(claim_key(&base), claim_key(&other));
    assert_ne!(payment_id(&base), payment_id(&other));
    let mut accepted = shop.accepted();
    accepted.amount = "1".into();
    let other = decoded(accepted);
    assert_eq!(claim_key(&base), claim_key(&other));
    assert_ne!(digest(&base), digest(&other));
}
