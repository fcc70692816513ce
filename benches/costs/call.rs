//! The costs of purchases by call, of the message that a wallet shows before, and of the work of forward targets.

use super::{
    Bench, PRICE,
    support::{
        Setup,
        flow::ARTICLE,
        interface::{AccountArg, PayArgs, PayError, Purchased, Quote, RouteKey},
    },
};
use candid::Encode;
use icrc_ledger_types::icrc21::{
    errors::Icrc21Error,
    requests::{
        ConsentMessageMetadata, ConsentMessageRequest, ConsentMessageSpec, DisplayMessageType,
    },
    responses::ConsentInfo,
};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

#[path = "forward.rs"]
mod forward;

/// A purchase, the same call again, one that is refused, and a consent message.
pub fn purchases(figures: &mut BTreeMap<&str, u64>) {
    let bench = Bench::new();
    let setup = &bench.setup;
    setup.sell("/report", PRICE);
    let buyer = setup.payer(1).account.owner;
    let buy = |args: &PayArgs| {
        bench.spent(|| setup.update::<_, Result<Purchased, PayError>>(buyer, "pay", (args,)))
    };
    let paid = |args: &PayArgs| {
        let (bought, spent) = buy(args);
        assert_eq!(bought.expect("paid").body.as_slice(), ARTICLE);
        spent
    };
    // The first payment touches fresh memory; the second is the ordinary one.
    paid(&args(setup, 1));
    let wanted = args(setup, 2);

    let asked = consent_request(&wanted);
    let (shown, consent) = bench.spent(|| {
        let method = "icrc21_canister_call_consent_message";
        setup.query::<_, Result<ConsentInfo, Icrc21Error>>(buyer, method, (asked,))
    });
    shown.expect("there is a message for it");
    figures.insert("pay_consent.query_instructions", consent.query);

    let first = paid(&wanted);
    figures.insert("pay.update_instructions", first.updates);
    figures.insert("pay.cycles", first.cycles);
    figures.insert("pay.ledger_calls", first.ledger_calls);
    let again = paid(&wanted);
    assert_eq!(again.ledger_calls, 0);
    figures.insert("pay_again.update_instructions", again.updates);
    figures.insert("pay_again.cycles", again.cycles);

    let mut late = args(setup, 3);
    late.created_at_time -= 2 * 3_600 * 1_000_000_000;
    let (refused, spent) = buy(&late);
    assert!(matches!(refused, Err(PayError::Refused { .. })));
    figures.insert("pay_refused.cycles", spent.cycles);
    forward::work(figures);
}

/// The arguments for the first offer.
fn args(setup: &Setup, id: u8) -> PayArgs {
    let (method, path) = ("GET".to_string(), "/report".to_string());
    let key = RouteKey {
        method: method.clone(),
        path: path.clone(),
    };
    let quote: Option<Quote> = setup.query(super::support::setup::stranger(), "quote", (key,));
    let offer = quote.expect("a route serves it").offers.remove(0);
    PayArgs {
        id: ByteBuf::from(vec![id; 32]),
        method,
        path,
        ledger: offer.ledger,
        amount: offer.amount,
        fee: offer.fee,
        pay_to: AccountArg::from(offer.pay_to),
        from_subaccount: None,
        created_at_time: setup.now_ns(),
    }
}

fn consent_request(args: &PayArgs) -> ConsentMessageRequest {
    ConsentMessageRequest {
        method: "pay".into(),
        arg: Encode!(args).expect("BUG: it has a type"),
        user_preferences: ConsentMessageSpec {
            metadata: ConsentMessageMetadata {
                language: "en".into(),
                utc_offset_minutes: None,
            },
            device_spec: Some(DisplayMessageType::GenericDisplay),
        },
    }
}
