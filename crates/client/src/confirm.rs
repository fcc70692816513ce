//! Whether a refusal is the last word.
//!
//! An answer over HTTP is the word of whoever forwarded it. A gateway that says "refused" holds a payment that
//! is good until its `validBefore`, and can present it while the payer signs another one. So a refusal is
//! believed when the collecting canister confirms it by an update call, whose reply the subnet signs: the
//! authorization is cancelled there, or its time is over and the canister has no payment for it.

use crate::{network::Network, payment::SignedPayment};
use candid::{CandidType, Nat, Principal, decode_one, encode_one, utils::encode_args};
use serde::{Deserialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use std::time::Duration;
use x402_icp::{Nonce, values::parse_account};

/// How long the canister is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the canister says about a payment that was refused over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// It moved no money and never will.
    Dead,
    /// It is in the canister's books, and not as a failure: it moved money, or may have.
    Alive,
    /// The canister did not say.
    Silent(String),
}

#[derive(CandidType)]
struct CancelArgs {
    nonce: ByteBuf,
    valid_before_seconds: u64,
}

#[derive(CandidType, Deserialize)]
struct InvalidArgument {
    field: String,
    problem: String,
    limit: Option<Nat>,
}

#[derive(CandidType, Deserialize)]
enum CancelError {
    InvalidArgument(InvalidArgument),
    Expired { now_seconds: u64 },
    TooFarAhead { limit_seconds: u64 },
    AnonymousCaller,
    AlreadyUsed { payment_id: ByteBuf },
    TooManyCancellations { limit: u32 },
}

/// The part of a payment's record that is read.
#[derive(CandidType, Deserialize)]
struct Payment {
    status: Status,
}

#[derive(CandidType, Deserialize)]
enum Status {
    Settling,
    Settled {},
    Failed {},
    Unknown {},
    Delivered {},
    Refunding {},
    Refunded {},
}

/// Makes sure that a payment can never be charged, or finds out that it was.
pub(crate) async fn confirm(
    network: &Network,
    payer: Principal,
    payment: &SignedPayment,
) -> Confirmation {
    match tokio::time::timeout(TIMEOUT, ask(network, payer, payment)).await {
        Ok(Ok(confirmation)) => confirmation,
        Ok(Err(problem)) => Confirmation::Silent(problem),
        Err(_) => Confirmation::Silent("it did not answer in time".into()),
    }
}

async fn ask(
    network: &Network,
    payer: Principal,
    payment: &SignedPayment,
) -> Result<Confirmation, String> {
    let texts = &payment.payment.payload;
    let from = parse_account(&texts.from).map_err(|e| e.to_string())?;
    if from.owner != payer {
        // Somebody else's nonce would be cancelled.
        return Err(format!("{} signed it, not {payer}", from.owner));
    }
    if payment.payment.accepted.network != network.id() {
        return Err(format!(
            "it is a payment on {}",
            payment.payment.accepted.network
        ));
    }
    let spender = payment.payment.accepted.extra["spender"]
        .as_str()
        .and_then(|text| Principal::from_text(text).ok())
        .ok_or("the payment names no collecting canister")?;
    let nonce: Nonce = texts.nonce.parse().map_err(|_| "its nonce is none")?;
    let cancel = CancelArgs {
        nonce: ByteBuf::from(nonce.0.to_vec()),
        valid_before_seconds: texts.valid_before.parse().map_err(|_| "its time is none")?,
    };
    let argument = encode_one(cancel).map_err(|e| e.to_string())?;
    let cancelled: Result<(), CancelError> =
        update(network, spender, "cancel_authorization", argument).await?;
    match cancelled {
        Ok(()) => Ok(Confirmation::Dead),
        Err(CancelError::AlreadyUsed { .. }) => Ok(Confirmation::Alive),
        // Past: nothing is transferred after `validBefore`, so the books say how it ended.
        Err(CancelError::Expired { .. }) => {
            let id = payment.id().ok_or("its id is none")?;
            let argument =
                encode_args((ByteBuf::from(id.0.to_vec()),)).map_err(|e| e.to_string())?;
            let found: Option<Payment> = update(network, spender, "payment", argument).await?;
            Ok(match found {
                None => Confirmation::Dead,
                Some(payment) => match payment.status {
                    Status::Failed {} => Confirmation::Dead,
                    _ => Confirmation::Alive,
                },
            })
        }
        Err(CancelError::TooFarAhead { limit_seconds }) => Err(format!(
            "it ends after {limit_seconds}, too late to be cancelled yet"
        )),
        Err(CancelError::InvalidArgument(problem)) => {
            Err(format!("{} {}", problem.field, problem.problem))
        }
        Err(CancelError::AnonymousCaller) => Err("the payer is anonymous".into()),
        Err(CancelError::TooManyCancellations { limit }) => {
            Err(format!("there are more than {limit} cancellations"))
        }
    }
}

/// An update call: its reply carries the subnet's signature, which the agent checks.
async fn update<T: CandidType + DeserializeOwned>(
    network: &Network,
    canister: Principal,
    method: &str,
    argument: Vec<u8>,
) -> Result<T, String> {
    let reply = network
        .agent()
        .update(&canister, method)
        .with_arg(argument)
        .call_and_wait()
        .await
        .map_err(|error| format!("{method}: {error}"))?;
    decode_one(&reply).map_err(|error| format!("{method}: {error}"))
}
