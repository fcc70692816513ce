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
        let mut doubt = None;
        let visit = |index, block: &Entry| met(index, block, wanted, &mut doubt);
        match (self.walk(kind, end, wanted.since, visit).await, doubt) {
            (Walk::Met(block), _) => Found::Block(block),
            (Walk::Over, Some(odd)) => Found::Unknown(format!(
                "block {odd} of ledger {} has the transfer's memo and cannot be read",
                self.id
            )),
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

/// The block, if it is the transfer. A block of an unknown shape with its memo could be: `doubt` is the last such one.
fn met(index: u64, block: &Entry, wanted: &Wanted, doubt: &mut Option<u64>) -> Option<u64> {
    match block.read() {
        Ok(transfer) => wanted.is(&transfer).then_some(index),
        Err(_) => {
            if block.is_odd_with(&wanted.memo) {
                *doubt = doubt.or(Some(index));
            }
            None
        }
    }
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
        return block.is_odd_with(&search.payment.0).then_some(Taken {
            block: index,
            by_this_payment: true,
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use icrc_ledger_types::icrc::generic_value::ICRC3Value as Value;

    const MEMO: [u8; 32] = [9; 32];

    fn map(entries: &[(&str, Value)]) -> Value {
        let owned = entries
            .iter()
            .map(|(key, value)| (key.to_string(), value.clone()));
        Value::Map(owned.collect())
    }

    fn party(n: u8) -> Value {
        Value::Array(vec![Value::Blob(vec![n].into())])
    }

    fn account(n: u8) -> Account {
        Principal::from_slice(&[n]).into()
    }

    /// A block from account 1 to account 2 with the memo.
    fn block(kind: &str) -> Entry {
        let tx = map(&[
            ("from", party(1)),
            ("to", party(2)),
            ("amt", Value::Nat(5u8.into())),
            ("memo", Value::Blob(MEMO.to_vec().into())),
        ]);
        Entry::Icrc3(map(&[("btype", Value::Text(kind.into())), ("tx", tx)]))
    }

    #[test]
    fn attack_a_block_of_an_unknown_shape_with_the_memo_proves_no_absence() {
        let wanted = Wanted {
            from: account(1),
            to: account(2),
            amount: Amount(5),
            memo: MEMO,
            since: 0,
        };
        let looked = |block: &Entry, wanted: &Wanted| {
            let mut doubt = None;
            (met(7, block, wanted, &mut doubt), doubt)
        };
        assert_eq!(looked(&block("1xfer"), &wanted), (Some(7), None));
        assert_eq!(looked(&block("9xfer"), &wanted), (None, Some(7)));
        // Another memo, another payer's block with the memo, and what moves nothing leave no doubt.
        let other = Wanted {
            memo: [8; 32],
            ..wanted.clone()
        };
        assert_eq!(looked(&block("9xfer"), &other), (None, None));
        let stranger = Wanted {
            from: account(3),
            ..wanted.clone()
        };
        assert_eq!(looked(&block("1xfer"), &stranger), (None, None));
        assert_eq!(looked(&block("2approve"), &wanted), (None, None));
    }

    #[test]
    fn attack_a_charge_in_a_block_of_an_unknown_shape_is_not_clean() {
        let search = Search {
            payer: account(1),
            spender: account(3).owner,
            payment: PaymentId(MEMO),
            known: &[],
            since: 0,
            allowance: None,
        };
        let taken = |block: &Entry, search: &Search<'_>| {
            taken(7, block, search, &mut BTreeSet::new()).map(|taken| taken.by_this_payment)
        };
        assert_eq!(taken(&block("9xfer"), &search), Some(true));
        assert_eq!(taken(&block("2approve"), &search), None);
        let other = Search {
            payment: PaymentId([8; 32]),
            ..search
        };
        assert_eq!(taken(&block("9xfer"), &other), None);
    }
}
