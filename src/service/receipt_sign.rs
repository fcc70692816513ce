//! Receipts signed by the canister's threshold Ed25519 key, where a controller has set it ([`set`]).
//!
//! A receipt is signed after its payment, when somebody who may know it asks ([`sign`]): nothing of a payment waits for a
//! signature. Once signed it is stored, and given again. Nothing is written before the call: a signature whose reply is
//! lost moves no money, and signing again does no harm.

use crate::{
    domain::{
        origin,
        receipt_key::{MAX_KEYS, Signing, TooMany, signed_receipt},
        settlement::CallOutcome,
        validate::InvalidArgument,
    },
    runtime::{Runtime, with_spare},
    service::{admin::AdminError, payments, role},
    storage::{
        self,
        receipt_signatures::{self as signatures, BeingSigned, TooManyKeys},
    },
    types::{Cycles, PaymentId},
};
use candid::{CandidType, Deserialize, Principal};
use serde_bytes::ByteBuf;
use x402_icp::jws;

/// The longest reply of the management canister that is read, in bytes.
const MAX_REPLY_BYTES: usize = 4_096;
/// Tells the key of receipts from other keys of this canister.
const DERIVATION: &[u8] = b"x402-icp-receipt";

#[derive(Clone, Copy, CandidType, Deserialize)]
enum Algorithm {
    #[serde(rename = "ed25519")]
    Ed25519,
}

#[derive(CandidType)]
struct KeyId {
    algorithm: Algorithm,
    name: String,
}

/// The argument of both methods: `schnorr_public_key` reads no message.
#[derive(CandidType)]
struct KeyArgs {
    message: ByteBuf,
    derivation_path: Vec<ByteBuf>,
    key_id: KeyId,
}

impl KeyArgs {
    fn new(key_name: &str, message: &[u8]) -> Self {
        KeyArgs {
            message: ByteBuf::from(message),
            derivation_path: vec![ByteBuf::from(DERIVATION)],
            key_id: KeyId {
                algorithm: Algorithm::Ed25519,
                name: key_name.into(),
            },
        }
    }
}

/// The reply of either method has one of them.
#[derive(CandidType, Deserialize)]
struct KeyReply {
    public_key: Option<ByteBuf>,
    signature: Option<ByteBuf>,
}

/// The reason why a receipt is not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSigned {
    /// There is no settled payment with this id.
    NotFound,
    /// The caller may not know who paid for what.
    Unauthorized,
    /// What was bought is still owed, or the payment was refunded: a signed receipt says that it was delivered.
    NotDelivered,
    /// Receipts are not signed here.
    Off,
    /// It is being signed.
    Busy,
    TooMany(TooMany),
    /// The canister can spend too few cycles for a signature that costs so many.
    TooFewCycles(Cycles),
    /// The system did not sign.
    Failed(String),
}

/// The reason why the setting is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSet {
    Admin(AdminError),
    /// The system has no such key here, or did not name it.
    NoKey(String),
}

impl From<InvalidArgument> for NotSet {
    fn from(error: InvalidArgument) -> Self {
        NotSet::Admin(error.into())
    }
}

/// Sets the key that signs from now on, after asking the system for its public part; `None`: nothing is signed. For
/// controllers.
pub async fn set<R: Runtime>(runtime: &R, signing: Option<Signing>) -> Result<(), NotSet> {
    let caller = runtime.caller();
    let allowed = role(runtime, &caller).may_administer();
    allowed.map_err(|error| NotSet::Admin(error.into()))?;
    let audit = |subject: &str| {
        storage::audit::admin(caller, "receipt_signing_set", subject, runtime.now());
    };
    let Some(signing) = signing else {
        signatures::stop();
        audit("none");
        return Ok(());
    };
    signing.check()?;
    let args = KeyArgs::new(&signing.key_name, &[]);
    let reply = ask(runtime, "schnorr_public_key", &args, Cycles(0))
        .await
        .map_err(NotSet::NoKey)?;
    let public = <[u8; 32]>::try_from(&reply.public_key.unwrap_or_default()[..])
        .map_err(|_| NotSet::NoKey("the system's key has not 32 bytes".into()))?;
    signatures::sign_with(&signing, public).map_err(|TooManyKeys| {
        let problem = "is one more than the canister may have had";
        InvalidArgument::limit("key_name", problem, MAX_KEYS as u128)
    })?;
    audit(&format!("{}, {} a day", signing.key_name, signing.per_day));
    Ok(())
}

/// Whether the caller could be given this payment's receipt, signed. For `inspect_message`: everybody else costs nothing.
pub fn may_sign<R: Runtime>(runtime: &R, id: &PaymentId) -> bool {
    let known = payments::settled_payment(id);
    known.is_some_and(|(_, payment)| payments::knows_who_paid(runtime, &payment.from, &payment.to))
        && (signatures::signing().is_some() || signatures::get(id).is_some())
}

/// The receipt of a delivered payment as a JWS, signed now if it was not before. For those who may know it.
pub async fn sign<R: Runtime>(runtime: &R, id: &PaymentId) -> Result<String, NotSigned> {
    let (_, payment) = payments::settled_payment(id).ok_or(NotSigned::NotFound)?;
    if !payments::knows_who_paid(runtime, &payment.from, &payment.to) {
        return Err(NotSigned::Unauthorized);
    }
    if let Some(jws) = signatures::get(id) {
        return Ok(jws);
    }
    let signing = signatures::signing().ok_or(NotSigned::Off)?;
    let site = site(runtime);
    let receipt = signed_receipt(&payment, &site, runtime.now()).ok_or(NotSigned::NotDelivered)?;
    let keys = signatures::keys();
    let key = keys.iter().find(|(name, _)| *name == signing.key_name);
    let (_, public) = key.ok_or(NotSigned::Off)?;
    let price = runtime
        .signature_cost(&signing.key_name)
        .ok_or_else(|| NotSigned::Failed(format!("there is no key {}", signing.key_name)))?;
    let kid = format!("{}#{}", jws::did_of(&site), signing.key_name);
    let input = jws::signing_input(&kid, &receipt);
    let args = KeyArgs::new(&signing.key_name, input.as_bytes());
    let call = with_spare(runtime.call_cost(SIGN, input.len() + 200));
    let floor = storage::config::read().limits.cycles_floor;
    let needed = [floor, price, call].map(|cycles| cycles.0);
    if runtime.liquid_cycles().0 < needed.into_iter().fold(0, u128::saturating_add) {
        return Err(NotSigned::TooFewCycles(price));
    }
    let _being_signed = BeingSigned::begin(*id).ok_or(NotSigned::Busy)?;
    signatures::take(signing.per_day, runtime.now()).map_err(NotSigned::TooMany)?;
    let reply = ask(runtime, SIGN, &args, price)
        .await
        .map_err(NotSigned::Failed)?;
    let signature = reply.signature.unwrap_or_default();
    match jws::is_signed_by(public, &input, &signature) {
        true => Ok(signatures::put(id, jws::compact(&input, &signature))),
        false => Err(NotSigned::Failed("the signature is not by the key".into())),
    }
}

const SIGN: &str = "sign_with_schnorr";

/// Where the site of this canister is.
pub fn site<R: Runtime>(runtime: &R) -> String {
    let config = storage::config::read();
    origin::site(
        config.origin.as_deref(),
        &config.network,
        runtime.canister_id(),
    )
}

/// The answer of the management canister.
async fn ask<R: Runtime>(
    runtime: &R,
    method: &str,
    args: &KeyArgs,
    cycles: Cycles,
) -> Result<KeyReply, String> {
    let args = candid::encode_one(args).map_err(|error| error.to_string())?;
    let management = Principal::management_canister();
    match runtime.call_with(management, method, args, cycles).await {
        CallOutcome::Reply(reply) if reply.len() <= MAX_REPLY_BYTES => {
            candid::decode_one(&reply).map_err(|_| format!("the reply to {method} cannot be read"))
        }
        CallOutcome::Reply(_) => Err(format!("the reply to {method} is too long")),
        CallOutcome::NotSent(problem) => Err(problem),
        CallOutcome::Rejected { message, .. } => Err(message.chars().take(200).collect()),
    }
}

#[cfg(test)]
mod tests;
