//! The Candid interface for signed receipts.

use crate::{
    api::{
        http::certify_changes,
        types::{ReceiptSignError, ReceiptSigning, ReceiptSigningArgs, ReceiptSigningError},
    },
    domain::{receipt_key::Signing, validate},
    runtime::Runtime,
    service::{
        admin::AdminError,
        receipt_sign::{self, NotSet, NotSigned},
    },
    storage::receipt_signatures,
    types::PaymentId,
};
use candid::Nat;

pub async fn receipt_signing_set<R: Runtime>(
    runtime: &R,
    args: Option<ReceiptSigningArgs>,
) -> Result<(), ReceiptSigningError> {
    let signing = args.map(|args| Signing {
        key_name: args.key_name,
        per_day: args.per_day,
    });
    let done = receipt_sign::set(runtime, signing).await;
    // The DID document.
    certify_changes(runtime);
    done.map_err(|error| match error {
        NotSet::Admin(AdminError::Unauthorized(_)) => ReceiptSigningError::Unauthorized,
        NotSet::Admin(AdminError::InvalidArgument(error)) => {
            ReceiptSigningError::InvalidArgument(error.into())
        }
        NotSet::NoKey(problem) => ReceiptSigningError::NoKey(problem),
    })
}

pub fn receipt_signing() -> ReceiptSigning {
    ReceiptSigning {
        setting: receipt_signatures::signing().map(|signing| ReceiptSigningArgs {
            key_name: signing.key_name,
            per_day: signing.per_day,
        }),
        signed: receipt_signatures::count(),
    }
}

pub async fn receipt_sign<R: Runtime>(runtime: &R, id: &[u8]) -> Result<String, ReceiptSignError> {
    let id = validate::bytes32("id", id);
    let id = id.map_err(|error| ReceiptSignError::InvalidArgument(error.into()))?;
    let signed = receipt_sign::sign(runtime, &PaymentId(id)).await;
    signed.map_err(|error| match error {
        NotSigned::NotFound => ReceiptSignError::NotFound,
        NotSigned::Unauthorized => ReceiptSignError::Unauthorized,
        NotSigned::NotDelivered => ReceiptSignError::NotDelivered,
        NotSigned::Off => ReceiptSignError::NotEnabled,
        NotSigned::Busy => ReceiptSignError::Busy,
        NotSigned::TooMany(too_many) => ReceiptSignError::TooMany {
            limit: too_many.limit,
            retry_after_seconds: too_many.retry_after.0,
        },
        NotSigned::TooFewCycles(price) => ReceiptSignError::TooFewCycles {
            price: Nat::from(price.0),
        },
        NotSigned::Failed(problem) => ReceiptSignError::Failed(problem),
    })
}
