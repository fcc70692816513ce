//! `status` of a payment that is not recorded here: the canister's word, and the block that it names.

use crate::cli::{
    Common,
    exit::{Failure, OTHER, RECEIPT, UNREACHABLE},
    output::Output,
    proof::{Fields, PaymentRecord, Transfer, compare_block, payment_of},
};
use candid::{Nat, Principal};
use serde_json::json;
use tollkeeper_client::{Amount, Network, PaymentId, plain_text};

/// Checks a payment that is not recorded here, with a canister and the ledger that it names.
pub async fn ask(
    id: PaymentId,
    canister: Principal,
    common: &Common,
    output: &Output,
) -> Result<(), Failure> {
    let identity = common.identity_or_any()?;
    let network = common.network(&identity).await?;
    output.busy("querying the canister");
    let found = payment_of(&network, canister, id)
        .await
        .map_err(|problem| Failure::new(UNREACHABLE, "unreachable", problem))?;
    let Some(record) = found else {
        return Err(Failure::new(
            OTHER,
            "not_found",
            format!(
                "canister {canister} has no payment {id}: it was never used there, or has been removed"
            ),
        ));
    };
    let (state, block, words) = record.status.parts();
    let mut object = json!({
        "ok": true,
        "paymentId": id.to_string(),
        "canister": canister.to_text(),
        "state": state,
        "network": record.network,
        "asset": record.ledger.to_text(),
        "payer": record.payer.as_ref().map(ToString::to_string),
        "payTo": record.pay_to.to_string(),
        "amount": record.amount.0.to_string(),
        "method": record.method,
        "path": record.path,
        "block": block.map(|block| block.0.to_string()),
        "words": words,
    });
    let what = match (&record.method, &record.path) {
        (Some(method), Some(path)) => format!("{} {}", plain_text(method), plain_text(path)),
        _ => "the canister tells the purchase only to payer and merchant".into(),
    };
    let mut lines = vec![
        format!("payment {id}: {what}"),
        format!("  {state} according to canister {canister}, whose reply its subnet signs"),
    ];
    if let Some(words) = &words {
        lines.push(format!("  its message: {}", plain_text(words)));
    }
    if let Some(block) = block {
        let fields = compare(&network, canister, id, &record, block).await?;
        object["proven"] = fields.json();
        lines.extend(fields.lines().into_iter().map(|line| format!("  {line}")));
        if let Some(lie) = fields.lie() {
            let message = format!(
                "block {} of ledger {} contradicts the canister: {} is {}, not {}",
                block.0,
                record.ledger,
                lie.name,
                plain_text(lie.found.as_deref().unwrap_or_default()),
                plain_text(&lie.said)
            );
            return Err(Failure::new(RECEIPT, "disproved", message).with("state", json!(state)));
        }
    }
    output.result(object, &lines)
}

/// Compares the canister's record with the block that it names.
async fn compare(
    network: &Network,
    canister: Principal,
    id: PaymentId,
    record: &PaymentRecord,
    index: &Nat,
) -> Result<Fields, Failure> {
    let block = network.ledger(record.ledger).block(index).await?;
    let mut fields = Fields::default();
    let amount = Amount(u128::try_from(&record.amount.0).unwrap_or(u128::MAX));
    let payer = record.payer.as_ref().map(ToString::to_string);
    let transfer = Transfer {
        payer: payer.as_deref(),
        pay_to: &record.pay_to.to_string(),
        amount: &amount.to_string(),
        id: &id.to_string(),
        spender: Some(canister),
    };
    let proof = format!("block {} of ledger {}", index.0, record.ledger);
    let place = (&*record.network, record.ledger, index);
    compare_block(&mut fields, &transfer, &block, place, &proof);
    Ok(fields)
}
