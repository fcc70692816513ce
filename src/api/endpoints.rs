//! The Candid methods. Each converts its arguments, calls one service, updates the certified responses, and converts
//! the result.

use crate::{
    api::{
        http::{certify_changes, receipt},
        types::{
            self, AccountArg, AdminAudit, CancelArgs, CancelError, Config, Content, ContentBegin,
            ContentChunk, ContentCommit, ContentError, InvalidArgument, Ledger, LedgerError, Offer,
            PageArgs, Payment, PaymentAudit, PaymentStatus, PaymentsError, Receipt, RecheckError,
            RefundError, ResolveArgs, ResolveError, Route, RouteArgs, RouteError, RouteKey,
            Solvency, TollkeeperArgs, WithdrawArgs, WithdrawError, block, draft, init_changes,
            payment_record, public_payment, public_receipt, resolution, route_key, withdrawal,
        },
    },
    domain::{config::Changes, validate, validate::InvalidArgument as Invalid},
    runtime::Runtime,
    service::{
        admin, cancel, catalogue, content, fees, ledgers, lifecycle,
        payments::{self, Page},
        recover::{self, resolve},
        refund, treasury, withdraw,
    },
    storage,
    types::{Nonce, PaymentId},
};
use candid::{Nat, Principal};

/// An error undoes the installation.
pub fn init<R: Runtime>(runtime: &R, args: Option<TollkeeperArgs>) -> Result<(), String> {
    let changes = match args {
        None => Changes::default(),
        Some(TollkeeperArgs::Init(args)) => {
            init_changes(args).map_err(|error| error.to_string())?
        }
        Some(TollkeeperArgs::Upgrade(_)) => {
            return Err("an installation takes Init arguments, not Upgrade".into());
        }
    };
    lifecycle::install(runtime, changes).map_err(|error| error.to_string())
}

/// An error undoes the upgrade.
pub fn post_upgrade<R: Runtime>(runtime: &R, args: Option<TollkeeperArgs>) -> Result<(), String> {
    let changes = match args {
        None => Changes::default(),
        Some(TollkeeperArgs::Upgrade(args)) => {
            init_changes(args).map_err(|error| error.to_string())?
        }
        Some(TollkeeperArgs::Init(_)) => {
            return Err("an upgrade takes Upgrade arguments, not Init".into());
        }
    };
    lifecycle::upgrade(runtime, changes).map_err(|error| error.to_string())
}

pub fn config() -> Config {
    storage::config::read().into()
}

pub fn pay_to_set<R: Runtime>(runtime: &R, pay_to: AccountArg) -> Result<(), RouteError> {
    let pay_to = types::account("pay_to", &pay_to)?;
    certified(
        runtime,
        admin::set_pay_to(runtime, pay_to).map_err(RouteError::from),
    )
}

pub fn origin_set<R: Runtime>(runtime: &R, origin: Option<String>) -> Result<(), RouteError> {
    certified(
        runtime,
        admin::set_origin(runtime, origin).map_err(RouteError::from),
    )
}

pub fn origin() -> Option<String> {
    storage::config::read().origin
}

pub fn trusted_origins_set<R: Runtime>(
    runtime: &R,
    origins: Vec<String>,
) -> Result<(), RouteError> {
    admin::set_trusted_origins(runtime, origins).map_err(RouteError::from)
}

pub fn operator_add<R: Runtime>(runtime: &R, operator: Principal) -> Result<(), RouteError> {
    certified(
        runtime,
        admin::add_operator(runtime, operator).map_err(RouteError::from),
    )
}

pub fn operator_remove<R: Runtime>(runtime: &R, operator: Principal) -> Result<(), RouteError> {
    certified(
        runtime,
        admin::remove_operator(runtime, operator).map_err(RouteError::from),
    )
}

pub async fn ledger_add<R: Runtime>(runtime: &R, id: Principal) -> Result<Ledger, LedgerError> {
    let ledger = ledgers::add(runtime, id).await;
    certified(runtime, ledger.map(Ledger::from).map_err(LedgerError::from))
}

pub async fn ledger_refresh<R: Runtime>(runtime: &R, id: Principal) -> Result<Ledger, LedgerError> {
    let ledger = fees::refresh(runtime, id).await;
    certified(runtime, ledger.map(Ledger::from).map_err(LedgerError::from))
}

pub fn ledger_enable<R: Runtime>(
    runtime: &R,
    id: Principal,
    enabled: bool,
) -> Result<Ledger, LedgerError> {
    let ledger = ledgers::enable(runtime, id, enabled);
    certified(runtime, ledger.map(Ledger::from).map_err(LedgerError::from))
}

pub fn all_ledgers() -> Vec<Ledger> {
    storage::ledgers::all()
        .into_iter()
        .map(Ledger::from)
        .collect()
}

pub fn route_put<R: Runtime>(runtime: &R, args: RouteArgs) -> Result<Route, RouteError> {
    let route = catalogue::put(runtime, draft(args)?).map_err(RouteError::from);
    certified(
        runtime,
        route.map(|put| types::route(&put, &storage::config::read())),
    )
}

pub fn route_remove<R: Runtime>(runtime: &R, key: RouteKey) -> Result<(), RouteError> {
    certified(
        runtime,
        catalogue::remove(runtime, &route_key(&key)?).map_err(RouteError::from),
    )
}

pub fn route(key: RouteKey) -> Option<Route> {
    let route = storage::routes::get(&route_key(&key).ok()?)?;
    Some(types::route(&route, &storage::config::read()))
}

pub fn routes(page: PageArgs) -> Result<Vec<Route>, InvalidArgument> {
    let config = storage::config::read();
    let routes = catalogue::page(Page::from(page))?;
    Ok(routes
        .iter()
        .map(|known| types::route(known, &config))
        .collect())
}

pub fn offers<R: Runtime>(runtime: &R, key: RouteKey) -> Vec<Offer> {
    let Some(route) = route_key(&key)
        .ok()
        .and_then(|key| storage::routes::get(&key))
    else {
        return vec![];
    };
    let spender = runtime.canister_id();
    let offers = catalogue::detailed_offers(&route, spender);
    offers
        .into_iter()
        .map(|offer| types::offer(offer, spender))
        .collect()
}

pub fn content_begin<R: Runtime>(runtime: &R, args: ContentBegin) -> Result<u64, ContentError> {
    let key = route_key(&RouteKey {
        method: args.method,
        path: args.path,
    })?;
    let sha256 = validate::bytes32("sha256", &args.sha256)?;
    content::begin(runtime, key, args.bytes, sha256).map_err(ContentError::from)
}

pub fn content_chunk<R: Runtime>(runtime: &R, args: ContentChunk) -> Result<(), ContentError> {
    content::chunk(runtime, args.upload, args.offset, &args.bytes).map_err(ContentError::from)
}

pub fn content_commit<R: Runtime>(
    runtime: &R,
    args: ContentCommit,
) -> Result<Content, ContentError> {
    let content = content::commit(runtime, args.upload);
    certified(
        runtime,
        content.map(Content::from).map_err(ContentError::from),
    )
}

pub fn payment<R: Runtime>(runtime: &R, id: &[u8]) -> Option<Payment> {
    let payment = payments::payment(&PaymentId(id.try_into().ok()?))?;
    let all = payments::knows_who_paid(runtime, &payment.from, &payment.to);
    let payment = payment_record(None, payment);
    Some(if all {
        payment
    } else {
        public_payment(payment)
    })
}

pub fn receipt<R: Runtime>(runtime: &R, id: &[u8]) -> Option<Receipt> {
    let receipt = payments::receipt(&PaymentId(id.try_into().ok()?))?;
    let all = payments::knows_who_paid(runtime, &receipt.payer, &receipt.pay_to);
    let receipt = Receipt::from(receipt);
    Some(if all {
        receipt
    } else {
        public_receipt(receipt)
    })
}

pub fn settled_payments<R: Runtime>(
    runtime: &R,
    page: PageArgs,
) -> Result<Vec<Payment>, PaymentsError> {
    let page = payments::settled(runtime, page.into())?;
    Ok(page
        .into_iter()
        .map(|(n, payment)| payment_record(Some(n), payment))
        .collect())
}

pub fn waiting_payments<R: Runtime>(
    runtime: &R,
    page: PageArgs,
) -> Result<Vec<Payment>, PaymentsError> {
    let page = payments::waiting(runtime, page.into())?;
    Ok(page
        .into_iter()
        .map(|(n, payment)| payment_record(Some(n), payment))
        .collect())
}

pub fn open_payments<R: Runtime>(
    runtime: &R,
    page: Option<PageArgs>,
) -> Result<Vec<Payment>, PaymentsError> {
    let open = payments::open(runtime, page.unwrap_or_default().into())?;
    Ok(open
        .into_iter()
        .map(|payment| payment_record(None, payment))
        .collect())
}

pub fn failed_payments<R: Runtime>(
    runtime: &R,
    page: PageArgs,
) -> Result<Vec<Payment>, PaymentsError> {
    let page = payments::failed(runtime, page.into())?;
    Ok(page
        .into_iter()
        .map(|(n, payment)| payment_record(Some(n), payment))
        .collect())
}

pub fn audit_payments<R: Runtime>(
    runtime: &R,
    page: PageArgs,
) -> Result<Vec<PaymentAudit>, PaymentsError> {
    let entries = payments::transitions(runtime, page.into())?;
    Ok(entries.into_iter().map(PaymentAudit::from).collect())
}

pub fn audit_admin<R: Runtime>(
    runtime: &R,
    page: PageArgs,
) -> Result<Vec<AdminAudit>, PaymentsError> {
    let entries = payments::actions(runtime, page.into())?;
    Ok(entries.into_iter().map(AdminAudit::from).collect())
}

pub async fn payment_recheck<R: Runtime>(
    runtime: &R,
    id: &[u8],
) -> Result<PaymentStatus, RecheckError> {
    let id =
        validate::bytes32("id", id).map_err(|error| RecheckError::InvalidArgument(error.into()));
    let payment = recover::recheck(runtime, &PaymentId(id?)).await;
    certified(
        runtime,
        payment
            .map(|payment| payment.state.into())
            .map_err(RecheckError::from),
    )
}

pub fn cancel_authorization<R: Runtime>(runtime: &R, args: CancelArgs) -> Result<(), CancelError> {
    let nonce = Nonce(validate::bytes32("nonce", &args.nonce)?);
    cancel::cancel(runtime, nonce, args.valid_before_seconds).map_err(CancelError::from)
}

pub fn refund_payment<R: Runtime>(runtime: &R, id: &[u8]) -> Result<PaymentStatus, RefundError> {
    let payment = refund::owe(runtime, &PaymentId(validate::bytes32("id", id)?))?;
    Ok(payment.state.into())
}

pub fn refund_by_merchant<R: Runtime>(
    runtime: &R,
    id: &[u8],
) -> Result<PaymentStatus, RefundError> {
    let payment = refund::leave_to_merchant(runtime, &PaymentId(validate::bytes32("id", id)?))?;
    Ok(payment.state.into())
}

pub fn payment_resolve<R: Runtime>(
    runtime: &R,
    args: ResolveArgs,
) -> Result<PaymentStatus, ResolveError> {
    let (id, outcome) = resolution(args)?;
    let payment = resolve::resolve(runtime, &id, outcome)?;
    certified(runtime, Ok(payment.state.into()))
}

pub async fn solvency<R: Runtime>(runtime: &R) -> Result<Vec<Solvency>, PaymentsError> {
    let known = treasury::solvency(runtime).await;
    let known = known.map_err(|_| PaymentsError::Unauthorized)?;
    Ok(known.into_iter().map(Solvency::from).collect())
}

pub async fn withdraw<R: Runtime>(runtime: &R, args: WithdrawArgs) -> Result<Nat, WithdrawError> {
    let done = withdraw::withdraw(runtime, withdrawal(args)?).await;
    // The ledger may have named a new fee.
    certified(runtime, done.map(block).map_err(WithdrawError::from))
}

/// The receipt of a settled payment with its proof, as JSON.
pub fn receipt_proof<R: Runtime>(runtime: &R, id: &[u8]) -> Option<String> {
    receipt::proof(runtime, &PaymentId(id.try_into().ok()?))
}

/// Certifies what changed, and returns `result`.
fn certified<R: Runtime, T, E>(runtime: &R, result: Result<T, E>) -> Result<T, E> {
    certify_changes(runtime);
    result
}

impl From<Invalid> for LedgerError {
    fn from(error: Invalid) -> Self {
        LedgerError::InvalidArgument(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{runtime::scripted::ScriptedRuntime, types::TimestampNs};

    #[test]
    fn an_id_of_another_length_is_an_invalid_argument() {
        storage::config::write(&storage::config::tests::config()).unwrap();
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        for bytes in [0, 31, 33] {
            let id = vec![1; bytes];
            for refused in [
                refund_payment(&runtime, &id),
                refund_by_merchant(&runtime, &id),
            ] {
                let Err(RefundError::InvalidArgument(error)) = refused else {
                    panic!("{refused:?}");
                };
                assert_eq!(
                    (error.field.as_str(), error.limit),
                    ("id", Some(32u8.into()))
                );
            }
        }
        let unknown = Err(RefundError::UnknownPayment);
        assert_eq!(refund_payment(&runtime, &[1; 32]), unknown);
        assert_eq!(refund_by_merchant(&runtime, &[1; 32]), unknown);
    }
}
