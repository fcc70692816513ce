use super::*;
use ic_certification::LookupResult;

fn canister(number: u8) -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, number, 1, 1])
}

fn sample() -> StateTree {
    let mut tree = StateTree::at(1_620_328_630_000_000_002);
    for number in 1..6 {
        tree.insert_canister(
            canister(number),
            &CanisterLeaves {
                certified_data: vec![number; 32],
                module_hash: Some(vec![number + 100; 32]),
                controllers: vec![Principal::anonymous()],
                metadata: vec![("candid:service".into(), b"service : {}".to_vec())],
            },
        );
    }
    tree.insert_request_status(&[3; 32], &RequestStatus::Replied(b"reply".to_vec()));
    tree.insert_request_status(
        &[9; 32],
        &RequestStatus::Rejected {
            code: 5,
            message: "trap".into(),
            error_code: "IC0503".into(),
        },
    );
    tree
}

fn path(labels: &[&[u8]]) -> Path {
    labels.iter().map(|label| label.to_vec()).collect()
}

#[test]
fn should_keep_the_root_hash_whatever_is_revealed() {
    let tree = sample();
    let root = tree.digest();
    for paths in [
        vec![],
        vec![path(&[])],
        vec![path(&[b"time"])],
        vec![path(&[b"canister", canister(3).as_slice()])],
        vec![path(&[b"request_status", &[5; 32]]), path(&[b"time"])],
        vec![path(&[b"zzz"])],
    ] {
        assert_eq!(tree.witness(&paths).digest(), root, "{paths:?}");
    }
    assert_eq!(
        StateTree::default().digest(),
        StateTree::default().witness(&[path(&[])]).digest()
    );
}

#[test]
fn should_reveal_what_was_asked_for_and_hide_the_rest() {
    let third = canister(3);
    let witness = sample().witness(&[
        path(&[b"time"]),
        path(&[b"canister", third.as_slice(), b"module_hash"]),
    ]);
    assert!(matches!(
        witness.lookup_path([&b"time"[..]]),
        LookupResult::Found(_)
    ));
    assert_eq!(
        witness.lookup_path([&b"canister"[..], third.as_slice(), b"module_hash"]),
        LookupResult::Found(&[103; 32])
    );
    for hidden in [
        vec![&b"canister"[..], third.as_slice(), b"controllers"],
        vec![b"canister", canister(2).as_slice(), b"module_hash"],
        vec![b"request_status", &[3; 32], b"reply"],
    ] {
        assert_eq!(
            witness.lookup_path(&hidden),
            LookupResult::Unknown,
            "{hidden:?}"
        );
    }
}

#[test]
fn should_prove_absence_of_what_is_not_there() {
    let tree = sample();
    for missing in [
        vec![&b"request_status"[..], &[1; 32]],
        vec![b"request_status", &[5; 32]],
        vec![b"request_status", &[10; 32]],
        vec![b"canister", canister(9).as_slice(), b"module_hash"],
        vec![b"canister", canister(3).as_slice(), b"metadata", b"absent"],
        vec![b"absent"],
    ] {
        let witness = tree.witness(&[path(&missing)]);
        assert_eq!(
            witness.lookup_path(&missing),
            LookupResult::Absent,
            "{missing:?}"
        );
        assert_eq!(
            witness.lookup_path([&b"request_status"[..], &[3; 32], b"reply"]),
            LookupResult::Unknown
        );
    }
}

#[test]
fn should_show_every_field_of_a_rejected_request() {
    let tree = sample();
    let id = [9u8; 32];
    let witness = tree.witness(&[path(&[b"request_status", &id])]);
    let look = |name: &[u8]| match witness.lookup_path([&b"request_status"[..], &id, name]) {
        LookupResult::Found(value) => value.to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(look(b"status"), b"rejected");
    assert_eq!(look(b"reject_code"), [5]);
    assert_eq!(look(b"reject_message"), b"trap");
    assert_eq!(look(b"error_code"), b"IC0503");
}
