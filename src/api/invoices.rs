//! The Candid interface of invoices.

use crate::{
    api::{
        http::{certify_changes, invoices::read},
        types::{
            Invoice, InvoiceArgs, InvoiceError, InvoiceReturnArgs, Returned, invoice_id,
            return_account,
        },
    },
    runtime::Runtime,
    service::invoice,
    storage,
};

pub fn create<R: Runtime>(runtime: &R, args: &InvoiceArgs) -> Result<Invoice, InvoiceError> {
    let (id, terms) = read(args)?;
    Ok(invoice::create(runtime, &id, &terms)?.into())
}

pub fn find<R: Runtime>(runtime: &R, id: &[u8]) -> Option<Invoice> {
    invoice::view(runtime, &invoice_id(id).ok()?).map(Invoice::from)
}

pub async fn check<R: Runtime>(runtime: &R, id: &[u8]) -> Result<Invoice, InvoiceError> {
    let known = invoice::check(runtime, &invoice_id(id)?).await;
    // The ledger may have named a new fee.
    certify_changes(runtime);
    Ok(known?.into())
}

pub async fn give_back<R: Runtime>(
    runtime: &R,
    args: &InvoiceReturnArgs,
) -> Result<Returned, InvoiceError> {
    let id = invoice_id(&args.id)?;
    let to = return_account("to", args.to.as_ref())?;
    let returned = invoice::give_back(runtime, &id, args.ledger, to).await;
    certify_changes(runtime);
    Ok(returned?.into())
}

/// Whether an ingress message with these arguments is executed: others would only be refused.
pub fn accepts_new<R: Runtime>(runtime: &R, args: &InvoiceArgs) -> bool {
    read(args).is_ok_and(|(id, _)| {
        storage::invoices::get(&id).is_some() || storage::invoices::may_create(runtime.now(), false)
    })
}

/// The same for the id of an invoice.
pub fn is_known(id: &[u8]) -> bool {
    invoice_id(id).is_ok_and(|id| storage::invoices::get(&id).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{inspect, types::AccountArg},
        runtime::scripted::ScriptedRuntime,
        storage::config::tests::config,
        types::TimestampNs,
    };
    use candid::{Encode, Principal};
    use serde_bytes::ByteBuf;

    fn taken_by(runtime: &ScriptedRuntime, method: &str, argument: &[u8]) -> bool {
        inspect::accept(runtime, method, argument.len(), || argument.to_vec())
    }

    #[test]
    fn attack_invoices_that_would_be_refused_are_dropped() {
        storage::config::write(&config()).unwrap();
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        runtime.caller.set(Principal::anonymous());
        let args = |method: &str| InvoiceArgs {
            id: ByteBuf::from(vec![7; 32]),
            method: method.into(),
            path: format!("/{}", "x".repeat(255)),
            ledger: Principal::from_slice(&[7; 29]),
            price: Some((u128::MAX / 1_000).into()),
            refund_to: Some(AccountArg {
                owner: Principal::from_slice(&[7; 29]),
                subaccount: Some(ByteBuf::from(vec![7; 32])),
            }),
        };
        let longest = Encode!(&args("GET")).unwrap();
        assert!(longest.len() < 500, "{}", longest.len());
        assert!(taken_by(&runtime, "invoice_create", &longest));
        let post = Encode!(&args("POST")).unwrap();
        assert!(!taken_by(&runtime, "invoice_create", &post));
        assert!(!taken_by(&runtime, "invoice_create", b"garbage"));
        let id = Encode!(&ByteBuf::from(vec![7; 32])).unwrap();
        assert!(!taken_by(&runtime, "invoice_check", &id), "it is not known");
        let returning = InvoiceReturnArgs {
            id: ByteBuf::from(vec![7; 32]),
            ledger: Principal::from_slice(&[7; 29]),
            to: args("GET").refund_to,
        };
        let returning = Encode!(&returning).unwrap();
        assert!(taken_by(&runtime, "invoice_return", &returning));
        assert!(!taken_by(
            &runtime,
            "invoice_return",
            &[&returning[..], &[0]].concat()
        ));
        // No more are made than the bound allows.
        while storage::invoices::may_create(runtime.now(), true) {}
        assert!(!taken_by(&runtime, "invoice_create", &longest));
    }
}
