//! Section B: HTTP outcalls, answered by mocks or not at all.

use crate::support::*;
use candid::{Encode, Principal};
use ic_management_canister_types::{
    HttpHeader, HttpMethod, HttpRequestArgs, HttpRequestResult, TransformContext, TransformFunc,
};
use pocket_ic::PocketIc;
use pocket_ic::common::rest::{
    CanisterHttpHeader, CanisterHttpMethod, CanisterHttpReject, CanisterHttpReply,
    CanisterHttpRequest, CanisterHttpResponse, MockCanisterHttpResponse, RawMessageId,
};
use std::time::Duration;
use torture::program::{Op, call};

const COST: u128 = 70_059_600;

/// A request of the size whose cost was measured, 23 bytes of URL and one header: GET, at most
/// 2_000 bytes back.
fn request() -> HttpRequestArgs {
    HttpRequestArgs {
        url: "https://x.test/".into(),
        max_response_bytes: Some(2_000),
        method: HttpMethod::GET,
        headers: vec![HttpHeader {
            name: "x-a".into(),
            value: "12345".into(),
        }],
        ..Default::default()
    }
}

/// Starts an outcall with so many cycles and ticks until it is pending.
fn start(canister: &Canister, args: HttpRequestArgs, cycles: u128) -> RawMessageId {
    let arg = Encode!(&args).expect("encodes");
    let call = call(Principal::management_canister(), "http_request", arg)
        .cycles(cycles)
        .forward();
    let id = canister.submit(&[call.op()]);
    canister.pic.tick();
    canister.pic.tick();
    id
}

fn only_request(pic: &PocketIc) -> CanisterHttpRequest {
    let mut requests = pic.get_canister_http();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn reply(status: u16, body: &[u8]) -> CanisterHttpResponse {
    CanisterHttpResponse::CanisterHttpReply(CanisterHttpReply {
        status,
        headers: vec![CanisterHttpHeader {
            name: "x-served-by".into(),
            value: "mock".into(),
        }],
        body: body.to_vec(),
    })
}

fn answer(
    pic: &PocketIc,
    response: CanisterHttpResponse,
    additional_responses: Vec<CanisterHttpResponse>,
) {
    let request = only_request(pic);
    pic.mock_canister_http_response(MockCanisterHttpResponse {
        subnet_id: request.subnet_id,
        request_id: request.request_id,
        response,
        additional_responses,
    });
    (0..3).for_each(|_| pic.tick());
}

fn result(pic: &PocketIc, id: RawMessageId) -> Result<Vec<u8>, (u32, String)> {
    let status = pic.ingress_status(id).expect("answered");
    forwarded(&status.expect("the canister replies"))
}

#[test]
fn a_mock_answers_an_outcall() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = start(&canister, request(), 1_000_000_000);
    let pending = only_request(&pic);
    assert_eq!(pending.http_method, CanisterHttpMethod::GET);
    assert_eq!(pending.url, "https://x.test/");
    assert_eq!(pending.max_response_bytes, Some(2_000));
    assert_eq!(pending.headers[0].name, "x-a");
    assert_eq!(Some(pending.subnet_id), pic.get_subnet(canister.id));
    assert!(pic.ingress_status(id.clone()).is_none());
    answer(&pic, reply(418, b"teapot"), vec![]);
    let bytes = result(&pic, id).expect("a reply");
    let result: HttpRequestResult = candid::decode_one(&bytes).expect("decodes");
    assert_eq!(result.status, 418_u32);
    assert_eq!(result.body, b"teapot");
    assert_eq!(result.headers[0].name, "x-served-by");
    assert!(pic.get_canister_http().is_empty());
}

#[test]
fn the_rest_of_the_cycles_is_refunded() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let refund = |args: HttpRequestArgs| {
        let arg = Encode!(&args).expect("encodes");
        let call = call(Principal::management_canister(), "http_request", arg)
            .cycles(1_000_000_000)
            .on_reply(vec![Op::CyclesRefunded, Op::Reply]);
        let id = canister.submit(&[call.op()]);
        (0..2).for_each(|_| pic.tick());
        answer(&pic, reply(200, b""), vec![]);
        let status = pic.ingress_status(id).expect("answered").expect("a reply");
        u128_at(&status, 0)
    };
    let cost = |args| 1_000_000_000 - refund(args);
    let measured = cost(request());
    assert_eq!(measured, COST);
    let mut larger = request();
    larger.max_response_bytes = Some(3_000);
    assert_eq!(cost(larger) - measured, 13 * 800 * 1_000, "by the byte");
    let mut longer = request();
    longer.url += &"x".repeat(100);
    assert_eq!(cost(longer) - measured, 13 * 400 * 100);
}

#[test]
fn too_few_cycles_are_4() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = start(&canister, request(), 1_000);
    let (code, text) = result(&pic, id).expect_err("too few");
    assert_eq!(code, 4);
    assert_eq!(
        text,
        "http_request request sent with 1_000 cycles, but 70_059_600 cycles are required."
    );
}

#[test]
fn an_unanswered_outcall_times_out_after_60_seconds() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = start(&canister, request(), 1_000_000_000);
    pic.advance_time(Duration::from_secs(59));
    (0..2).for_each(|_| pic.tick());
    assert!(pic.ingress_status(id.clone()).is_none(), "at 59 s");
    pic.advance_time(Duration::from_secs(2));
    (0..2).for_each(|_| pic.tick());
    let (code, text) = result(&pic, id).expect_err("timed out");
    assert_eq!(code, 2);
    assert_contains(&text, "Canister http request timed out");
}

#[test]
fn a_mocked_reject_reaches_the_canister() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = start(&canister, request(), 1_000_000_000);
    let reject = CanisterHttpReject {
        reject_code: 2,
        message: "connection refused".into(),
    };
    answer(
        &pic,
        CanisterHttpResponse::CanisterHttpReject(reject),
        vec![],
    );
    let (code, text) = result(&pic, id).expect_err("rejected");
    assert_eq!(code, 2);
    assert_contains(&text, "connection refused");
}

#[test]
fn equal_answers_of_all_nodes_agree() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = start(&canister, request(), 1_000_000_000);
    answer(&pic, reply(200, b"same"), vec![reply(200, b"same"); 12]);
    let bytes = result(&pic, id).expect("a reply");
    let result: HttpRequestResult = candid::decode_one(&bytes).expect("decodes");
    assert_eq!(result.body, b"same");
}

#[test]
fn differing_answers_find_no_consensus() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = start(&canister, request(), 1_000_000_000);
    let others = (0..12_u8).map(|node| reply(200, &[node])).collect();
    answer(&pic, reply(200, b"first"), others);
    let (code, text) = result(&pic, id).expect_err("no consensus");
    assert_eq!(code, 2);
    assert_contains(&text, "consensus");
}

#[test]
fn several_outcalls_are_pending_together() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let mut other = request();
    other.url = "https://example.org/second".into();
    let first = start(&canister, request(), 1_000_000_000);
    let second = start(&canister, other, 1_000_000_000);
    let pending = pic.get_canister_http();
    assert_eq!(pending.len(), 2);
    for request in pending {
        pic.mock_canister_http_response(MockCanisterHttpResponse {
            subnet_id: request.subnet_id,
            request_id: request.request_id,
            response: reply(200, request.url.as_bytes()),
            additional_responses: vec![],
        });
    }
    (0..3).for_each(|_| pic.tick());
    for (id, url) in [
        (first, "https://x.test/"),
        (second, "https://example.org/second"),
    ] {
        let bytes = result(&pic, id).expect("a reply");
        let result: HttpRequestResult = candid::decode_one(&bytes).expect("decodes");
        assert_eq!(result.body, url.as_bytes());
    }
}

/// The request with the canister's transform and a context of four bytes.
fn transformed(canister: &Canister) -> HttpRequestArgs {
    HttpRequestArgs {
        transform: Some(TransformContext {
            function: TransformFunc(candid::Func {
                principal: canister.id,
                method: "outcall_transform".into(),
            }),
            context: b"ctx:".to_vec(),
        }),
        ..request()
    }
}

#[test]
fn a_transform_makes_differing_answers_agree() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = start(&canister, transformed(&canister), 1_000_000_000);
    let others = (0..12).map(|node| reply(200, format!("same, node {node}").as_bytes()));
    answer(&pic, reply(200, b"same, first"), others.collect());
    let bytes = result(&pic, id).expect("a reply");
    let result: HttpRequestResult = candid::decode_one(&bytes).expect("decodes");
    assert_eq!(result.body, b"ctx:same");
    assert_eq!(result.headers, []);
}

#[test]
fn a_trapping_transform_rejects_the_outcall() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = start(&canister, transformed(&canister), 1_000_000_000);
    answer(&pic, reply(500, b"oh"), vec![]);
    result(&pic, id).expect_err("the transform trapped");
}

#[test]
fn the_context_and_method_of_a_transform_are_paid_for() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let required = |args: HttpRequestArgs| {
        let id = start(&canister, args, 1_000);
        let (_, text) = result(&pic, id).expect_err("too few");
        let number = text.split("but ").nth(1).expect("a number");
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u128>().expect("a number")
    };
    let mut longer = transformed(&canister);
    if let Some(transform) = &mut longer.transform {
        transform.context.extend([0; 100]);
    }
    let difference = required(longer) - required(transformed(&canister));
    assert_eq!(difference, 13 * 400 * 100);
}
