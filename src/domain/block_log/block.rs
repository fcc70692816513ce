//! A block of a log: its content, and whether it can be a transfer that is searched for.
//!
//! A block *is* the transfer if it is a transfer and every identifying field is present and equal. It *cannot be* the
//! transfer if a field differs: another kind, another memo, another party, another number, a time outside the ledger's
//! window. Any other block *might be* the transfer, and while one might be, absence is not proved. A block without a
//! known type is considered only if it holds the payment's memo, in any usual encoding (hexadecimal digits, a list of
//! bytes).
//!
//! A block with the payment's memo that names this canister as the maker might be the transfer whatever its other
//! fields are: nobody else can make such a block, and the canister makes one transfer with that memo. A block that
//! names no maker might be the transfer if all other fields are equal.

mod generic;

use super::{Party, wire::Value};
use crate::{
    domain::window::{BLOCK_DRIFT, FORGOTTEN},
    types::{Account, Amount, TimestampNs},
};
use generic::Ids;
pub(super) use generic::{Map, account, blob, number};

/// A transfer with a memo of 32 bytes. `P`: how it names accounts, as [`Party`] in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer<P = Account> {
    pub memo: [u8; 32],
    pub from: P,
    pub to: P,
    /// The spender, if it is not the owner of `from`.
    pub spender: Option<P>,
    pub amount: Amount,
    pub created_at: TimestampNs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub index: u64,
    pub at: Option<TimestampNs>,
    pub shown: Shown,
}

/// The content of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing that can be a transfer of this canister: an approval, a mint or a burn without a memo of 32 bytes, a
    /// transfer without one or with a number that none of its transfers has.
    NoTransfer,
    Transfer(Box<Transfer<Party>>),
    /// A block that cannot be read in full.
    Unclear(Box<Unclear>),
}

/// The readable part of a block that cannot be read in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unclear {
    pub(super) memo: Memo,
    pub(super) from: Field<Party>,
    pub(super) to: Field<Party>,
    pub(super) spender: Field<Party>,
    pub(super) amount: Field<Amount>,
    pub(super) created_at: Field<TimestampNs>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Field<T> {
    #[default]
    Hidden,
    Is(T),
    /// It has a value that no transfer of this canister has.
    Foreign,
}

impl<T: PartialEq> Field<T> {
    fn allows(&self, wanted: &T) -> bool {
        match self {
            Field::Hidden => true,
            Field::Is(value) => value == wanted,
            Field::Foreign => false,
        }
    }
}

impl Field<Party> {
    fn may_be(&self, wanted: &Account) -> bool {
        match self {
            Field::Hidden => true,
            Field::Is(party) => party.is(wanted),
            Field::Foreign => false,
        }
    }

    fn is(&self, wanted: &Account) -> bool {
        matches!(self, Field::Is(party) if party.is(wanted))
    }
}

impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Field::Hidden, Field::Is)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Memo {
    /// It is missing or cannot be read.
    #[default]
    Hidden,
    /// It is not in its place. These values in other places may be it.
    Among(Vec<[u8; 32]>),
    /// It is a memo that no transfer of this canister has.
    Foreign,
}

/// Whether a block is the wanted transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    Same,
    Possible,
    Different,
}

impl Block {
    /// Reads a block of ICRC-3.
    pub(super) fn read(index: u64, content: &Value<'_>) -> Self {
        let Some(map) = Map::of(content) else {
            return Block {
                index,
                at: None,
                shown: Shown::Unclear(Box::new(Unclear {
                    memo: Memo::untyped(content),
                    ..Unclear::default()
                })),
            };
        };
        let at = map.get("ts").and_then(number).flatten();
        Block {
            index,
            at: at.and_then(|at| u64::try_from(at).ok()).map(TimestampNs),
            shown: shown(content, &map),
        }
    }

    /// The transfer, if the block is one and can be read in full.
    pub fn transfer(&self) -> Option<&Transfer<Party>> {
        match &self.shown {
            Shown::Transfer(transfer) => Some(transfer),
            _ => None,
        }
    }

    /// Compares this block with `wanted`.
    pub(super) fn likeness(&self, wanted: &Transfer) -> Likeness {
        match &self.shown {
            Shown::NoTransfer => Likeness::Different,
            Shown::Transfer(transfer) => {
                if transfer.memo != wanted.memo {
                    return Likeness::Different;
                }
                let (equal, spender) = (wanted.is_but_for_spender(transfer), transfer.spender);
                let same_spender = match (&spender, &wanted.spender) {
                    (Some(shown), Some(ours)) => shown.is(ours),
                    (shown, ours) => shown.is_none() && ours.is_none(),
                };
                let nameless = equal && spender.is_none();
                if equal && same_spender {
                    Likeness::Same
                } else if nameless || wanted.is_of_maker(&spender.into(), &Field::Is(transfer.from))
                {
                    Likeness::Possible
                } else {
                    Likeness::Different
                }
            }
            Shown::Unclear(unclear) if self.is_of_its_time(wanted) && unclear.allows(wanted) => {
                Likeness::Possible
            }
            Shown::Unclear(_) => Likeness::Different,
        }
    }

    /// Whether the ledger can have made the transfer at the time of this block.
    fn is_of_its_time(&self, wanted: &Transfer) -> bool {
        self.at.is_none_or(|at| {
            at.plus(BLOCK_DRIFT) >= wanted.created_at && !is_too_late(at, wanted.created_at)
        })
    }
}

/// Whether a block of this time or later cannot hold a transfer with that `created_at_time`.
pub(super) fn is_too_late(at: TimestampNs, created_at: TimestampNs) -> bool {
    at > created_at.plus(FORGOTTEN).plus(BLOCK_DRIFT)
}

impl Transfer {
    /// Whether only the maker of this transfer can make a block that names these accounts: the spender, or the owner
    /// who moves its own money.
    fn is_of_maker(&self, spender: &Field<Party>, from: &Field<Party>) -> bool {
        match self.spender {
            Some(ours) => spender.is(&ours),
            None => from.is(&self.from),
        }
    }

    /// Whether everything but the spender is equal.
    fn is_but_for_spender(&self, shown: &Transfer<Party>) -> bool {
        self.memo == shown.memo
            && self.amount == shown.amount
            && self.created_at == shown.created_at
            && shown.from.is(&self.from)
            && shown.to.is(&self.to)
    }
}

impl Unclear {
    /// The readable fields of a transaction.
    fn of(tx: &Map<'_, '_>) -> Self {
        let account_of = |name| tx.get(name).and_then(account).map(Party::from).into();
        let number_of = |name| match tx.get(name).and_then(number) {
            Some(Some(number)) => Field::Is(number),
            Some(None) => Field::Foreign,
            None => Field::Hidden,
        };
        Unclear {
            memo: Memo::Hidden,
            from: account_of("from"),
            to: account_of("to"),
            spender: account_of("spender"),
            amount: match number_of("amt") {
                Field::Is(amount) => Field::Is(Amount(amount)),
                Field::Foreign => Field::Foreign,
                Field::Hidden => Field::Hidden,
            },
            created_at: match number_of("ts") {
                Field::Is(at) => match u64::try_from(at) {
                    Ok(at) => Field::Is(TimestampNs(at)),
                    Err(_) => Field::Foreign,
                },
                Field::Foreign => Field::Foreign,
                Field::Hidden => Field::Hidden,
            },
        }
    }

    /// Whether no readable field differs from `wanted`.
    fn allows(&self, wanted: &Transfer) -> bool {
        let memo = match &self.memo {
            Memo::Hidden => true,
            Memo::Among(ids) => ids.contains(&wanted.memo),
            Memo::Foreign => false,
        };
        if !memo {
            return false;
        }
        if self.memo != Memo::Hidden && wanted.is_of_maker(&self.spender, &self.from) {
            return true;
        }
        let spender = match (&self.spender, &wanted.spender) {
            (Field::Is(_), None) => false,
            (spender, Some(wanted)) => spender.may_be(wanted),
            _ => true,
        };
        spender
            && self.from.may_be(&wanted.from)
            && self.to.may_be(&wanted.to)
            && self.amount.allows(&wanted.amount)
            && self.created_at.allows(&wanted.created_at)
    }

    /// A block of the kind of transfers. `memo`: its memo, if it is in its place. `without_spender`: whether it may name
    /// no spender.
    pub(super) fn into_shown(self, memo: Option<[u8; 32]>, without_spender: bool) -> Shown {
        match (memo, self.complete(without_spender)) {
            (Some(memo), Some(transfer)) => {
                Shown::Transfer(Box::new(Transfer { memo, ..transfer }))
            }
            _ => Shown::Unclear(Box::new(self)),
        }
    }

    /// A burn. Ledgers record a transfer to the minting account as a burn. Anybody can burn with any memo, so it might
    /// be the canister's only if it names the canister.
    pub(super) fn into_burn(self) -> Shown {
        match self.memo {
            Memo::Among(_) => Shown::Unclear(Box::new(Unclear {
                to: Field::Foreign,
                ..self
            })),
            Memo::Hidden | Memo::Foreign => Shown::NoTransfer,
        }
    }

    /// A mint. Ledgers record a transfer from the minting account as a mint, and name no payer: this canister may be the
    /// minter of what it pays out.
    pub(super) fn into_mint(self) -> Shown {
        match self.memo {
            Memo::Among(_) => Shown::Unclear(Box::new(Unclear {
                from: Field::Hidden,
                spender: Field::Foreign,
                ..self
            })),
            Memo::Hidden | Memo::Foreign => Shown::NoTransfer,
        }
    }

    /// The transfer, if all of it can be read. `without_spender`: whether it may name no spender.
    fn complete(&self, without_spender: bool) -> Option<Transfer<Party>> {
        let (Field::Is(from), Field::Is(to)) = (&self.from, &self.to) else {
            return None;
        };
        let (Field::Is(amount), Field::Is(created_at)) = (&self.amount, &self.created_at) else {
            return None;
        };
        Some(Transfer {
            memo: [0; 32],
            from: *from,
            to: *to,
            spender: match &self.spender {
                Field::Is(spender) => Some(*spender),
                _ if without_spender => None,
                _ => return None,
            },
            amount: *amount,
            created_at: *created_at,
        })
    }
}

/// The content of a block that is a map.
fn shown(content: &Value<'_>, block: &Map<'_, '_>) -> Shown {
    let tx = block.get("tx").and_then(Map::of);
    let op = tx.as_ref().and_then(|tx| tx.text("op"));
    // `btype` is defined by the standard. Older ledgers have `tx.op` alone.
    let unclear = |unclear| Shown::Unclear(Box::new(unclear));
    let kind = match block.text("btype").or(op) {
        Some(b"2approve" | b"approve") => return Shown::NoTransfer,
        Some(b"1mint" | b"mint") => return of_minter(tx.as_ref(), Unclear::into_mint),
        Some(b"1burn" | b"burn") => return of_minter(tx.as_ref(), Unclear::into_burn),
        Some(kind @ (b"1xfer" | b"2xfer" | b"xfer" | b"transfer")) => kind,
        other => {
            let elsewhere = match other {
                Some(_) => Memo::Among(Ids::of(content).found),
                None => Memo::untyped(content),
            };
            let memo = tx.as_ref().and_then(|tx| tx.get("memo"));
            let memo = memo.and_then(blob).map(Memo::of).unwrap_or(elsewhere);
            return unclear(Unclear {
                memo,
                ..tx.map(|tx| Unclear::of(&tx)).unwrap_or_default()
            });
        }
    };
    let Some(tx) = tx else {
        return unclear(Unclear::default());
    };
    let memo = match tx.get("memo") {
        None => Memo::Among(Ids::of(content).found),
        Some(memo) => match blob(memo) {
            Some(memo) => Memo::of(memo),
            None => Memo::oddly_written(memo),
        },
    };
    let read = Unclear {
        memo,
        ..Unclear::of(&tx)
    };
    let without_spender = tx.get("spender").is_none() && kind != b"2xfer";
    let memo = tx.get("memo").and_then(blob);
    match memo.map(<[u8; 32]>::try_from) {
        Some(Err(_)) => Shown::NoTransfer,
        memo => read.into_shown(memo.and_then(Result::ok), without_spender),
    }
}

/// The content of a mint or a burn.
fn of_minter(tx: Option<&Map<'_, '_>>, shown: fn(Unclear) -> Shown) -> Shown {
    let memo = tx.and_then(|tx| tx.get("memo")).and_then(blob);
    match (tx, memo.map(Memo::of)) {
        (Some(tx), Some(memo)) => shown(Unclear {
            memo,
            ..Unclear::of(tx)
        }),
        _ => Shown::NoTransfer,
    }
}

impl Memo {
    pub(super) fn of(blob: &[u8]) -> Self {
        match <[u8; 32]>::try_from(blob) {
            Ok(memo) => Memo::Among(vec![memo]),
            Err(_) => Memo::Foreign,
        }
    }

    /// A memo that is not a blob.
    fn oddly_written(memo: &Value<'_>) -> Self {
        let ids = Ids::of(memo).found;
        if ids.is_empty() {
            Memo::Hidden
        } else {
            Memo::Among(ids)
        }
    }

    /// The memo of a block without a type.
    fn untyped(content: &Value<'_>) -> Self {
        let ids = Ids::of(content);
        if ids.may_be_hidden {
            Memo::Hidden
        } else {
            Memo::Among(ids.found)
        }
    }
}
