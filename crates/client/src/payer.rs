//! The purchase, step by step.
//!
//! ```text
//! ask ──402──▶ choose (spend controls, network, spender) ──▶ check balance and allowance ──▶ (approve)
//!                                                                                              │
//!      ◀── Paid / Refused ◀── judge ◀── send the same payment until the outcome is known ◀── sign once
//! ```

use crate::{
    answer::{Paid, Verdict, judge, serving_canister},
    confirm::{Confirmation, confirm},
    error::PayError,
    http::{Http, HttpError, Request, Response},
    identity::Identity,
    ledger::Approval,
    network::Network,
    offer::{Expectations, Offer, SpendControls, select},
    payment::SignedPayment,
    step::Step,
};
use candid::Principal;
use serde_json::{Map, Value};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use x402_icp::{
    Account, Amount,
    decode::decode_header,
    wire::{PAYMENT_REQUIRED, PaymentRequired, ResourceInfo, X402_VERSION},
};

/// How long one request may take: a settlement on the mainnet takes several seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an unknown outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an approval made on the way lasts.
const APPROVAL_LASTS: Duration = Duration::from_secs(3_600);

type Watcher = Arc<dyn Fn(&Step) + Send + Sync>;

/// What asking for a resource came to.
#[derive(Clone, Debug)]
pub enum Quote {
    /// It does not cost anything, or it is not there: any answer but a 402.
    Free(Response),
    /// It costs something.
    Priced(Box<Priced>),
}

/// A resource with a price, and the offers that may be accepted.
#[derive(Clone, Debug)]
pub struct Priced {
    /// What was asked, with the URL that answered.
    pub request: Request,
    /// What is for sale.
    pub resource: ResourceInfo,
    /// The acceptable offers in the seller's order, at least one.
    pub offers: Vec<Offer>,
    extensions: Option<Map<String, Value>>,
}

/// How a purchase ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing was asked for it. Look at the status: it may be a 404.
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
    spender: Option<Principal>,
    approve: Option<Option<Amount>>,
    patience: Duration,
    http: Http,
    watch: Option<Watcher>,
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payer({} on {})", self.account, self.network.id())
    }
}

impl Payer {
    /// Pays from the identity's default account with the default [`SpendControls`], and approves nothing.
    pub fn new(identity: Identity, network: Network) -> Result<Self, PayError> {
        Ok(Payer {
            account: identity.account(),
            identity,
            network,
            controls: SpendControls::default(),
            spender: None,
            approve: None,
            patience: PATIENCE,
            http: Http::new(REQUEST_TIMEOUT).map_err(PayError::Unreachable)?,
            watch: None,
        })
    }

    /// Pays from a subaccount.
    pub fn with_subaccount(mut self, subaccount: [u8; 32]) -> Self {
        self.account.subaccount = Some(subaccount);
        self
    }

    /// Sets what may be spent.
    pub fn with_spend_controls(mut self, controls: SpendControls) -> Self {
        self.controls = controls;
        self
    }

    /// Accepts only offers that this canister collects, whoever serves the resource. Without it, an offer
    /// must be collected by the canister that serves the resource wherever that can be told.
    pub fn with_spender(mut self, spender: Principal) -> Self {
        self.spender = Some(spender);
        self
    }

    /// Approves the collecting canister on the way if it may not take enough: for `amount` units (refused
    /// if that is less than the payment needs), or for exactly this payment.
    pub fn with_approval(mut self, amount: Option<Amount>) -> Self {
        self.approve = Some(amount);
        self
    }

    /// How long to send the same payment again while its outcome is not known.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Tells what is being done.
    pub fn with_watcher(mut self, watch: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }

    /// The account that pays.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The network paid on.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Buys a resource.
    pub async fn pay(&self, request: &Request) -> Result<Outcome, PayError> {
        match self.quote(request).await? {
            Quote::Free(response) => Ok(Outcome::Free(response)),
            Quote::Priced(priced) => {
                let offer = self.fund(&priced.offers).await?;
                let payment = self.sign(&priced, offer)?;
                self.send(&payment).await.map(Outcome::Paid)
            }
        }
    }

    /// Asks what a resource costs; sends no payment.
    pub async fn quote(&self, request: &Request) -> Result<Quote, PayError> {
        self.tell(Step::Asking);
        let response = self
            .http
            .ask(request)
            .await
            .map_err(PayError::Unreachable)?;
        if response.status != 402 {
            return Ok(Quote::Free(response));
        }
        let unreadable = |problem: String| PayError::UnreadableOffer(problem);
        let header = response
            .header(PAYMENT_REQUIRED)
            .ok_or_else(|| unreadable(format!("HTTP 402 without {PAYMENT_REQUIRED}")))?;
        let required: PaymentRequired<Value> = decode_header(PAYMENT_REQUIRED, header.as_bytes())
            .map_err(|e| unreadable(e.to_string()))?;
        if required.x402_version != X402_VERSION {
            return Err(unreadable(format!(
                "x402 version {}",
                required.x402_version
            )));
        }
        let request = Request {
            url: response.url.clone(),
            ..request.clone()
        };
        let expected = Expectations {
            network: self.network.id(),
            spender: self
                .spender
                .or_else(|| serving_canister(&request, &response)),
            controls: &self.controls,
        };
        let (offers, refused) = select(&required.accepts, &expected);
        if offers.is_empty() {
            return Err(PayError::NoAcceptableOffer(refused));
        }
        Ok(Quote::Priced(Box::new(Priced {
            request,
            resource: required.resource,
            offers,
            extensions: required.extensions,
        })))
    }

    /// Finds the first offer that the ledger will honour; approves one if it may and must.
    pub async fn fund<'a>(&self, offers: &'a [Offer]) -> Result<&'a Offer, PayError> {
        let mut approvable = None;
        let mut problem = None;
        for offer in offers {
            match self.check_funds(offer).await {
                Ok(()) => return Ok(offer),
                Err(e @ PayError::NeedsApproval { .. }) if approvable.is_none() => {
                    approvable = Some((offer, e));
                }
                Err(e) => problem = problem.or(Some(e)),
            }
        }
        match (approvable, problem, self.approve) {
            (Some((offer, _)), _, Some(amount)) => {
                self.approve(offer, amount).await?;
                Ok(offer)
            }
            (Some((_, problem)), _, None) | (None, Some(problem), _) => Err(problem),
            (None, None, _) => Err(PayError::NoAcceptableOffer(Vec::new())),
        }
    }

    async fn check_funds(&self, offer: &Offer) -> Result<(), PayError> {
        self.tell(Step::CheckingFunds(offer.asset));
        let ledger = self.network.ledger(offer.asset);
        let spender = Account::from(offer.spender);
        let (fee, balance, (allowance, expires_at)) = tokio::try_join!(
            ledger.fee(),
            ledger.balance(self.account),
            ledger.allowance(self.account, spender),
        )?;
        let needed = Amount(offer.amount.0.saturating_add(fee.0));
        if balance < needed {
            return Err(PayError::InsufficientFunds {
                asset: offer.asset,
                needed,
                balance,
            });
        }
        // An allowance that ends before the payment can be settled is none.
        let last_moment = now().saturating_add(offer.terms.max_timeout_seconds.into());
        let lasts = expires_at.is_none_or(|at| at / 1_000_000_000 > last_moment);
        if allowance < needed || !lasts {
            return Err(PayError::NeedsApproval {
                asset: offer.asset,
                spender: offer.spender,
                needed,
                allowance,
            });
        }
        Ok(())
    }

    async fn approve(&self, offer: &Offer, amount: Option<Amount>) -> Result<(), PayError> {
        let ledger = self.network.ledger(offer.asset);
        let (fee, balance, (allowance, _)) = tokio::try_join!(
            ledger.fee(),
            ledger.balance(self.account),
            ledger.allowance(self.account, offer.spender.into()),
        )?;
        let needed = Amount(offer.amount.0.saturating_add(fee.0));
        // Never more than was asked for, not even if that is too little.
        let amount = amount.unwrap_or(needed);
        if amount < needed {
            return Err(PayError::NeedsApproval {
                asset: offer.asset,
                spender: offer.spender,
                needed,
                allowance,
            });
        }
        let with_approval = Amount(needed.0.saturating_add(fee.0));
        if balance < with_approval {
            return Err(PayError::InsufficientFunds {
                asset: offer.asset,
                needed: with_approval,
                balance,
            });
        }
        self.tell(Step::Approving(offer.asset));
        let expires_at = u128::from(now()) * 1_000_000_000 + APPROVAL_LASTS.as_nanos();
        ledger
            .approve(&Approval {
                from_subaccount: self.account.subaccount,
                spender: offer.spender.into(),
                amount,
                expected_allowance: Some(allowance),
                expires_at: u64::try_from(expires_at).ok(),
            })
            .await?;
        Ok(())
    }

    /// Signs an offer. One purchase needs one signature: to repeat it, [`Payer::send`] the result again.
    pub fn sign(&self, priced: &Priced, offer: &Offer) -> Result<SignedPayment, PayError> {
        Ok(SignedPayment::sign(
            priced.request.clone(),
            offer,
            Some(priced.resource.clone()),
            priced.extensions.clone(),
            self.account,
            now(),
            &self.identity,
        )?)
    }

    /// Sends a payment until its outcome is known or patience ends, always the same payment: the seller
    /// charges it once, however often it arrives.
    ///
    /// A refusal is believed when the collecting canister confirms it: the authorization is cancelled there
    /// by an update call, so that whoever forwarded it cannot present it later. Where that fails, the refusal
    /// is [`PayError::Unsettled`]: the payment is good until its `validBefore`.
    pub async fn send(&self, payment: &SignedPayment) -> Result<Box<Paid>, PayError> {
        let Some(request) = payment.request() else {
            return Err(unsettled(
                payment,
                "the stored request cannot be read".into(),
            ));
        };
        let header = payment.header();
        let started = Instant::now();
        // A stored payment may have been sent before it was stored.
        let mut may_have_arrived = payment.stored;
        // Once the seller has said that it is paid, no later answer makes it unpaid.
        let mut owed = None;
        for attempt in 1.. {
            self.tell(Step::Paying(attempt));
            let reason = match self.http.pay(&request, &header).await {
                Err(error @ HttpError::Malformed(_)) => {
                    return Err(match payment.stored {
                        true => unsettled(payment, error.to_string()),
                        false => PayError::Unreachable(error),
                    });
                }
                Err(error) => {
                    may_have_arrived |= matches!(error, HttpError::NoAnswer(_));
                    if !may_have_arrived && started.elapsed() >= self.patience {
                        return Err(PayError::Unreachable(error));
                    }
                    error.to_string()
                }
                Ok(response) => match judge(response, payment) {
                    Verdict::Paid(paid) => return Ok(paid),
                    Verdict::Final(error) => {
                        return Err(match owed {
                            Some(owed) => owed,
                            None => self.last_word(error, payment).await,
                        });
                    }
                    Verdict::Owed { error, gone: true } => return Err(error),
                    Verdict::Owed { error, gone: false } => {
                        may_have_arrived = true;
                        let reason = error.to_string();
                        owed = Some(error);
                        reason
                    }
                    Verdict::Again(reason) => {
                        may_have_arrived = true;
                        reason
                    }
                    Verdict::Unclear(reason) => {
                        return Err(owed.unwrap_or_else(|| unsettled(payment, reason)));
                    }
                },
            };
            let pause = pause_after(attempt);
            if started.elapsed() + pause > self.patience {
                return Err(match (owed, may_have_arrived) {
                    (Some(error), _) => error,
                    (None, true) => unsettled(payment, reason),
                    (None, false) => PayError::Unreachable(HttpError::NotSent(reason)),
                });
            }
            self.tell(Step::Waiting(pause, reason));
            tokio::time::sleep(pause).await;
        }
        unreachable!("BUG: attempts are counted without end")
    }

    /// What a refusal over HTTP comes to.
    async fn last_word(&self, error: PayError, payment: &SignedPayment) -> PayError {
        let PayError::Refused { reason, .. } = &error else {
            return error;
        };
        self.tell(Step::Confirming(reason.clone()));
        match confirm(&self.network, self.identity.principal(), payment).await {
            Confirmation::Dead => error,
            Confirmation::Alive => unsettled(
                payment,
                format!("refused as {reason}, but the canister has it in its books"),
            ),
            Confirmation::Silent(problem) => unsettled(
                payment,
                format!("refused as {reason}, which the canister did not confirm: {problem}"),
            ),
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

/// 0.5, 1, 2, 4, then 8 seconds each time.
fn pause_after(attempt: u32) -> Duration {
    Duration::from_millis(500 << (attempt - 1).min(4))
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
