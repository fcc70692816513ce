//! The engine for money that leaves the canister: refunds and withdrawals.
//!
//! 1. `domain::outgoing` decides what may be done next about a transfer that has to be made once.
//! 2. Before the first try the balance has to cover the transfer ([`balance_and_owed`], [`covers_refund`]).
//! 3. A try is recorded before the ledger is called. A trap or an upgrade in between leaves the transfer in doubt.
//! 4. The ledger's answer is judged, and the block that it names is claimed for the transfer.
//! 5. What the answer proves is recorded on the current state: other tries may have ended meanwhile.
//!
//! [`send`] does steps 3 to 5.

use crate::{
    domain::{
        liability::{Owed, is_paid_in, paying_account},
        outgoing::{Outgoing, TransferTerms},
        payment::{Failure, Payment},
        settlement::{self, Claimant, OwnTransfer},
        verdict::Verdict,
    },
    runtime::Runtime,
    service::{fees, ledgers},
    storage::{
        self,
        balance::{self, Moment},
        withdrawals,
    },
    types::{Account, Amount, BlockIndex},
};
use candid::{Nat, Principal};

/// The most queries of a balance when money left during the query.
const BALANCE_TRIES: usize = 3;

/// A transfer out of an account of this canister that has to be made once.
#[derive(Clone, Copy, Debug)]
pub struct Payout<'a> {
    pub ledger: Principal,
    pub from: Account,
    pub to: Account,
    /// The amount that arrives.
    pub amount: Amount,
    pub memo: &'a [u8],
    /// The identity of the transfer. A block that another transfer claims proves nothing.
    pub claimant: Claimant,
}

/// The row of a payout.
pub trait PayoutRecord {
    /// The current state; `None` if the payout needs no answer any more.
    fn load(&self) -> Option<Outgoing>;

    /// Stores the state, and the block that shows the transfer, if known.
    fn store(&self, outgoing: &Outgoing, made: Option<BlockIndex>);
}

/// The result of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The money moved.
    Moved(BlockIndex),
    /// This try moved nothing.
    NotMoved {
        failure: Failure,
        /// Whether an earlier try may have moved the money.
        in_doubt: bool,
    },
    /// The outcome is unknown.
    Unclear,
    /// Another try has begun since, or the payout needs no answer any more. The answer says nothing about its state.
    Overtaken,
}

/// Whether a ledger can be called for a transfer now. If not, nothing may be recorded for it.
pub fn can_send<R: Runtime>(runtime: &R, ledger: &Principal) -> bool {
    runtime.can_call(ledger, settlement::TRANSFER, settlement::MAX_ARGUMENT_BYTES)
}

/// Makes one try of a payout with the state `outgoing` and these terms. `fresh`: the same transfer cannot have been
/// made before. The caller has checked [`can_send`], and calls [`fees::renew`] after the end is recorded.
pub async fn send<R: Runtime>(
    runtime: &R,
    payout: &Payout<'_>,
    record: &impl PayoutRecord,
    mut outgoing: Outgoing,
    terms: TransferTerms,
    fresh: bool,
) -> Sent {
    outgoing.begin(terms, runtime.now());
    record.store(&outgoing, None);
    let verdict = call_ledger(runtime, payout, terms).await;
    let Some(mut known) = record.load() else {
        return verdict.block().map_or(Sent::Overtaken, Sent::Moved);
    };
    if let Some(block) = known.end(outgoing.tries, fresh, &verdict, runtime.now()) {
        record.store(&known, Some(block));
        return Sent::Moved(block);
    }
    if known.tries != outgoing.tries {
        return Sent::Overtaken;
    }
    record.store(&known, None);
    match verdict {
        Verdict::NotMoved(failure) => Sent::NotMoved {
            failure,
            in_doubt: known.doubt.is_some(),
        },
        _ => Sent::Unclear,
    }
}

/// Calls the ledger for the transfer, judges the answer, and claims the block that it names.
async fn call_ledger<R: Runtime>(
    runtime: &R,
    payout: &Payout<'_>,
    terms: TransferTerms,
) -> Verdict {
    let transfer = OwnTransfer {
        from: payout.from,
        to: payout.to,
        amount: payout.amount,
        fee: terms.fee,
        memo: payout.memo,
        created_at: terms.created_at,
    };
    let (ledger, claimant) = (payout.ledger, payout.claimant);
    let known_block = storage::claims::highest_block(&ledger);
    let outcome = runtime
        .call(ledger, settlement::TRANSFER, transfer.argument())
        .await;
    let judgement = settlement::judge(&outcome, known_block);
    fees::note(runtime, &ledger, &judgement);
    let Some(block) = judgement.verdict.block() else {
        return judgement.verdict;
    };
    let claimed = storage::claims::of(&ledger, block);
    let verdict = settlement::unless_claimed(judgement.verdict, claimed, claimant);
    if matches!(verdict, Verdict::Moved(_)) {
        storage::claims::take(&ledger, block, claimant, runtime.now());
    }
    verdict
}

/// The balance of the account, and the part of what is owed out of it by now that may be in that balance. The balance
/// is queried again if money left during the query. `None` if the ledger does not answer, or money keeps leaving.
pub async fn balance_and_owed<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    account: &Account,
) -> Option<(Amount, Owed)> {
    for _ in 0..BALANCE_TRIES {
        let moment = Moment::now();
        let balance = balance(runtime, *ledger, account).await?;
        if !moment.is_past() {
            return Some((balance, balance::owed_at(moment, ledger, account)));
        }
    }
    None
}

/// Whether the account that refunds this payment covers the refund and its fee. Not available are the amounts held in
/// it, the amount that an unfinished withdrawal may take, the amounts that other refunds in doubt may take, and what
/// others paid into it and are to be refunded. `None` if the ledger does not say.
///
/// Refunds of money that went elsewhere do not count if they were not tried: one that is larger than the account must
/// not hold up the others. The balance is checked before each first try, even if nothing else is owed. A try that stays
/// in doubt is repeated without a check, when others may have paid into the account.
pub async fn covers_refund<R: Runtime>(
    runtime: &R,
    payment: &Payment,
    fee: Amount,
) -> Option<bool> {
    let (canister, ledger) = (runtime.canister_id(), &payment.ledger);
    let account = paying_account(&payment.to, &canister);
    let (balance, owed) = balance_and_owed(runtime, ledger, &account).await?;
    let reserved = reserved(runtime, ledger, &account).0;
    let own = is_paid_in(&payment.to, &canister).then_some(payment.refund_amount());
    let others = owed.kept_from_a_refund(own).0.saturating_add(reserved);
    let itself = payment.refund_amount().0.saturating_add(fee.0);
    Some(balance.0 >= others.saturating_add(itself))
}

/// The amount that an unfinished withdrawal may still take out of this account.
pub fn reserved<R: Runtime>(runtime: &R, ledger: &Principal, account: &Account) -> Amount {
    let now = runtime.now();
    withdrawals::pending(ledger, now)
        .filter(|withdrawal| withdrawal.from == *account)
        .and_then(|withdrawal| withdrawal.reserved(now))
        .unwrap_or_default()
}

pub fn fee(ledger: &Principal) -> Amount {
    storage::ledgers::get(ledger)
        .map(|ledger| ledger.fee)
        .unwrap_or_default()
}

/// The balance of this account according to the ledger; `None` if it does not say.
pub async fn balance<R: Runtime>(
    runtime: &R,
    ledger: Principal,
    account: &Account,
) -> Option<Amount> {
    let argument = settlement::balance_argument(account);
    let balance: Nat = ledgers::query(runtime, ledger, "icrc1_balance_of", argument)
        .await
        .ok()?;
    // A balance above `u128` covers everything.
    Some(Amount(u128::try_from(&balance.0).unwrap_or(u128::MAX)))
}
