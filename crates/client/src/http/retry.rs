//! The header `Retry-After`.

use super::Response;
use std::time::Duration;

/// The pause that the seller requests (`Retry-After`, in seconds or as a date of HTTP). `now` is in seconds since
/// 1970-01-01.
pub(crate) fn retry_after(response: &Response, now: u64) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = match digits {
        // A number that does not fit is longer than any patience.
        true => text.parse().unwrap_or(u64::MAX),
        false => date(text)?.saturating_sub(now),
    };
    Some(Duration::from_secs(seconds))
}

/// Parses `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7); the two older forms are obsolete.
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let parts: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts[..] else {
        return None;
    };
    let day: u64 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = year
        .parse()
        .ok()
        .filter(|year| (1970..=9999).contains(year))?;
    let mut clock = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if clock.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01, with years that begin in March so that a leap day is the last day of one.
    let (y, m) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str, now: u64) -> Option<u64> {
        let response = Response {
            url: String::new(),
            status: 503,
            headers: vec![("retry-after".into(), value.into())],
            body: vec![],
        };
        retry_after(&response, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_date() {
        assert_eq!(wait("7", 0), Some(7));
        assert_eq!(wait("99999999999999999999999", 0), Some(u64::MAX));
        assert_eq!(
            wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777 - 30),
            Some(30)
        );
        assert_eq!(
            wait("Thu, 29 Feb 2024 00:00:00 GMT", 0),
            Some(1_709_164_800)
        );
        assert_eq!(wait("Sat, 01 Jan 2000 00:00:00 GMT", 0), Some(946_684_800));
        // In the past: at once.
        assert_eq!(wait("Thu, 01 Jan 1970 00:00:00 GMT", 5), Some(0));
    }

    #[test]
    fn what_is_no_time_to_wait_is_passed_over() {
        for text in [
            "",
            "soon",
            "-1",
            "1.5",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 31 Foo 2024 1:2:3 GMT",
        ] {
            assert_eq!(wait(text, 0), None, "{text:?}");
        }
    }
}
