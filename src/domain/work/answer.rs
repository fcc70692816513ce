//! The answer of a target, and what the end of its call proves.

use crate::domain::{config::MAX_CONTENT_BYTES, payment::WorkProblem, settlement::CallOutcome};
use candid::{CandidType, DecoderConfig, Deserialize, Reserved};
use serde_bytes::ByteBuf;
use tollkeeper_types::HeaderField;

/// The longest body of an answer, in bytes: that of stored content. With its headers it fits into a reply of this
/// canister.
pub const MAX_ANSWER_BYTES: usize = MAX_CONTENT_BYTES as usize;

/// The response headers that a payer gets from a target, in lower case: those that describe the body. All others are
/// dropped. A target must not be able to report a payment, to certify, to set cookies or rules for the whole origin, or
/// to steer gateways and proxies.
const HEADERS: [&str; 8] = [
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "etag",
    "last-modified",
    "link",
    "location",
];

/// The longest value of one of these, in bytes. A longer one is dropped.
const MAX_VALUE_BYTES: usize = 1_024;

/// An answer that can be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status, from 200 to 399.
    pub status: u16,
    /// Without `content-type`.
    pub headers: Vec<HeaderField>,
    /// `content-type`, if the target named one.
    pub mime_type: Option<String>,
    pub body: Vec<u8>,
}

/// The reply of either method. One of the two names has the status.
#[derive(CandidType, Deserialize)]
struct Reply {
    status: Option<u16>,
    status_code: Option<u16>,
    headers: Vec<HeaderField>,
    body: ByteBuf,
    streaming_strategy: Option<Reserved>,
}

/// Judges the end of the call. The target provably did nothing if the call was not sent, and after the three reject
/// codes with which the system guarantees that the callee did not run (1 SYS_FATAL, 2 SYS_TRANSIENT,
/// 3 DESTINATION_INVALID).
///
/// A status below 400 is an answer, as in other servers of x402: they charge for nothing else.
pub fn judge(outcome: &CallOutcome) -> Result<Answer, WorkProblem> {
    let reply = match outcome {
        CallOutcome::Reply(reply) => reply,
        CallOutcome::NotSent(_) => return Err(WorkProblem::NotRun),
        CallOutcome::Rejected { code: 1..=3, .. } => return Err(WorkProblem::NotRun),
        CallOutcome::Rejected { code: 4..=5, .. } => return Err(WorkProblem::Error),
        CallOutcome::Rejected { .. } => return Err(WorkProblem::NoAnswer),
    };
    let reply = read(reply).ok_or(WorkProblem::Unusable)?;
    // The rest of a streamed body would have to be fetched.
    if reply.streaming_strategy.is_some() || reply.body.len() > MAX_ANSWER_BYTES {
        return Err(WorkProblem::Unusable);
    }
    let status = reply.status.or(reply.status_code).unwrap_or_default();
    match status {
        // Nothing conditional was asked.
        304 => return Err(WorkProblem::Unusable),
        200..=399 => {}
        400..=499 => return Err(WorkProblem::Refused),
        500..=599 => return Err(WorkProblem::Failed),
        _ => return Err(WorkProblem::Unusable),
    }
    let mut headers = deliverable(&reply.headers);
    let named = headers.iter().position(|(name, _)| name == "content-type");
    Ok(Answer {
        status,
        mime_type: named.map(|at| headers.remove(at).1),
        headers,
        body: reply.body.into_vec(),
    })
}

/// Reads a reply, with bounds on the work.
fn read(reply: &[u8]) -> Option<Reply> {
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(2_000_000 + 8 * reply.len())
        .set_skipping_quota(500_000);
    candid::utils::decode_one_with_config(reply, &config).ok()
}

/// The headers that a payer gets, each once.
fn deliverable(headers: &[HeaderField]) -> Vec<HeaderField> {
    let wanted = HEADERS.iter().filter_map(|name| {
        let (_, value) = headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        (plain && !value.is_empty() && value.len() <= MAX_VALUE_BYTES)
            .then(|| (name.to_string(), value.clone()))
    });
    wanted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::{Encode, Nat, Principal};

    fn field(name: &str, value: &str) -> HeaderField {
        (name.into(), value.into())
    }

    #[derive(CandidType)]
    struct Full {
        status: u16,
        headers: Vec<HeaderField>,
        body: ByteBuf,
        units: Option<Nat>,
    }

    fn full(status: u16, headers: Vec<HeaderField>, body: usize) -> CallOutcome {
        let full = Full {
            status,
            headers,
            body: ByteBuf::from(vec![7; body]),
            units: Some(Nat::from(3u8)),
        };
        CallOutcome::Reply(Encode!(&full).unwrap())
    }

    fn rejected(code: u32) -> CallOutcome {
        let message = String::new();
        CallOutcome::Rejected { code, message }
    }

    #[test]
    fn forward_headers_that_could_fool_a_client_or_gateway_are_dropped() {
        let bad = [
            "PAYMENT-RESPONSE",
            "Payment-Required",
            "X-PAYMENT-RESPONSE",
            "IC-Certificate",
            "ic-certificateexpression",
            "Set-Cookie",
            "Connection",
            "Transfer-Encoding",
            "Content-Length",
            "Strict-Transport-Security",
            "Clear-Site-Data",
            "Service-Worker-Allowed",
            "Access-Control-Allow-Origin",
            "X-Accel-Redirect",
            "Cache-Control",
            "X-Content-Type-Options",
        ];
        let mut headers: Vec<_> = bad.iter().map(|name| field(name, "1")).collect();
        headers.push(field("Content-Type", "text/plain"));
        headers.push(field("content-type", "text/html"));
        headers.push(field("ETag", "\"1\"\r\nPAYMENT-RESPONSE: e30="));
        headers.push(field("Link", &"x".repeat(MAX_VALUE_BYTES + 1)));
        headers.push(field("Location", "/b"));
        let answer = judge(&full(201, headers, 3)).unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.mime_type.as_deref(), Some("text/plain"));
        assert_eq!(answer.headers, [field("location", "/b")]);
        assert_eq!(answer.body, [7; 3]);
    }

    #[test]
    fn a_status_says_whether_something_was_sold() {
        for (status, expected) in [
            (0, Err(WorkProblem::Unusable)),
            (199, Err(WorkProblem::Unusable)),
            (200, Ok(())),
            (204, Ok(())),
            (303, Ok(())),
            (304, Err(WorkProblem::Unusable)),
            (399, Ok(())),
            (400, Err(WorkProblem::Refused)),
            (404, Err(WorkProblem::Refused)),
            (500, Err(WorkProblem::Failed)),
            (599, Err(WorkProblem::Failed)),
            (600, Err(WorkProblem::Unusable)),
            (u16::MAX, Err(WorkProblem::Unusable)),
        ] {
            let judged = judge(&full(status, vec![], 0));
            assert_eq!(judged.map(drop), expected, "{status}");
        }
    }

    #[test]
    fn only_the_system_proves_that_the_target_did_not_run() {
        let not_sent = CallOutcome::NotSent("no cycles".into());
        let problem = |outcome: &CallOutcome| judge(outcome).unwrap_err();
        assert_eq!(problem(&not_sent), WorkProblem::NotRun);
        for code in 0..=10 {
            let expected = match code {
                1..=3 => WorkProblem::NotRun,
                4..=5 => WorkProblem::Error,
                _ => WorkProblem::NoAnswer,
            };
            assert_eq!(problem(&rejected(code)), expected, "{code}");
        }
    }

    #[test]
    fn a_reply_that_is_no_answer_is_unusable() {
        let problem = |outcome: &CallOutcome| judge(outcome).unwrap_err();
        let long = full(200, vec![], MAX_ANSWER_BYTES + 1);
        assert_eq!(problem(&long), WorkProblem::Unusable);
        assert!(judge(&full(200, vec![], MAX_ANSWER_BYTES)).is_ok());
        let many = judge(&full(200, vec![field("x", ""); 500_000], 0));
        assert_eq!(many.unwrap().headers, []);
        for bytes in [&b""[..], b"DIDL", b"DIDL\0\0", b"garbage"] {
            let reply = CallOutcome::Reply(bytes.to_vec());
            assert_eq!(problem(&reply), WorkProblem::Unusable);
        }
    }

    candid::define_function!(More : (String) -> (String) query);

    #[derive(CandidType)]
    enum Streaming {
        Callback { callback: More, token: String },
    }

    #[derive(CandidType)]
    struct Streamed {
        status_code: u16,
        headers: Vec<HeaderField>,
        body: ByteBuf,
        streaming_strategy: Option<Streaming>,
        upgrade: Option<bool>,
    }

    #[test]
    fn half_a_body_is_not_delivered_as_a_whole() {
        let mut reply = Streamed {
            status_code: 200,
            headers: vec![],
            body: ByteBuf::from(b"half".to_vec()),
            streaming_strategy: None,
            upgrade: None,
        };
        let judged = |reply: &Streamed| {
            let reply = CallOutcome::Reply(Encode!(reply).unwrap());
            judge(&reply)
        };
        assert_eq!(judged(&reply).unwrap().body, b"half");
        reply.streaming_strategy = Some(Streaming::Callback {
            callback: More::new(Principal::from_slice(&[1]), "more".into()),
            token: "1".into(),
        });
        assert_eq!(judged(&reply), Err(WorkProblem::Unusable));
    }
}
