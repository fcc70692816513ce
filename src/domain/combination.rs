//! The supported combinations of scheme, rail, purchase and fulfilment.
//!
//! [`SUPPORTED`] decides which stored payments can be read. It does not make offers: `offer::offers` makes those of
//! one scheme and rail, `verify` accepts these, and `service::pay::verify` records them. docs/scheme_exact_icp.md
//! describes them to payers.

use crate::domain::{
    fulfilment::FulfilmentKind, purchase::PurchaseKind, rail::Rail, scheme::Scheme,
};

/// A scheme, a rail, a purchase and a fulfilment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Combination {
    /// The name of scheme and rail in the registry: protocol version, chain, scheme, method.
    pub name: &'static str,
    pub scheme: Scheme,
    pub rail: Rail,
    pub purchase: PurchaseKind,
    pub fulfilment: FulfilmentKind,
}

/// A route with stored content, paid by `exact` from an ICRC-2 allowance.
pub const ROUTE_BY_ICRC2: Combination = Combination {
    name: "v2-icp-exact-icrc2",
    scheme: Scheme::Exact,
    rail: Rail::Icrc2,
    purchase: PurchaseKind::Route,
    fulfilment: FulfilmentKind::Stored,
};

/// The same, bought by a Candid call.
pub const CALL_BY_ICRC2: Combination = Combination {
    purchase: PurchaseKind::Call,
    ..ROUTE_BY_ICRC2
};

/// A route whose work another canister does, paid by `exact` from an ICRC-2 allowance.
pub const FORWARD_BY_ICRC2: Combination = Combination {
    fulfilment: FulfilmentKind::Forward,
    ..ROUTE_BY_ICRC2
};

/// The same, bought by a Candid call.
pub const FORWARD_CALL_BY_ICRC2: Combination = Combination {
    purchase: PurchaseKind::Call,
    ..FORWARD_BY_ICRC2
};

/// The same route, paid by `exact` with the client's own transfer.
pub const ROUTE_BY_ICRC1: Combination = Combination {
    name: "v2-icp-exact-icrc1",
    rail: Rail::Icrc1,
    ..ROUTE_BY_ICRC2
};

/// A route whose work another canister does, paid by the client's own transfer.
pub const FORWARD_BY_ICRC1: Combination = Combination {
    fulfilment: FulfilmentKind::Forward,
    ..ROUTE_BY_ICRC1
};

/// A transfer that pays no present offer, and is refunded.
pub const REFUND_BY_ICRC1: Combination = Combination {
    fulfilment: FulfilmentKind::Nothing,
    ..ROUTE_BY_ICRC1
};

/// The same route, paid by invoice.
pub const ROUTE_BY_INVOICE: Combination = Combination {
    name: "v2-icp-exact-invoice",
    rail: Rail::Invoice,
    ..ROUTE_BY_ICRC2
};

/// A route whose work another canister does, paid by invoice.
pub const FORWARD_BY_INVOICE: Combination = Combination {
    fulfilment: FulfilmentKind::Forward,
    ..ROUTE_BY_INVOICE
};

/// Every combination that a stored payment can have. A stored payment with another one cannot be read.
pub const SUPPORTED: [Combination; 9] = [
    ROUTE_BY_ICRC2,
    CALL_BY_ICRC2,
    FORWARD_BY_ICRC2,
    FORWARD_CALL_BY_ICRC2,
    ROUTE_BY_ICRC1,
    FORWARD_BY_ICRC1,
    REFUND_BY_ICRC1,
    ROUTE_BY_INVOICE,
    FORWARD_BY_INVOICE,
];

pub fn is_supported(
    scheme: Scheme,
    rail: Rail,
    purchase: PurchaseKind,
    fulfilment: FulfilmentKind,
) -> bool {
    SUPPORTED.iter().any(|combination| {
        combination.scheme == scheme
            && combination.rail == rail
            && combination.purchase == purchase
            && combination.fulfilment == fulfilment
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHITECTURE: &str = include_str!("../../docs/architecture.md");
    const BINDINGS: [&str; 3] = [
        include_str!("../../docs/invoices.md"),
        include_str!("../../docs/scheme_exact_icp.md"),
        include_str!("../../docs/scheme_exact_icp_transfer.md"),
    ];

    /// docs/architecture.md has one line for each, and a binding names scheme and method.
    #[test]
    fn the_documents_name_every_combination() {
        for combination in SUPPORTED {
            let line = format!(
                "| `{}` | `{}` | `{}` | `{}` | `{}` |",
                combination.name,
                combination.scheme.name(),
                combination.rail.name(),
                combination.purchase.name(),
                combination.fulfilment.name(),
            );
            assert!(ARCHITECTURE.contains(&line), "no line {line}");
            let named = |binding: &&str| binding.contains(combination.name);
            assert!(BINDINGS.iter().any(named), "{}", combination.name);
        }
    }

    #[test]
    fn no_combination_is_listed_twice() {
        for (n, one) in SUPPORTED.iter().enumerate() {
            let same = |other: &Combination| {
                Combination {
                    name: one.name,
                    ..*other
                } == *one
            };
            assert_eq!(SUPPORTED.iter().position(same), Some(n));
        }
    }
}
