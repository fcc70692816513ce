//! Routes: the resources for sale, and their prices.

use crate::{
    domain::{
        config::{Config, Limits, TIMEOUT_SECONDS},
        forward::Forward,
        identifier,
        ledger::MAX_AMOUNT,
        template,
        validate::{InvalidArgument, text_length},
    },
    types::{Account, Amount, Method, RouteKey, Seconds},
};
use candid::Principal;

/// The longest description, in bytes: it is part of every 402.
pub const MAX_DESCRIPTION_BYTES: usize = 256;
/// The longest MIME type, in bytes.
pub const MAX_MIME_TYPE_BYTES: usize = 128;
/// The most prices of one route: each is an offer in every 402.
pub const MAX_PRICES: usize = 8;
/// The validity of an authorization if the route does not set it.
pub const DEFAULT_TIMEOUT: Seconds = Seconds(300);

/// One way to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    pub ledger: Principal,
    /// Without the ledger's fee.
    pub amount: Amount,
}

/// Stored content. Blob ids are never reused, so they name the same bytes or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentMeta {
    pub blob: u64,
    /// The length.
    pub bytes: u64,
    /// Of the whole content.
    pub sha256: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Method and path template.
    pub key: RouteKey,
    /// For a reader.
    pub description: String,
    pub mime_type: String,
    /// The ways to pay, the preferred one first; none if the route is free.
    pub prices: Vec<Price>,
    /// The account that a controller chose for this route; `None`: the canister's.
    pub own_pay_to: Option<Account>,
    /// The validity of an authorization.
    pub max_timeout: Seconds,
    /// Whether it is on sale (or, if free, served).
    pub on_sale: bool,
    /// Changes with every change of the terms, and is never reused on this canister.
    pub price_revision: u64,
    pub content: Option<ContentMeta>,
    /// The canister that does the work instead of stored content.
    pub forward: Option<Forward>,
    /// The treatment of the extension `payment-identifier`; `None`: ignored.
    pub payment_identifier: Option<identifier::Policy>,
    /// Whether its 402 also offers to pay by a transfer of the client's own.
    pub offers_transfers: bool,
    /// Whether it is sold by invoice, too.
    pub offers_invoices: bool,
}

impl Route {
    pub fn is_free(&self) -> bool {
        self.prices.is_empty()
    }

    /// Whether there is something to deliver: stored content, or a canister that does the work.
    pub fn is_deliverable(&self) -> bool {
        self.content.is_some() || self.forward.is_some()
    }

    /// The account that is paid.
    pub fn pay_to(&self, config: &Config) -> Account {
        self.own_pay_to.unwrap_or(config.pay_to)
    }

    /// Whether the terms of the two differ, so that authorizations for one are not valid for the other.
    pub fn terms_differ(&self, other: &Route) -> bool {
        self.prices != other.prices
            || self.own_pay_to != other.own_pay_to
            || self.max_timeout != other.max_timeout
    }
}

/// A route as a caller wants it. `roles` decides about `own_pay_to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteDraft {
    /// Method and path template.
    pub key: RouteKey,
    /// For a reader.
    pub description: String,
    pub mime_type: String,
    pub prices: Vec<Price>,
    /// The account that the caller named.
    pub pay_to: Option<Account>,
    /// The validity of an authorization.
    pub max_timeout: Option<Seconds>,
    pub on_sale: bool,
    /// The treatment of the extension `payment-identifier`.
    pub payment_identifier: Option<identifier::Policy>,
    /// The canister that does the work.
    pub forward: Option<Forward>,
    /// Whether its 402 also offers to pay by a transfer of the client's own.
    pub offers_transfers: bool,
    /// Whether it is sold by invoice, too.
    pub offers_invoices: bool,
}

impl RouteDraft {
    /// Checks every field against its limit.
    pub fn check(&self, limits: &Limits) -> Result<(), InvalidArgument> {
        template::check(&self.key.path)?;
        text_length("description", &self.description, MAX_DESCRIPTION_BYTES)?;
        if self.description.chars().any(char::is_control) {
            return Err(InvalidArgument::new(
                "description",
                "has control characters",
            ));
        }
        check_mime_type(&self.mime_type)?;
        self.check_prices()?;
        if self.forward.is_some() && self.prices.is_empty() {
            return Err(InvalidArgument::new(
                "forward",
                "needs a price: a free route is served from stored content",
            ));
        }
        if self.offers_invoices && (self.key.method != Method::Get || self.prices.is_empty()) {
            return Err(InvalidArgument::new(
                "invoices",
                "are for routes with the method GET and a price",
            ));
        }
        if let Some(Seconds(timeout)) = self.max_timeout {
            let Seconds(max) = limits.max_timeout;
            let min = *TIMEOUT_SECONDS.start();
            if timeout < min {
                return Err(InvalidArgument::limit(
                    "max_timeout_seconds",
                    format!("is less than {min}"),
                    min.into(),
                ));
            }
            if timeout > max {
                return Err(InvalidArgument::limit(
                    "max_timeout_seconds",
                    format!("is greater than {max}"),
                    max.into(),
                ));
            }
        }
        Ok(())
    }

    fn check_prices(&self) -> Result<(), InvalidArgument> {
        if self.prices.len() > MAX_PRICES {
            return Err(InvalidArgument::limit(
                "prices",
                format!(
                    "are {}, at most {MAX_PRICES} are allowed",
                    self.prices.len()
                ),
                MAX_PRICES as u128,
            ));
        }
        for (i, price) in self.prices.iter().enumerate() {
            let field = format!("prices[{i}].amount");
            if price.amount.0 == 0 {
                return Err(InvalidArgument::new(
                    field,
                    "is zero; a free route has no price",
                ));
            }
            if price.amount.0 > MAX_AMOUNT {
                return Err(InvalidArgument::limit(
                    field,
                    format!("is greater than {MAX_AMOUNT}"),
                    MAX_AMOUNT,
                ));
            }
            if self.prices[..i].contains(price) {
                return Err(InvalidArgument::new(
                    format!("prices[{i}]"),
                    "is there twice",
                ));
            }
        }
        Ok(())
    }

    /// The route that results from this draft and the existing route, if any.
    ///
    /// `next_revision` must never have been used; it is taken only if the terms change. The content of an existing
    /// route stays, unless a canister does the work now.
    pub fn apply(
        self,
        existing: Option<&Route>,
        own_pay_to: Option<Account>,
        limits: &Limits,
        next_revision: u64,
    ) -> Route {
        let default_timeout = Seconds(DEFAULT_TIMEOUT.0.min(limits.max_timeout.0));
        let mut route = Route {
            key: self.key,
            description: self.description,
            mime_type: self.mime_type,
            prices: self.prices,
            own_pay_to,
            max_timeout: self.max_timeout.unwrap_or(default_timeout),
            on_sale: self.on_sale,
            price_revision: next_revision,
            content: existing
                .and_then(|route| route.content)
                .filter(|_| self.forward.is_none()),
            forward: self.forward,
            payment_identifier: self.payment_identifier,
            offers_transfers: self.offers_transfers,
            offers_invoices: self.offers_invoices,
        };
        if let Some(existing) = existing.filter(|existing| !existing.terms_differ(&route)) {
            route.price_revision = existing.price_revision;
        }
        route
    }
}

/// `type/subtype` and parameters, printable ASCII: it becomes a header value.
fn check_mime_type(mime_type: &str) -> Result<(), InvalidArgument> {
    text_length("mime_type", mime_type, MAX_MIME_TYPE_BYTES)?;
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let essence = mime_type.split(';').next().unwrap_or_default().trim_end();
    let essence_ok = essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if !essence_ok || !mime_type.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(InvalidArgument::new(
            "mime_type",
            "is not a MIME type such as text/html",
        ));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::types::Method;

    pub(crate) fn draft(path: &str) -> RouteDraft {
        RouteDraft {
            key: RouteKey::new(Method::Get, path),
            description: "An article".into(),
            mime_type: "text/html; charset=utf-8".into(),
            prices: vec![Price {
                ledger: Principal::from_slice(&[7]),
                amount: Amount(10_000),
            }],
            pay_to: None,
            max_timeout: None,
            on_sale: true,
            payment_identifier: None,
            forward: None,
            offers_transfers: false,
            offers_invoices: false,
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let limits = Limits::default();
        assert_eq!(draft("/a").check(&limits), Ok(()));
        let price = draft("/a").prices[0];
        type Spoil = fn(&mut RouteDraft);
        let cases: [(&str, Spoil); 10] = [
            ("path", |d| d.key.path = "a".into()),
            ("description", |d| d.description = "x".repeat(257)),
            ("description", |d| d.description = "a\r\nb".into()),
            ("mime_type", |d| d.mime_type = "text".into()),
            ("mime_type", |d| d.mime_type = "text/html\r\nx: y".into()),
            ("mime_type", |d| {
                d.mime_type = format!("text/{}", "x".repeat(130))
            }),
            ("prices[0].amount", |d| d.prices[0].amount = Amount(0)),
            ("prices[0].amount", |d| {
                d.prices[0].amount = Amount(u128::MAX)
            }),
            ("max_timeout_seconds", |d| d.max_timeout = Some(Seconds(1))),
            ("max_timeout_seconds", |d| {
                d.max_timeout = Some(Seconds(3_601))
            }),
        ];
        for (field, spoil) in cases {
            let mut bad = draft("/a");
            spoil(&mut bad);
            assert_eq!(bad.check(&limits).unwrap_err().field, field);
        }
        let mut twice = draft("/a");
        twice.prices.push(price);
        assert_eq!(twice.check(&limits).unwrap_err().field, "prices[1]");
        twice.prices = (1..10)
            .map(|n| Price {
                amount: Amount(n),
                ..price
            })
            .collect();
        assert_eq!(twice.check(&limits).unwrap_err().limit, Some(8));
    }

    #[test]
    fn the_revision_changes_with_the_terms_only() {
        let limits = Limits::default();
        let route = draft("/a").apply(None, None, &limits, 5);
        assert_eq!(route.price_revision, 5);

        let mut renamed = draft("/a");
        renamed.description = "Another".into();
        assert_eq!(
            renamed.apply(Some(&route), None, &limits, 6).price_revision,
            5
        );

        let mut dearer = draft("/a");
        dearer.prices[0].amount = Amount(20_000);
        assert_eq!(
            dearer.apply(Some(&route), None, &limits, 6).price_revision,
            6
        );

        let to = Some(Account::from(Principal::from_slice(&[3])));
        assert_eq!(
            draft("/a")
                .apply(Some(&route), to, &limits, 6)
                .price_revision,
            6
        );
    }
}
