//! The methods.

use crate::{
    BuyError, Entry, Order,
    journal::{self, Purchase, State},
    policy::{self, Policy},
};
use candid::{Nat, Principal};
use ic_cdk::{
    api::{is_controller, msg_caller, time},
    call::Call,
    init, query, update,
};
use icrc_ledger_types::icrc2::approve::{ApproveArgs, ApproveError};
use serde_bytes::ByteBuf;
use std::cell::Cell;
use tollkeeper_types::{AccountArg, PayArgs, PayError, Purchased, Quote, RouteKey};

/// How long an allowance lasts.
const ALLOWANCE: u64 = 3_600_000_000_000;
/// The code of a refusal that says nothing about this order's money: the id belongs to another payment.
const ID_USED: &str = "invalid_exact_icp_nonce_used";

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Held while an order is made. Dropped at the end, and after a trap.
struct Lock;

impl Lock {
    fn take() -> Result<Self, BuyError> {
        match BUSY.replace(true) {
            true => Err(BuyError::Busy),
            false => Ok(Lock),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

fn controllers_only() -> Result<(), BuyError> {
    match is_controller(&msg_caller()) {
        true => Ok(()),
        false => Err(BuyError::Unauthorized),
    }
}

#[init]
fn init(policy: Policy) {
    journal::set_policy(&policy);
}

#[update]
fn policy_set(policy: Policy) -> Result<(), BuyError> {
    controllers_only()?;
    journal::set_policy(&policy);
    Ok(())
}

#[query(name = "journal")]
fn all_orders() -> Result<Vec<Entry>, BuyError> {
    controllers_only()?;
    let entries = journal::all().into_iter().map(|(id, purchase)| Entry {
        id: ByteBuf::from(id.to_vec()),
        seller: purchase.seller,
        method: purchase.args.method,
        path: purchase.args.path,
        total: purchase.total,
        opened_at: purchase.opened_at,
        state: purchase.state,
    });
    Ok(entries.collect())
}

#[update]
fn forget(before: u64) -> Result<u64, BuyError> {
    controllers_only()?;
    Ok(journal::forget(
        before.min(time().saturating_sub(journal::KEPT)),
    ))
}

#[update]
async fn buy(order: Order) -> Result<Purchased, BuyError> {
    controllers_only()?;
    let id: [u8; 32] = order
        .id
        .as_slice()
        .try_into()
        .map_err(|_| BuyError::BadId)?;
    let _lock = Lock::take()?;
    let mut purchase = match journal::get(&id) {
        None => plan(id, &order).await?,
        Some(known) if is_for(&known, &order) => known,
        Some(_) => return Err(BuyError::BadId),
    };
    if let State::Failed(reason) = purchase.state {
        return Err(BuyError::Failed(reason));
    }
    if purchase.state == State::Planned {
        approve(&purchase).await?;
        purchase.state = State::Open;
        journal::put(id, &purchase);
    }
    let answer = pay(&purchase).await?;
    let (state, result) = judge(answer);
    if let Some(state) = state {
        if let State::Failed(_) = state {
            // Only the fee of the approval was spent.
            purchase.total = purchase.args.fee.clone();
        }
        purchase.state = state;
        journal::put(id, &purchase);
    }
    result
}

fn is_for(purchase: &Purchase, order: &Order) -> bool {
    let args = &purchase.args;
    purchase.seller == order.seller && args.method == order.method && args.path == order.path
}

/// Asks for the price, compares it with the policy, and writes the order down.
async fn plan(id: [u8; 32], order: &Order) -> Result<Purchase, BuyError> {
    if journal::is_full() {
        return Err(BuyError::JournalFull);
    }
    let nothing = |problem: String| BuyError::NotAllowed(problem);
    if !journal::policy().sellers.contains(&order.seller) {
        return Err(nothing("this seller is not allowed".into()));
    }
    let item = RouteKey {
        method: order.method.clone(),
        path: order.path.clone(),
    };
    let call = Call::bounded_wait(order.seller, "quote").with_arg(&item);
    let reply = call.await.map_err(|error| nothing(error.to_string()))?;
    let quote: Option<Quote> = reply.candid().map_err(|error| nothing(error.to_string()))?;
    let offers = quote.map_or(vec![], |quote| quote.offers);
    let now = time();
    let spent = |ledger: &Principal| journal::spent(ledger, now);
    let policy = journal::policy();
    let offer = policy
        .choose(order.seller, offers, spent)
        .map_err(nothing)?;
    let purchase = Purchase {
        seller: order.seller,
        total: policy::total(&offer),
        args: PayArgs {
            id: order.id.clone(),
            method: item.method,
            path: item.path,
            ledger: offer.ledger,
            amount: offer.amount,
            fee: offer.fee,
            pay_to: AccountArg::from(offer.pay_to),
            from_subaccount: None,
            created_at_time: now,
        },
        opened_at: now,
        state: State::Planned,
    };
    journal::put(id, &purchase);
    Ok(purchase)
}

/// Lets the seller take what is ordered, for an hour. The order stays planned if this fails: nothing was paid.
async fn approve(purchase: &Purchase) -> Result<(), BuyError> {
    let args = ApproveArgs {
        from_subaccount: None,
        spender: purchase.seller.into(),
        amount: journal::open(&purchase.seller, &purchase.args.ledger),
        expected_allowance: None,
        expires_at: Some(time() + ALLOWANCE),
        fee: Some(purchase.args.fee.clone()),
        memo: None,
        created_at_time: None,
    };
    let call = Call::bounded_wait(purchase.args.ledger, "icrc2_approve").with_arg(&args);
    let reply = call.await.map_err(|error| unknown(&error))?;
    let done: Result<Nat, ApproveError> = reply.candid().map_err(|error| unknown(&error))?;
    done.map_err(|error| BuyError::Unknown(error.to_string()))?;
    Ok(())
}

async fn pay(purchase: &Purchase) -> Result<Result<Purchased, PayError>, BuyError> {
    let call = Call::bounded_wait(purchase.seller, "pay").with_arg(&purchase.args);
    let reply = call.await.map_err(|error| unknown(&error))?;
    reply.candid().map_err(|error| unknown(&error))
}

fn unknown(error: &impl ToString) -> BuyError {
    BuyError::Unknown(error.to_string())
}

/// What an answer proves: the new state of the order, if it has one, and what to tell.
fn judge(answer: Result<Purchased, PayError>) -> (Option<State>, Result<Purchased, BuyError>) {
    let failed = |reason: String| {
        let state = State::Failed(reason.clone());
        (Some(state), Err(BuyError::Failed(reason)))
    };
    match answer {
        Ok(purchased) => {
            let payment_id = purchased.receipt.payment_id.clone();
            (Some(State::Bought { payment_id }), Ok(purchased))
        }
        Err(PayError::Pending { .. }) => {
            let told = BuyError::Unknown("the outcome is pending".into());
            (None, Err(told))
        }
        // Another payment has the id: this canister never made one with other terms, so ask before paying again.
        Err(PayError::Refused { code, message }) if code == ID_USED => {
            (None, Err(BuyError::Unknown(message)))
        }
        // It was paid, and there is nothing to fetch any more.
        Err(PayError::Duplicate { payment_id, .. }) => {
            let told = BuyError::Unknown("it was paid, or refunded: see the payment".into());
            (Some(State::Bought { payment_id }), Err(told))
        }
        Err(PayError::Failed { code, message, .. } | PayError::Refused { code, message }) => {
            failed(format!("{code}: {message}"))
        }
        Err(PayError::InvalidArgument(error)) => {
            failed(format!("{}: {}", error.field, error.problem))
        }
        Err(PayError::AnonymousCaller) => failed("the canister has no identity".into()),
    }
}
