//! Checks that every settled payment has a receipt that proves itself.

use super::setup::{Setup, controller};
use base64::{Engine, engine::general_purpose::STANDARD};
use ic_certification::{Certificate, HashTree, LookupResult};
use serde::de::DeserializeOwned;
use x402_icp::receipt::ReceiptProof;

impl Setup {
    /// The receipts of all settled payments that anything is wrong with. Signatures of certificates are not verified:
    /// the tests of the clients do.
    pub fn receipts_that_prove_nothing(&self) -> Vec<String> {
        let settled = self.settled();
        let wrong = settled.iter().enumerate().filter_map(|(index, payment)| {
            let proof: Option<String> =
                self.query(controller(), "receipt_proof", (payment.id.clone(),));
            let problem = match proof {
                Some(json) => self.proof_problem(&json, index as u64)?,
                None => "there is none",
            };
            Some(format!("{}: {problem}", hex::encode(&payment.id)))
        });
        wrong.collect()
    }

    fn proof_problem(&self, json: &str, index: u64) -> Option<&'static str> {
        let proof: ReceiptProof = serde_json::from_str(json).expect("a receipt with its proof");
        let receipt = proof.receipt.parse().expect("a receipt");
        let (Some(certificate), Some(witness)) = (&proof.certificate, &proof.witness) else {
            return Some("it is not certified");
        };
        let (certificate, witness): (Certificate, HashTree) = (cbor(certificate), cbor(witness));
        let (root, hash) = (witness.digest(), receipt.hash());
        let certified = [
            b"canister".as_slice(),
            self.canister.as_slice(),
            b"certified_data",
        ];
        if certificate.tree.lookup_path(certified) != LookupResult::Found(&root) {
            return Some("another root is certified");
        }
        let place = [b"log".as_slice(), &index.to_be_bytes()];
        if witness.lookup_path(place) != LookupResult::Found(&hash) {
            return Some("the witness holds another receipt");
        }
        let details = proof.details.expect("controllers see who paid for what");
        let commitment = details.parse().expect("details").commitment();
        (commitment != receipt.commitment).then_some("it commits to other details")
    }
}

fn cbor<T: DeserializeOwned>(text: &str) -> T {
    let bytes = STANDARD.decode(text).expect("base64");
    serde_cbor::from_slice(&bytes).expect("CBOR of a tree")
}
