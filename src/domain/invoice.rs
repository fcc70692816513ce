//! Invoices: for payers who can set neither memo nor allowance. They pay with a plain transfer to an account that is
//! the invoice's own, and the canister passes the price on to the merchant.
//!
//! The person who asks for an invoice chooses its id, 32 random bytes. The id is a secret: who knows it gets what was
//! bought, and says where money goes that bought nothing. Account, payment ids and memos are hashes of it.
//!
//! ```text
//!  (none) ──created──▶ Open ──enough money──▶ Collecting ──the payment settled──▶ Paid
//!                      ▲ │                        │ the ledger made no transfer
//!                      │ │                        ├──────────▶ Refused, after the last attempt
//!                      └─│────────────────────────┘
//!                        ├─ less, when read after the expiry ─▶ Expired, Short
//!                        └─ enough, but it cannot be sold ────▶ NotSold, NoRoom
//! ```
//! Only a balance that the ledger names moves an open invoice. While it is `Collecting`, a payment of the rail
//! [`Rail::Invoice`](crate::domain::rail::Rail) says what became of it: the money goes from the invoice's account to
//! the merchant's, once. What is in the account when an invoice has ended is given back.

mod returns;

use crate::{
    domain::payment::Offered,
    types::{
        Account, Amount, AuthorizationDigest, ClaimKey, PaymentId, RouteKey, Seconds, TimestampNs,
    },
};
use candid::Principal;
pub use returns::{MAX_FAILURES, Made, Return, Step};
use std::fmt;
use x402_icp::invoice::{self as shared, TAG};

/// How long an invoice can be paid.
pub const LIFETIME: Seconds = Seconds(3_600);
/// The most invoices that are kept.
pub const MAX_INVOICES: u64 = 10_000;
/// The most invoices of one ledger that are open. More than can be made in an hour: it is reached only if the ledger
/// does not answer.
pub const MAX_OPEN_IN_LEDGER: u64 = 2_500;
/// The most transfers to the merchant that are begun for one invoice. All but the last provably moved nothing.
pub const MAX_ATTEMPTS: u8 = 6;
/// The balance of one invoice is read once in this time for those who ask.
pub const CHECK_PAUSE: Seconds = Seconds(5);
/// An invoice that is paid for and cannot be collected this long after its expiry is given back.
pub const GIVE_UP: Seconds = Seconds::DAY;

/// The id of an invoice. It is a secret, and is not printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InvoiceId(pub [u8; 32]);

impl fmt::Debug for InvoiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvoiceId")
    }
}

impl InvoiceId {
    fn hash(&self, domain: &[u8], canister: &Principal, attempt: u8) -> [u8; 32] {
        shared::hash(domain, canister, &self.0, attempt)
    }

    /// The account that the invoice is paid to: the same in every ledger, so that tokens of another one can be given
    /// back.
    pub fn account(&self, canister: Principal) -> Account {
        shared::account(canister, &self.0)
    }

    /// The id of the payment that this attempt makes: the memo of its transfer. It is public.
    pub fn payment_id(&self, canister: &Principal, attempt: u8) -> PaymentId {
        PaymentId(self.hash(b"x402-icp-invoice-payment", canister, attempt))
    }

    /// What only those who know the id can compute.
    pub fn digest(&self, canister: &Principal, attempt: u8) -> AuthorizationDigest {
        self.hash(b"x402-icp-invoice-digest", canister, attempt)
            .into()
    }

    /// The memo of what is given back.
    pub fn return_memo(&self, canister: &Principal) -> [u8; 32] {
        self.hash(b"x402-icp-invoice-return", canister, 0)
    }

    /// The claim key of the payment that this attempt makes.
    pub fn claim_key(&self, attempt: u8) -> ClaimKey {
        ClaimKey::invoice(&self.0, attempt)
    }

    /// The claim keys of all payments that an invoice with this id can have.
    pub fn claim_keys(&self) -> impl Iterator<Item = ClaimKey> {
        (1..=MAX_ATTEMPTS).map(|attempt| self.claim_key(attempt))
    }
}

/// Whether an account has the form of an invoice's. Such accounts hold the money of payers.
pub fn is_invoice_account(account: &Account) -> bool {
    account.subaccount.is_some_and(|sub| sub.starts_with(&TAG))
}

/// How far an invoice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for money.
    Open,
    /// Enough came, and a payment of the latest attempt is being settled.
    Collecting,
    /// The merchant has the money.
    Paid,
    /// No money came in time.
    Expired,
    /// Too little money came in time.
    Short,
    /// Enough came, but the offer was gone.
    NotSold,
    /// Enough came, but the canister had no room for another payment.
    NoRoom,
    /// Enough came, but the ledger refused the transfer to the merchant each time.
    Refused,
}

impl Stage {
    /// Every stage, in the order of their numbers in storage.
    pub const ALL: [Stage; 8] = [
        Stage::Open,
        Stage::Collecting,
        Stage::Paid,
        Stage::Expired,
        Stage::Short,
        Stage::NotSold,
        Stage::NoRoom,
        Stage::Refused,
    ];

    /// Whether nothing will be bought any more. What is in the account then is given back.
    pub const fn has_ended(self) -> bool {
        !matches!(self, Stage::Open | Stage::Collecting)
    }
}

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    pub ledger: Principal,
    /// The request that is paid for: a `GET`.
    pub request: RouteKey,
    /// The offer that was shown.
    pub offered: Offered,
    /// The amount that the merchant gets.
    pub price: Amount,
    /// The ledger's fee when the invoice was made.
    pub fee: Amount,
    pub pay_to: Account,
    /// The account that gets back what buys nothing; `None`: whoever knows the id names one.
    pub refund_to: Option<Account>,
    pub created_at: TimestampNs,
    pub stage: Stage,
    /// The time of the latest change of the stage.
    pub since: TimestampNs,
    /// The payments that were begun.
    pub attempts: u8,
    /// What is in the account, as far as is known.
    pub balance: Amount,
    /// When the ledger was asked for it.
    pub read_at: Option<TimestampNs>,
    /// The readings in a row that the ledger did not answer.
    pub unanswered: u16,
    /// When the canister looks at the invoice by itself.
    pub due: Option<TimestampNs>,
}

/// What a reading of the balance leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Wait,
    /// Transfer the price to the merchant.
    Collect,
    End(Stage),
}

impl Invoice {
    pub fn expires_at(&self) -> TimestampNs {
        self.created_at.plus(LIFETIME)
    }

    /// The amount to send, with the fee of the transfer to the merchant. `fee`: the ledger's present one.
    pub fn amount(&self, fee: Amount) -> Amount {
        Amount(self.price.0.saturating_add(self.fee.max(fee).0))
    }

    /// Whether the two were made for the same terms. The price of an invoice stays, whatever the offers are by now.
    pub fn has_terms(&self, wanted: &Terms) -> bool {
        self.ledger == wanted.ledger
            && self.request == wanted.request
            && self.refund_to == wanted.refund_to
            && wanted.price.is_none_or(|price| price == self.price)
    }

    /// What a balance of an open invoice leads to. `asked_at`: when the ledger was asked. `fee`: the ledger's present
    /// one. `sold`: whether what was offered is still sold.
    pub fn next(
        &self,
        balance: Amount,
        asked_at: TimestampNs,
        fee: Amount,
        sold: bool,
        now: TimestampNs,
    ) -> Next {
        let enough = balance.0 >= self.price.0.saturating_add(fee.0);
        match (enough, sold) {
            (true, true) if self.paused_until(now).is_none() => Next::Collect,
            (true, true) => Next::Wait,
            (true, false) => Next::End(Stage::NotSold),
            (false, _) if asked_at < self.expires_at() => Next::Wait,
            (false, _) if balance.0 == 0 => Next::End(Stage::Expired),
            (false, _) => Next::End(Stage::Short),
        }
    }

    /// The end of the pause after an attempt that moved nothing, if it is not over: a minute after the first, then four
    /// times as long each time.
    pub fn paused_until(&self, now: TimestampNs) -> Option<TimestampNs> {
        let failed = self.attempts.checked_sub(1)?;
        let until = self
            .since
            .plus(Seconds(60 << (2 * u32::from(failed).min(5))));
        (now < until).then_some(until)
    }

    /// When an open invoice is looked at next.
    pub fn next_look(&self, now: TimestampNs) -> TimestampNs {
        let expiry = self.expires_at().max(now);
        self.paused_until(now).unwrap_or(expiry)
    }

    /// Whether the invoice may be looked at for somebody who asks.
    pub fn may_be_read(&self, now: TimestampNs) -> bool {
        self.read_at.is_none_or(|at| at.plus(CHECK_PAUSE) <= now)
    }

    pub fn change(&mut self, stage: Stage, now: TimestampNs) {
        self.stage = stage;
        self.since = now;
        self.due = None;
    }
}

/// What somebody wants an invoice for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub request: RouteKey,
    pub ledger: Principal,
    /// The price, if there are several in this ledger.
    pub price: Option<Amount>,
    pub refund_to: Option<Account>,
}

#[cfg(test)]
mod tests;
