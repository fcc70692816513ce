//! Invoices, and their conversion to and from records of `canister.did`.

use super::convert::account;
use crate::{
    domain::{
        invoice::{InvoiceId, Return, Stage},
        ledger::MAX_AMOUNT,
        rail::TxRef,
        validate::{self, InvalidArgument as Invalid},
    },
    service::invoice::{InvoiceError as Problem, Returned as GivenBack, View},
    storage,
    types::{Account, Amount},
};
use candid::{Nat, Principal};
use serde_bytes::ByteBuf;
use tollkeeper_types::{
    AccountArg, Invoice, InvoiceError, InvoiceReturn, InvoiceStatus, ReturnMade, Returned,
};
use x402_icp::account::identifier;

/// The ICP ledger, which knows accounts by another identifier, too. So do ledgers with its interface.
const ICP_LEDGER: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 2, 1, 1];

pub fn invoice_id(blob: &[u8]) -> Result<InvoiceId, Invalid> {
    validate::bytes32("id", blob).map(InvoiceId)
}

pub fn invoice_price(price: Option<&Nat>) -> Result<Option<Amount>, Invalid> {
    let read = |price| validate::bounded_nat("price", price, MAX_AMOUNT).map(Amount);
    price.map(read).transpose()
}

/// An account that money is given back to.
pub fn return_account(field: &str, given: Option<&AccountArg>) -> Result<Option<Account>, Invalid> {
    given.map(|given| account(field, given)).transpose()
}

/// The account identifier of the ICP ledger; `None` in other ledgers.
pub fn account_identifier(ledger: &Principal, account: &Account) -> Option<String> {
    let speaks_icp =
        || storage::ledgers::get(ledger).is_some_and(|known| known.answers_query_blocks);
    let is_icp = ledger.as_slice() == ICP_LEDGER || speaks_icp();
    is_icp.then(|| hex::encode(identifier(account)))
}

fn status(view: &View) -> InvoiceStatus {
    match view.invoice.stage {
        Stage::Open => InvoiceStatus::Open,
        Stage::Collecting => InvoiceStatus::Collecting,
        Stage::Paid => match view.payment.as_ref().and_then(|known| known.state.moved()) {
            Some((TxRef::Block(block), at)) => InvoiceStatus::Paid {
                block_index: Nat::from(block.0),
                settled_at: at.0,
            },
            // Its row cannot be read.
            None => InvoiceStatus::Collecting,
        },
        Stage::Expired => InvoiceStatus::Expired,
        Stage::Short => InvoiceStatus::Short,
        Stage::NotSold => InvoiceStatus::NotSold,
        Stage::NoRoom => InvoiceStatus::NoRoom,
        Stage::Refused => InvoiceStatus::Refused,
    }
}

impl From<Return> for InvoiceReturn {
    fn from(known: Return) -> Self {
        InvoiceReturn {
            pending: known.is_open(),
            to: known.to,
            made: known.made.map(|made| ReturnMade {
                amount: Nat::from(made.amount.0),
                block_index: Nat::from(made.block.0),
                at: made.at.0,
            }),
        }
    }
}

impl From<View> for Invoice {
    fn from(view: View) -> Self {
        let status = status(&view);
        let invoice = view.invoice;
        Invoice {
            account: view.account,
            account_text: view.account.to_string(),
            account_identifier: account_identifier(&invoice.ledger, &view.account),
            ledger: invoice.ledger,
            amount: Nat::from(view.amount.0),
            price: Nat::from(invoice.price.0),
            pay_to: invoice.pay_to,
            offer: hex::encode(invoice.offered.id),
            expires_at: invoice.expires_at().0,
            method: invoice.request.method.to_string(),
            path: invoice.request.path,
            symbol: invoice.offered.symbol,
            decimals: invoice.offered.decimals,
            refund_to: invoice.refund_to,
            created_at: invoice.created_at.0,
            balance: Nat::from(invoice.balance.0),
            read_at: invoice.read_at.map(|at| at.0),
            status,
            payment_id: view
                .payment
                .map(|payment| ByteBuf::from(payment.id.0.to_vec())),
            returned: view.returned.map(InvoiceReturn::from),
        }
    }
}

impl From<GivenBack> for Returned {
    fn from(returned: GivenBack) -> Self {
        Returned {
            to: returned.to,
            amount: Nat::from(returned.amount.0),
            block_index: Nat::from(returned.block.0),
        }
    }
}

impl From<Problem> for InvoiceError {
    fn from(problem: Problem) -> Self {
        // The limits are small.
        let limited = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX);
        match problem {
            Problem::InvalidArgument(error) => error.into(),
            Problem::UnknownInvoice => InvoiceError::UnknownInvoice,
            Problem::UnknownLedger => InvoiceError::UnknownLedger,
            Problem::NotSold => InvoiceError::NotSold,
            Problem::IdUsed => InvoiceError::IdUsed,
            Problem::TooManyInvoices { limit } => InvoiceError::TooManyInvoices {
                limit: limited(limit),
            },
            Problem::TooManyRequests { limit } => InvoiceError::TooManyRequests {
                limit: limited(limit),
            },
            Problem::NotEnded { expires_at } => InvoiceError::NotEnded {
                expires_at: expires_at.0,
            },
            Problem::OtherAccount { account } => InvoiceError::OtherAccount { account },
            Problem::NothingToReturn { balance, fee } => InvoiceError::NothingToReturn {
                balance: Nat::from(balance.0),
                fee: Nat::from(fee.0),
            },
            Problem::InProgress => InvoiceError::InProgress,
            Problem::LedgerUnavailable { problem } => InvoiceError::LedgerUnavailable { problem },
            Problem::Unknown => InvoiceError::Unknown,
        }
    }
}

impl From<Invalid> for InvoiceError {
    fn from(error: Invalid) -> Self {
        InvoiceError::InvalidArgument(error.into())
    }
}
