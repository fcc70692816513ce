//! What becomes of an invoice: its balance is read, and its payment is begun and followed.

use super::still_sold;
use crate::{
    domain::{
        capacity::NoCapacity,
        combination::ROUTE_BY_INVOICE,
        fulfilment::Fulfilment,
        invoice::{GIVE_UP, Invoice, InvoiceId, MAX_ATTEMPTS, MAX_FAILURES, Next, Return, Stage},
        payment::{Payment, State},
        purchase::Purchase,
        route::Route,
        settlement::{self, MAX_ARGUMENT_BYTES},
        window::FORGOTTEN,
        work::Work,
    },
    runtime::Runtime,
    service::{pay::collect, payout, schedule},
    storage::{
        self,
        invoices::{self, Busy},
        payments::backoff,
    },
    types::{Account, Amount, Fingerprint, MerchantId, Seconds, TimestampNs},
};
use candid::Principal;

/// What waits for a ledger's answer, and a payment that is not decided, is looked at again after this.
pub const POLL: Seconds = Seconds(120);
/// A payment that may be refunded is looked at again after this.
const WATCH: Seconds = Seconds(3_600);
/// An invoice for which there is no room is looked at again after this.
const ROOM: Seconds = Seconds(600);

/// Whether the ledger can be called now for what is owed.
pub fn can_give<R: Runtime>(runtime: &R, ledger: &Principal) -> bool {
    runtime.can_call(ledger, settlement::TRANSFER, MAX_ARGUMENT_BYTES)
}

/// Whether the ledger can be called now for something that nobody is owed: the cycles below the floor stay for what is
/// owed, and strangers have balances read.
pub fn can_read<R: Runtime>(runtime: &R, ledger: &Principal) -> bool {
    let cost = runtime.call_cost(settlement::TRANSFER, MAX_ARGUMENT_BYTES);
    let floor = storage::config::read().limits.cycles_floor;
    runtime.liquid_cycles().0 >= floor.0.saturating_add(cost.0) && can_give(runtime, ledger)
}

/// Updates an invoice from the state of its payment. Returns it.
pub fn follow<R: Runtime>(runtime: &R, id: &InvoiceId) -> Option<Invoice> {
    let mut invoice = invoices::get(id)?;
    let before = invoice.clone();
    let now = runtime.now();
    let overdue = invoice.due.is_some_and(|due| due <= now);
    if !matches!(invoice.stage, Stage::Collecting | Stage::Paid) {
        return Some(invoice);
    }
    let payment = storage::payments::find(&id.claim_key(invoice.attempts));
    match (invoice.stage, payment) {
        (_, Err(_)) if overdue => invoice.due = Some(now.plus(Seconds::DAY)),
        (_, Err(_)) => {}
        (Stage::Paid, Ok(payment)) if overdue => {
            invoice.due = match payment.map(|payment| payment.state) {
                Some(State::Refunded { .. }) => {
                    want_return(id, &invoice, now);
                    None
                }
                Some(state) if !state.is_final() => Some(now.plus(WATCH)),
                _ => None,
            };
        }
        (Stage::Paid, _) => {}
        (_, Ok(Some(payment))) if payment.state.moved().is_some() => {
            let spent = payment.amount.0.saturating_add(payment.fee.0);
            invoice.balance = Amount(invoice.balance.0.saturating_sub(spent));
            end(id, &mut invoice, Stage::Paid, now);
            // A refund of it comes back to this account.
            invoice.due = invoice.refund_to.map(|_| now.plus(WATCH));
        }
        (_, Ok(Some(payment))) if payment.state.is_open() => {
            if overdue {
                let settles = now <= payment.created_at.plus(FORGOTTEN);
                invoice.due = Some(now.plus(if settles { POLL } else { WATCH }));
            }
        }
        // The transfer provably was not made.
        _ if invoice.attempts >= MAX_ATTEMPTS => end(id, &mut invoice, Stage::Refused, now),
        _ => {
            invoice.change(Stage::Open, now);
            invoice.due = Some(invoice.next_look(now));
        }
    }
    if invoice != before {
        invoices::put(id, &invoice);
    }
    Some(invoice)
}

/// Ends the invoice. What is known to be in its account is given back if an account for that was named.
fn end(id: &InvoiceId, invoice: &mut Invoice, stage: Stage, now: TimestampNs) {
    invoice.change(stage, now);
    if invoice.balance > payout::fee(&invoice.ledger) {
        want_return(id, invoice, now);
    }
}

/// Has what is in the account given back, if an account for that was named.
fn want_return(id: &InvoiceId, invoice: &Invoice, now: TimestampNs) {
    let Some(to) = invoice.refund_to else { return };
    let known = invoices::returned(id, &invoice.ledger);
    let known = match known {
        Some(known) if known.is_open() => return,
        // Only a call begins again after so many failures.
        Some(known) if known.failures >= MAX_FAILURES => return,
        Some(known) => Return {
            // Before the invoice was made, another account may have been named.
            to,
            due: Some(now),
            ..known
        },
        None => Return::new(to, now),
    };
    // If there is no room, whoever knows the id has it given back.
    invoices::put_return(id, &invoice.ledger, &known);
}

/// Reads the balance of the invoice's account, and does what follows from it. `asked`: somebody asks for it, who may
/// ask as often as they like; else the timer does.
pub async fn advance<R: Runtime>(runtime: &R, id: &InvoiceId, asked: bool) {
    let Some(mut busy) = Busy::begin(*id) else {
        if let Some(mut invoice) = invoices::get(id).filter(|_| !asked) {
            invoice.due = Some(runtime.now().plus(POLL));
            invoices::put(id, &invoice);
        }
        return;
    };
    read_on(runtime, id, asked, &mut busy).await;
    drop(busy);
    schedule::arm(runtime);
}

async fn read_on<R: Runtime>(runtime: &R, id: &InvoiceId, asked: bool, busy: &mut Busy) {
    let asked_at = runtime.now();
    let Some(mut invoice) = follow(runtime, id) else {
        return;
    };
    if invoice.stage == Stage::Collecting || (invoice.stage.has_ended() && !asked) {
        return;
    }
    let ledger = invoice.ledger;
    if asked && !invoice.may_be_read(asked_at) {
        return;
    }
    if !can_read(runtime, &ledger) {
        if !asked {
            invoice.due = Some(asked_at.plus(ROOM));
            invoices::put(id, &invoice);
        }
        return;
    }
    if asked && !busy.take_place(ledger, asked_at) {
        return;
    }
    invoice.read_at = Some(asked_at);
    if !asked {
        // Until the ledger has answered, nothing is to be done.
        invoice.due = Some(asked_at.plus(POLL));
    }
    invoices::put(id, &invoice);
    let (account, created_at) = (id.account(runtime.canister_id()), invoice.created_at);
    let balance = payout::balance(runtime, ledger, &account).await;
    // Nobody else changes an open invoice meanwhile. One that has ended may have made room for another, also for one
    // with the same id.
    let same = |known: &Invoice| (known.ledger, known.created_at) == (ledger, created_at);
    let Some(mut invoice) = invoices::get(id).filter(same) else {
        return;
    };
    let now = runtime.now();
    let Some(balance) = balance else {
        invoice.unanswered = invoice.unanswered.saturating_add(1);
        if !invoice.stage.has_ended() {
            let again = now.plus(backoff(invoice.unanswered));
            invoice.due = Some(again.max(invoice.expires_at()));
        }
        invoices::put(id, &invoice);
        return;
    };
    invoice.unanswered = 0;
    invoice.balance = balance;
    let fee = payout::fee(&ledger);
    if invoice.stage.has_ended() {
        if balance > fee {
            want_return(id, &invoice, now);
        }
        invoices::put(id, &invoice);
        return;
    }
    let sold = still_sold(runtime, &invoice);
    match invoice.next(balance, asked_at, fee, sold.is_some(), now) {
        Next::Wait => {
            invoice.due = Some(invoice.next_look(now));
            invoices::put(id, &invoice);
        }
        Next::End(stage) => {
            end(id, &mut invoice, stage, now);
            invoices::put(id, &invoice);
        }
        Next::Collect => {
            if let Some(route) = sold {
                collect(runtime, id, invoice, &route, fee, busy).await;
            }
        }
    }
}

/// Begins the payment of an invoice whose money is there, if there is room for it.
async fn collect<R: Runtime>(
    runtime: &R,
    id: &InvoiceId,
    mut invoice: Invoice,
    route: &Route,
    fee: Amount,
    busy: &Busy,
) {
    let now = runtime.now();
    let work = collect::wanted_work(route, &invoice.request.path);
    if let Err(problem) = collect::has_room(runtime, &invoice.ledger, work.as_ref()) {
        let too_late = now > invoice.expires_at().plus(GIVE_UP);
        match problem {
            NoCapacity::Settled => end(id, &mut invoice, Stage::NoRoom, now),
            _ if too_late => end(id, &mut invoice, Stage::NoRoom, now),
            _ => invoice.due = Some(now.plus(ROOM)),
        }
        invoices::put(id, &invoice);
        return;
    }
    let Some(fulfilment) = bought_of(route, work.as_ref()) else {
        // Nothing is to be delivered: `still_sold` has refused such a route.
        return;
    };
    busy.give_back();
    invoice.change(Stage::Collecting, now);
    invoice.attempts = invoice.attempts.saturating_add(1);
    invoice.due = Some(now.plus(POLL));
    invoices::put(id, &invoice);
    let account = id.account(runtime.canister_id());
    let payment = payment(runtime, id, &invoice, account, fee, fulfilment);
    let key = id.claim_key(invoice.attempts);
    // The stored states say what became of it.
    let _ = collect::collect(runtime, key, payment, work).await;
    follow(runtime, id);
}

fn bought_of(route: &Route, work: Option<&Work>) -> Option<Fulfilment> {
    if work.is_some() {
        return Some(Fulfilment::Forward);
    }
    let number = storage::responses::number(&route.content?, &route.mime_type);
    Some(Fulfilment::Stored(number))
}

/// The payment of the invoice's present attempt.
fn payment<R: Runtime>(
    runtime: &R,
    id: &InvoiceId,
    invoice: &Invoice,
    account: Account,
    fee: Amount,
    fulfilment: Fulfilment,
) -> Payment {
    let canister = runtime.canister_id();
    let payment_id = id.payment_id(&canister, invoice.attempts);
    Payment {
        id: payment_id,
        scheme: ROUTE_BY_INVOICE.scheme,
        rail: ROUTE_BY_INVOICE.rail,
        network: storage::config::read().network.clone(),
        ledger: invoice.ledger,
        merchant: MerchantId::DEPLOYER,
        from: account,
        to: invoice.pay_to,
        amount: invoice.price,
        fee,
        purchase: Purchase::Route(invoice.request.clone()),
        offered: invoice.offered.clone(),
        fingerprint: Fingerprint::from(payment_id.0),
        authorization_digest: id.digest(&canister, invoice.attempts),
        created_at: runtime.now(),
        fulfilment,
        state: State::Reserved,
    }
}
