//! The payer's key.

mod curve;

use ic_agent::identity::{BasicIdentity, Prime256v1Identity, Secp256k1Identity};
use std::{fmt, path::Path, sync::Arc};
use x402_icp::{
    Account,
    delegation::SignedDelegation,
    signer::{Signer, SignerError},
};

/// The reason why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        problem: std::io::Error,
    },
    /// Not a private key of a kind that can pay. Supported are Ed25519, secp256k1 and P-256, as PKCS#8 or SEC1.
    #[error("no Ed25519, secp256k1 or P-256 private key in PEM form: {0}")]
    NotAKey(String),
    /// The identity cannot sign.
    #[error("the identity cannot sign: {0}")]
    CannotSign(String),
}

/// The payer: a key pair, or a session with a delegation chain.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<dyn ic_agent::Identity>,
    public_key: Vec<u8>,
    principal: candid::Principal,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.principal)
    }
}

impl Identity {
    /// Reads a private key from PEM text, as dfx, quill and OpenSSL write it. The file has to name the key's curve:
    /// another curve would be another payer.
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let not_a_key = |problem: &dyn fmt::Display| IdentityError::NotAKey(problem.to_string());
        match curve::kind(pem).map_err(|e| not_a_key(&e))? {
            curve::Kind::Secp256k1 => {
                let identity = Secp256k1Identity::from_pem(pem).map_err(|e| not_a_key(&e))?;
                Self::new(Arc::new(identity))
            }
            curve::Kind::P256 => {
                let identity = Prime256v1Identity::from_pem(pem).map_err(|e| not_a_key(&e))?;
                Self::new(Arc::new(identity))
            }
            curve::Kind::Ed25519 => {
                let identity = BasicIdentity::from_pem(pem).map_err(|e| not_a_key(&e))?;
                Self::new(Arc::new(identity))
            }
        }
    }

    /// Reads a private key from a PEM file.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, IdentityError> {
        let path = path.as_ref();
        let pem = std::fs::read_to_string(path).map_err(|problem| IdentityError::File {
            path: path.display().to_string(),
            problem,
        })?;
        Self::from_pem(&pem)
    }

    /// Uses any identity of the agent library that has a key, for instance a delegated one.
    pub fn new(inner: Arc<dyn ic_agent::Identity>) -> Result<Self, IdentityError> {
        let principal = inner.sender().map_err(IdentityError::CannotSign)?;
        // The binding has no delegation permissions, and a verifier refuses unknown fields.
        let chain = inner.delegation_chain();
        if chain
            .iter()
            .any(|signed| signed.delegation.permissions.is_some())
        {
            return Err(IdentityError::CannotSign(
                "a delegation restricted by permissions cannot pay".into(),
            ));
        }
        // With a delegation chain the payer's key is the first of the chain, which signing returns. With some
        // identities, `public_key` returns the session's.
        let probe = inner
            .sign_arbitrary(b"")
            .map_err(IdentityError::CannotSign)?;
        let public_key = probe
            .public_key
            .filter(|key| candid::Principal::self_authenticating(key) == principal)
            .ok_or_else(|| IdentityError::CannotSign("it has no key of its own".into()))?;
        Ok(Identity {
            inner,
            public_key,
            principal,
        })
    }

    /// The payer's principal.
    pub fn principal(&self) -> candid::Principal {
        self.principal
    }

    /// The payer's default account.
    pub fn account(&self) -> Account {
        Account::from(self.principal)
    }

    pub(crate) fn agent_identity(&self) -> Arc<dyn ic_agent::Identity> {
        self.inner.clone()
    }
}

impl Signer for Identity {
    fn public_key_der(&self) -> Vec<u8> {
        self.public_key.clone()
    }

    fn delegations(&self) -> Vec<SignedDelegation> {
        self.inner
            .delegation_chain()
            .into_iter()
            .map(|signed| SignedDelegation {
                pubkey: signed.delegation.pubkey,
                expiration: signed.delegation.expiration,
                targets: signed.delegation.targets,
                signature: signed.signature,
            })
            .collect()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.inner
            .sign_arbitrary(message)
            .map_err(SignerError)?
            .signature
            .ok_or_else(|| SignerError("the identity returned no signature".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pems() -> [(String, Vec<u8>); 4] {
        let ed = ic_ed25519::PrivateKey::deserialize_raw_32(&[1; 32]);
        let secp = ic_secp256k1::PrivateKey::deserialize_sec1(&[2; 32]).unwrap();
        let p256 = ic_secp256r1::PrivateKey::deserialize_sec1(&[3; 32]).unwrap();
        [
            (
                ed.serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1),
                ed.public_key_der(),
            ),
            (secp.serialize_pkcs8_pem(), secp.public_key_der()),
            (secp.serialize_rfc5915_pem(), secp.public_key_der()),
            (p256.serialize_pkcs8_pem(), p256.public_key_der()),
        ]
    }

    #[test]
    fn every_kind_of_key_is_read_and_signs_what_the_binding_verifies() {
        for (pem, public_key) in pems() {
            let identity = Identity::from_pem(&pem).unwrap();
            assert_eq!(identity.public_key_der(), public_key);
            let signature = identity.sign(b"message").unwrap();
            let payer = x402_icp::signature::verify(
                &public_key,
                b"message",
                &signature,
                &identity.delegations(),
                0,
                candid::Principal::management_canister(),
                &[],
            );
            assert_eq!(payer, Ok(identity.principal()));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for pem in [
            "",
            "nonsense",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(
                matches!(Identity::from_pem(pem), Err(IdentityError::NotAKey(_))),
                "{pem:?}"
            );
        }
        assert!(matches!(
            Identity::from_pem_file("/nowhere/key.pem"),
            Err(IdentityError::File { .. })
        ));
        let anonymous = Arc::new(ic_agent::identity::AnonymousIdentity);
        assert!(matches!(
            Identity::new(anonymous),
            Err(IdentityError::CannotSign(_))
        ));
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let text = x402_icp::values::to_base64(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    /// A SEC1 key (RFC 5915) of 32 bytes, with or without its curve, and without its public key.
    fn sec1(curve: Option<&[u8]>) -> Vec<u8> {
        let parameters = curve.map(|object| {
            let object = [&[0x06, object.len() as u8], object].concat();
            [&[0xa0, object.len() as u8], object.as_slice()].concat()
        });
        let inner = [
            &[0x02, 1, 1, 0x04, 32],
            [3; 32].as_slice(),
            &parameters.unwrap_or_default(),
        ]
        .concat();
        [&[0x30, inner.len() as u8], inner.as_slice()].concat()
    }

    const P256_OBJECT: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const SECP256K1_OBJECT: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];
    const P384_OBJECT: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

    #[test]
    fn a_sec1_key_without_its_public_key_keeps_its_curve() {
        let p256 = ic_secp256r1::PrivateKey::deserialize_sec1(&[3; 32]).unwrap();
        let secp = ic_secp256k1::PrivateKey::deserialize_sec1(&[3; 32]).unwrap();
        let parameters = |object: &[u8]| {
            let der = [&[0x06, object.len() as u8], object].concat();
            pem("EC PARAMETERS", &der)
        };
        for (text, public_key) in [
            (
                pem("EC PRIVATE KEY", &sec1(Some(P256_OBJECT))),
                p256.public_key_der(),
            ),
            (
                pem("EC PRIVATE KEY", &sec1(Some(SECP256K1_OBJECT))),
                secp.public_key_der(),
            ),
            // As `openssl ecparam -genkey` writes it: the curve in a block of its own.
            (
                parameters(P256_OBJECT) + &pem("EC PRIVATE KEY", &sec1(Some(P256_OBJECT))),
                p256.public_key_der(),
            ),
            (
                parameters(P256_OBJECT) + &pem("EC PRIVATE KEY", &sec1(None)),
                p256.public_key_der(),
            ),
        ] {
            assert_eq!(
                Identity::from_pem(&text).unwrap().public_key_der(),
                public_key
            );
        }
        for unclear in [
            pem("EC PRIVATE KEY", &sec1(None)),
            pem("EC PRIVATE KEY", &sec1(Some(P384_OBJECT))),
            parameters(SECP256K1_OBJECT) + &pem("EC PRIVATE KEY", &sec1(Some(P256_OBJECT))),
            pem("EC PRIVATE KEY", &sec1(Some(P256_OBJECT))) + &pems()[0].0,
        ] {
            assert!(
                matches!(Identity::from_pem(&unclear), Err(IdentityError::NotAKey(_))),
                "{unclear}"
            );
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let (pem, _) = &pems()[0];
        let identity = Identity::from_pem(pem).unwrap();
        assert_eq!(
            format!("{identity:?}"),
            format!("Identity({})", identity.principal())
        );
    }
}
