//! Limits on waiting and reading.

use std::time::Duration;

/// How long a payer waits for servers, and how many bytes it reads from them. Every response ends within these limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For the next byte of a response, including the first: a settlement takes several seconds.
    pub idle: Duration,
    /// For the whole of one response, even if it arrives steadily.
    pub whole: Duration,
    /// The most bytes of a resource.
    pub body_bytes: usize,
    /// The most bytes of the body of a 402.
    pub offer_bytes: usize,
    /// For one call of a canister. See [`crate::Network::with_timeout`] for a network's other calls.
    pub agent: Duration,
    /// Before a payment is sent for the second time; doubled up to sixteen times as much. A seller's `Retry-After` is
    /// used instead, up to the patience.
    pub first_pause: Duration,
}

impl Default for Limits {
    /// 10 s for a connection, 60 s for a byte, one hour for a response; 64 MiB, and 1 MiB for a 402; 30 s for a
    /// canister.
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            whole: Duration::from_secs(3_600),
            body_bytes: 64 << 20,
            offer_bytes: 1 << 20,
            agent: Duration::from_secs(30),
            first_pause: Duration::from_millis(500),
        }
    }
}
