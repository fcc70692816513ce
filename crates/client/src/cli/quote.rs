//! `quote`: what a resource costs, in every way that it can be paid for.

use super::{
    Common,
    accounts::amount_text,
    exit::{Failure, NO_OFFER},
    output::Output,
    pay::delivery::not_found,
    request::RequestArgs,
};
use clap::Args;
use serde_json::{Value, json};
use tollkeeper_client::{
    Offer, PayError, Payer, Quote, RefusedOffer, Response, SpendControls, plain_text,
};

#[derive(Debug, Args)]
pub struct QuoteArgs {
    /// The resource.
    url: String,
    #[command(flatten)]
    request: RequestArgs,
}

/// Shows all offers of a resource, and which one `pay` would take. Pays nothing.
pub async fn run(args: &QuoteArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    common.check()?;
    args.request.check()?;
    let request = args.request.request(&args.url)?;
    let identity = common.identity_or_any()?;
    let network = common.network(&identity).await?;
    let controls = args.request.controls(&network).await?;
    let shown = output.clone();
    let mut payer = Payer::new(identity, network)?
        .with_limits(args.request.time_and_bytes())?
        .with_spend_controls(controls.clone())
        .with_watcher(move |step| shown.step(step));
    if let Some(spender) = args.request.spender {
        payer = payer.with_spender(spender);
    }
    match payer.quote(&request).await {
        Ok(Quote::Free(response)) => free(output, &response),
        Ok(Quote::Priced(priced)) => {
            let object = json!({
                "ok": true,
                "free": false,
                "url": priced.request.url,
                "resource": priced.resource,
                "offers": offers(&priced.offers),
                "refused": refusals(&priced.refused),
            });
            let mut lines = vec![format!("{} costs", plain_text(&priced.request.url))];
            lines.extend(describe(&priced.offers, &controls));
            lines.extend(priced.refused.iter().map(describe_refused));
            output.result(object, &lines)
        }
        Err(PayError::NoAcceptableOffer(refused)) => {
            let list = refusals(&refused);
            let failure = Failure::from(PayError::NoAcceptableOffer(refused));
            debug_assert_eq!(failure.status, NO_OFFER);
            Err(failure.with("offers", json!([])).with("refused", list))
        }
        Err(error) => Err(error.into()),
    }
}

fn free(output: &Output, response: &Response) -> Result<(), Failure> {
    match response.status {
        200..=299 => output.result(
            json!({"ok": true, "free": true, "url": response.url, "httpStatus": response.status}),
            &[format!("{} is free of charge", plain_text(&response.url))],
        ),
        _ => Err(not_found(response)),
    }
}

/// The acceptable offers, the one that would be taken first.
fn offers(offers: &[Offer]) -> Value {
    offers
        .iter()
        .enumerate()
        .map(|(index, offer)| {
            json!({
                "taken": index == 0,
                "asset": offer.asset.to_text(),
                "amount": offer.amount.to_string(),
                "fee": offer.fee.to_string(),
                "total": offer.total().to_string(),
                "payTo": offer.pay_to.to_string(),
                "spender": offer.spender.to_text(),
                "maxTimeoutSeconds": offer.terms.max_timeout_seconds,
            })
        })
        .collect()
}

/// The offers that are not acceptable, and why.
pub fn refusals(refused: &[RefusedOffer]) -> Value {
    refused
        .iter()
        .map(|offer| json!({"index": offer.index, "problem": offer.problem.to_string()}))
        .collect()
}

fn describe(offers: &[Offer], controls: &SpendControls) -> Vec<String> {
    let why = match offers {
        [_] => "the only acceptable offer",
        [first, second, ..] if first.asset != second.asset => {
            "its ledger comes first in your order (--asset)"
        }
        _ => "the cheapest in the ledger that comes first",
    };
    offers
        .iter()
        .enumerate()
        .map(|(index, offer)| {
            let limit = controls.max(offer.asset).map_or_else(String::new, |max| {
                format!(", limit {}", amount_text(max, offer.asset))
            });
            let taken = match index {
                0 => format!("\n    would be taken: {why}"),
                _ => String::new(),
            };
            format!(
                "  {} and the ledger's fee, {} in all{limit}\n    to {}, collected by {}, good for {} s{taken}",
                amount_text(offer.amount, offer.asset),
                amount_text(offer.total(), offer.asset),
                offer.pay_to,
                offer.spender,
                offer.terms.max_timeout_seconds
            )
        })
        .collect()
}

fn describe_refused(refused: &RefusedOffer) -> String {
    format!("  not acceptable: {refused}")
}
