//! The purchase, step by step.
//!
//! ```text
//!  one call at a time for each request
//!       │
//!       ▼                 no
//! is it recorded? ───────────────▶ ask ──402──▶ choose ──▶ check balance, allowance, fee ──▶ (approve) ──▶ sign once
//!       │ yes                                                                                                │
//!       ▼                                                                                                    ▼
//! send that payment ◀──────────────────────────────────────────────────────────────────────────────────── record it
//!       │
//!       ├─ resource and matching receipt: the record ends
//!       ├─ refused, or past its validBefore: ask canister and ledger; dead: the record ends
//!       └─ anything else: the record stays, and the same request sends the same payment again
//! ```

mod call;
mod confirmed;
mod fund;
mod invoice;
mod options;
mod quote;
mod send;
mod settle;
mod sign;
mod transfer;

pub use quote::{Priced, Quote};

use crate::{
    answer::Paid,
    confirm::Resolution,
    error::PayError,
    http::{Http, Request, Response},
    identity::Identity,
    journal::{Entry, Journal, Lock, MemoryJournal, RequestKey, now},
    limits::Limits,
    network::Network,
    offer::{By, SpendControls},
    payment::SignedPayment,
    step::Step,
};
use candid::Principal;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use x402_icp::{Account, Amount, PaymentId};

/// How long an unknown outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between tries of a lock that another call holds.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// The most unresolved payments to one canister.
const MAX_UNRESOLVED: usize = 100;

type Watcher = Arc<dyn Fn(&Step) + Send + Sync>;

/// The result of a purchase.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// No payment was requested. Check the status: it may be a 404.
    Free(Response),
    /// Paid and delivered.
    Paid(Box<Paid>),
}

/// Buys resources for one identity on one network.
#[derive(Clone)]
pub struct Payer {
    identity: Identity,
    network: Network,
    account: Account,
    controls: SpendControls,
    by: By,
    spender: Option<Principal>,
    approve: Option<Option<Amount>>,
    patience: Duration,
    max_unresolved: usize,
    limits: Limits,
    http: Http,
    journal: Arc<dyn Journal>,
    watch: Option<Watcher>,
    /// Off in tests whose network has no ledgers.
    #[cfg(test)]
    asks_ledgers: bool,
    /// The ledger of tests whose network has none.
    #[cfg(test)]
    test_rail: Option<Arc<dyn crate::ledger::Rail>>,
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payer({} on {})", self.account, self.network.id())
    }
}

impl Payer {
    /// Pays from the identity's default account with the default [`SpendControls`], approves nothing, and records
    /// payments in memory; clones share the records. The network must be opened with the same identity: approvals,
    /// transfers and calls are made in its name.
    pub fn new(identity: Identity, network: Network) -> Result<Self, PayError> {
        let (payer, caller) = (identity.principal(), network.caller());
        if caller != payer {
            return Err(PayError::OtherIdentity { caller, payer });
        }
        let limits = Limits::default();
        Ok(Payer {
            account: identity.account(),
            identity,
            network,
            controls: SpendControls::default(),
            by: By::default(),
            spender: None,
            approve: None,
            patience: PATIENCE,
            max_unresolved: MAX_UNRESOLVED,
            limits,
            http: Http::new(limits).map_err(PayError::Unreachable)?,
            journal: Arc::new(MemoryJournal::new()),
            watch: None,
            #[cfg(test)]
            asks_ledgers: true,
            #[cfg(test)]
            test_rail: None,
        })
    }

    /// The account that pays.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The network that is paid on.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The journal that records payments.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Buys a resource.
    ///
    /// The payment is recorded before it is sent. Whatever ends this call, including a timeout or an abort, the next
    /// call for the same request sends the recorded payment and signs no other, until that one is delivered or proven
    /// dead. Of two concurrent calls for the same request the second waits for the first, up to the patience, and gets
    /// what the first has paid for.
    pub async fn pay(&self, request: &Request) -> Result<Outcome, PayError> {
        let key = self.key(request);
        let (_turn, shared) = self.turn(&key).await?;
        if let Some(paid) = self.resume(&key, shared, request).await? {
            return Ok(Outcome::Paid(paid));
        }
        let priced = match self.quote(request).await? {
            Quote::Free(response) => return Ok(Outcome::Free(response)),
            Quote::Priced(priced) => priced,
        };
        // After a redirect the payment is for another URL, which may have been requested directly before.
        let led_to = self.key(&priced.request);
        let _other_turn = match led_to == key {
            true => None,
            false => {
                let (turn, shared) = self.turn(&led_to).await?;
                if let Some(paid) = self.resume(&led_to, shared, &priced.request).await? {
                    return Ok(Outcome::Paid(paid));
                }
                Some(turn)
            }
        };
        let offer = self.fund(&priced).await?;
        let payment = self.sign(&priced, &offer)?;
        self.record(&payment)?;
        self.transmit(&payment).await.map(Outcome::Paid)
    }

    /// Sends a payment, for instance one that was read from a file, until its outcome is known or patience ends. It is
    /// recorded first. Fails with the other payment if one for the same request is recorded and not resolved.
    ///
    /// A refusal counts only if the collecting canister confirms it and the ledger agrees: the authorization is
    /// cancelled there by an update call, so that it cannot be presented later. If that fails, the refusal is
    /// [`PayError::Unsettled`]: the payment is valid until its `validBefore`.
    pub async fn send(&self, payment: &SignedPayment) -> Result<Box<Paid>, PayError> {
        let mut turns = Vec::new();
        for key in payment.keys() {
            turns.push(self.turn(&key).await?.0);
        }
        if let Err(problem) = payment.check() {
            return Err(unsettled(payment, problem));
        }
        let payment = self.known_to_be_made(payment).await?;
        let (_, known) = self.record(&payment)?;
        let mut payment = self.recorded(payment)?;
        // A payment that is recorded already may have been sent, whatever happens now.
        payment.stored |= known;
        self.transmit(&payment).await
    }

    /// Finds out the outcome of a payment and, if it is not used yet, cancels it: the collecting canister is called by
    /// update call, and the ledger has to agree. A dead payment is no longer recorded. A transfer cannot be cancelled:
    /// it is looked for in the ledger's log, and a call in the canister's records.
    pub async fn resolve(&self, payment: &SignedPayment) -> Resolution {
        self.settle(payment, true, "asked").await
    }

    /// The same without cancelling: before its `validBefore`, a payment that the canister does not know is unknown.
    pub async fn status(&self, payment: &SignedPayment) -> Resolution {
        self.settle(payment, false, "asked").await
    }

    /// The recorded payments whose end is not proven.
    pub fn unresolved(&self) -> Result<Vec<Entry>, PayError> {
        Ok(self.journal.unresolved()?)
    }

    /// Sends a recorded payment again, by its id: to fetch what was paid for, or to find out whether it was. `None` if
    /// it is not recorded. Headers that are secrets are not recorded; with them, [`Payer::pay`] for the same request
    /// does the same.
    pub async fn refetch(&self, id: PaymentId) -> Result<Option<Box<Paid>>, PayError> {
        match self.journal.with_id(id)? {
            Some(Entry { mut payment, .. }) => {
                payment.stored = true;
                self.send(&payment).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Ends the record of a payment on the user's command. Returns whether there was one. The same request then gets a
    /// new payment, and **the forgotten payment may still be charged**.
    pub fn forget(&self, id: PaymentId) -> Result<bool, PayError> {
        Ok(self.journal.forget(id)?)
    }

    /// The key under which a request's payment is recorded.
    pub fn key(&self, request: &Request) -> RequestKey {
        let network = self.network.id();
        RequestKey::new(
            &self.account,
            network,
            &request.method,
            &request.url,
            &request.body,
        )
    }

    /// Waits until no other call pays for this request. Returns the payment that was recorded meanwhile, too.
    async fn turn(&self, key: &RequestKey) -> Result<(Lock, Option<SignedPayment>), PayError> {
        let started = Instant::now();
        let mut told = false;
        let mut seen = None;
        loop {
            if let Some(lock) = self.journal.try_lock(key)? {
                return Ok((lock, seen));
            }
            if let Some(entry) = self.journal.find(key)? {
                seen = Some(entry.payment);
            }
            if started.elapsed() >= self.patience {
                return Err(PayError::InProgress);
            }
            if !told {
                self.tell(Step::WaitingForTurn);
                told = true;
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }

    /// The payment of a request that is to be sent again. `shared`: the payment that another call made while this one
    /// waited; if its record has ended meanwhile, it is recorded again, so that no other payment is signed.
    ///
    /// The journal is read once: the other call may end its record at any time, also after it has released the lock,
    /// and between two readings the payment would be in neither.
    async fn unfinished(
        &self,
        key: &RequestKey,
        shared: Option<SignedPayment>,
    ) -> Result<Option<Entry>, PayError> {
        if let Some(entry) = self.journal.find(key)? {
            return Ok(Some(entry));
        }
        let made = match shared {
            Some(payment) => self.was_made(payment).await,
            None => None,
        };
        match made {
            Some(payment) => self.record(&payment).map(|(entry, _)| Some(entry)),
            None => Ok(None),
        }
    }

    /// Sends the unfinished payment of a request; `None` if there is none, or it is proven dead.
    async fn resume(
        &self,
        key: &RequestKey,
        shared: Option<SignedPayment>,
        request: &Request,
    ) -> Result<Option<Box<Paid>>, PayError> {
        let Some(Entry { mut payment, file }) = self.unfinished(key, shared).await? else {
            return Ok(None);
        };
        if let Some(id) = payment.id() {
            self.tell(Step::Resuming { id, path: file });
        }
        // Headers that are secrets are not stored: the caller has them.
        payment.headers.clone_from(&request.headers);
        payment.stored = true;
        if let Err(problem) = payment.check() {
            return Err(unsettled(&payment, problem));
        }
        match self.transmit(&payment).await {
            Ok(paid) => Ok(Some(paid)),
            // Proven dead, so the resource may be bought with a new payment.
            Err(PayError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Records a payment before it is sent. Returns its entry, and whether it was recorded before.
    fn record(&self, payment: &SignedPayment) -> Result<(Entry, bool), PayError> {
        let unresolved = self.journal.unresolved()?;
        let known = unresolved
            .iter()
            .any(|entry| entry.payment.payment_id == payment.payment_id);
        let same_spender = |entry: &&Entry| entry.payment.spender() == payment.spender();
        if !known && unresolved.iter().filter(same_spender).count() >= self.max_unresolved {
            return Err(PayError::TooManyUnresolved {
                spender: payment.spender().unwrap_or(Principal::anonymous()),
                limit: self.max_unresolved,
            });
        }
        match self.journal.record(payment) {
            Ok(entry) => {
                if let Some(id) = entry.payment.id() {
                    let path = entry.file.clone();
                    self.tell(Step::Recorded { id, path });
                }
                Ok((entry, known))
            }
            Err(crate::journal::JournalError::Unresolved(other)) => Err(PayError::Unsettled {
                payment: other,
                reason: "it was made for the same request before".into(),
            }),
            Err(problem) => Err(problem.into()),
        }
    }

    fn tell(&self, step: Step) {
        if let Some(watch) = &self.watch {
            watch(&step);
        }
    }
}

fn unsettled(payment: &SignedPayment, reason: String) -> PayError {
    PayError::Unsettled {
        payment: Box::new(payment.clone()),
        reason,
    }
}

#[cfg(test)]
mod tests;
