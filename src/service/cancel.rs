//! Cancelling an authorization before it is used.

use crate::{
    domain::{config::Limits, payment::State, validate::InvalidArgument},
    runtime::Runtime,
    storage,
    types::{Nonce, NonceKey, PaymentId},
};
use candid::Principal;

/// How far ahead an authorization that is cancelled may end, in seconds: one that is signed now to
/// begin after the longest timeout allowed and to last as long. What begins later can be cancelled later,
/// before it begins; so a cancellation never takes its place for much longer than it could matter.
pub fn horizon(limits: &Limits) -> u64 {
    2 * u64::from(limits.max_timeout.0)
}

/// An authorization cannot be cancelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// The time is past, or too far ahead.
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    /// The anonymous principal has no authorizations.
    #[error("the anonymous principal has no authorizations")]
    AnonymousCaller,
    /// It is being settled or was settled.
    #[error("the authorization was used for payment {payment_id}")]
    AlreadyUsed {
        /// By this payment.
        payment_id: PaymentId,
    },
    /// There is no room.
    #[error("there are more than {limit} cancellations")]
    TooManyCancellations {
        /// The limit that was reached.
        limit: u32,
    },
}

/// Cancels the caller's authorization with this nonce, which would end at `valid_before_seconds`.
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
        return Err(InvalidArgument::new("valid_before_seconds", "is past").into());
    }
    let ahead = horizon(&storage::config::read().limits);
    let latest = now.seconds().saturating_add(ahead);
    if valid_before_seconds > latest {
        return Err(InvalidArgument::limit(
            "valid_before_seconds",
            format!("is more than {ahead} seconds ahead"),
            latest.into(),
        )
        .into());
    }
    let key = NonceKey::new(&caller, &nonce);
    // A failure is forgotten one day; its nonce, cancelled, stays dead all the same.
    if let Some(payment) = storage::payments::by_nonce(&key)
        && !matches!(payment.state, State::Failed { .. })
    {
        return Err(CancelError::AlreadyUsed {
            payment_id: payment.id,
        });
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
    fn only_the_near_future_of_somebody_can_be_cancelled() {
        let runtime = ScriptedRuntime::new(TimestampNs(1_000_000_000_000));
        storage::config::write(&config()).unwrap();
        let nonce = Nonce([1; 32]);
        assert!(matches!(
            cancel(&runtime, nonce, 1_000),
            Err(CancelError::InvalidArgument(_))
        ));
        let far = 1_001 + 2 * 3_600;
        assert!(matches!(
            cancel(&runtime, nonce, far),
            Err(CancelError::InvalidArgument(e)) if e.limit == Some((far - 1).into())
        ));
        assert_eq!(cancel(&runtime, nonce, 1_001), Ok(()));
        assert!(storage::cancellations::contains(&NonceKey::new(
            &runtime.controller,
            &nonce
        )));
        runtime.caller.set(Principal::anonymous());
        assert_eq!(
            cancel(&runtime, nonce, 1_001),
            Err(CancelError::AnonymousCaller)
        );
    }
}
