//! The canister finishes interrupted payments by itself, without a request.

mod block_log;
mod icp_log;
mod odd_blocks;
mod same_again;
mod short_logs;
mod timers;
mod upgrades;

use crate::support::{
    Setup,
    flow::Sale,
    interface::{PaymentStatus, RecheckError},
    ledger::TRANSFER_FROM,
    payer::Signed,
    setup::{controller, merchant, minter, operator},
};
use candid::Principal;
use pocket_ic::common::rest::RawMessageId;
use serde_bytes::ByteBuf;
use std::time::Duration;
use test_ledger::testing::{Fault, Hold};

const PRICE: u128 = 30_000;
/// Longer than an authorization is valid.
const EXPIRY: u64 = 3_700;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// The time after which no ledger can make the transfer any more.
const WINDOW: u64 = DAY + 600;

impl Setup {
    /// Lets time pass at once, and runs what is due then: a timer, its calls to other subnets, and the replies.
    fn pass(&self, seconds: u64) {
        self.pic.advance_time(Duration::from_secs(seconds));
        self.rounds(14);
    }

    fn rounds(&self, rounds: usize) {
        for _ in 0..rounds {
            self.pic.tick();
        }
    }

    fn status(&self, signed: &Signed) -> PaymentStatus {
        self.payment(signed.id.0).expect("a payment").status
    }

    fn is_unknown(&self, signed: &Signed) -> bool {
        matches!(self.status(signed), PaymentStatus::Unknown { .. })
    }

    fn transfers(&self) -> usize {
        self.ledger.pulled_by(self, self.canister).len()
    }

    /// The money moved, and nothing was delivered yet; the same request delivers, without another transfer.
    fn expect_settled_and_fetch(&self, sale: &Sale<'_>, signed: Signed) {
        let status = self.status(&signed);
        assert!(
            matches!(status, PaymentStatus::Settled { .. }),
            "{status:?}"
        );
        self.check_conservation();
        let transfers = self.transfers();
        sale.present(signed.clone()).send().expect_settled();
        let status = self.status(&signed);
        assert!(matches!(status, PaymentStatus::Delivered { .. }));
        assert_eq!(self.transfers(), transfers);
    }

    /// The money provably did not move, and will not.
    fn expect_failed(&self, signed: &Signed) {
        let status = self.status(signed);
        assert!(matches!(status, PaymentStatus::Failed { .. }), "{status:?}");
        assert_eq!(self.transfers(), 0);
        self.check_conservation();
        self.pass(HOUR);
        assert_eq!(self.transfers(), 0);
    }

    /// Sends a payment whose reply does not arrive before the canister stops waiting.
    fn pay_in_silence(&self, sale: &Sale<'_>, signed: &Signed) {
        let call = self.begin(sale, signed);
        self.pass(70);
        let _ = self.pic.await_call(call).expect("no trap");
        assert!(self.is_unknown(signed));
    }

    fn begin(&self, sale: &Sale<'_>, signed: &Signed) -> RawMessageId {
        self.under_way(&sale.present(signed.clone()).request())
    }

    fn stop(&self) {
        let stopped = self.pic.stop_canister(self.canister, Some(controller()));
        stopped.expect("nothing holds it");
    }

    fn start(&self) {
        let started = self.pic.start_canister(self.canister, Some(controller()));
        started.expect("it was stopped");
    }

    fn recheck(&self, signed: &Signed) -> Result<PaymentStatus, RecheckError> {
        let id = ByteBuf::from(signed.id.0.to_vec());
        self.update(operator(), "payment_recheck", (id,))
    }
}
