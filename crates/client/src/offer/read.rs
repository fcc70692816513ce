//! Reading of one entry of `accepts`.

use super::{
    By, Expectations, MAX_TIMEOUT_SECONDS, MIN_PROOF_AGE_SECONDS, Offer, OfferProblem, OfferTerms,
};
use crate::required::natural;
use serde_json::Value;
use x402_icp::{
    Amount,
    offer::{OfferParts, offer_matches},
    values::{parse_account, parse_principal},
    wire::{
        ExactIcrc1Extra, ExactIcrc2Extra, METHOD_ICRC1, METHOD_ICRC2, PAYMENT_FLOW_UPFRONT,
        PaymentRequirements, SCHEME_EXACT,
    },
};

/// Checks the form of an entry, then its parties, then its price.
pub(super) fn read(entry: &Value, expected: &Expectations<'_>) -> Result<Offer, OfferProblem> {
    let Value::Object(members) = entry else {
        return Err(OfferProblem::NotAnOffer("it is not an object".into()));
    };
    let text = |key: &str| match members.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        None | Some(Value::Null) if members.contains_key("maxAmountRequired") => Err(
            OfferProblem::NotAnOffer("it has the names of x402 version 1".into()),
        ),
        None | Some(Value::Null) => Err(OfferProblem::NotAnOffer(format!("{key} is missing"))),
        Some(_) => Err(OfferProblem::NotAnOffer(format!("{key} is not a text"))),
    };
    let scheme = text("scheme")?;
    if scheme != SCHEME_EXACT {
        return Err(OfferProblem::Scheme(scheme));
    }
    let network = text("network")?;
    if network != expected.network {
        return Err(OfferProblem::Network {
            offered: network,
            expected: expected.network.to_string(),
        });
    }
    let (amount_text, asset_text, pay_to_text) = (text("amount")?, text("asset")?, text("payTo")?);
    let seconds = match members.get("maxTimeoutSeconds").map(natural) {
        Some(Some(seconds)) if seconds > 0 => seconds,
        _ => {
            let problem = "maxTimeoutSeconds is not a positive whole number of seconds";
            return Err(OfferProblem::NotAnOffer(problem.into()));
        }
    };
    let max_timeout_seconds = u32::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= MAX_TIMEOUT_SECONDS)
        .ok_or(OfferProblem::TooLong(seconds))?;
    let raw = match members.get("extra") {
        Some(extra @ Value::Object(_)) => extra,
        _ => return Err(OfferProblem::NotAnOffer("extra is not an object".into())),
    };
    let extra = read_extra(raw, expected.by)?;
    let value = |field| move |problem| OfferProblem::Value { field, problem };
    let asset = parse_principal(&asset_text).map_err(value("asset"))?;
    let amount: Amount = amount_text.parse().map_err(value("amount"))?;
    let pay_to = parse_account(&pay_to_text).map_err(value("payTo"))?;
    let (spender, field, fee) = match &extra {
        Extra::Icrc2(extra) => (&extra.spender, "spender", &extra.fee),
        Extra::Icrc1(extra) => (&extra.canister, "canister", &extra.fee),
    };
    let spender = parse_principal(spender).map_err(value(field))?;
    let fee: Amount = fee.parse().map_err(value("fee"))?;
    let max = expected
        .controls
        .max(asset)
        .ok_or(OfferProblem::AssetNotAllowed(asset))?;
    if amount > max {
        return Err(OfferProblem::OverLimit { amount, max });
    }
    match expected.spender {
        None => return Err(OfferProblem::UnknownServer(spender)),
        Some(expected) if expected != spender => {
            return Err(OfferProblem::Spender {
                offered: spender,
                expected,
            });
        }
        Some(_) => {}
    }
    let parts = match &extra {
        Extra::Icrc2(extra) => OfferParts::from(extra),
        Extra::Icrc1(extra) => OfferParts::from(extra),
    };
    offer_matches(parts, expected.method, expected.path)
        .map_err(|e| OfferProblem::OtherRequest(e.to_string()))?;
    let verbatim = PaymentRequirements {
        scheme,
        network,
        amount: amount_text,
        asset: asset_text,
        pay_to: pay_to_text,
        max_timeout_seconds,
        extra: raw.clone(),
    };
    let terms = match extra {
        Extra::Icrc2(extra) => OfferTerms::Icrc2(verbatim.clone().map_extra(|_| extra)),
        Extra::Icrc1(extra) => OfferTerms::Icrc1(verbatim.clone().map_extra(|_| extra)),
    };
    Ok(Offer {
        verbatim,
        terms,
        asset,
        amount,
        pay_to,
        spender,
        fee,
        allowance: None,
        confirmed: None,
        called: expected.by == By::Call,
    })
}

/// `extra` of an offer, by its method.
enum Extra {
    Icrc2(ExactIcrc2Extra),
    Icrc1(ExactIcrc1Extra),
}

fn read_extra(raw: &Value, by: By) -> Result<Extra, OfferProblem> {
    let unreadable = |e: serde_json::Error| OfferProblem::Unreadable(e.to_string());
    if raw.get("assetTransferMethod").and_then(Value::as_str) == Some(METHOD_ICRC1) {
        if matches!(by, By::Allowance | By::Call) {
            return Err(OfferProblem::ByTransfer);
        }
        let extra: ExactIcrc1Extra = serde_json::from_value(raw.clone()).map_err(unreadable)?;
        if extra.payment_flow != PAYMENT_FLOW_UPFRONT {
            return Err(OfferProblem::Flow(extra.payment_flow));
        }
        if extra.max_proof_age_seconds < MIN_PROOF_AGE_SECONDS {
            return Err(OfferProblem::ProofAge(extra.max_proof_age_seconds));
        }
        return Ok(Extra::Icrc1(extra));
    }
    let extra: ExactIcrc2Extra = serde_json::from_value(raw.clone()).map_err(unreadable)?;
    if extra.asset_transfer_method != METHOD_ICRC2 {
        return Err(OfferProblem::Method(extra.asset_transfer_method));
    }
    if by == By::Transfer {
        return Err(OfferProblem::ByAllowance);
    }
    // The order in which the seller works and settles is the seller's choice, and one of the signed terms.
    match &extra.payment_flow {
        Some(flow) if !matches!(flow.as_str(), "authorization" | "upfront") => {
            Err(OfferProblem::Flow(flow.clone()))
        }
        _ => Ok(Extra::Icrc2(extra)),
    }
}
