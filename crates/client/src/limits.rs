//! How long a payer waits and how much it reads.

use std::time::Duration;

/// How long a payer waits for strangers, and how many bytes of them it reads. Every answer ends within these limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For the next byte of an answer, its first included: a settlement takes several seconds.
    pub idle: Duration,
    /// For the whole of one answer, however steadily it comes.
    pub whole: Duration,
    /// The most bytes of a resource.
    pub body_bytes: usize,
    /// The most bytes of the body of a 402.
    pub offer_bytes: usize,
    /// For one call of a canister. See [`crate::Network::with_timeout`] for the calls of a network that others use.
    pub agent: Duration,
    /// Before a payment is sent for the second time; doubled up to sixteen times as much. A seller's `Retry-After` is
    /// waited for instead, up to the patience.
    pub first_pause: Duration,
}

impl Default for Limits {
    /// 10 s for a connection, 60 s for a byte, one hour for an answer; 64 MiB, and 1 MiB for a 402; 30 s for a
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
