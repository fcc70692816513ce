//! The one engine for money that leaves the canister: refunds and withdrawals.
//!
//! 1. What may be done next about a transfer that has to be made once, `domain::outgoing` decides.
//! 2. Before its first try the balance has to cover it ([`balance_and_owed`], [`covers_refund`]).
//! 3. A try is put down before the ledger is asked: a trap or an upgrade in between leaves it in doubt.
//! 4. The ledger's answer is judged, and the block that it names is claimed for the transfer.
//! 5. What the answer proves is put down on what is known by now: other tries may have ended meanwhile.
//!
//! 3 to 5 are [`send`].

use crate::{
    domain::{
        liability::Owed,
        outgoing::{Outgoing, TransferTerms},
        payment::Failure,
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

/// How often a balance is asked for anew because money left meanwhile.
const BALANCE_TRIES: usize = 3;

/// A transfer out of an account of this canister that has to be made once.
#[derive(Clone, Copy, Debug)]
pub struct Payout<'a> {
    /// The ledger.
    pub ledger: Principal,
    /// The account of this canister.
    pub from: Account,
    /// Who gets it.
    pub to: Account,
    /// What arrives.
    pub amount: Amount,
    /// The memo of the transfer.
    pub memo: &'a [u8],
    /// What the transfer is: a block that shows another one proves nothing.
    pub claimant: Claimant,
}

/// Where it is put down how a payout stands.
pub trait PayoutRecord {
    /// How it stands by now; `None` if nobody waits for it any more.
    fn load(&self) -> Option<Outgoing>;

    /// Puts down how it stands, and the block that shows it, if that is known.
    fn store(&self, outgoing: &Outgoing, made: Option<BlockIndex>);
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The money moved.
    Moved(BlockIndex),
    /// This try moved nothing.
    NotMoved {
        /// Why.
        failure: Failure,
        /// Whether an earlier try may have moved it.
        in_doubt: bool,
    },
    /// Nobody knows.
    Unclear,
    /// Another try has begun since, or nobody waits any more: the answer says nothing about how it stands.
    Overtaken,
}

/// Whether a ledger can be asked for a transfer now. If not, nothing may be written down for it.
pub fn can_send<R: Runtime>(runtime: &R, ledger: &Principal) -> bool {
    runtime.can_call(ledger, settlement::TRANSFER, settlement::MAX_ARGUMENT_BYTES)
}

/// Makes one try of a payout that stands as `outgoing` says, with what is `written`. `fresh`: nothing like it can have
/// been made before. Who calls this has looked at [`can_send`], and calls [`fees::renew`] when the end is booked.
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

/// Asks the ledger for the transfer, judges the answer, and claims the block that it names.
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

/// What the account has, and what may be in that of what is owed out of it by now; asked anew while money leaves.
/// `None` if the ledger does not say, or money does not cease to leave.
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

/// Whether this account has the money for a refund of this amount and its fee, without what is held in it, what a
/// withdrawal that is not finished may take, and what other refunds in doubt may take; `None` if the ledger does not
/// say.
///
/// Refunds that were not tried do not count: one of them that is larger than the account must not hold up the others.
/// Asked before a refund is tried, even if nobody else is owed anything by then: a try that stays in doubt is
/// repeated without a question, when others may have paid into the account.
pub async fn covers_refund<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    account: &Account,
    amount: Amount,
    fee: Amount,
) -> Option<bool> {
    let (balance, owed) = balance_and_owed(runtime, ledger, account).await?;
    let reserved = reserved(runtime, ledger, account).0;
    let others = owed.kept_from_a_refund().0.saturating_add(reserved);
    let itself = amount.0.saturating_add(fee.0);
    Some(balance.0 >= others.saturating_add(itself))
}

/// What a withdrawal that is not finished may still take out of this account.
pub fn reserved<R: Runtime>(runtime: &R, ledger: &Principal, account: &Account) -> Amount {
    let now = runtime.now();
    withdrawals::pending(ledger, now)
        .filter(|withdrawal| withdrawal.from == *account)
        .and_then(|withdrawal| withdrawal.reserved(now))
        .unwrap_or_default()
}

/// The ledger's fee.
pub fn fee(ledger: &Principal) -> Amount {
    storage::ledgers::get(ledger)
        .map(|ledger| ledger.fee)
        .unwrap_or_default()
}

/// What the ledger says that this account has; `None` if it does not say.
pub async fn balance<R: Runtime>(
    runtime: &R,
    ledger: Principal,
    account: &Account,
) -> Option<Amount> {
    let argument = settlement::balance_argument(account);
    let balance: Nat = ledgers::query(runtime, ledger, "icrc1_balance_of", argument)
        .await
        .ok()?;
    // More than fits covers everything.
    Some(Amount(u128::try_from(&balance.0).unwrap_or(u128::MAX)))
}
