//! The Candid interface for buyers: `quote` and `pay`.

use crate::{
    api::{
        http,
        types::{self, Offer, PayArgs, PayError, Purchased, Quote, Receipt, RouteKey, account},
    },
    domain::{
        call::CallTerms,
        request::PayOutcome,
        validate::{self, InvalidArgument as Invalid},
    },
    runtime::Runtime,
    service::{catalogue, purchase},
    storage,
    types::{Account, Amount, Nonce, PaymentId, RouteKey as Request, TimestampNs},
};
use candid::Principal;
use serde_bytes::ByteBuf;

pub fn quote<R: Runtime>(runtime: &R, key: RouteKey) -> Option<Quote> {
    let request = http::requested(&key).ok()?;
    let route = storage::routes::get(&http::route_of(&request)?)?;
    let spender = runtime.canister_id();
    let offers = catalogue::detailed_offers(&route, spender);
    Some(Quote {
        description: route.description.clone(),
        mime_type: route.mime_type.clone(),
        offers: offers
            .into_iter()
            .map(|offer| -> Offer { types::offer(offer, spender) })
            .collect(),
    })
}

pub async fn pay<R: Runtime>(runtime: &R, args: PayArgs) -> Result<Purchased, PayError> {
    let caller = runtime.caller();
    if caller == Principal::anonymous() {
        return Err(PayError::AnonymousCaller);
    }
    let (request, terms) =
        read(caller, &args).map_err(|error| PayError::InvalidArgument(error.into()))?;
    let route = http::route_of(&request);
    let outcome = purchase::call(runtime, request, route, terms).await;
    // A ledger's changed fee changes the offers.
    http::certify_changes(runtime);
    answer(outcome)
}

/// Reads the arguments of `pay`.
pub fn read(caller: Principal, args: &PayArgs) -> Result<(Request, CallTerms), Invalid> {
    let subaccount = args.from_subaccount.as_ref();
    let from = Account {
        owner: caller,
        subaccount: subaccount
            .map(|blob| validate::bytes32("from_subaccount", blob))
            .transpose()?,
    };
    let amount = |field, nat| validate::bounded_nat(field, nat, u128::MAX).map(Amount);
    let request = http::requested(&RouteKey {
        method: args.method.clone(),
        path: args.path.clone(),
    })?;
    let terms = CallTerms {
        caller,
        id: Nonce(validate::bytes32("id", &args.id)?),
        from,
        ledger: args.ledger,
        amount: amount("amount", &args.amount)?,
        fee: amount("fee", &args.fee)?,
        pay_to: account("pay_to", &args.pay_to)?,
        created_at: TimestampNs(args.created_at_time),
    };
    Ok((request, terms))
}

fn answer(outcome: PayOutcome) -> Result<Purchased, PayError> {
    let blob = |id: PaymentId| ByteBuf::from(id.0.to_vec());
    Err(match outcome {
        PayOutcome::Paid { receipt, resource } => {
            return Ok(Purchased {
                receipt: receipt.into(),
                mime_type: resource.mime_type,
                body: ByteBuf::from(resource.body),
            });
        }
        PayOutcome::Refused(refusal) => PayError::Refused {
            code: refusal.code.as_str().into(),
            message: refusal.message,
        },
        PayOutcome::Failed {
            code,
            message,
            payment_id,
            ..
        } => PayError::Failed {
            payment_id: blob(payment_id),
            code: code.as_str().into(),
            message,
        },
        PayOutcome::Pending { payment_id, .. } => PayError::Pending {
            payment_id: blob(payment_id),
        },
        PayOutcome::Duplicate {
            payment_id,
            receipt,
            ..
        } => PayError::Duplicate {
            payment_id: blob(payment_id),
            receipt: receipt.map(Receipt::from).map(Box::new),
        },
    })
}

#[cfg(test)]
mod tests;
