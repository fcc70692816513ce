use super::*;
use crate::{
    domain::{
        config::Limits,
        payment::FailureKind,
        route::{ContentMeta, Price, tests::draft},
    },
    runtime::scripted::{ScriptedRuntime, poll, run},
    service::{cancel, catalogue, lifecycle, payments},
    storage::{config::tests::config, ledgers::tests::ledger},
    types::{Amount, BlockIndex, Method, Nonce, Seconds, TimestampNs},
};
use candid::{Decode, Nat};
use ic_ed25519::PrivateKey;
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use std::{pin::pin, task::Poll};
use x402_icp::{Terms, authorization::authorize, wire::PaymentPayload};

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

type Reply = Result<Nat, TransferFromError>;

struct Shop {
    runtime: ScriptedRuntime,
    route: RouteKey,
}

fn shop() -> Shop {
    storage::config::write(&config()).unwrap();
    storage::ledgers::put(&ledger(0)).unwrap();
    let runtime = ScriptedRuntime::new(NOW);
    let price = Price {
        ledger: ledger(0).id,
        amount: Amount(10_000),
    };
    let wanted = crate::domain::route::RouteDraft {
        prices: vec![price],
        ..draft("/a")
    };
    let route = catalogue::put(&runtime, wanted).unwrap();
    let mut route = Route::clone(&route);
    route.content = Some(ContentMeta {
        blob: 1,
        bytes: 1,
        sha256: [0; 32],
    });
    let key = route.key.clone();
    storage::routes::put(route);
    Shop {
        runtime,
        route: key,
    }
}

fn payer(n: u8) -> PrivateKey {
    PrivateKey::generate_from_seed(&[n])
}

impl Shop {
    /// The payment of the n-th payer with this nonce, for the offer as it is now.
    fn payment(&self, n: u8, nonce: u8) -> DecodedPayment {
        let route = storage::routes::get(&self.route).unwrap();
        let accepted = catalogue::offers(&route, self.runtime.canister_id()).remove(0);
        let now = self.runtime.now().seconds();
        let payload = authorize(
            &Terms::from(&accepted),
            None,
            Nonce([nonce; 32]),
            now - 5,
            now + 200,
            &payer(n),
        )
        .unwrap();
        let authorization = payload.parse().unwrap();
        let payload = PaymentPayload {
            x402_version: 2,
            resource: None,
            accepted,
            payload,
            extensions: None,
        };
        DecodedPayment {
            payload,
            authorization,
        }
    }

    fn request(&self, n: u8, nonce: u8) -> PaymentRequest {
        PaymentRequest {
            route: self.route.clone(),
            path: "/a".into(),
            payment: self.payment(n, nonce),
            fingerprint: [1; 32],
        }
    }

    fn settle(&self, request: &PaymentRequest) -> PayOutcome {
        run(settle(&self.runtime, request.clone()))
    }

    fn will(&self, reply: Reply) -> &Self {
        self.runtime.will_reply(reply);
        self
    }

    fn will_reject(&self, code: u32) -> &Self {
        self.runtime.will(CallOutcome::Rejected {
            code,
            message: "rejected".into(),
        });
        self
    }

    fn asked(&self, n: usize) -> TransferFromArgs {
        let call = self.runtime.calls.borrow()[n].clone();
        assert_eq!(
            (call.canister, call.method.as_str()),
            (ledger(0).id, "icrc2_transfer_from")
        );
        Decode!(&call.argument, TransferFromArgs).unwrap()
    }
}

fn id(request: &PaymentRequest) -> PaymentId {
    let terms = Terms::from(&request.payment.payload.accepted);
    x402_icp::authorization::payment_id(&x402_icp::authorization::signed_message(
        &terms,
        &request.payment.payload.payload,
    ))
}

fn block(n: u64) -> Reply {
    Ok(Nat::from(n))
}

fn paid(outcome: PayOutcome) -> Receipt {
    match outcome {
        PayOutcome::Paid { receipt } => receipt,
        other => panic!("expected a receipt, got {other:?}"),
    }
}

fn refused(outcome: PayOutcome) -> Code {
    match outcome {
        PayOutcome::Refused(refusal) => refusal.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn failed(outcome: PayOutcome) -> Code {
    match outcome {
        PayOutcome::Failed { code, .. } => code,
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn is_pending(outcome: &PayOutcome) -> bool {
    matches!(outcome, PayOutcome::Pending { .. })
}

mod happy_path {
    use super::*;

    #[test]
    fn should_settle_with_one_ledger_call() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.will(block(7));
        let receipt = paid(shop.settle(&request));
        assert_eq!(shop.runtime.made(), 1);
        let asked = shop.asked(0);
        assert_eq!(asked.from, request.payment.authorization.from);
        assert_eq!(asked.to, config().pay_to);
        assert_eq!(asked.amount, 10_000u32);
        assert_eq!(asked.fee, Some(Nat::from(10u8)));
        assert_eq!(asked.memo.unwrap().0.to_vec(), id(&request).0.to_vec());
        assert_eq!(asked.created_at_time, Some(NOW.0));
        assert_eq!(asked.spender_subaccount, None);

        assert_eq!(receipt.payment_id, id(&request));
        assert_eq!(receipt.block_index, BlockIndex(7));
        assert_eq!(payments::receipt(&id(&request)), Some(receipt));
        assert_eq!(storage::payments::settled_count(), 1);
    }

    #[test]
    fn should_deliver_again_without_a_second_charge() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.will(block(7));
        let receipt = paid(shop.settle(&request));
        assert_eq!(paid(shop.settle(&request)), receipt);

        // Whatever became of the route meanwhile, and although the authorization has expired.
        let mut dearer = Route::clone(&storage::routes::get(&shop.route).unwrap());
        dearer.price_revision += 100;
        storage::routes::put(dearer);
        shop.runtime.now.set(NOW.plus(Seconds::DAY));
        assert_eq!(paid(shop.settle(&request)), receipt);
        shop.runtime.now.set(NOW.plus(Seconds(86_401)));
        assert!(matches!(
            shop.settle(&request),
            PayOutcome::Duplicate { .. }
        ));
        assert_eq!(shop.runtime.made(), 1);
    }

    #[test]
    fn should_refuse_another_request_with_the_same_payment() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.will(block(7));
        paid(shop.settle(&request));
        let other_query = PaymentRequest {
            fingerprint: [2; 32],
            ..request.clone()
        };
        assert!(matches!(
            shop.settle(&other_query),
            PayOutcome::Duplicate { .. }
        ));
        let other_path = PaymentRequest {
            path: "/b".into(),
            ..request.clone()
        };
        assert!(matches!(
            shop.settle(&other_path),
            PayOutcome::Duplicate { .. }
        ));
        assert_eq!(shop.runtime.made(), 1);
    }

    #[test]
    fn should_not_deliver_to_who_knows_only_the_id() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.will(block(7));
        paid(shop.settle(&request));
        let mut forged = request.clone();
        forged.payment.payload.payload.signature = x402_icp::values::to_base64(&[1; 64]);
        forged.payment.authorization = forged.payment.payload.payload.parse().unwrap();
        assert_eq!(refused(shop.settle(&forged)), Code::NonceUsed);
    }

    #[test]
    fn should_let_one_payer_pay_many_times_at_once() {
        let shop = shop();
        shop.runtime.hold.set(true);
        let requests: Vec<_> = (0..100).map(|nonce| shop.request(1, nonce)).collect();
        let mut waiting: Vec<_> = requests
            .iter()
            .map(|request| Box::pin(settle(&shop.runtime, request.clone())))
            .collect();
        for future in &mut waiting {
            assert!(poll(future.as_mut()).is_pending());
        }
        assert_eq!(storage::payments::open().len(), 100);
        shop.runtime.hold.set(false);
        for (n, future) in waiting.iter_mut().enumerate() {
            shop.will(block(n as u64));
            let Poll::Ready(outcome) = poll(future.as_mut()) else {
                panic!("the ledger has answered");
            };
            paid(outcome);
        }
        assert_eq!(storage::payments::settled_count(), 100);
    }
}

mod one_payment_many_requests {
    use super::*;

    #[test]
    fn should_make_one_call_for_identical_requests_in_flight() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.runtime.hold.set(true);
        let mut first = pin!(settle(&shop.runtime, request.clone()));
        assert!(poll(first.as_mut()).is_pending());
        for _ in 0..19 {
            assert_eq!(
                shop.settle(&request),
                PayOutcome::Pending {
                    payment_id: id(&request),
                    payer: request.payment.authorization.from
                }
            );
        }
        let other = PaymentRequest {
            fingerprint: [2; 32],
            ..request.clone()
        };
        assert!(matches!(shop.settle(&other), PayOutcome::Duplicate { .. }));
        shop.runtime.hold.set(false);
        shop.will(block(3));
        assert!(matches!(
            poll(first.as_mut()),
            Poll::Ready(PayOutcome::Paid { .. })
        ));
        assert_eq!(shop.runtime.made(), 1);
    }

    #[test]
    fn should_keep_the_nonce_of_a_payment_in_flight() {
        let shop = shop();
        let first = shop.request(1, 1);
        // The same nonce in another authorization: another validity.
        shop.runtime.now.set(TimestampNs(NOW.0 + 5_000_000_000));
        let second = shop.request(1, 1);
        assert_ne!(id(&first), id(&second));
        shop.runtime.hold.set(true);
        let mut waiting = pin!(settle(&shop.runtime, first));
        assert!(poll(waiting.as_mut()).is_pending());
        assert_eq!(refused(shop.settle(&second)), Code::NonceUsed);
        // Another payer may use it.
        shop.runtime.hold.set(false);
        shop.will(block(1));
        paid(shop.settle(&shop.request(2, 1)));
    }
}

mod known_failures {
    use super::*;

    #[test]
    fn should_free_the_nonce_when_no_money_moved() {
        let shop = shop();
        let request = shop.request(1, 1);
        let zero = || Nat::from(0u8);
        let errors = [
            (
                TransferFromError::InsufficientFunds { balance: zero() },
                Code::InsufficientFunds,
            ),
            (
                TransferFromError::InsufficientAllowance { allowance: zero() },
                Code::InsufficientAllowance,
            ),
            (TransferFromError::TooOld, Code::LedgerUnavailable),
            (
                TransferFromError::CreatedInFuture { ledger_time: 0 },
                Code::LedgerUnavailable,
            ),
            (
                TransferFromError::TemporarilyUnavailable,
                Code::LedgerUnavailable,
            ),
            (
                TransferFromError::BadBurn {
                    min_burn_amount: zero(),
                },
                Code::LedgerUnavailable,
            ),
            (
                TransferFromError::GenericError {
                    error_code: zero(),
                    message: "x".into(),
                },
                Code::LedgerUnavailable,
            ),
        ];
        for (error, code) in errors {
            shop.will(Err(error));
            assert_eq!(failed(shop.settle(&request)), code);
            assert!(storage::payments::open().is_empty());
        }
        for code in [1, 2, 3] {
            shop.will_reject(code);
            assert_eq!(failed(shop.settle(&request)), Code::LedgerUnavailable);
        }
        shop.runtime.will(CallOutcome::NotSent("no cycles".into()));
        assert_eq!(failed(shop.settle(&request)), Code::LedgerUnavailable);

        // The same authorization, when the payer has got the money together.
        shop.will(block(5));
        paid(shop.settle(&request));
        assert_eq!(storage::payments::settled_count(), 1);
    }

    #[test]
    fn should_learn_a_new_fee_and_want_the_offer_accepted_again() {
        let shop = shop();
        let request = shop.request(1, 1);
        storage::changes::take();
        shop.will(Err(TransferFromError::BadFee {
            expected_fee: Nat::from(25u8),
        }));
        assert_eq!(failed(shop.settle(&request)), Code::OfferMismatch);
        assert!(
            storage::changes::take().everything,
            "the 402 has to be certified again"
        );
        assert_eq!(
            storage::ledgers::get(&ledger(0).id).unwrap().fee,
            Amount(25)
        );
        // The payer agreed to the old fee only.
        assert_eq!(refused(shop.settle(&request)), Code::OfferMismatch);
        let again = shop.request(1, 1);
        shop.will(block(1));
        assert_eq!(paid(shop.settle(&again)).fee, Amount(25));
    }

    #[test]
    fn should_tell_why_it_failed() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.will(Err(TransferFromError::InsufficientFunds {
            balance: Nat::from(0u8),
        }));
        failed(shop.settle(&request));
        let State::Failed { failure, .. } = payments::payment(&id(&request)).unwrap().state else {
            panic!("the failure is remembered");
        };
        assert_eq!(failure.kind, FailureKind::InsufficientFunds);
    }
}

mod unknown_outcomes {
    use super::*;

    fn doubtful(shop: &Shop) -> [Box<dyn Fn() + '_>; 6] {
        let lie: Reply = Ok("9".repeat(10_000).parse().unwrap());
        [
            Box::new(|| {
                shop.will_reject(4);
            }),
            Box::new(|| {
                shop.will_reject(5);
            }),
            Box::new(|| {
                shop.will_reject(6);
            }),
            Box::new(|| {
                shop.runtime.will(CallOutcome::Reply(b"garbage".to_vec()));
            }),
            Box::new(|| {
                shop.runtime.will(CallOutcome::Reply(vec![0; 2_000_000]));
            }),
            Box::new(move || {
                shop.will(lie.clone());
            }),
        ]
    }

    #[test]
    fn should_ask_the_same_again_until_the_ledger_knows() {
        for n in 0..6 {
            let shop = shop();
            let request = shop.request(1, n);
            doubtful(&shop)[usize::from(n)]();
            assert!(is_pending(&shop.settle(&request)));
            assert!(matches!(
                payments::payment(&id(&request)).unwrap().state,
                State::Unknown { .. }
            ));

            // Later, with another doubt; then the ledger remembers that it did it.
            shop.runtime.now.set(NOW.plus(Seconds(3_600)));
            shop.will_reject(6);
            assert!(is_pending(&shop.settle(&request)));
            shop.will(Err(TransferFromError::Duplicate {
                duplicate_of: Nat::from(40u8),
            }));
            let receipt = paid(shop.settle(&request));
            assert_eq!(receipt.block_index, BlockIndex(40));
            let first = shop.asked(0);
            assert_eq!((shop.asked(1), shop.asked(2)), (first.clone(), first));
        }
    }

    #[test]
    fn should_never_take_a_refused_retry_for_proof() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.will_reject(6);
        assert!(is_pending(&shop.settle(&request)));
        let zero = || Nat::from(0u8);
        for error in [
            TransferFromError::InsufficientFunds { balance: zero() },
            TransferFromError::InsufficientAllowance { allowance: zero() },
            TransferFromError::BadFee {
                expected_fee: Nat::from(11u8),
            },
            TransferFromError::TooOld,
            TransferFromError::TemporarilyUnavailable,
        ] {
            shop.will(Err(error));
            assert!(is_pending(&shop.settle(&request)));
        }
        shop.will_reject(3);
        assert!(is_pending(&shop.settle(&request)));
        // Nor is the nonce free for another authorization.
        shop.runtime.now.set(TimestampNs(NOW.0 + 1_000_000_000));
        assert_eq!(refused(shop.settle(&shop.request(1, 1))), Code::NonceUsed);
        shop.runtime.now.set(NOW);
        shop.will(block(2));
        paid(shop.settle(&request));
    }

    #[test]
    fn should_not_ask_when_the_ledger_has_forgotten() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.will_reject(6);
        assert!(is_pending(&shop.settle(&request)));
        shop.runtime.now.set(NOW.plus(Seconds::DAY));
        assert!(is_pending(&shop.settle(&request)));
        assert_eq!(shop.runtime.made(), 1);
    }

    #[test]
    fn should_leave_a_payment_unknown_when_the_callback_traps() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.runtime.hold.set(true);
        {
            // What the system does after a trap: it drops the future.
            let mut waiting = pin!(settle(&shop.runtime, request.clone()));
            assert!(poll(waiting.as_mut()).is_pending());
        }
        assert!(matches!(
            payments::payment(&id(&request)).unwrap().state,
            State::Unknown {
                doubt: Doubt::Trapped,
                ..
            }
        ));
        shop.runtime.hold.set(false);
        shop.will(Err(TransferFromError::Duplicate {
            duplicate_of: Nat::from(8u8),
        }));
        assert_eq!(paid(shop.settle(&request)).block_index, BlockIndex(8));
    }

    #[test]
    fn should_survive_an_upgrade_in_flight() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.runtime.hold.set(true);
        let mut waiting = Box::pin(settle(&shop.runtime, request.clone()));
        assert!(poll(waiting.as_mut()).is_pending());
        // The new code never sees the answer, nor the old code's future.
        std::mem::forget(waiting);
        lifecycle::upgrade(&shop.runtime, Default::default()).unwrap();
        assert!(matches!(
            payments::payment(&id(&request)).unwrap().state,
            State::Unknown {
                doubt: Doubt::Upgraded,
                ..
            }
        ));
        shop.runtime.hold.set(false);
        shop.will(block(9));
        assert_eq!(paid(shop.settle(&request)).block_index, BlockIndex(9));
    }

    #[test]
    fn should_keep_the_route_while_a_payment_for_it_is_open() {
        let shop = shop();
        shop.will_reject(6);
        shop.settle(&shop.request(1, 1));
        assert_eq!(
            catalogue::remove(&shop.runtime, &shop.route),
            Err(catalogue::RouteError::PaymentsInFlight { count: 1 })
        );
        shop.will(block(2));
        paid(shop.settle(&shop.request(1, 1)));
        assert_eq!(catalogue::remove(&shop.runtime, &shop.route), Ok(()));
    }
}

mod refusals {
    use super::*;

    /// What a refused payment must not change.
    fn books() -> (Vec<Payment>, u64, usize, usize) {
        (
            storage::payments::open(),
            storage::payments::settled_count(),
            storage::payments::failures(0, 100).len(),
            storage::audit::payments_after(0, 100).len(),
        )
    }

    fn refuse(shop: &Shop, request: &PaymentRequest, code: Code) {
        let before = books();
        assert_eq!(refused(shop.settle(request)), code);
        assert_eq!(books(), before);
        assert_eq!(shop.runtime.made(), 0);
    }

    #[test]
    fn should_store_nothing_and_call_nobody() {
        let shop = shop();
        let request = shop.request(1, 1);
        let mut wrong = request.clone();
        wrong.payment.payload.accepted.amount = "1".into();
        refuse(&shop, &wrong, Code::AmountMismatch);
        let nowhere = PaymentRequest {
            route: RouteKey::new(Method::Post, "/a"),
            ..request.clone()
        };
        refuse(&shop, &nowhere, Code::OfferMismatch);
        shop.runtime.now.set(NOW.plus(Seconds(600)));
        refuse(&shop, &request, Code::Expired);
    }

    #[test]
    fn should_refuse_a_cancelled_authorization() {
        let shop = shop();
        let request = shop.request(1, 1);
        let owner = request.payment.authorization.from.owner;
        shop.runtime.caller.set(owner);
        let before = request.payment.authorization.valid_before;
        cancel::cancel(&shop.runtime, Nonce([1; 32]), before).unwrap();
        refuse(&shop, &request, Code::Cancelled);
        // Another of the same payer is good.
        shop.will(block(1));
        let other = shop.request(1, 2);
        paid(shop.settle(&other));
        assert_eq!(
            cancel::cancel(&shop.runtime, Nonce([2; 32]), before),
            Err(cancel::CancelError::AlreadyUsed {
                payment_id: id(&other)
            })
        );
    }

    #[test]
    fn should_refuse_when_cycles_run_low() {
        let shop = shop();
        let request = shop.request(1, 1);
        shop.runtime
            .cycles
            .set(Cycles(config().limits.cycles_floor.0 - 1));
        refuse(&shop, &request, Code::LedgerUnavailable);
        shop.runtime.cycles.set(config().limits.cycles_floor);
        shop.will(block(1));
        let receipt = paid(shop.settle(&request));
        // What is paid is delivered all the same.
        shop.runtime.cycles.set(Cycles(0));
        assert_eq!(paid(shop.settle(&request)), receipt);
    }

    #[test]
    fn should_refuse_when_the_books_are_full() {
        let shop = shop();
        let limits = Limits {
            max_payments: 1,
            ..Limits::default()
        };
        storage::config::write(&Config { limits, ..config() }).unwrap();
        let request = shop.request(1, 1);
        shop.will(block(1));
        paid(shop.settle(&request));
        assert_eq!(
            refused(shop.settle(&shop.request(1, 2))),
            Code::LedgerUnavailable
        );
    }

    #[test]
    fn should_bound_what_is_in_flight() {
        let shop = shop();
        shop.runtime.hold.set(true);
        let mut waiting = vec![];
        for nonce in 0..MAX_OPEN_PER_PAYER {
            let mut future = Box::pin(settle(&shop.runtime, shop.request(1, nonce as u8)));
            assert!(poll(future.as_mut()).is_pending());
            waiting.push(future);
        }
        let one_more = shop.request(1, MAX_OPEN_PER_PAYER as u8);
        assert_eq!(refused(shop.settle(&one_more)), Code::LedgerUnavailable);
        let mut other = Box::pin(settle(&shop.runtime, shop.request(2, 1)));
        assert!(poll(other.as_mut()).is_pending());
    }
}
