/// Nanoseconds since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimestampNs(pub u64);

impl TimestampNs {
    /// The beginning of this second, or the latest time if it overflows.
    pub const fn from_seconds(seconds: u64) -> TimestampNs {
        TimestampNs(seconds.saturating_mul(1_000_000_000))
    }

    /// Whole seconds since 1970-01-01.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// This much later, or the latest time if it overflows.
    pub const fn plus(self, span: Seconds) -> TimestampNs {
        TimestampNs(
            self.0
                .saturating_add((span.0 as u64).saturating_mul(1_000_000_000)),
        )
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

impl Seconds {
    pub const DAY: Seconds = Seconds(86_400);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_never_wraps() {
        assert_eq!(TimestampNs(1).plus(Seconds(2)), TimestampNs(2_000_000_001));
        assert_eq!(
            TimestampNs(u64::MAX - 1).plus(Seconds::DAY),
            TimestampNs(u64::MAX)
        );
        assert_eq!(TimestampNs(1_999_999_999).seconds(), 1);
        assert_eq!(TimestampNs::from_seconds(2), TimestampNs(2_000_000_000));
        assert_eq!(TimestampNs::from_seconds(u64::MAX), TimestampNs(u64::MAX));
    }
}
