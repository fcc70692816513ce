//! Search for money that a spender took, to check a payment that its canister reports as dead.

use super::{
    Ledger, Wanted,
    pages::{Entry, Kind},
};
use crate::error::LedgerError;
use candid::Principal;
use icrc_ledger_types::{
    icrc1::account::Account,
    icrc2::allowance::{Allowance, AllowanceArgs},
};
use std::collections::BTreeSet;
use x402_icp::{Amount, PaymentId};

/// The most blocks in one request: a reply has at most 2 MiB.
const PAGE: u64 = 500;
/// The most blocks that are read.
const MAX_BLOCKS: u64 = 10_000;

/// Money that a spender took without a known payment for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub block: u64,
    /// Whether its memo is the id of the payment that is checked.
    pub by_this_payment: bool,
}

/// The result according to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clean {
    /// The spender took nothing without a known payment.
    Yes,
    /// It did.
    No(Taken),
    /// The ledger does not prove either.
    Unknown(String),
}

/// The search criteria.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    pub payer: Account,
    pub spender: Principal,
    pub payment: PaymentId,
    /// The payer's other payments, unresolved or ended lately.
    pub known: &'a [PaymentId],
    /// The time from which the spender may have taken money, in nanoseconds since 1970-01-01.
    pub since: u64,
    /// The allowance before the payment was sent, and its end.
    pub allowance: Option<(Amount, Option<u64>)>,
}

/// The result of a search for a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is in this block.
    Block(u64),
    /// It is in no block, at a time that the subnet signed (nanoseconds since 1970-01-01).
    Missing { as_of: u64 },
    /// The ledger does not prove either.
    Unknown(String),
}

/// The end of a walk through the log.
enum Walk<T> {
    Met(T),
    /// All blocks since then were visited.
    Over,
    Stopped(String),
}

impl Ledger<'_> {
    /// Whether the spender took money since then without a known payment.
    pub(crate) async fn clean(&self, search: &Search<'_>) -> Clean {
        match self.log().await {
            Ok(Some(kind)) => self.clean_log(kind, search).await,
            Ok(None) => self.clean_allowance(search).await,
            Err(problem) => Clean::Unknown(problem.to_string()),
        }
    }

    async fn clean_log(&self, kind: Kind, search: &Search<'_>) -> Clean {
        let mut seen = BTreeSet::new();
        let walked = match self.log_end(kind).await {
            Ok((end, _)) => {
                let visit = |index, block: &Entry| taken(index, block, search, &mut seen);
                self.walk(kind, end, search.since, visit).await
            }
            Err(problem) => return Clean::Unknown(problem.to_string()),
        };
        match walked {
            Walk::Met(taken) => Clean::No(taken),
            Walk::Over => Clean::Yes,
            Walk::Stopped(problem) => Clean::Unknown(problem),
        }
    }

    /// Looks for a transfer in the log, by its memo.
    pub(crate) async fn find(&self, wanted: &Wanted) -> Found {
        let (kind, (end, as_of)) = match self.any_log_end().await {
            Ok(end) => end,
            Err(problem) => return Found::Unknown(problem.to_string()),
        };
        // The transfer may stand below a block that cannot be read.
        let mut doubt = None;
        let visit = |index, block: &Entry| match seen(index, block, wanted) {
            Some(Found::Unknown(problem)) => {
                doubt.get_or_insert(problem);
                None
            }
            found => found,
        };
        let walk = self.walk(kind, end, wanted.since, visit).await;
        match (walk, doubt) {
            (Walk::Met(found), _) => found,
            (Walk::Over, Some(problem)) => Found::Unknown(problem),
            (Walk::Over, None) => Found::Missing { as_of },
            (Walk::Stopped(problem), _) => Found::Unknown(problem),
        }
    }

    /// Visits the blocks before `end`, from the newest to those before `since`, until `visit` returns something.
    async fn walk<T>(
        &self,
        kind: Kind,
        mut end: u64,
        since: u64,
        mut visit: impl FnMut(u64, &Entry) -> Option<T>,
    ) -> Walk<T> {
        let last = end.saturating_sub(MAX_BLOCKS);
        while end > last {
            let start = end.saturating_sub(PAGE).max(last);
            let page = match self.all_blocks(kind, start, end).await {
                Ok(page) => page,
                Err(problem) => return Walk::Stopped(problem.to_string()),
            };
            for (index, block) in page.iter().rev() {
                if block.timestamp().is_some_and(|at| at < since) {
                    return Walk::Over;
                }
                if let Some(met) = visit(*index, block) {
                    return Walk::Met(met);
                }
            }
            end = start;
        }
        match end {
            0 => Walk::Over,
            _ => Walk::Stopped(format!(
                "ledger {} has more than {MAX_BLOCKS} blocks since then",
                self.id
            )),
        }
    }

    /// Without a log: nothing was taken if the allowance is exactly as before. A larger one, or one with another end,
    /// was approved since, and hides what was taken before.
    async fn clean_allowance(&self, search: &Search<'_>) -> Clean {
        let Some(before) = search.allowance else {
            return Clean::Unknown(format!(
                "ledger {} has no block log, and the allowance before the payment is not known",
                self.id
            ));
        };
        match self.certified_allowance(search.payer, search.spender).await {
            Ok(now) if now == before => Clean::Yes,
            Ok((now, _)) if now != before.0 => Clean::Unknown(format!(
                "ledger {} has no block log, and {} may take {now} units instead of {}",
                self.id, search.spender, before.0
            )),
            Ok(_) => Clean::Unknown(format!(
                "ledger {} has no block log, and the allowance of {} was approved again",
                self.id, search.spender
            )),
            Err(problem) => Clean::Unknown(problem.to_string()),
        }
    }

    async fn certified_allowance(
        &self,
        account: Account,
        spender: Principal,
    ) -> Result<(Amount, Option<u64>), LedgerError> {
        const METHOD: &str = "icrc2_allowance";
        let spender = spender.into();
        let argument = self.encode(METHOD, (AllowanceArgs { account, spender },))?;
        let (found, _): (Allowance, u64) = self
            .network
            .update_one(self.id, METHOD, argument)
            .await
            .map_err(|e| self.failed(METHOD, e))?;
        Ok((self.amount(METHOD, found.allowance)?, found.expires_at))
    }
}

/// What a block shows of the transfer; `None` if it is another one. A block that cannot be read may be the transfer if it
/// has its memo, unless it takes money from somebody else: anybody can copy a memo.
fn seen(index: u64, block: &Entry, wanted: &Wanted) -> Option<Found> {
    let problem = match block.read() {
        Ok(transfer) => return wanted.is(&transfer).then_some(Found::Block(index)),
        Err(problem) => problem,
    };
    let is_anothers = block
        .debit()
        .is_some_and(|debit| !debit.from.is(&wanted.from));
    (!is_anothers && block.may_hold(&wanted.memo)).then(|| {
        Found::Unknown(format!(
            "block {index} has the memo of the transfer, and cannot be read: {problem}"
        ))
    })
}

/// Whether a block took money without a known payment. Each payment explains one block: `seen` are those that have
/// explained one.
fn taken(
    index: u64,
    block: &Entry,
    search: &Search<'_>,
    seen: &mut BTreeSet<PaymentId>,
) -> Option<Taken> {
    let Some(debit) = block.debit() else {
        return taken_in_odd_shape(index, block, search, seen);
    };
    if !debit.from.is(&search.payer) || !debit.spender?.is_of(&search.spender) {
        return None;
    }
    let memo = debit.memo.unwrap_or_default();
    let by_this_payment = memo == search.payment.0;
    let other = search
        .known
        .iter()
        .find(|id| **id != search.payment && memo == id.0);
    let explained = other.is_some_and(|id| seen.insert(*id));
    (!explained).then_some(Taken {
        block: index,
        by_this_payment,
    })
}

/// A block of an unknown shape may have taken money if it has the payment's id, or both parties, anywhere in it.
fn taken_in_odd_shape(
    index: u64,
    block: &Entry,
    search: &Search<'_>,
    seen: &mut BTreeSet<PaymentId>,
) -> Option<Taken> {
    let has = |bytes: &[u8]| block.may_hold(bytes);
    let by_this_payment = has(&search.payment.0);
    let by_parties = has(search.payer.owner.as_slice()) && has(search.spender.as_slice());
    let mut explains = |id: &PaymentId| has(&id.0) && seen.insert(*id);
    (by_this_payment || by_parties && !search.known.iter().any(&mut explains)).then_some(Taken {
        block: index,
        by_this_payment,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::icp::tests::odd_block;
    use icrc_ledger_types::icrc::generic_value::ICRC3Value;

    const MEMO: [u8; 32] = [9; 32];

    fn principal(n: u8) -> Principal {
        Principal::from_slice(&[n])
    }

    fn blob(bytes: &[u8]) -> ICRC3Value {
        ICRC3Value::Blob(bytes.to_vec().into())
    }

    fn map(entries: Vec<(&str, ICRC3Value)>) -> ICRC3Value {
        let entries = entries.into_iter();
        ICRC3Value::Map(entries.map(|(key, value)| (key.into(), value)).collect())
    }

    /// A transfer from 1 to 2, in the words of ICRC-3 if its kind is `xfer`.
    fn block(kind: &str, spender: Option<u8>, memo: &[u8]) -> Entry {
        let account = |n: u8| ICRC3Value::Array(vec![blob(&[n])]);
        let mut tx = vec![
            ("op", ICRC3Value::Text(kind.into())),
            ("amt", ICRC3Value::Nat(5u8.into())),
            ("from", account(1)),
            ("to", account(2)),
            ("memo", blob(memo)),
        ];
        tx.extend(spender.map(|n| ("spender", account(n))));
        Entry::Icrc3(map(vec![("tx", map(tx))]))
    }

    fn shapeless(parts: &[&[u8]]) -> Entry {
        let parts = parts.iter().map(|part| blob(part)).collect();
        Entry::Icrc3(map(vec![("new", ICRC3Value::Array(parts))]))
    }

    /// A ledger that made the transfer, and writes it in a way of its own: it must not be made again.
    #[test]
    fn a_block_that_cannot_be_read_is_no_proof_that_a_transfer_was_not_made() {
        let wanted = Wanted {
            from: principal(1).into(),
            to: principal(2).into(),
            amount: Amount(5),
            memo: MEMO,
            since: 0,
        };
        assert_eq!(
            seen(7, &block("xfer", None, &MEMO), &wanted),
            Some(Found::Block(7))
        );
        let doubtful = [
            block("transfer", None, &MEMO),
            block("burn", None, &MEMO),
            shapeless(&[&MEMO]),
            odd_block(&MEMO),
        ];
        for block in doubtful {
            let found = seen(7, &block, &wanted);
            assert!(matches!(found, Some(Found::Unknown(_))), "{block:?}");
        }
        for other in [
            block("xfer", None, &[8; 32]),
            block("transfer", None, &[8; 32]),
            block("xfer", Some(3), &MEMO),
            block("approve", Some(3), &MEMO),
            block("mint", None, &MEMO),
            shapeless(&[&[8; 32]]),
            odd_block(&[8; 32]),
        ] {
            assert_eq!(seen(7, &other, &wanted), None, "{other:?}");
        }
        let of_another = Wanted {
            from: principal(5).into(),
            ..wanted
        };
        for kind in ["xfer", "burn", "transfer"] {
            assert_eq!(seen(7, &block(kind, None, &MEMO), &of_another), None);
        }
    }

    #[test]
    fn what_a_spender_took_is_seen_whatever_the_ledger_calls_it() {
        let known = [PaymentId([4; 32])];
        let search = Search {
            payer: principal(1).into(),
            spender: principal(3),
            payment: PaymentId(MEMO),
            known: &known,
            since: 0,
            allowance: None,
        };
        let by = |block: &Entry| {
            let taken = taken(7, block, &search, &mut BTreeSet::new());
            taken.map(|taken| taken.by_this_payment)
        };
        for kind in ["xfer", "burn", "transfer", "2new"] {
            assert_eq!(by(&block(kind, Some(3), &MEMO)), Some(true), "{kind}");
            assert_eq!(by(&block(kind, Some(3), b"")), Some(false), "{kind}");
            assert_eq!(by(&block(kind, Some(3), &[4; 32])), None, "{kind}");
            assert_eq!(by(&block(kind, Some(5), &MEMO)), None, "{kind}");
            assert_eq!(by(&block(kind, None, &MEMO)), None, "{kind}");
        }
        for kind in ["approve", "mint"] {
            assert_eq!(by(&block(kind, Some(3), &MEMO)), None, "{kind}");
        }
        assert_eq!(by(&shapeless(&[&MEMO])), Some(true));
        assert_eq!(by(&odd_block(&MEMO)), Some(true));
        assert_eq!(by(&shapeless(&[&[1], &[3]])), Some(false));
        let mut seen = BTreeSet::new();
        let explained = shapeless(&[&[1], &[3], &[4; 32]]);
        assert_eq!(taken(7, &explained, &search, &mut seen), None);
        let again = taken(6, &explained, &search, &mut seen);
        assert!(again.is_some(), "one payment explains one block");
        for other in [shapeless(&[&[1]]), odd_block(&[8; 32])] {
            assert_eq!(by(&other), None, "{other:?}");
        }
    }
}
