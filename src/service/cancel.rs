//! Cancelling an authorization before it is used.

use crate::{
    domain::{config::Limits, payment::State},
    runtime::Runtime,
    storage,
    types::{ClaimKey, Nonce, PaymentId},
};
use candid::Principal;

/// The latest end, in seconds, of an authorization that can be cancelled now: that of one which begins after the
/// longest timeout allowed and lasts as long. Later ones can be cancelled later, before they begin. A cancellation is
/// therefore never kept for much longer than it matters.
pub fn horizon(limits: &Limits) -> u64 {
    2 * u64::from(limits.max_timeout.0)
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// The authorization has expired, so no transfer is made with it any more. One may have been made before.
    #[error("the authorization has expired")]
    Expired {
        /// The canister's time, in seconds since 1970-01-01 UTC.
        now_seconds: u64,
    },
    /// The authorization ends too late to be cancelled yet. It stays valid.
    #[error(
        "the authorization ends after {limit_seconds}, the latest end that can be cancelled now"
    )]
    TooFarAhead {
        /// The latest end that can be cancelled now, in seconds since 1970-01-01 UTC.
        limit_seconds: u64,
    },
    #[error("the anonymous principal has no authorizations")]
    AnonymousCaller,
    /// The payment is being settled or was settled.
    #[error("the authorization was used for payment {payment_id}")]
    AlreadyUsed { payment_id: PaymentId },
    #[error("there are more than {limit} cancellations")]
    TooManyCancellations { limit: u32 },
}

/// Cancels the caller's authorization with this nonce, which ends at `valid_before_seconds`.
pub fn cancel<R: Runtime>(
    runtime: &R,
    nonce: Nonce,
    valid_before_seconds: u64,
) -> Result<(), CancelError> {
    let (caller, now) = (runtime.caller(), runtime.now());
    if caller == Principal::anonymous() {
        return Err(CancelError::AnonymousCaller);
    }
    if valid_before_seconds <= now.seconds() {
        return Err(CancelError::Expired {
            now_seconds: now.seconds(),
        });
    }
    let key = ClaimKey::icrc2(&caller, &nonce);
    // The failure is removed some day. The cancellation keeps the nonce unusable after that.
    if let Some(payment) = storage::payments::by_key(&key)
        && !matches!(payment.state, State::Failed { .. })
    {
        return Err(CancelError::AlreadyUsed {
            payment_id: payment.id,
        });
    }
    let ahead = horizon(&storage::config::read().limits);
    let limit_seconds = now.seconds().saturating_add(ahead);
    if valid_before_seconds > limit_seconds {
        return Err(CancelError::TooFarAhead { limit_seconds });
    }
    storage::cancellations::insert(key, caller, valid_before_seconds, now)
        .map_err(|error| CancelError::TooManyCancellations { limit: error.limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runtime::scripted::ScriptedRuntime, storage::config::tests::config, types::TimestampNs,
    };

    #[test]
    fn an_authorization_that_has_ended_is_expired() {
        let runtime = ScriptedRuntime::new(TimestampNs(1_000_999_999_999));
        storage::config::write(&config()).unwrap();
        for past in [0, 1, 999, 1_000] {
            let refused = cancel(&runtime, Nonce([1; 32]), past);
            assert_eq!(
                refused,
                Err(CancelError::Expired { now_seconds: 1_000 }),
                "{past}"
            );
        }
        assert_eq!(cancel(&runtime, Nonce([1; 32]), 1_001), Ok(()));
    }

    #[test]
    fn an_authorization_that_ends_too_late_is_not_called_expired() {
        let runtime = ScriptedRuntime::new(TimestampNs(1_000_000_000_000));
        storage::config::write(&config()).unwrap();
        let nonce = Nonce([1; 32]);
        let limit_seconds = 1_000 + 2 * 3_600;
        for late in [limit_seconds + 1, 2 * limit_seconds, u64::MAX] {
            let refused = cancel(&runtime, nonce, late);
            assert_eq!(
                refused,
                Err(CancelError::TooFarAhead { limit_seconds }),
                "{late}"
            );
        }
        let key = ClaimKey::icrc2(&runtime.controller, &nonce);
        assert!(!storage::cancellations::contains(&key));
        assert_eq!(cancel(&runtime, nonce, limit_seconds), Ok(()));
        assert!(storage::cancellations::contains(&key));
    }

    #[test]
    fn the_anonymous_principal_cancels_nothing() {
        let runtime = ScriptedRuntime::new(TimestampNs(1_000_000_000_000));
        storage::config::write(&config()).unwrap();
        runtime.caller.set(Principal::anonymous());
        for time in [1, 1_001, u64::MAX] {
            assert_eq!(
                cancel(&runtime, Nonce([1; 32]), time),
                Err(CancelError::AnonymousCaller)
            );
        }
    }
}
