//! Kinds of worlds, by what is unusual in them.

use crate::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing unusual.
    Usual,
    /// Ledgers without a block log.
    NoLog,
    /// Payers without money, and ledgers that stop.
    Poor,
    /// Few cycles, and keys that take as many places as they get.
    Tight,
    /// Routes that pay to other accounts than the settings name.
    Merchants,
    /// Withdrawals, repeated in any order.
    Withdrawals,
    /// Replies that are held back, and released in another order.
    Held,
    /// Routes whose work another canister does.
    Forward,
    /// Invoices.
    Invoices,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Usual,
        Kind::NoLog,
        Kind::Poor,
        Kind::Tight,
        Kind::Merchants,
        Kind::Withdrawals,
        Kind::Held,
        Kind::Forward,
        Kind::Invoices,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Usual => "usual",
            Kind::NoLog => "no-log",
            Kind::Poor => "poor",
            Kind::Tight => "tight",
            Kind::Merchants => "merchants",
            Kind::Withdrawals => "withdrawals",
            Kind::Held => "held",
            Kind::Forward => "forward",
            Kind::Invoices => "invoices",
        }
    }

    /// The events that such worlds are for: without them they show nothing.
    pub const fn about(self) -> &'static [&'static str] {
        match self {
            Kind::Usual => &[
                "purchases",
                "refused payments replayed",
                "replayed with other terms",
                "bought by call",
                "calls repeated",
                "calls refused as expired",
                "used ids with other terms refused",
                "ids of another payer used",
                "transfers",
                "strangers who presented a transfer",
                "transfers presented late",
            ],
            Kind::NoLog => &[
                "in doubt without a log",
                "resolved by a controller",
                "resolving refused",
            ],
            Kind::Poor => &[
                "failed for want of money",
                "in doubt without money",
                "lapsed without money",
                "withdrawn while a payer without money is in doubt",
            ],
            Kind::Tight => &[
                "crowds",
                "refused: ledger_unavailable",
                "served beside a crowd",
            ],
            Kind::Merchants => &[
                "paid to a stranger",
                "refunds that wait for a controller",
                "refunds of a stranger's money approved",
                "refunds by itself",
            ],
            Kind::Withdrawals => &[
                "withdrawals made",
                "withdrawals refused",
                "refused withdrawals repeated",
                "made withdrawals repeated",
                "earlier withdrawals repeated",
                "withdrawals of one time, with other terms",
            ],
            Kind::Held => &["released one by one", "released out of order"],
            Kind::Forward => &[
                "works done",
                "works repeated",
                "works refunded",
                "works fetched later",
            ],
            Kind::Invoices => &[
                "invoices",
                "transfers to invoices",
                "invoices collected",
                "returns of invoices",
                "invoices given back by themselves",
                "returns to another account refused",
            ],
        }
    }
}

/// The kinds of one world.
#[derive(Clone, Debug, PartialEq)]
pub struct Kinds(Vec<Kind>);

impl Kinds {
    /// The kinds of the world with this seed: one, and two in each tenth world.
    pub fn of(world: u64, rng: &mut Rng) -> Self {
        let mut kinds = match Kind::ALL.get((world % 10) as usize) {
            Some(kind) => vec![*kind],
            None => vec![rng.pick(&Kind::ALL[1..]), rng.pick(&Kind::ALL[1..])],
        };
        if let Some(forced) = std::env::var("TOLLKEEPER_SIM_KIND")
            .ok()
            .filter(|forced| !forced.is_empty())
        {
            kinds = forced.split(',').map(named).collect();
        }
        kinds.sort_unstable();
        kinds.dedup();
        Self(kinds)
    }

    pub fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    pub fn all(&self) -> &[Kind] {
        &self.0
    }

    pub fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|kind| kind.name()).collect();
        names.join(",")
    }
}

fn named(name: &str) -> Kind {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let names = Kind::ALL.map(Kind::name).join(", ");
    found.unwrap_or_else(|| panic!("TOLLKEEPER_SIM_KIND: {name} is none of {names}"))
}
