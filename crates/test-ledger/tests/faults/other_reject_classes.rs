use super::*;

fn code_of(ledger: &Pocket) -> RejectCode {
    let arg = pull(ledger);
    send(ledger, &arg).expect_err("a reject").reject_code
}

#[test]
fn should_be_canister_error_when_stopped_or_uninstalled() {
    let ledger = ledger();
    ledger.pic.stop_canister(ledger.id, None).expect("stops");
    assert_eq!(code_of(&ledger), RejectCode::CanisterError);
    ledger.pic.start_canister(ledger.id, None).expect("starts");
    ledger
        .pic
        .uninstall_canister(ledger.id, None)
        .expect("uninstalls");
    assert_eq!(code_of(&ledger), RejectCode::CanisterError);
}

#[test]
fn should_be_destination_invalid_when_deleted() {
    let ledger = ledger();
    ledger.pic.stop_canister(ledger.id, None).expect("stops");
    ledger
        .pic
        .delete_canister(ledger.id, None)
        .expect("deletes");
    assert_eq!(code_of(&ledger), RejectCode::DestinationInvalid);
}

#[test]
fn should_be_sys_transient_when_frozen() {
    let ledger = ledger();
    let settings = pocket_ic::CanisterSettings {
        freezing_threshold: Some(Nat::from(u64::MAX)),
        ..pocket_ic::CanisterSettings::default()
    };
    ledger
        .pic
        .update_canister_settings(ledger.id, None, settings)
        .expect("freezes");
    assert_eq!(code_of(&ledger), RejectCode::SysTransient);
}

#[test]
fn should_not_stop_while_a_reply_is_held() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::delayed_after_transfer());
    let id = submit(&ledger, &arg);
    ticks(&ledger, 4);
    #[derive(CandidType)]
    struct CanisterId {
        canister_id: Principal,
    }
    let stop = candid::encode_one(CanisterId {
        canister_id: ledger.id,
    });
    let stop = ledger
        .pic
        .submit_call_with_effective_principal(
            Principal::management_canister(),
            pocket_ic::common::rest::RawEffectivePrincipal::CanisterId(
                ledger.id.as_slice().to_vec(),
            ),
            Principal::anonymous(),
            "stop_canister",
            stop.expect("encodes"),
        )
        .expect("accepted");
    ticks(&ledger, 10);
    assert!(ledger.pic.ingress_status(stop.clone()).is_none());
    assert_eq!(answered(&ledger, &id), None);
    // A stopping canister takes no calls, so the release must come before: start it again.
    ledger.pic.start_canister(ledger.id, None).expect("starts");
    ledger.test_update::<u32>("test_release", ());
    ticks(&ledger, 10);
    assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
}
