//! The vectors of receipts, `receipts.json`: receipts with proofs that every verifier accepts with the root key in the
//! file, and files that it refuses. `UPDATE_VECTORS=1` writes the file again.

mod support;

use base64::{Engine, engine::general_purpose::STANDARD};
use candid::Principal;
use ic_certification::{Certificate, Delegation, HashTree, fork, labeled, leaf, pruned};
use ic_verify_bls_signature::PrivateKey as BlsKey;
use serde_json::{Value, json};
use support::{NOW_NS, bls_der, cbor, root_key, sign_tree, spender};
use x402_icp::{
    Account, Amount, PaymentId,
    network::network_id,
    receipt::{DetailFields, Details, LABEL, Receipt, ReceiptFields, ReceiptProof, VERSION},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/receipts.json");
const INDEX: u64 = 3;

fn details() -> Details {
    Details {
        payer: Account {
            owner: Principal::self_authenticating([1; 44]),
            subaccount: Some([9; 32]),
        },
        offer: std::array::from_fn(|n| n as u8),
        method: "GET".into(),
        path: "/report/\u{e9}t\u{e9}".into(),
        salt: [7; 16],
    }
}

fn receipt() -> Receipt {
    Receipt {
        network: network_id(&bls_der(&root_key())),
        canister: spender(),
        payment_id: PaymentId([2; 32]),
        asset: Principal::from_text("xevnm-gaaaa-aaaar-qafnq-cai").unwrap(),
        symbol: "ckUSDC\u{20ac}".into(),
        decimals: 6,
        pay_to: Account::from(Principal::self_authenticating([3; 44])),
        amount: Amount(u128::MAX),
        fee: Amount(10_000),
        transaction: "81723".into(),
        settled_at: NOW_NS,
        commitment: details().commitment(),
    }
}

/// The canister's tree, pruned to the receipt, which is the last of four.
fn tree(receipt: &Receipt) -> HashTree {
    let before = pruned([4; 32]);
    let third = labeled((INDEX - 1).to_be_bytes(), pruned([5; 32]));
    let last = labeled(INDEX.to_be_bytes(), leaf(receipt.hash()));
    let log = fork(before, fork(pruned(third.digest()), last));
    fork(pruned([6; 32]), labeled(LABEL, log))
}

/// A subnet of the network, which may sign for these canisters.
fn subnet(first: u8) -> (BlsKey, (Principal, Principal)) {
    let id = |n| Principal::from_slice(&[0, 0, 0, 0, 0, n, 0xff, 0xff, 1, 1]);
    let key = BlsKey::deserialize(&[6; 32]).unwrap();
    (key, (id(first), id(0xff)))
}

/// The certificate of a subnet whose delegation is signed by the root, or of the root itself.
fn certified(
    tree: &HashTree,
    root: &BlsKey,
    subnet: Option<&(BlsKey, (Principal, Principal))>,
) -> Vec<u8> {
    let mut left = NOW_NS;
    let mut time = vec![];
    while left >= 0x80 {
        time.push(left as u8 | 0x80);
        left >>= 7;
    }
    time.push(left as u8);
    let signed = |key: &BlsKey, state: HashTree, delegation| {
        let tree = fork(state, labeled("time", leaf(time.clone())));
        cbor(&Certificate {
            signature: sign_tree(&tree, key),
            tree,
            delegation,
        })
    };
    let delegation = subnet.map(|(key, ranges)| {
        let id = Principal::self_authenticating(bls_der(key));
        let about = fork(
            labeled("canister_ranges", leaf(cbor(&[ranges]))),
            labeled("public_key", leaf(bls_der(key))),
        );
        let state = labeled("subnet", labeled(id.as_slice(), about));
        Delegation {
            subnet_id: id.as_slice().to_vec(),
            certificate: signed(root, state, None),
        }
    });
    let data = labeled("certified_data", leaf(tree.digest().to_vec()));
    let state = labeled("canister", labeled(spender().as_slice(), data));
    signed(subnet.map_or(root, |(key, _)| key), state, delegation)
}

fn proof(receipt: &Receipt, tree: &HashTree, certificate: &[u8]) -> ReceiptProof {
    ReceiptProof {
        version: VERSION,
        receipt: ReceiptFields::from(receipt),
        details: None,
        index: Some(INDEX.to_string()),
        witness: Some(STANDARD.encode(cbor(tree))),
        certificate: Some(STANDARD.encode(certificate)),
        proof_at: None,
        signed_receipt: None,
        status: "delivered".into(),
        refund_transaction: None,
    }
}

fn good(name: &str, proof: &ReceiptProof) -> Value {
    json!({ "name": name, "proof": proof, "hash": hex::encode(receipt().hash()) })
}

fn vectors() -> Value {
    let (receipt, root) = (receipt(), root_key());
    let tree = tree(&receipt);
    let direct = proof(&receipt, &tree, &certified(&tree, &root, None));
    let by_subnet = certified(&tree, &root, Some(&subnet(0)));
    let full = ReceiptProof {
        details: Some(DetailFields::from(&details())),
        ..proof(&receipt, &tree, &by_subnet)
    };
    let bad = |name: &str, change: &dyn Fn(&mut ReceiptProof)| {
        let mut proof = full.clone();
        change(&mut proof);
        json!({ "name": name, "proof": proof })
    };
    let other_root = BlsKey::deserialize(&[8; 32]).unwrap();
    let mut later = receipt.clone();
    later.transaction = "81724".into();
    let (old, encode) = (self::tree(&later), |bytes: &[u8]| {
        Some(STANDARD.encode(bytes))
    });
    json!({
        "rootKey": hex::encode(bls_der(&root)),
        "canister": spender().to_text(),
        "index": INDEX.to_string(),
        "certifiedAt": NOW_NS.to_string(),
        "good": [
            good("signed by the root, public", &direct),
            good("signed by a subnet, with details", &full),
        ],
        "bad": [
            bad("another network's root key", &|p| {
                p.certificate = encode(&certified(&tree, &other_root, None));
            }),
            bad("a subnet without this canister", &|p| {
                p.certificate = encode(&certified(&tree, &root, Some(&subnet(0xfe))));
            }),
            bad("an old root", &|p| p.certificate = encode(&certified(&old, &root, None))),
            bad("an old witness", &|p| p.witness = encode(&cbor(&old))),
            bad("another place", &|p| p.index = Some((INDEX - 1).to_string())),
            bad("another spelling of the place", &|p| p.index = Some(format!("0{INDEX}"))),
            bad("no witness", &|p| p.witness = None),
            bad("no certificate", &|p| p.certificate = None),
            bad("a site in the place of the log", &|p| {
                let site = fork(labeled("http_expr", pruned([6; 32])), pruned([7; 32]));
                p.witness = encode(&cbor(&site));
                p.certificate = encode(&certified(&site, &root, None));
            }),
            bad("another version", &|p| p.version = VERSION + 1),
        ],
    })
}

#[test]
fn the_file_is_what_this_code_makes() {
    let vectors = vectors();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
        std::fs::write(FILE, text).unwrap();
    }
    let text = std::fs::read_to_string(FILE).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file, vectors);
}
