//! The work that open and settled payments bought of other canisters, by the first half of the payment id.
//!
//! A row is written when the payment is opened, and removed when nothing is left to do: the work is done, the payment
//! failed, lapsed, or is refunded. Rows hold the payer's request, so their bytes count as content.

use crate::{
    domain::{
        fulfilment::Fulfilment,
        payment::{Payment, State},
        work::{Work, WorkRequest},
    },
    storage::{codec::Bytes, memory, routes::ForwardRow},
    types::PaymentId,
};
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::cell::RefCell;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct HeaderRow {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct WorkRow {
    #[n(0)]
    forward: ForwardRow,
    #[n(1)]
    mime_type: String,
    #[n(2)]
    url: String,
    #[n(3)]
    headers: Vec<HeaderRow>,
    #[cbor(n(4), with = "minicbor::bytes")]
    body: Vec<u8>,
    /// The whole payment id: the halves of two may be equal.
    #[cbor(n(5), with = "minicbor::bytes")]
    id: [u8; 32],
}

/// The key of a payment in the tables of works and answers.
pub(super) fn half(id: &PaymentId) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&id.0[..16]);
    half
}

pub(super) fn header_rows(headers: &[(String, String)]) -> Vec<HeaderRow> {
    let rows = headers.iter().map(|(name, value)| HeaderRow {
        name: name.clone(),
        value: value.clone(),
    });
    rows.collect()
}

pub(super) fn headers(rows: Vec<HeaderRow>) -> Vec<(String, String)> {
    rows.into_iter().map(|row| (row.name, row.value)).collect()
}

impl WorkRow {
    fn new(id: &PaymentId, work: &Work) -> Self {
        WorkRow {
            forward: (&work.forward).into(),
            mime_type: work.mime_type.clone(),
            url: work.request.url.clone(),
            headers: header_rows(&work.request.headers),
            body: work.request.body.clone(),
            id: id.0,
        }
    }
}

impl From<WorkRow> for Work {
    fn from(row: WorkRow) -> Self {
        Work {
            forward: row.forward.into(),
            mime_type: row.mime_type,
            request: WorkRequest {
                url: row.url,
                headers: headers(row.headers),
                body: row.body,
            },
        }
    }
}

struct Tables {
    rows: StableBTreeMap<[u8; 16], Bytes, memory::Memory>,
    /// The bytes of all requests.
    bytes: u64,
    /// The payments for work whose ledger or target is being called. An upgrade resets them to none.
    in_progress: u32,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables::load());
}

impl Tables {
    fn load() -> Self {
        let rows: StableBTreeMap<[u8; 16], Bytes, _> =
            StableBTreeMap::init(memory::get(memory::WORKS));
        let bytes = rows.values().map(|row| size(&row)).sum();
        Tables {
            rows,
            bytes,
            in_progress: 0,
        }
    }
}

/// The bytes that a work counts: those of its request.
fn size(row: &Bytes) -> u64 {
    Work::from(row.row::<WorkRow>()).request.bytes() as u64
}

/// Stores the work of a payment that was opened just now.
pub fn put(id: &PaymentId, work: &Work) {
    TABLES.with_borrow_mut(|tables| {
        let earlier = tables
            .rows
            .insert(half(id), Bytes::of(&WorkRow::new(id, work)));
        let earlier = earlier.map_or(0, |row| size(&row));
        let more = work.request.bytes() as u64;
        tables.bytes = tables.bytes.saturating_add(more).saturating_sub(earlier);
    });
}

/// The work of this payment, if it is still to be done.
pub fn get(id: &PaymentId) -> Option<Work> {
    let row: WorkRow = TABLES
        .with_borrow(|tables| tables.rows.get(&half(id)))?
        .row();
    (row.id == id.0).then(|| row.into())
}

/// The bytes of all works.
pub fn bytes() -> u64 {
    TABLES.with_borrow(|tables| tables.bytes)
}

/// The works whose answers may arrive now.
pub fn in_progress() -> u32 {
    TABLES.with_borrow(|tables| tables.in_progress)
}

/// Updates the tables after this payment's state changed. `earlier`: its state before.
pub(super) fn note(earlier: Option<&State>, payment: &Payment) {
    if payment.fulfilment != Fulfilment::Forward {
        return;
    }
    TABLES.with_borrow_mut(|tables| {
        match (earlier.is_some_and(in_call), in_call(&payment.state)) {
            (false, true) => tables.in_progress = tables.in_progress.saturating_add(1),
            (true, false) => tables.in_progress = tables.in_progress.saturating_sub(1),
            _ => {}
        }
        let wanted = payment.state.is_owed() && !payment.state.waits_for_controller();
        if !wanted && let Some(row) = tables.rows.remove(&half(&payment.id)) {
            tables.bytes = tables.bytes.saturating_sub(size(&row));
        }
    });
}

/// Whether the ledger or the target is being called.
fn in_call(state: &State) -> bool {
    matches!(state, State::Settling { .. } | State::Working { .. })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        domain::{
            forward::{Forward, Mode, OnFailure},
            payment::{Doubt, RefundCause, RefundProblem, WorkProblem},
            rail::TxRef,
        },
        storage::payments::tests::{payment, set_up},
        types::{BlockIndex, TimestampNs},
    };
    use candid::Principal;

    fn work(body: usize) -> Work {
        Work {
            forward: Forward {
                canister: Principal::from_slice(&[5; 10]),
                mode: Mode::Http,
                idempotent: true,
                on_failure: OnFailure::Retry,
            },
            mime_type: "text/plain".into(),
            request: WorkRequest {
                url: "/a".into(),
                headers: vec![("accept".into(), "*/*".into())],
                body: vec![1; body],
            },
        }
    }

    /// Reads the table again, as after an upgrade.
    pub(crate) fn reload() {
        TABLES.set(Tables::load());
    }

    /// A work is kept exactly as long as it may still have to be done.
    #[test]
    fn works_are_kept_and_counted_until_nothing_is_left_to_do() {
        set_up();
        let mut payment = payment(1, 1);
        payment.fulfilment = Fulfilment::Forward;
        let (tx, at) = (TxRef::Block(BlockIndex(1)), TimestampNs(1));
        let unknown = |doubt| State::Unknown {
            doubt,
            since: at,
            attempts: 1,
            all_failed: true,
        };
        let refunding = |problem| State::Refunding {
            tx,
            settled_at: at,
            since: at,
            attempts: 0,
            cause: RefundCause::NotDone,
            problem,
        };
        let working = State::Working {
            tx,
            settled_at: at,
            since: at,
            attempt: 1,
        };
        let undone = State::Undone {
            tx,
            settled_at: at,
            since: at,
            attempts: 1,
            problem: WorkProblem::Failed,
        };
        let delivered = State::Delivered {
            tx,
            settled_at: at,
            at,
        };
        let settling = State::Settling {
            attempt: 1,
            all_failed: true,
        };
        let settled = State::Settled { tx, at };
        let mut in_calls = 0;
        for (state, kept) in [
            (settling.clone(), true),
            (unknown(Doubt::Reject), true),
            (settled, true),
            (working.clone(), true),
            (undone, true),
            (unknown(Doubt::Lapsed), false),
            (delivered, false),
            (refunding(RefundProblem::NotTried), false),
            (refunding(RefundProblem::NeedsController), false),
        ] {
            put(&payment.id, &work(10));
            assert_eq!(bytes(), 21);
            payment.state = state;
            in_calls += u32::from(in_call(&payment.state));
            note(None, &payment);
            assert_eq!(in_progress(), in_calls);
            assert_eq!(get(&payment.id), kept.then(|| work(10)));
            assert_eq!(bytes(), if kept { 21 } else { 0 });
        }
        note(Some(&settling), &payment);
        note(Some(&working), &payment);
        assert_eq!(in_progress(), 0);
        put(&payment.id, &work(10));
        reload();
        assert_eq!((bytes(), in_progress()), (21, 0));
    }
}
