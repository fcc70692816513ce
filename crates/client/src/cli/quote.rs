//! `quote`: all prices of a resource.

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
    Amount, Method, Network, Offer, PayError, Payer, Quote, RefusedOffer, Response, SpendControls,
    plain_text,
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
    let mut payer = Payer::new(identity, network.clone())?
        .with_limits(args.request.time_and_bytes())?
        .with_spend_controls(controls.clone())
        .with_ways(args.request.by.unwrap_or_default())
        .with_watcher(move |step| shown.step(step));
    if let Some(spender) = args.request.spender {
        payer = payer.with_spender(spender);
    }
    match payer.quote(&request).await {
        Ok(Quote::Free(response)) => free(output, &response),
        Ok(Quote::Priced(priced)) => {
            let mut costs = Vec::new();
            for offer in &priced.offers {
                output.busy(format!("querying the fee of ledger {}", offer.asset));
                costs.push(Cost::of(offer, &network).await);
            }
            let taken = costs.iter().position(|cost| cost.problem.is_none());
            let object = json!({
                "ok": true,
                "free": false,
                "url": priced.request.url,
                "resource": priced.resource,
                "offers": offers(&costs, taken),
                "refused": refusals(&priced.refused),
            });
            let mut lines = vec![format!("{} costs", plain_text(&priced.request.url))];
            lines.extend(describe(&costs, taken, &controls));
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

/// An acceptable offer, and its ledger's answer.
struct Cost<'a> {
    offer: &'a Offer,
    /// The ledger's fee; `None` if the ledger does not answer.
    fee: Option<Amount>,
    /// The reason why it would not be taken nevertheless.
    problem: Option<String>,
}

impl<'a> Cost<'a> {
    async fn of(offer: &'a Offer, network: &Network) -> Self {
        let asked = network.ledger(offer.asset).fee().await;
        let problem = match &asked {
            Ok(fee) if *fee == offer.fee => None,
            Ok(fee) => Some(format!(
                "the ledger's fee is {fee}, the offer says {}",
                offer.fee
            )),
            Err(e) => Some(e.to_string()),
        };
        Cost {
            offer,
            fee: asked.ok(),
            problem,
        }
    }

    /// Price and fee.
    fn total(&self) -> Option<Amount> {
        let fee = self.fee?;
        Some(Amount(self.offer.amount.0.saturating_add(fee.0)))
    }
}

/// The acceptable offers in the order in which they are tried.
fn offers(costs: &[Cost<'_>], taken: Option<usize>) -> Value {
    costs
        .iter()
        .enumerate()
        .map(|(index, cost)| {
            let offer = cost.offer;
            json!({
                "taken": taken == Some(index),
                "asset": offer.asset.to_text(),
                "amount": offer.amount.to_string(),
                "fee": cost.fee.map(|fee| fee.to_string()),
                "total": cost.total().map(|total| total.to_string()),
                "problem": cost.problem,
                "payTo": offer.pay_to.to_string(),
                "spender": offer.spender.to_text(),
                "maxTimeoutSeconds": offer.max_timeout_seconds(),
                "by": offer.method().as_str(),
            })
        })
        .collect()
}

/// The offers that are not acceptable, with the reasons.
pub fn refusals(refused: &[RefusedOffer]) -> Value {
    refused
        .iter()
        .map(|offer| json!({"index": offer.index, "problem": offer.problem.to_string()}))
        .collect()
}

fn describe(costs: &[Cost<'_>], taken: Option<usize>, controls: &SpendControls) -> Vec<String> {
    let acceptable: Vec<Offer> = costs.iter().map(|cost| cost.offer.clone()).collect();
    let why = tollkeeper_client::why(&acceptable, taken.unwrap_or_default());
    costs
        .iter()
        .enumerate()
        .map(|(index, cost)| {
            let offer = cost.offer;
            let limit = controls.max(offer.asset).map_or_else(String::new, |max| {
                format!(", limit {}", amount_text(max, offer.asset))
            });
            let in_all = cost.total().map_or_else(
                || "the ledger's fee, which is not known".into(),
                |total| {
                    format!(
                        "the ledger's fee, {} in all",
                        amount_text(total, offer.asset)
                    )
                },
            );
            let (how, good) = match offer.method() {
                Method::Allowance => (
                    "collected by",
                    format!("good for {} s", offer.max_timeout_seconds()),
                ),
                Method::Transfer => ("by your own transfer, proven to", "money first".to_string()),
                Method::Call => (
                    "by a call of, and collected by",
                    format!("good for {} s", offer.max_timeout_seconds()),
                ),
            };
            let end = match (&cost.problem, taken == Some(index)) {
                (Some(problem), _) => format!("\n    would not be taken: {}", plain_text(problem)),
                (None, true) => format!(
                    "\n    would be taken if the account holds it{}: {why}",
                    match offer.method() {
                        Method::Allowance | Method::Call => " and the canister may collect it",
                        Method::Transfer => "",
                    }
                ),
                (None, false) => String::new(),
            };
            format!(
                "  {} and {in_all}{limit}\n    to {}, {how} {}, {good}{end}",
                amount_text(offer.amount, offer.asset),
                offer.pay_to,
                offer.spender,
            )
        })
        .collect()
}

fn describe_refused(refused: &RefusedOffer) -> String {
    format!("  not acceptable: {refused}")
}
