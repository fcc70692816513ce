//! Golden state: every version loads the stable memory that released versions wrote, and continues from there.
//!
//! `tests/golden/<version>.bin.gz` is the stable memory after [`scenario`] as that version wrote it. A version that
//! changes the layout without a new file fails here: the file of the present version is compared byte for byte.
//!
//! `GOLDEN_WRITE=1 cargo test -p tollkeeper --lib golden` writes the file of the present version (`Cargo.toml`). Do
//! that as long as the version is not released. The files of released versions are never written again and never
//! removed: later versions have to continue from them.

mod scenario;

use super::*;
use crate::{
    domain::{config::Changes, liability::Sum, outgoing::TransferTerms},
    service::{refund, withdraw},
    storage::{
        liabilities, memory,
        payments::{Lane, find, in_lane},
    },
    types::VERSION,
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use ic_stable_structures::Memory;
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use scenario::*;
use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
};

type Transferred = Result<Nat, TransferError>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn snapshot() -> Vec<u8> {
    let whole = memory::whole();
    let mut bytes = vec![0; whole.size() as usize * 65_536];
    whole.read(0, &mut bytes);
    bytes
}

fn read(file: &Path) -> Vec<u8> {
    let file = fs::File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut bytes = vec![];
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// In a new thread, whose tables are empty.
fn load(bytes: &[u8]) {
    let whole = memory::whole();
    assert_eq!(whole.size(), 0, "the tables of this thread are in use");
    whole.grow(bytes.len() as u64 / 65_536);
    whole.write(0, bytes);
}

#[test]
fn golden_state_of_this_version_is_what_it_writes() {
    scenario();
    let (bytes, file) = (snapshot(), folder().join(format!("{VERSION}.bin.gz")));
    if std::env::var_os("GOLDEN_WRITE").is_some() {
        let mut packed = GzEncoder::new(vec![], Compression::best());
        packed.write_all(&bytes).unwrap();
        fs::write(&file, packed.finish().unwrap()).unwrap();
    }
    let golden = read(&file);
    let same = bytes
        .iter()
        .zip(&golden)
        .take_while(|(a, b)| a == b)
        .count();
    assert!(
        bytes == golden,
        "stable memory is not that of {} from byte {same} on: if the layout was to change, raise the version or, if it is \
         not released, write its file again (see the head of this file)",
        file.display()
    );
}

#[test]
fn golden_states_of_all_versions_are_continued() {
    let files = fs::read_dir(folder()).unwrap();
    let files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let bytes = read(&file);
        let continued = std::thread::spawn(move || {
            load(&bytes);
            go_on();
        });
        assert!(continued.join().is_ok(), "{}", file.display());
    }
}

/// All state is present, and each payment continues from its state.
fn go_on() {
    let shop = Shop {
        runtime: ScriptedRuntime::new(END),
        route: route("/a"),
    };
    shop.runtime.will_name_fee(Nat::from(10u8));
    lifecycle::upgrade(&shop.runtime, Changes::default()).unwrap();
    everything_is_there(&shop);
    deliveries_are_repeated(&shop);
    doubts_end(&shop);
    refunds_go_on(&shop);
    work_goes_on(&shop);
    the_rest_goes_on(&shop);
    // No payment is charged again, whatever its outcome was.
    let made = shop.runtime.made();
    for n in 1..=UNKNOWN {
        assert!(!matches!(find(&key(&shop, n)), Ok(None)), "{n}");
        shop.runtime.now.set(END.plus(Seconds(20 * 3_600)));
        shop.settle(&request(&shop, n));
    }
    assert_eq!(shop.runtime.made(), made);
}

fn everything_is_there(shop: &Shop) {
    assert_eq!(storage::config::read(), settings());
    assert_eq!(storage::ledgers::all(), [ledger(0), ledger(1)]);
    assert_eq!(storage::routes::count(), 5);
    assert_eq!(storage::payments::settled_count(), 10);
    assert_eq!(storage::payments::failures(0, 9).len(), 1);
    assert_eq!(storage::payments::waiting(0, 9).len(), 2);
    assert_eq!(in_lane(Lane::Open, None, 9).len(), 3);
    assert_eq!(in_lane(Lane::Undelivered, None, 9).len(), 1);
    assert_eq!(in_lane(Lane::Refund, None, 9).len(), 1);
    assert_eq!(in_lane(Lane::Work, None, 9).len(), 1);
    assert!(storage::quarantine::is_empty());
    let sum = |low| Sum { high: 0, low };
    let owed = liabilities::owed_by(&ledger(0).id, &Account::from(shop.runtime.canister_id()));
    assert_eq!((owed.refunds, owed.refund_amounts), (1, sum(10_000)));
    assert_eq!((owed.waiting, owed.waiting_amounts), (2, sum(20_000)));
    assert_eq!((owed.doubtful.refunds, owed.doubtful.fee), (1, Amount(10)));
    assert_eq!(owed.held, sum(10_000));
    let upgraded = State::Unknown {
        doubt: Doubt::Upgraded,
        since: END,
        attempts: 1,
        all_failed: false,
    };
    assert_eq!(shop.state(&request(shop, SETTLING)), upgraded);
    assert!(shop.state(&request(shop, LAPSED)).has_lapsed());
    let audited = storage::audit::payments_after(0, 99);
    assert_eq!(audited[0].number, 1);
    assert!(audited.len() > 20);
    let last = storage::audit::admin_after(0, 99).pop().unwrap();
    assert_eq!(last.action, "upgrade");
}

fn deliveries_are_repeated(shop: &Shop) {
    let own = Account::from(shop.runtime.canister_id());
    for n in [DELIVERED, DELIVERED_LATER, NAMED] {
        assert_eq!(shop.fetch(&request(shop, n)), b"goods", "{n}");
    }
    assert_eq!(shop.fetch(&request(shop, UNDELIVERED)), b"own goods");
    assert_eq!(
        liabilities::owed_by(&ledger(0).id, &own).held,
        Sum::default()
    );
    assert_eq!(
        failed(shop.settle(&request(shop, FAILED))),
        Code::InsufficientAllowance
    );
    assert_eq!(shop.runtime.made(), 0, "no call was made");
}

fn doubts_end(shop: &Shop) {
    let unknown = request(shop, UNKNOWN);
    shop.will(block(150));
    assert_eq!(shop.fetch(&unknown), b"goods");
    let transfer = shop.asked(0);
    assert_eq!(transfer.memo.unwrap().0.as_slice(), id(&unknown).0);
    assert_eq!(
        transfer.created_at_time,
        Some(at(UNKNOWN).0 - 5_000_000_000)
    );
    let duplicate_of = Nat::from(151u8);
    shop.will(Err(TransferFromError::Duplicate { duplicate_of }));
    assert_eq!(shop.fetch(&request(shop, SETTLING)), b"goods");
}

fn refunds_go_on(shop: &Shop) {
    let runtime = &shop.runtime;
    let doubtful = key(shop, REFUND_IN_DOUBT);
    let terms = liabilities::refund(&doubtful).unwrap().doubt;
    let fee = Amount(10);
    let created_at = at(REFUND_IN_DOUBT);
    assert_eq!(terms, Some(TransferTerms { created_at, fee }));
    runtime.now.set(END.plus(Seconds(3_600)));
    let duplicate_of = Nat::from(152u8);
    runtime.will_reply(Transferred::Err(TransferError::Duplicate { duplicate_of }));
    run(refund::step(runtime, &doubtful));
    let call = runtime.calls.borrow().last().unwrap().argument.clone();
    let transfer = Decode!(&call, TransferArg).unwrap();
    assert_eq!(transfer.created_at_time, Some(created_at.0));
    let waiting = request(shop, WAITING);
    runtime.caller.set(runtime.controller);
    refund::owe(runtime, &id(&waiting)).unwrap();
    runtime.will_reply(Nat::from(1_000_000u32));
    runtime.will_reply(Transferred::Ok(Nat::from(153u8)));
    run(refund::step(runtime, &key(shop, WAITING)));
    for n in [REFUND_IN_DOUBT, WAITING, REFUNDED] {
        let state = shop.state(&request(shop, n));
        assert!(matches!(state, State::Refunded { .. }), "{n}: {state:?}");
    }
    let owed = liabilities::owed_by(&ledger(0).id, &Account::from(runtime.canister_id()));
    assert_eq!(
        (owed.refunds, owed.doubtful.refunds, owed.waiting),
        (0, 0, 1)
    );
}

fn work_goes_on(shop: &Shop) {
    let runtime = &shop.runtime;
    assert_eq!(shop.fetch(&request(shop, WORKED)), b"worked");
    let undone = request(shop, UNDONE);
    assert!(is_pending(&shop.settle(&undone)));
    runtime.now.set(END.plus(Seconds(60)));
    shop.will_serve(200, b"at last");
    run(work::step(runtime, &key(shop, UNDONE)));
    assert_eq!(shop.fetch(&undone), b"at last");
}

fn the_rest_goes_on(shop: &Shop) {
    let runtime = &shop.runtime;
    runtime.now.set(END);
    assert_eq!(
        refused(shop.settle(&request(shop, CANCELLED))),
        Code::Cancelled
    );
    // Another payment under the identifier.
    let other = PaymentRequest {
        credential: Credential::Signed(Box::new(shop.payment(NAMED, CANCELLED + 1))),
        ..request(shop, NAMED)
    };
    let route = storage::routes::get(&other.route);
    let answer = run(crate::service::purchase::settle(
        runtime,
        route.as_deref(),
        named(other),
    ));
    assert_eq!(
        answer,
        Err(crate::service::identifiers::Rejection::Conflict)
    );
    runtime.will_reply(Transferred::Ok(Nat::from(154u8)));
    let made = withdraw::withdraw(runtime, withdrawal(DOUBTFUL));
    assert_eq!(run(made), Ok(BlockIndex(154)));
    let made = withdraw::withdraw(runtime, withdrawal(MADE));
    assert_eq!(run(made), Ok(BlockIndex(130)), "unchanged");
    content::chunk(runtime, UPLOAD, FIRST, REST).unwrap();
    content::commit(runtime, UPLOAD).unwrap();
    let named = [
        (1, Claimant::Payment(0)),
        (130, Claimant::Withdrawal(at(MADE))),
    ];
    for (block, claimant) in named {
        let of = storage::claims::of(&ledger(0).id, BlockIndex(block));
        assert_eq!(of, Some(claimant));
    }
}
