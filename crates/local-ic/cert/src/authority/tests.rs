use super::*;
use crate::{CanisterLeaves, RequestStatus, SubnetKeys, SubnetType};
use ic_cbor::CertificateToCbor;
use ic_certificate_verification::{CertificateVerificationError, VerifyCertificate};
use ic_certification::LookupResult;

const NOW: u64 = 1_700_000_000_000_000_000;
const TOLERANCE: u128 = 300_000_000_000;

fn id(number: u64) -> Principal {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend([1, 1]);
    Principal::from_slice(&bytes)
}

fn subnet(seed: u8, start: u64, end: u64) -> RegistrySubnet {
    RegistrySubnet {
        keys: SubnetKeys::derive(&[seed; 32], 2),
        subnet_type: SubnetType::Application,
        ranges: vec![(id(start), id(end))],
    }
}

fn network() -> (Authority, Principal, Principal) {
    let (root, app) = (subnet(1, 0, 99), subnet(2, 100, 199));
    let (root_id, app_id) = (root.keys.id(), app.keys.id());
    let authority = Authority::new(root);
    authority.add_subnet(app);
    (authority, root_id, app_id)
}

fn verify(
    certificate: &[u8],
    canister: Principal,
    root_key: &[u8],
    now: u64,
) -> Result<(), CertificateVerificationError> {
    let parsed = <ic_certification::Certificate as CertificateToCbor>::from_cbor(certificate)
        .expect("certificate parses");
    parsed.verify(canister.as_slice(), root_key, &now.into(), &TOLERANCE)
}

#[test]
fn should_certify_for_the_root_subnet_without_delegation() {
    let (authority, root, _) = network();
    let mut tree = authority.state_tree(root, NOW);
    tree.insert_request_status(&[4; 32], &RequestStatus::Replied(b"hi".to_vec()));
    let path = vec![b"request_status".to_vec(), vec![4; 32]];
    let bytes = authority
        .certify(root, &tree, vec![path], NOW)
        .expect("known subnet");
    assert!(verify(&bytes, id(5), authority.root_key_der(), NOW).is_ok());
    let certificate: Certificate = serde_cbor::from_slice(&bytes).expect("certificate parses");
    assert!(certificate.delegation.is_none());
    assert_eq!(
        certificate
            .tree
            .lookup_path([&b"request_status"[..], &[4; 32], b"reply"]),
        LookupResult::Found(b"hi")
    );
}

#[test]
fn should_delegate_from_the_root_key_to_other_subnets() {
    let (authority, _, app) = network();
    let bytes = authority
        .data_certificate(app, id(150), &[7; 32], NOW)
        .expect("known subnet");
    assert!(verify(&bytes, id(150), authority.root_key_der(), NOW).is_ok());
    // A subnet has no say about canisters outside of its ranges.
    assert!(matches!(
        verify(&bytes, id(5), authority.root_key_der(), NOW),
        Err(CertificateVerificationError::PrincipalOutOfRange { .. })
    ));
    // Another network's key.
    let stranger = SubnetKeys::derive(&[9; 32], 1);
    assert!(verify(&bytes, id(150), stranger.public_key_der(), NOW).is_err());
    // An old certificate.
    let later = NOW + 301_000_000_000;
    assert!(matches!(
        verify(&bytes, id(150), authority.root_key_der(), later),
        Err(CertificateVerificationError::TimeTooFarInThePast { .. })
    ));
}

#[test]
fn should_show_only_certified_data_in_a_data_certificate() {
    let (authority, _, app) = network();
    let canister = id(150);
    let bytes = authority
        .data_certificate(app, canister, &[7; 32], NOW)
        .expect("known subnet");
    let certificate: Certificate = serde_cbor::from_slice(&bytes).expect("certificate parses");
    let look = |path: &[&[u8]]| match certificate.tree.lookup_path(path) {
        LookupResult::Found(value) => Some(value.to_vec()),
        LookupResult::Unknown => None,
        other => panic!("{path:?}: {other:?}"),
    };
    assert_eq!(
        look(&[b"canister", canister.as_slice(), b"certified_data"]),
        Some(vec![7; 32])
    );
    assert_eq!(
        look(&[b"canister", canister.as_slice(), b"module_hash"]),
        None
    );
    assert_eq!(
        look(&[b"canister", id(151).as_slice(), b"certified_data"]),
        None
    );
    assert_eq!(look(&[b"subnet", app.as_slice(), b"public_key"]), None);
}

#[test]
fn should_sign_a_subnet_added_later_and_refuse_a_stranger() {
    let (authority, _, _) = network();
    let late = subnet(3, 500, 599);
    let late_id = late.keys.id();
    assert_eq!(
        authority.public_key_der(late_id),
        Err(UnknownSubnet(late_id))
    );
    assert!(
        authority
            .data_certificate(late_id, id(550), &[], NOW)
            .is_err()
    );
    authority.add_subnet(late);
    let bytes = authority
        .data_certificate(late_id, id(550), &[], NOW)
        .expect("known subnet");
    assert!(verify(&bytes, id(550), authority.root_key_der(), NOW).is_ok());
}

#[test]
fn should_verify_as_a_canister_signature() {
    // The path an Internet Identity delegation takes: certified_data is the root hash of the signature tree.
    use ic_canister_sig_creation::CanisterSigPublicKey;
    let (authority, _, app) = network();
    let canister = id(150);
    let (seed, message) = (b"user 10000".to_vec(), b"signed message");
    let mut signatures = StateTree::default();
    let (seed_hash, message_hash) = (Sha256::digest(&seed), Sha256::digest(message));
    signatures.insert(&[b"sig", &seed_hash, &message_hash], Vec::new());
    let witness = signatures.witness(&[vec![
        b"sig".to_vec(),
        seed_hash.to_vec(),
        message_hash.to_vec(),
    ]]);
    let certificate = authority
        .data_certificate(app, canister, &signatures.digest(), NOW)
        .expect("known subnet");
    #[derive(serde::Serialize)]
    struct CanisterSignature<'a> {
        certificate: &'a serde_bytes::Bytes,
        tree: HashTree,
    }
    let signature = self_describing_cbor(&CanisterSignature {
        certificate: serde_bytes::Bytes::new(&certificate),
        tree: witness,
    });
    let key = CanisterSigPublicKey::new(canister, seed).to_der();
    let root = authority.root_key_der();
    assert_eq!(
        crate::signature::verify(&key, message, &signature, root),
        Ok(())
    );
    assert!(crate::signature::verify(&key, b"another message", &signature, root).is_err());
}

#[test]
fn should_show_node_keys_in_the_own_tree_only() {
    let (authority, root, app) = network();
    let own = authority.state_tree(app, NOW);
    let witness = own.witness(&[vec![b"subnet".to_vec()]]);
    let nodes =
        |subnet: Principal| witness.lookup_path([&b"subnet"[..], subnet.as_slice(), b"node"]);
    assert_eq!(nodes(root), LookupResult::Absent);
    assert_ne!(nodes(app), LookupResult::Absent);
    let mut with_canister = own.clone();
    with_canister.insert_canister(id(150), &CanisterLeaves::default());
    assert_ne!(with_canister.digest(), own.digest());
}
