//! A canister that signs, as Internet Identity does (Interface Specification, "Canister signatures").

use super::{
    environment,
    setup::{CYCLES, Setup, controller},
};
use candid::Principal;
use ic_certification::{HashTree, labeled, leaf};
use pocket_ic::PocketIc;
use serde::Serialize;
use serde_bytes::{ByteBuf, Bytes};
use sha2::{Digest, Sha256};
use torture::program::{Op, encode};
use x402_icp::signer::{Signer, SignerError};

/// Object identifier 1.3.6.1.4.1.56387.1.2, in a sequence of its own.
const ALGORITHM: [u8; 14] = [
    0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02,
];

/// One user of a canister that signs.
pub struct CanisterSigner {
    /// A second handle of the same network, which does not end it.
    pic: PocketIc,
    canister: Principal,
    seed: [u8; 32],
}

#[derive(Serialize)]
struct Signature<'a> {
    certificate: &'a Bytes,
    tree: HashTree,
}

impl CanisterSigner {
    /// A new canister on the subnet of the ledger, and a user of it.
    pub fn new(setup: &Setup, seed: [u8; 32]) -> Self {
        let subnet = setup.pic.get_subnet(setup.ledger.0);
        let canister =
            setup
                .pic
                .create_canister_on_subnet(Some(controller()), None, subnet.unwrap());
        setup.pic.add_cycles(canister, CYCLES);
        let wasm = environment::torture_wasm();
        let program = encode(&[]);
        setup
            .pic
            .install_canister(canister, wasm, program, Some(controller()));
        Self {
            pic: PocketIc::new_from_existing_instance(
                setup.pic.get_server_url(),
                setup.pic.instance_id(),
                None,
            ),
            canister,
            seed,
        }
    }
}

impl Signer for CanisterSigner {
    fn public_key_der(&self) -> Vec<u8> {
        let id = self.canister.as_slice();
        let raw = [&[id.len() as u8], id, &self.seed].concat();
        let key = [&[0x03, 1 + raw.len() as u8, 0x00], &raw[..]].concat();
        let length = (ALGORITHM.len() + key.len()) as u8;
        [&[0x30, length], &ALGORITHM[..], &key].concat()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let anyone = Principal::anonymous();
        let hash = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
        let entry = labeled(hash(message), leaf([]));
        let tree = labeled("sig", labeled(hash(&self.seed), entry));
        let certify = Op::CertifiedDataSet(ByteBuf::from(tree.digest()));
        let failed = |reject: pocket_ic::RejectResponse| SignerError(reject.to_string());
        self.pic
            .update_call(self.canister, anyone, "run", encode(&[certify, Op::Reply]))
            .map_err(failed)?;
        self.pic.tick();
        let read = encode(&[Op::Certificate, Op::Reply]);
        let certificate = self
            .pic
            .query_call(self.canister, anyone, "look", read)
            .map_err(failed)?;
        let mut cbor = serde_cbor::Serializer::new(Vec::new());
        cbor.self_describe()
            .and_then(|()| {
                let certificate = Bytes::new(&certificate);
                Signature { certificate, tree }.serialize(&mut cbor)
            })
            .map_err(|error| SignerError(error.to_string()))?;
        Ok(cbor.into_inner())
    }
}
