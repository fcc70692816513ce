//! Which part of a body an answer with status 206 holds.

use super::interface::HttpResponse;
use super::pages::Page;

/// `content-range: bytes begin-end/total`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub begin: usize,
    pub end: usize,
    pub total: usize,
}

impl ContentRange {
    /// The part in this answer, which must hold the byte at `wanted`.
    pub fn of(answer: &HttpResponse, wanted: usize) -> Result<Self, Page> {
        answer
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-range"))
            .and_then(|(_, value)| Self::parse(value))
            .filter(|range| range.begin <= wanted && wanted <= range.end)
            .ok_or(Page::Upstream)
    }

    fn parse(value: &str) -> Option<Self> {
        let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (begin, end) = range.split_once('-')?;
        let range = Self {
            begin: begin.parse().ok()?,
            end: end.parse().ok()?,
            total: total.parse().ok()?,
        };
        (range.begin <= range.end && range.end < range.total).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn should_read_a_range() {
        let range = ContentRange {
            begin: 100,
            end: 2_000,
            total: 3_000,
        };
        assert_eq!(ContentRange::parse(" bytes 100-2000/3000"), Some(range));
        for wrong in [
            "byte 1-2/3",
            "bytes 100-200/x",
            "bytes 12345",
            "bytes 1-2/*",
            "bytes 100-200/190",
            "bytes 200-150/400",
        ] {
            assert_eq!(ContentRange::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn should_want_the_next_byte() {
        let answer = |range: &str| HttpResponse {
            status_code: 206,
            headers: vec![("Content-Range".into(), range.into())],
            body: Vec::new(),
            streaming_strategy: None,
            upgrade: None,
        };
        assert!(ContentRange::of(&answer("bytes 0-9/20"), 0).is_ok());
        assert!(ContentRange::of(&answer("bytes 5-15/20"), 10).is_ok());
        assert!(ContentRange::of(&answer("bytes 11-15/20"), 10).is_err());
        assert!(ContentRange::of(&answer("bytes 0-9/20"), 10).is_err());
    }
}
