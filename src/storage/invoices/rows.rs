//! The rows of invoices and of what is given back.

use crate::{
    domain::{
        invoice::{Invoice, InvoiceId, Made, Return, Stage},
        payment::Offered,
    },
    storage::{
        codec::{StoredAccount, StoredPrincipal, StoredU128, number_in, of_number},
        liabilities::OutgoingRow,
    },
    types::{BlockIndex, Method, RouteKey, TimestampNs},
};
use candid::Principal;
use minicbor::{Decode, Encode};

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InvoiceRow {
    #[n(0)]
    ledger: StoredPrincipal,
    #[n(1)]
    path: String,
    #[cbor(n(2), with = "minicbor::bytes")]
    offer: [u8; 16],
    #[n(3)]
    symbol: String,
    #[n(4)]
    decimals: u8,
    #[n(5)]
    price: StoredU128,
    #[n(6)]
    fee: StoredU128,
    #[n(7)]
    pay_to: StoredAccount,
    #[n(8)]
    refund_to: Option<StoredAccount>,
    #[n(9)]
    created_at: u64,
    #[n(10)]
    stage: u8,
    #[n(11)]
    since: u64,
    #[n(12)]
    attempts: u8,
    #[n(13)]
    balance: StoredU128,
    #[n(14)]
    read_at: Option<u64>,
    #[n(15)]
    unanswered: u16,
    #[n(16)]
    due: Option<u64>,
    #[cbor(n(17), with = "minicbor::bytes")]
    id: [u8; 32],
}

impl InvoiceRow {
    pub fn new(id: &InvoiceId, invoice: &Invoice) -> Self {
        InvoiceRow {
            id: id.0,
            ledger: StoredPrincipal(invoice.ledger),
            path: invoice.request.path.clone(),
            offer: invoice.offered.id,
            symbol: invoice.offered.symbol.clone(),
            decimals: invoice.offered.decimals,
            price: invoice.price.into(),
            fee: invoice.fee.into(),
            pay_to: StoredAccount(invoice.pay_to),
            refund_to: invoice.refund_to.map(StoredAccount),
            created_at: invoice.created_at.0,
            stage: number_in(&Stage::ALL, invoice.stage),
            since: invoice.since.0,
            attempts: invoice.attempts,
            balance: invoice.balance.into(),
            read_at: invoice.read_at.map(|at| at.0),
            unanswered: invoice.unanswered,
            due: invoice.due.map(|at| at.0),
        }
    }

    pub fn id(&self) -> InvoiceId {
        InvoiceId(self.id)
    }

    pub fn invoice(self) -> Invoice {
        let row = self;
        Invoice {
            ledger: row.ledger.0,
            request: RouteKey::new(Method::Get, row.path),
            offered: Offered {
                id: row.offer,
                symbol: row.symbol,
                decimals: row.decimals,
            },
            price: row.price.into(),
            fee: row.fee.into(),
            pay_to: row.pay_to.0,
            refund_to: row.refund_to.map(|account| account.0),
            created_at: TimestampNs(row.created_at),
            stage: of_number(&Stage::ALL, row.stage)
                .expect("BUG: a stored invoice has an unknown stage"),
            since: TimestampNs(row.since),
            attempts: row.attempts,
            balance: row.balance.into(),
            read_at: row.read_at.map(TimestampNs),
            unanswered: row.unanswered,
            due: row.due.map(TimestampNs),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct MadeRow {
    #[n(0)]
    block: u64,
    #[n(1)]
    amount: StoredU128,
    #[n(2)]
    at: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReturnRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 32],
    #[n(1)]
    ledger: StoredPrincipal,
    #[n(2)]
    to: StoredAccount,
    #[n(3)]
    amount: StoredU128,
    #[n(4)]
    outgoing: OutgoingRow,
    #[n(5)]
    number: u64,
    #[n(6)]
    failures: u16,
    #[n(7)]
    due: Option<u64>,
    #[n(8)]
    made: Option<MadeRow>,
}

impl ReturnRow {
    pub fn new(id: &InvoiceId, ledger: &Principal, known: &Return) -> Self {
        ReturnRow {
            id: id.0,
            ledger: StoredPrincipal(*ledger),
            to: StoredAccount(known.to),
            amount: known.amount.into(),
            outgoing: (&known.outgoing).into(),
            number: known.number,
            failures: known.failures,
            due: known.due.map(|at| at.0),
            made: known.made.map(|made| MadeRow {
                block: made.block.0,
                amount: made.amount.into(),
                at: made.at.0,
            }),
        }
    }

    pub fn id(&self) -> InvoiceId {
        InvoiceId(self.id)
    }

    pub fn ledger(&self) -> Principal {
        self.ledger.0
    }
}

impl From<ReturnRow> for Return {
    fn from(row: ReturnRow) -> Self {
        Return {
            to: row.to.0,
            amount: row.amount.into(),
            outgoing: row.outgoing.into(),
            number: row.number,
            failures: row.failures,
            due: row.due.map(TimestampNs),
            made: row.made.map(|made| Made {
                block: BlockIndex(made.block),
                amount: made.amount.into(),
                at: TimestampNs(made.at),
            }),
        }
    }
}
