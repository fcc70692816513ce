//! The message that a payer signs (section 5).

use crate::{
    decode::DecodeError,
    delegation::SignedDelegation,
    signer::{Signer, SignerError},
    values::{
        Nonce, ValueError, lower_hex_32, parse_account, parse_base64, parse_nanoseconds,
        parse_principal, parse_seconds, to_base64,
    },
    wire::{DelegationText, ExactIcrc2Extra, ExactIcrc2Payload, PaymentRequirements},
};
use icrc_ledger_types::icrc1::account::Account;
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Length-prefixed, so that a signature over it cannot be one over an ingress request (`\x0Aic-request`), a delegation
/// (`\x1Aic-request-auth-delegation`) or anything else with a prefix.
const DOMAIN: &[u8] = b"\x10x402-icp-exact-2";

/// The tolerated clock difference when the length of a validity window is checked, in seconds.
pub const CLOCK_SKEW_SECONDS: u64 = 60;
/// The most delegations in a chain (Interface Specification, "Authentication").
pub const MAX_DELEGATIONS: usize = 20;
/// The most targets of one delegation (Interface Specification: 1,000; the header's limit is reached long before).
pub const MAX_TARGETS: usize = 1_000;
/// The longest public key, in bytes of DER. A canister signature's key is the longest kind.
pub const MAX_PUBLIC_KEY_BYTES: usize = 256;
/// The longest signature in bytes: that of a canister, which contains a certificate.
pub const MAX_SIGNATURE_BYTES: usize = 8_192;

/// The signed terms: everything that a verifier compares with its own offer. Texts are as in the JSON, numbers in
/// decimal digits.
///
/// A verifier takes them from its own offer, never from the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `exact`.
    pub scheme: String,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger canister's id.
    pub asset: String,
    /// Atomic units.
    pub amount: String,
    /// The merchant's account.
    pub pay_to: String,
    /// The longest validity of an authorization, in seconds.
    pub max_timeout_seconds: String,
    /// `icrc2`.
    pub asset_transfer_method: String,
    /// The token's symbol.
    pub symbol: String,
    /// The token's decimals.
    pub decimals: String,
    /// The ledger's transfer fee, atomic units.
    pub fee: String,
    /// The canister that pulls the money.
    pub spender: String,
    /// The offer id.
    pub offer: String,
    /// When the seller settles; [`PAYMENT_FLOW`](crate::wire::PAYMENT_FLOW) if the offer does not contain it.
    pub payment_flow: String,
}

impl From<&PaymentRequirements<ExactIcrc2Extra>> for Terms {
    fn from(offer: &PaymentRequirements<ExactIcrc2Extra>) -> Self {
        Terms {
            scheme: offer.scheme.clone(),
            network: offer.network.clone(),
            asset: offer.asset.clone(),
            amount: offer.amount.clone(),
            pay_to: offer.pay_to.clone(),
            max_timeout_seconds: offer.max_timeout_seconds.to_string(),
            asset_transfer_method: offer.extra.asset_transfer_method.clone(),
            symbol: offer.extra.symbol.clone(),
            decimals: offer.extra.decimals.to_string(),
            fee: offer.extra.fee.clone(),
            spender: offer.extra.spender.clone(),
            offer: offer.extra.offer.clone(),
            payment_flow: offer.extra.flow().to_string(),
        }
    }
}

/// SHA-256 of the signed message: the same authorization always has the same id.
///
/// Public (it is the memo of the ledger's block), and no secret is derived from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId(pub [u8; 32]);

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentId({self})")
    }
}

impl FromStr for PaymentId {
    type Err = ValueError;

    /// Reads 64 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        lower_hex_32(text).map(PaymentId)
    }
}

/// SHA-256 of the keys of the signed map, in ascending order, and therefore in the order of the hashed pairs. Hashing
/// them again for each payment would be half the work.
const KEY_HASHES: [[u8; 32]; 17] = [
    from_hex(b"3009be769fb8f956e8413ee9f3e0836e34968bc40457d0a10c549d2edcf00cc1"), // network
    from_hex(b"419582a3934b5965b507d6678d72aae9f5f6a89c5773e996be2ea77b3edecaeb"), // assetTransferMethod
    from_hex(b"5282b4dde60429270821dc42cfcb7e27a4ea3126d6dd4d3cd3ad5cadadf38ef2"), // payTo
    from_hex(b"75857a45899985be4c4d941e90b6b396d6c92a4c7437aaf0bf102089fe21379d"), // from
    from_hex(b"78377b525757b494427f89014f97d79928f3938d14eb51e20fb5dec9834eb304"), // nonce
    from_hex(b"8b971817e6fb39a45dc37894b97017bf62fc0d8c3d024e66a501a39e478b75e9"), // spender
    from_hex(b"988180bf0c9328c9e8bd082755c647048ae82481fd06799bad05f2e1a4e1339c"), // offer
    from_hex(b"a70b3c4f42e0015cae67c1f70383c93ff1d7ce6b6fd34f89b1fd519af0a963b5"), // paymentFlow
    from_hex(b"b2d172a61dc667e2b443059aad566936fd183f44fbc0f25cd32af37c7f6586ec"), // maxTimeoutSeconds
    from_hex(b"b76a7ca153c24671658335bbd08946350ffc621fa1c516e7123095d4ffd5c581"), // symbol
    from_hex(b"b80cdaae9b322bba2a38fd396299782a4cc6b4a0ccf67fccbbcc617c94a46026"), // fee
    from_hex(b"c2db39ccc659c4869281e6fffdf8ac1823e8d8fda3cd3dfd09d4d15dd95c2f2b"), // validBefore
    from_hex(b"c4165d1c2525257852c94df621bfca99e5acc7deda68966cbc7f3f87e9c94cd5"), // validAfter
    from_hex(b"cd892494455f6fa019e5b1e015c26726690db60165c7ff0c1e341c3b7b442d77"), // scheme
    from_hex(b"cf38d95c9c6b1d9d5125c04d41a54df57727ef4cfb3f5116a602fe2b25115c13"), // amount
    from_hex(b"d59386e0ae435e292fbe0ebcdb954b75ed5fb3922091277cb19f798fc5d50718"), // asset
    from_hex(b"ee80fd2f1e03480e2282363596ee752d7bb27f50776b95086a0279189675923e"), // decimals
];

/// SHA-256 of a text of the signed map. Those that nearly every payment has are known.
fn text_hash(text: &str) -> [u8; 32] {
    const EXACT: [u8; 32] =
        from_hex(b"fa79d4746c21cd960a17b92db8976ddef95a7e20b590721f8e0fa7847a05e486");
    const ICRC2: [u8; 32] =
        from_hex(b"63dfa60ad835b08f55f66254aece2c648f7c033ef5d82566bdc9a9f62d51f349");
    const AUTHORIZATION: [u8; 32] =
        from_hex(b"cbb82ebec6051b780ad26655ee48b5b42658c4ac49438888aac829e82195584f");
    // The timeout that routes have unless they say otherwise.
    const TIMEOUT: [u8; 32] =
        from_hex(b"983bd614bb5afece5ab3b6023f71147cd7b6bc2314f9d27af7422541c6558389");
    // Decimals of the tokens that are paid with most.
    const SIX: [u8; 32] =
        from_hex(b"e7f6c011776e8db7cd330b54174fd76f7d0216b612387a5ffcfb81e6f0919683");
    const EIGHT: [u8; 32] =
        from_hex(b"2c624232cdd221771294dfbb310aca000a0df6ac8b66b696d90ef06fdefb64a3");
    match text {
        "exact" => EXACT,
        "icrc2" => ICRC2,
        "authorization" => AUTHORIZATION,
        "300" => TIMEOUT,
        "6" => SIX,
        "8" => EIGHT,
        other => Sha256::digest(other).into(),
    }
}

const fn from_hex(digits: &[u8; 64]) -> [u8; 32] {
    const fn value(digit: u8) -> u8 {
        if digit <= b'9' {
            digit - b'0'
        } else {
            digit - b'a' + 10
        }
    }
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = value(digits[2 * at]) << 4 | value(digits[2 * at + 1]);
        at += 1;
    }
    bytes
}

/// The signed message: the length-prefixed domain separator `x402-icp-exact-2` and the representation-independent hash
/// of the seventeen texts.
pub fn signed_message(terms: &Terms, payload: &ExactIcrc2Payload) -> Vec<u8> {
    let texts = [
        &terms.network,
        &terms.asset_transfer_method,
        &terms.pay_to,
        &payload.from,
        &payload.nonce,
        &terms.spender,
        &terms.offer,
        &terms.payment_flow,
        &terms.max_timeout_seconds,
        &terms.symbol,
        &terms.fee,
        &payload.valid_before,
        &payload.valid_after,
        &terms.scheme,
        &terms.amount,
        &terms.asset,
        &terms.decimals,
    ];
    let mut hash = Sha256::new();
    for (key_hash, text) in KEY_HASHES.iter().zip(texts) {
        hash.update(key_hash);
        hash.update(text_hash(text));
    }
    [DOMAIN, &hash.finalize()].concat()
}

/// The id of the payment with this signed message.
pub fn payment_id(message: &[u8]) -> PaymentId {
    PaymentId(Sha256::digest(message).into())
}

/// The decoded values of an [`ExactIcrc2Payload`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The payer's account.
    pub from: Account,
    /// Makes the authorization single-use, together with the payer.
    pub nonce: Nonce,
    /// Seconds since 1970-01-01; valid from this second on.
    pub valid_after: u64,
    /// Seconds since 1970-01-01; not valid from this second on.
    pub valid_before: u64,
    /// DER of the payer's key.
    pub public_key: Vec<u8>,
    /// The signature over the message.
    pub signature: Vec<u8>,
    /// The chain from `public_key` to the key that signed; empty if `public_key` itself signed.
    pub delegations: Vec<SignedDelegation>,
}

impl Authorization {
    /// Decodes the texts. The error names the first malformed one, as a path from the top of the payment.
    pub fn parse(payload: &ExactIcrc2Payload) -> Result<Self, DecodeError> {
        let invalid = |field: &str| DecodeError::invalid(format!("payload.{field}"));
        let texts = payload.delegations.as_deref().unwrap_or_default();
        if texts.len() > MAX_DELEGATIONS {
            return Err(DecodeError::TooMany {
                field: "payload.delegations".into(),
                limit: MAX_DELEGATIONS,
                actual: texts.len(),
            });
        }
        Ok(Authorization {
            from: parse_account(&payload.from).map_err(invalid("from"))?,
            nonce: payload.nonce.parse().map_err(invalid("nonce"))?,
            valid_after: parse_seconds(&payload.valid_after).map_err(invalid("validAfter"))?,
            valid_before: parse_seconds(&payload.valid_before).map_err(invalid("validBefore"))?,
            public_key: parse_base64(payload.public_key.as_bytes(), MAX_PUBLIC_KEY_BYTES)
                .map_err(invalid("publicKey"))?,
            signature: parse_base64(payload.signature.as_bytes(), MAX_SIGNATURE_BYTES)
                .map_err(invalid("signature"))?,
            delegations: texts
                .iter()
                .enumerate()
                .map(|(i, text)| parse_delegation(&format!("payload.delegations[{i}]"), text))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Step 4 of the verification: the authorization is valid now, and its window is not too long.
    ///
    /// `now_ns` is in nanoseconds, `max_timeout_seconds` that of the offer.
    pub fn check_window(&self, now_ns: u64, max_timeout_seconds: u32) -> Result<(), crate::Code> {
        let now = now_ns / 1_000_000_000;
        if now < self.valid_after {
            return Err(crate::Code::NotYetValid);
        }
        if now >= self.valid_before {
            return Err(crate::Code::Expired);
        }
        // Not negative: valid_after <= now < valid_before.
        let window = self.valid_before - self.valid_after;
        if window > u64::from(max_timeout_seconds).saturating_add(CLOCK_SKEW_SECONDS) {
            return Err(crate::Code::WindowTooLong);
        }
        Ok(())
    }
}

fn parse_delegation(path: &str, text: &DelegationText) -> Result<SignedDelegation, DecodeError> {
    let invalid = |field: &str| DecodeError::invalid(format!("{path}.{field}"));
    let targets = match &text.targets {
        None => None,
        Some(targets) if targets.len() > MAX_TARGETS => {
            return Err(DecodeError::TooMany {
                field: format!("{path}.targets"),
                limit: MAX_TARGETS,
                actual: targets.len(),
            });
        }
        Some(targets) => Some(
            targets
                .iter()
                .map(|target| parse_principal(target).map_err(invalid("targets")))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(SignedDelegation {
        pubkey: parse_base64(text.pubkey.as_bytes(), MAX_PUBLIC_KEY_BYTES)
            .map_err(invalid("pubkey"))?,
        expiration: parse_nanoseconds(&text.expiration).map_err(invalid("expiration"))?,
        targets,
        signature: parse_base64(text.signature.as_bytes(), MAX_SIGNATURE_BYTES)
            .map_err(invalid("signature"))?,
    })
}

/// Signs an authorization: the client's part of the binding.
///
/// Pays from `from`, or from the default account of the signer's principal. The account is not checked against the
/// signer. If it belongs to another principal, the verifier answers [`crate::Code::PayerMismatch`].
pub fn authorize<S: Signer + ?Sized>(
    terms: &Terms,
    from: Option<Account>,
    nonce: Nonce,
    valid_after: u64,
    valid_before: u64,
    signer: &S,
) -> Result<ExactIcrc2Payload, SignerError> {
    let public_key = signer.public_key_der();
    let from =
        from.unwrap_or_else(|| Account::from(candid::Principal::self_authenticating(&public_key)));
    let delegations = signer.delegations();
    let mut payload = ExactIcrc2Payload {
        from: from.to_string(),
        nonce: nonce.to_string(),
        valid_after: valid_after.to_string(),
        valid_before: valid_before.to_string(),
        public_key: to_base64(&public_key),
        signature: String::new(),
        delegations: (!delegations.is_empty())
            .then(|| delegations.iter().map(DelegationText::from).collect()),
    };
    let signature = signer.sign(&signed_message(terms, &payload))?;
    payload.signature = to_base64(&signature);
    Ok(payload)
}

#[cfg(test)]
mod tests;
