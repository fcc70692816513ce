//! HTTP outcalls: pending requests, their answers, transform functions, timeouts.

use candid::Nat;
use ic_management_canister_types::{
    HttpHeader, HttpMethod, HttpRequestArgs, HttpRequestResult, TransformArgs, TransformContext,
};
use local_ic_engine::{Answer, Entry, Env};

use crate::errors::{ErrorCode, UserError};
use crate::execute::environment;
use crate::fees::{QUERY_INSTRUCTIONS, grouped};
use crate::management::{Handled, encode};
use crate::message::{Message, Origin, Payload, Response};
use crate::replica::{NANOS_PER_SECOND, Replica};
use crate::texts;
use crate::types::{Cycles, HttpAnswer, HttpOutcall, HttpResult, OutcallMethod, Principal};

/// An outcall that is not answered in this time fails.
const TIMEOUT: u64 = 60 * NANOS_PER_SECOND;
/// Largest response, and what is paid for if the request sets no limit.
const MAX_RESPONSE_BYTES: u64 = 2_000_000;
const MAX_REQUEST_BYTES: u64 = 2_000_000;
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 8_192;
const MAX_ALL_HEADERS_BYTES: usize = 49_152;
const MAX_URL_BYTES: usize = 8_192;
/// Reject messages of nodes are cut to this length.
const MAX_REJECT_BYTES: usize = 1_024;

/// A pending outcall.
#[derive(Clone, Debug)]
pub struct Outcall {
    pub request: HttpOutcall,
    pub origin: Origin,
    pub transform: Option<TransformContext>,
    pub started: u64,
    pub refund: Cycles,
    pub answer: Option<HttpAnswer>,
}

impl Outcall {
    /// When it fails without an answer.
    pub fn deadline(&self) -> u64 {
        self.started.saturating_add(TIMEOUT)
    }
}

fn refused(text: String) -> UserError {
    UserError::new(ErrorCode::CanisterRejectedMessage, text)
}

fn headers_len(headers: &[HttpHeader]) -> usize {
    headers
        .iter()
        .map(|header| header.name.len() + header.value.len())
        .sum()
}

/// The bytes of a request that are paid for.
fn request_bytes(args: &HttpRequestArgs) -> u64 {
    let transform = args.transform.as_ref().map_or(0, |transform| {
        transform.function.0.method.len() + transform.context.len()
    });
    let body = args.body.as_ref().map_or(0, Vec::len);
    (args.url.len() + headers_len(&args.headers) + body + transform) as u64
}

fn check(args: &HttpRequestArgs, caller: Principal) -> Result<(), UserError> {
    if let Some(max) = args.max_response_bytes
        && max > MAX_RESPONSE_BYTES
    {
        return Err(refused(format!(
            "max_response_bytes expected to be in the range [0..{MAX_RESPONSE_BYTES}], got {max}"
        )));
    }
    if args.pricing_version == Some(2) {
        return Err(refused(
            "pricing_version 2 is not supported by this local runtime".to_string(),
        ));
    }
    if args.url.len() > MAX_URL_BYTES {
        return Err(refused(format!(
            "url size {} exceeds the maximum of {MAX_URL_BYTES}",
            args.url.len()
        )));
    }
    if args.headers.len() > MAX_HEADERS {
        return Err(refused(format!("number of headers exceeds {MAX_HEADERS}")));
    }
    let too_long = |header: &HttpHeader| {
        header.name.len() > MAX_HEADER_BYTES || header.value.len() > MAX_HEADER_BYTES
    };
    if args.headers.iter().any(too_long) || headers_len(&args.headers) > MAX_ALL_HEADERS_BYTES {
        return Err(refused("the headers are too large".to_string()));
    }
    let bytes = request_bytes(args);
    if bytes > MAX_REQUEST_BYTES {
        return Err(refused(format!(
            "total number of bytes to represent all http header names and values and http body exceeds {MAX_REQUEST_BYTES}"
        )));
    }
    if let Some(transform) = &args.transform
        && transform.function.0.principal != caller
    {
        return Err(refused(format!(
            "transform needs to be exported by a canister with id: {caller}"
        )));
    }
    Ok(())
}

impl Replica {
    pub(crate) fn http_request(
        &mut self,
        subnet: usize,
        caller: Principal,
        origin: &Origin,
        args: HttpRequestArgs,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        check(&args, caller)?;
        let max_response = args.max_response_bytes.unwrap_or(MAX_RESPONSE_BYTES);
        let prices = self.subnets[subnet].prices;
        let price = prices.http_request(request_bytes(&args), max_response);
        let refund = cycles.checked_sub(price).ok_or_else(|| {
            refused(format!(
                "http_request request sent with {} cycles, but {} cycles are required.",
                grouped(cycles),
                grouped(price)
            ))
        })?;
        let started = self.state_time;
        let subnet = &mut self.subnets[subnet];
        let request_id = subnet.next_outcall;
        subnet.next_outcall += 1;
        let outcall = Outcall {
            request: HttpOutcall {
                subnet: subnet.id,
                request_id,
                canister: caller,
                method: match args.method {
                    HttpMethod::GET => OutcallMethod::Get,
                    HttpMethod::POST => OutcallMethod::Post,
                    HttpMethod::HEAD => OutcallMethod::Head,
                    HttpMethod::PUT => OutcallMethod::Put,
                    HttpMethod::DELETE => OutcallMethod::Delete,
                    HttpMethod::PATCH => OutcallMethod::Patch,
                },
                url: args.url,
                headers: args
                    .headers
                    .into_iter()
                    .map(|header| (header.name, header.value))
                    .collect(),
                body: args.body.unwrap_or_default(),
                max_response_bytes: args.max_response_bytes,
                replicated: args.is_replicated != Some(false),
            },
            origin: origin.clone(),
            transform: args.transform,
            started,
            refund,
            answer: None,
        };
        subnet.outcalls.insert(request_id, outcall);
        Ok(Handled::Later)
    }

    /// HTTP outcalls without an answer, in order of subnets and ids.
    pub fn pending_http(&self) -> Vec<HttpOutcall> {
        self.subnets
            .iter()
            .flat_map(|subnet| subnet.outcalls.values())
            .filter(|outcall| outcall.answer.is_none())
            .map(|outcall| outcall.request.clone())
            .collect()
    }

    /// Answers an outcall; the canister gets it in the next round. Errors: no such pending outcall, or a
    /// number of results that does not fit the subnet.
    pub fn answer_http(
        &mut self,
        subnet: Principal,
        request_id: u64,
        answer: HttpAnswer,
    ) -> Result<(), String> {
        let subnet = self
            .subnets
            .iter_mut()
            .find(|candidate| candidate.id == subnet)
            .ok_or_else(|| format!("there is no subnet {subnet}"))?;
        let nodes = subnet.size as usize;
        if !answer.additional.is_empty() && answer.additional.len() + 1 != nodes {
            return Err(format!(
                "InvalidMockCanisterHttpResponses(({}, {nodes}))",
                answer.additional.len() + 1
            ));
        }
        let outcall = subnet
            .outcalls
            .get_mut(&request_id)
            .filter(|outcall| outcall.answer.is_none())
            .ok_or_else(|| format!("InvalidCanisterHttpRequestId({request_id})"))?;
        outcall.answer = Some(answer);
        Ok(())
    }

    /// Hands answers to the canisters and gives up outcalls that got none in time.
    pub(crate) fn finish_outcalls(&mut self, subnet: usize) {
        let now = self.state_time;
        let done: Vec<u64> = self.subnets[subnet]
            .outcalls
            .iter()
            .filter(|(_, outcall)| outcall.answer.is_some() || outcall.deadline() <= now)
            .map(|(&id, _)| id)
            .collect();
        for request_id in done {
            let Some(mut outcall) = self.subnets[subnet].outcalls.remove(&request_id) else {
                continue;
            };
            let payload = match outcall.answer.take() {
                Some(answer) => self.agree(&outcall, answer),
                None => Payload::Reject {
                    code: 2,
                    message: "Canister http request timed out".to_string(),
                },
            };
            if let Origin::Call { caller, callback } = outcall.origin {
                let response = Response {
                    to: caller,
                    callback,
                    payload,
                    refund: outcall.refund,
                };
                self.send(None, Message::Response(response));
            }
        }
    }

    /// What the nodes agree on. More than a third of them differing from every other means no agreement.
    fn agree(&mut self, outcall: &Outcall, answer: HttpAnswer) -> Payload {
        if !outcall.request.replicated {
            // A single node performed it.
            return self.transformed(outcall, answer.result);
        }
        let nodes = answer.additional.len() + 1;
        let tolerated = (nodes - 1) / 3;
        let mut votes: Vec<(Payload, usize)> = Vec::new();
        for result in std::iter::once(answer.result).chain(answer.additional) {
            let payload = self.transformed(outcall, result);
            match votes.iter_mut().find(|(known, _)| *known == payload) {
                Some((_, count)) => *count += 1,
                None => votes.push((payload, 1)),
            }
        }
        votes
            .into_iter()
            .find(|(_, count)| *count >= nodes - tolerated)
            .map_or_else(no_consensus, |(payload, _)| payload)
    }

    /// One node's result, checked against the limits and transformed.
    fn transformed(&mut self, outcall: &Outcall, result: HttpResult) -> Payload {
        let (status, headers, body) = match result {
            HttpResult::Reject { code, mut message } => {
                let mut cut = message.len().min(MAX_REJECT_BYTES);
                while !message.is_char_boundary(cut) {
                    cut -= 1;
                }
                message.truncate(cut);
                let code = code.clamp(1, 6);
                return Payload::Reject { code, message };
            }
            HttpResult::Reply {
                status,
                headers,
                body,
            } => (status, headers, body),
        };
        let headers: Vec<HttpHeader> = headers
            .into_iter()
            .map(|(name, value)| HttpHeader { name, value })
            .collect();
        let limit = outcall
            .request
            .max_response_bytes
            .unwrap_or(MAX_RESPONSE_BYTES);
        if (headers_len(&headers) + body.len()) as u64 > limit {
            return Payload::Reject {
                code: 1,
                message: format!("Http body exceeds size limit of {limit} bytes."),
            };
        }
        let response = HttpRequestResult {
            status: Nat::from(status),
            headers,
            body,
        };
        let reply = match &outcall.transform {
            None => encode(response),
            Some(transform) => self.run_transform(outcall, transform, response),
        };
        reply.map_or_else(Payload::from, Payload::Reply)
    }

    fn run_transform(
        &mut self,
        outcall: &Outcall,
        transform: &TransformContext,
        response: HttpRequestResult,
    ) -> Result<Vec<u8>, UserError> {
        let id = outcall.request.canister;
        let arg = encode(TransformArgs {
            response,
            context: transform.context.clone(),
        })?;
        let canister = self
            .canisters
            .get_mut(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let env = Env {
            arg,
            instruction_limit: QUERY_INSTRUCTIONS,
            ..environment(
                canister,
                &self.subnets[canister.subnet],
                &self.root_key,
                self.state_time,
            )
        };
        let code = canister.code.as_mut().ok_or_else(|| texts::no_module(id))?;
        let entry = Entry::Transform(transform.function.0.method.clone());
        let done = code
            .instance
            .execute(entry, env)
            .result
            .map_err(|trap| texts::trapped(id, &trap, QUERY_INSTRUCTIONS))?;
        let reply = match done.answer {
            Some(Answer::Reply(reply)) => reply,
            Some(Answer::Reject(text)) => return Err(refused(text)),
            None => return Err(texts::no_query_response(id)),
        };
        if reply.len() as u64 > MAX_RESPONSE_BYTES {
            return Err(refused(format!(
                "Transformed http response exceeds limit: {}",
                reply.len()
            )));
        }
        Ok(reply)
    }
}

fn no_consensus() -> Payload {
    Payload::Reject {
        code: 2,
        message: "No consensus could be reached. Replicas had different responses.".to_string(),
    }
}
