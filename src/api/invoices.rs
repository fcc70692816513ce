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
