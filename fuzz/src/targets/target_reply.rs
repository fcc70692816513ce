//! Replies of a forward target, in either mode. What is delivered is bounded and cannot fool a client or a gateway.

use tollkeeper::domain::{
    settlement::CallOutcome,
    work::{MAX_ANSWER_BYTES, judge},
};

pub fn run(data: &[u8]) {
    let outcome = CallOutcome::Reply(data.to_vec());
    let Ok(answer) = judge(&outcome) else {
        return;
    };
    assert!((200..400).contains(&answer.status));
    assert!(answer.body.len() <= MAX_ANSWER_BYTES);
    assert!(answer.headers.len() <= 8);
    let values = answer.headers.iter().map(|(_, value)| value);
    for value in values.chain(&answer.mime_type) {
        assert!(value.len() <= 1_024 && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    for (name, _) in &answer.headers {
        let steers = ["payment-", "x-", "ic-", "set-cookie", "access-control-"];
        assert!(steers.iter().all(|part| !name.starts_with(part)), "{name}");
    }
}
