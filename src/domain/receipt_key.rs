//! Receipts that the canister signs: the setting, what is signed, and how often (docs/receipts.md).

use crate::{
    domain::{
        payment::{Payment, State},
        validate::{InvalidArgument, text_length},
    },
    types::{Seconds, TimestampNs},
};
use std::collections::VecDeque;
use x402_icp::jws::{SignedReceipt, VERSION};

/// The longest name of a key. Those of the system have twelve characters.
pub const MAX_KEY_NAME_BYTES: usize = 32;
/// The most keys that one canister can have had. All of them stay in its DID document.
pub const MAX_KEYS: usize = 8;
/// The most signatures in any minute.
pub const MAX_PER_MINUTE: usize = 10;
/// The most signatures in any day that a setting allows.
pub const MAX_PER_DAY: u32 = 10_000;
const MINUTE: Seconds = Seconds(60);
const DAY: Seconds = Seconds(86_400);

/// The setting: which of the system's keys signs, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// `key_1` and `test_key_1` on the mainnet, `dfx_test_key` on local networks.
    pub key_name: String,
    /// The most signatures in any day.
    pub per_day: u32,
}

impl Signing {
    pub fn check(&self) -> Result<(), InvalidArgument> {
        text_length("key_name", &self.key_name, MAX_KEY_NAME_BYTES)?;
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        // The name is a part of a URL.
        if self.key_name.is_empty() || !self.key_name.bytes().all(good) {
            let problem = "is not 1 to 32 of A-Z, a-z, 0-9, _ and -";
            return Err(InvalidArgument::new("key_name", problem));
        }
        match (1..=MAX_PER_DAY).contains(&self.per_day) {
            true => Ok(()),
            false => {
                let problem = format!("is not between 1 and {MAX_PER_DAY}");
                Err(InvalidArgument::limit(
                    "per_day",
                    problem,
                    MAX_PER_DAY.into(),
                ))
            }
        }
    }
}

/// What is signed of a payment: that it was paid and delivered. `None` if it was not, or is not any more. `origin`: where
/// the seller's site is.
pub fn signed_receipt(payment: &Payment, origin: &str, now: TimestampNs) -> Option<SignedReceipt> {
    let State::Delivered { tx, .. } = payment.state else {
        return None;
    };
    Some(SignedReceipt {
        version: VERSION,
        network: payment.network.clone(),
        resource_url: format!("{origin}{}", payment.purchase.request().path),
        payer: payment.from.to_string(),
        issued_at: now.0 / 1_000_000_000,
        transaction: tx.to_string(),
    })
}

/// The times of the latest signatures: no more than the limits allow.
#[derive(Debug, Default)]
pub struct Signed(VecDeque<TimestampNs>);

/// A signature has to wait so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    pub limit: u32,
    pub retry_after: Seconds,
}

impl Signed {
    /// Counts a signature, if the limits allow one more.
    pub fn take(&mut self, per_day: u32, now: TimestampNs) -> Result<(), TooMany> {
        while self.0.front().is_some_and(|at| at.plus(DAY) <= now) {
            self.0.pop_front();
        }
        let wait = |within: Seconds, limit: usize| {
            let at = self
                .0
                .len()
                .checked_sub(limit)
                .and_then(|place| self.0.get(place));
            let until = at?.plus(within);
            let seconds = until.0.saturating_sub(now.0).div_ceil(1_000_000_000);
            (seconds > 0).then_some(TooMany {
                limit: limit as u32,
                retry_after: Seconds(seconds as u32),
            })
        };
        let waits = [wait(DAY, per_day as usize), wait(MINUTE, MAX_PER_MINUTE)];
        if let Some(too_many) = waits.into_iter().flatten().next() {
            return Err(too_many);
        }
        self.0.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000_000;

    fn at(seconds: u64) -> TimestampNs {
        TimestampNs(NOW + seconds * 1_000_000_000)
    }

    #[test]
    fn a_setting_names_a_key_that_can_stand_in_a_url_and_a_limit() {
        let check = |key_name: &str, per_day| {
            let signing = Signing {
                key_name: key_name.into(),
                per_day,
            };
            signing.check()
        };
        for name in [
            "key_1",
            "test_key_1",
            "dfx_test_key",
            "A-z",
            &"k".repeat(32),
        ] {
            assert_eq!(check(name, 1), Ok(()));
        }
        for name in ["", "key 1", "key#1", "clé", "key/1", &"k".repeat(33)] {
            assert_eq!(check(name, 1).unwrap_err().field, "key_name", "{name}");
        }
        assert_eq!(check("key_1", MAX_PER_DAY), Ok(()));
        for per_day in [0, MAX_PER_DAY + 1, u32::MAX] {
            assert_eq!(check("key_1", per_day).unwrap_err().field, "per_day");
        }
    }

    #[test]
    fn a_minute_and_a_day_have_so_many_signatures() {
        let mut signed = Signed::default();
        for _ in 0..MAX_PER_MINUTE {
            assert_eq!(signed.take(15, at(0)), Ok(()));
        }
        let wait = |limit, seconds| {
            Err(TooMany {
                limit,
                retry_after: Seconds(seconds),
            })
        };
        assert_eq!(signed.take(15, at(1)), wait(10, 59));
        for n in 0..5 {
            assert_eq!(signed.take(15, at(60 + n)), Ok(()));
        }
        assert_eq!(signed.take(15, at(3_600)), wait(15, 86_400 - 3_600));
        // The setting may be changed to less than were signed.
        assert_eq!(signed.take(3, at(3_600)), wait(3, 86_400 + 62 - 3_600));
        assert_eq!(signed.take(16, at(3_600)), Ok(()));
        assert_eq!(signed.take(15, at(86_400)), Ok(()));
        assert!(signed.0.len() <= 16);
    }
}
