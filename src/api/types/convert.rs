//! Conversions. Those of input validate; those of output cannot fail.

use crate::{
    domain::{
        block_log::LogKind,
        config as settings, forward,
        identifier::Policy,
        ledger::Ledger as KnownLedger,
        ledger::MAX_AMOUNT,
        offer::Offer as FullOffer,
        route as routes,
        validate::{self, InvalidArgument as Invalid},
    },
    service::{admin::AdminError, cancel, catalogue, content, ledgers as ledger_service},
    types as domain,
    types::{Amount, Cycles, Seconds},
};
use candid::{Nat, Principal};
use serde_bytes::ByteBuf;
use tollkeeper_types::{
    AccountArg, BlockLog, CancelError, Config, Content, ContentError, Forward, ForwardMode,
    InitArgs, InvalidArgument, Ledger, LedgerError, Limits, Offer, OnFailure, PaymentIdentifier,
    Price, Route, RouteArgs, RouteError, RouteKey,
};

/// The account of a field, if it is valid.
pub fn account(field: &str, account: &AccountArg) -> Result<domain::Account, Invalid> {
    let subaccount = account.subaccount.as_ref();
    validate::account(field, account.owner, subaccount.map(|blob| blob.as_slice()))
}

impl From<Invalid> for InvalidArgument {
    fn from(error: Invalid) -> Self {
        InvalidArgument {
            field: error.field,
            problem: error.problem,
            limit: error.limit.map(Nat::from),
        }
    }
}

/// The settings changes in the arguments of installation or upgrade. They are checked against their limits later.
pub fn init_changes(args: InitArgs) -> Result<settings::Changes, Invalid> {
    let limits = args.limits.unwrap_or_default();
    Ok(settings::Changes {
        network: args.network,
        pay_to: pay_to(args.pay_to.as_ref())?,
        operators: args.operators,
        max_routes: limits.max_routes,
        max_content_total_bytes: limits.max_content_total_bytes,
        max_payments: limits.max_payments,
        max_timeout: limits.max_timeout_seconds.map(Seconds),
        cycles_floor: limits
            .cycles_floor
            .map(|cycles| validate::bounded_nat("limits.cycles_floor", &cycles, u128::MAX))
            .transpose()?
            .map(Cycles),
        retention: limits.retention_seconds.map(Seconds),
    })
}

fn pay_to(given: Option<&AccountArg>) -> Result<Option<domain::Account>, Invalid> {
    given.map(|given| account("pay_to", given)).transpose()
}

impl From<settings::Config> for Config {
    fn from(config: settings::Config) -> Self {
        let limits = config.limits;
        Config {
            network: config.network,
            version: crate::types::VERSION.into(),
            pay_to: config.pay_to,
            operators: config.operators,
            limits: Limits {
                max_routes: limits.max_routes,
                max_content_bytes: settings::MAX_CONTENT_BYTES,
                max_content_total_bytes: limits.max_content_total_bytes,
                max_payments: limits.max_payments,
                max_timeout_seconds: limits.max_timeout.0,
                cycles_floor: Nat::from(limits.cycles_floor.0),
                retention_seconds: limits.retention.0,
            },
        }
    }
}

impl From<KnownLedger> for Ledger {
    fn from(ledger: KnownLedger) -> Self {
        let block_log = ledger.log().map(|kind| match kind {
            LogKind::Icrc3 => BlockLog::Icrc3,
            LogKind::Icp => BlockLog::QueryBlocks,
        });
        Ledger {
            block_log,
            ledger: ledger.id,
            symbol: ledger.symbol,
            decimals: ledger.decimals,
            fee: Nat::from(ledger.fee.0),
            standards: ledger.standards,
            enabled: ledger.enabled,
        }
    }
}

impl From<ledger_service::LedgerError> for LedgerError {
    fn from(error: ledger_service::LedgerError) -> Self {
        use ledger_service::LedgerError as E;
        match error {
            E::Unauthorized(_) => LedgerError::Unauthorized,
            E::InvalidArgument(error) => LedgerError::InvalidArgument(error.into()),
            E::LedgerUnavailable { problem } => LedgerError::LedgerUnavailable { problem },
            E::NotALedger { problem } => LedgerError::NotALedger { problem },
            E::TooManyLedgers { limit } => LedgerError::TooManyLedgers { limit },
            E::UnknownLedger => LedgerError::UnknownLedger,
        }
    }
}

/// A route's key, if routes can have the method.
fn key(method: &str, path: &str) -> Result<domain::RouteKey, Invalid> {
    let method = method
        .parse()
        .map_err(|_| Invalid::new("method", "is not one of DELETE, GET, PATCH, POST and PUT"))?;
    Ok(domain::RouteKey::new(method, path))
}

/// A route's key, if it is valid.
pub fn route_key(of: &RouteKey) -> Result<domain::RouteKey, Invalid> {
    key(&of.method, &of.path)
}

/// The draft of a route; its fields are checked against their limits later.
pub fn draft(args: RouteArgs) -> Result<routes::RouteDraft, Invalid> {
    let prices = args.prices.iter().enumerate().map(|(i, price)| {
        let field = format!("prices[{i}].amount");
        let amount = validate::bounded_nat(&field, &price.amount, MAX_AMOUNT)?;
        Ok(routes::Price {
            ledger: price.ledger,
            amount: Amount(amount),
        })
    });
    Ok(routes::RouteDraft {
        key: key(&args.method, &args.path)?,
        description: args.description,
        mime_type: args.mime_type,
        prices: prices.collect::<Result<_, Invalid>>()?,

        pay_to: pay_to(args.pay_to.as_ref())?,
        max_timeout: args.max_timeout_seconds.map(Seconds),
        on_sale: args.on_sale,
        payment_identifier: args.payment_identifier.map(|policy| match policy {
            PaymentIdentifier::Optional => Policy::Optional,
            PaymentIdentifier::Required => Policy::Required,
        }),
        forward: args.forward.map(|target| forward::Forward {
            canister: target.canister,
            mode: match target.mode {
                ForwardMode::Http => forward::Mode::Http,
                ForwardMode::Serve => forward::Mode::Serve,
            },
            idempotent: target.idempotent,
            on_failure: match target.on_failure {
                OnFailure::Refund => forward::OnFailure::Refund,
                OnFailure::Retry => forward::OnFailure::Retry,
            },
        }),
        offers_transfers: args.transfers.unwrap_or_default(),
        offers_invoices: args.invoices.unwrap_or_default(),
    })
}

impl From<routes::ContentMeta> for Content {
    fn from(content: routes::ContentMeta) -> Self {
        Content {
            bytes: content.bytes,
            sha256: ByteBuf::from(content.sha256.to_vec()),
        }
    }
}

/// The route, with defaults from the settings.
pub fn route(route: &routes::Route, config: &settings::Config) -> Route {
    Route {
        method: route.key.method.to_string(),
        path: route.key.path.clone(),
        description: route.description.clone(),
        mime_type: route.mime_type.clone(),
        prices: route
            .prices
            .iter()
            .map(|price| Price {
                ledger: price.ledger,
                amount: Nat::from(price.amount.0),
            })
            .collect(),
        pay_to: route.pay_to(config),
        max_timeout_seconds: route.max_timeout.0,
        on_sale: route.on_sale,
        price_revision: route.price_revision,
        content: route.content.map(Content::from),
        payment_identifier: route.payment_identifier.map(|policy| match policy {
            Policy::Optional => PaymentIdentifier::Optional,
            Policy::Required => PaymentIdentifier::Required,
        }),
        forward: route.forward.map(|target| Forward {
            canister: target.canister,
            mode: match target.mode {
                forward::Mode::Http => ForwardMode::Http,
                forward::Mode::Serve => ForwardMode::Serve,
            },
            idempotent: target.idempotent,
            on_failure: match target.on_failure {
                forward::OnFailure::Refund => OnFailure::Refund,
                forward::OnFailure::Retry => OnFailure::Retry,
            },
        }),
        transfers: route.offers_transfers,
        invoices: route.offers_invoices,
    }
}

impl From<catalogue::RouteError> for RouteError {
    fn from(error: catalogue::RouteError) -> Self {
        use catalogue::RouteError as E;
        match error {
            E::Unauthorized(_) => RouteError::Unauthorized,
            E::InvalidArgument(error) => RouteError::InvalidArgument(error.into()),
            E::UnknownRoute => RouteError::UnknownRoute,
            E::UnknownLedger(ledger) => RouteError::UnknownLedger(ledger),
            E::TooManyRoutes { limit } => RouteError::TooManyRoutes { limit },
        }
    }
}

impl From<AdminError> for RouteError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Unauthorized(_) => RouteError::Unauthorized,
            AdminError::InvalidArgument(error) => RouteError::InvalidArgument(error.into()),
        }
    }
}

impl From<Invalid> for RouteError {
    fn from(error: Invalid) -> Self {
        RouteError::InvalidArgument(error.into())
    }
}

impl From<content::ContentError> for ContentError {
    fn from(error: content::ContentError) -> Self {
        use content::ContentError as E;
        let blob = |hash: [u8; 32]| ByteBuf::from(hash.to_vec());
        match error {
            E::Unauthorized(_) => ContentError::Unauthorized,
            E::InvalidArgument(error) => ContentError::InvalidArgument(error.into()),
            E::UnknownRoute => ContentError::UnknownRoute,
            E::UnknownUpload => ContentError::UnknownUpload,
            E::TooManyUploads { limit } => ContentError::TooManyUploads { limit },
            E::StorageFull { limit } => ContentError::StorageFull { limit },
            E::WrongOffset { expected } => ContentError::WrongOffset { expected },
            E::HashMismatch { expected, actual } => ContentError::HashMismatch {
                expected: blob(expected),
                actual: blob(actual),
            },
            E::Incomplete { received, expected } => ContentError::Incomplete { received, expected },
        }
    }
}

impl From<Invalid> for ContentError {
    fn from(error: Invalid) -> Self {
        ContentError::InvalidArgument(error.into())
    }
}

/// The offer, with the canister that needs the allowance.
pub fn offer(offer: FullOffer, spender: Principal) -> Offer {
    let requirements = offer.requirements;
    Offer {
        scheme: requirements.scheme,
        network: requirements.network,
        ledger: offer.price.ledger,
        amount: Nat::from(offer.price.amount.0),
        pay_to: offer.pay_to,
        spender,
        offer: requirements.extra.offer,
        fee: Nat::from(offer.ledger.fee.0),
        symbol: offer.ledger.symbol,
        decimals: offer.ledger.decimals,
        max_timeout_seconds: requirements.max_timeout_seconds,
    }
}

impl From<cancel::CancelError> for CancelError {
    fn from(error: cancel::CancelError) -> Self {
        use cancel::CancelError as E;
        match error {
            E::Expired { now_seconds } => CancelError::Expired { now_seconds },
            E::TooFarAhead { limit_seconds } => CancelError::TooFarAhead { limit_seconds },
            E::AnonymousCaller => CancelError::AnonymousCaller,
            E::AlreadyUsed { payment_id } => CancelError::AlreadyUsed {
                payment_id: ByteBuf::from(payment_id.0.to_vec()),
            },
            E::TooManyCancellations { limit } => CancelError::TooManyCancellations { limit },
        }
    }
}

impl From<Invalid> for CancelError {
    fn from(error: Invalid) -> Self {
        CancelError::InvalidArgument(error.into())
    }
}
