//! The nodes of the certification tree and the responses that they prove.

use super::{proof, size::TooLarge, static_response::StaticResponse};
use ic_http_certification::{
    CERTIFICATE_EXPRESSION_HEADER_NAME, DefaultCelBuilder, DefaultFullCelExpression,
    DefaultResponseCertification, DefaultResponseOnlyCelExpression, HttpCertification,
    HttpCertificationPath, HttpCertificationTree, HttpCertificationTreeEntry, HttpRequest,
    HttpResponse, Method, StatusCode,
};
use std::{collections::BTreeMap, rc::Rc};

/// The request header `PAYMENT-SIGNATURE` in certification expressions.
const PAYMENT_HEADER: &str = "payment-signature";

#[derive(Debug)]
pub struct Node {
    pub path: HttpCertificationPath<'static>,
    /// The same as `expr_path` of the certificate header, encoded.
    pub expr_path: String,
    /// The template of the responses; `None` for 404s and tombstones.
    pub template: Option<String>,
    /// The responses that it proves, except refusals; empty for a tombstone.
    pub proven: Vec<Proven>,
    /// Whether it also proves the refusals of requests that are too large. A node with a 404 for all requests need not.
    pub refuses: bool,
}

/// The content of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show<'a> {
    /// The responses of this template.
    Answers(&'a str),
    NotFound,
    /// Nothing that could be proved.
    Tombstone,
}

/// A response and its certification, which is the same in every node.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The method that it is certified for; `None`: any other method and any body (404 only).
    pub method: Option<&'static str>,
    /// The parts of the request that are certified with it.
    pub binding: Binding,
    pub answer: Rc<StaticResponse>,
    /// Its entry in the tree.
    pub certification: HttpCertification,
}

/// The parts of a request that a response is certified for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binding {
    /// No part: the response is valid for any request to its paths (404, and refusals of requests that are too large).
    Nothing,
    /// The method and the empty body.
    Request,
    /// The method, the empty body, and the absence of a payment header: the response is not valid for a paid request.
    UnpaidRequest,
}

impl Node {
    fn new(
        path: HttpCertificationPath<'static>,
        template: Option<String>,
        proven: Vec<Proven>,
    ) -> Self {
        Self {
            expr_path: proof::expr_path(&path.to_expr_path()),
            path,
            template,
            proven,
            refuses: true,
        }
    }

    /// A node with a template's responses.
    pub fn answers(
        path: HttpCertificationPath<'static>,
        template: &str,
        answers: &[Proven],
    ) -> Self {
        Self::new(path, Some(template.to_string()), answers.to_vec())
    }

    /// A node that proves only refusals. No less specific node can prove anything for its paths.
    pub fn tombstone(path: HttpCertificationPath<'static>) -> Self {
        Self::new(path, None, Vec::new())
    }

    /// Its content, for comparison.
    pub fn shows(&self) -> Show<'_> {
        match &self.template {
            Some(template) => Show::Answers(template),
            None if self.proven.is_empty() => Show::Tombstone,
            None => Show::NotFound,
        }
    }

    /// The certified response to a request; `has_payment`: whether it has a payment header, valid or not.
    pub fn find(&self, method: &str, has_body: bool, has_payment: bool) -> Option<&Proven> {
        self.proven.iter().find(|proven| {
            let method_fits = match proven.method {
                Some(certified) => certified == method,
                None => !matches!(method, "OPTIONS" | "HEAD"),
            };
            method_fits
                && match proven.binding {
                    Binding::Nothing => true,
                    Binding::Request => !has_body,
                    Binding::UnpaidRequest => !has_body && !has_payment,
                }
        })
    }
}

/// The certification expressions, and the texts of their header. All cover the status, the body and every header of the
/// response. Responses that many nodes share are cached with their certification.
#[derive(Debug)]
pub struct Expressions {
    full: DefaultFullCelExpression<'static>,
    full_text: String,
    unpaid: DefaultFullCelExpression<'static>,
    unpaid_text: String,
    response_only: DefaultResponseOnlyCelExpression<'static>,
    response_only_text: String,
    not_found: Vec<Proven>,
    /// The refusals of requests that are too large, by [`TooLarge::index`].
    refused: Vec<Proven>,
    /// Preflights, and the responses of paths to methods they have no route for: by method, binding and `allow` header.
    /// There are 32 of these headers.
    shared: BTreeMap<(&'static str, Binding, String), Proven>,
}

impl Default for Expressions {
    fn default() -> Self {
        let all_headers =
            || DefaultResponseCertification::response_header_exclusions(Vec::<&str>::new());
        let full = DefaultCelBuilder::full_certification()
            .with_response_certification(all_headers())
            .build();
        let unpaid = DefaultCelBuilder::full_certification()
            .with_request_headers(vec![PAYMENT_HEADER])
            .with_response_certification(all_headers())
            .build();
        let response_only = DefaultCelBuilder::response_only_certification()
            .with_response_certification(all_headers())
            .build();
        let mut expressions = Self {
            full_text: full.to_string(),
            full,
            unpaid_text: unpaid.to_string(),
            unpaid,
            response_only_text: response_only.to_string(),
            response_only,
            not_found: Vec::new(),
            refused: Vec::new(),
            shared: BTreeMap::new(),
        };
        let answer = StaticResponse::not_found();
        expressions.not_found = vec![
            expressions.preflight(Binding::Request),
            expressions.prove(Some("HEAD"), Binding::Request, answer.head()),
            expressions.prove(None, Binding::Nothing, answer),
        ];
        expressions.refused = TooLarge::ALL
            .map(|too_large| expressions.prove(None, Binding::Nothing, too_large.answer()))
            .to_vec();
        expressions
    }
}

impl Expressions {
    /// The text of the expression header for a response.
    pub fn text_for(&self, proven: &Proven) -> &str {
        self.text(proven.binding)
    }

    fn text(&self, binding: Binding) -> &str {
        match binding {
            Binding::Nothing => &self.response_only_text,
            Binding::Request => &self.full_text,
            Binding::UnpaidRequest => &self.unpaid_text,
        }
    }

    /// A node that proves only the response to preflights. No less specific node can prove anything for its paths:
    /// update calls respond there.
    pub fn preflight_only(&mut self, path: HttpCertificationPath<'static>) -> Node {
        Node::new(path, None, vec![self.preflight(Binding::Request)])
    }

    /// A node that proves 404.
    pub fn not_found(&self, path: HttpCertificationPath<'static>) -> Node {
        Node {
            refuses: false,
            ..Node::new(path, None, self.not_found.clone())
        }
    }

    /// The response to a preflight.
    pub fn preflight(&mut self, binding: Binding) -> Proven {
        self.shared(("OPTIONS", binding, ""), StaticResponse::preflight)
    }

    /// The response of a path that allows these methods to another one.
    pub fn refusal(&mut self, method: &'static str, binding: Binding, allow: &str) -> Proven {
        self.shared((method, binding, allow), || {
            let answer = StaticResponse::method_not_allowed(allow);
            match method {
                "HEAD" => answer.head(),
                _ => answer,
            }
        })
    }

    fn shared(
        &mut self,
        (method, binding, allow): (&'static str, Binding, &str),
        answer: impl FnOnce() -> StaticResponse,
    ) -> Proven {
        let key = (method, binding, allow.to_string());
        if let Some(proven) = self.shared.get(&key) {
            return proven.clone();
        }
        let proven = self.prove(Some(method), binding, answer());
        self.shared.insert(key, proven.clone());
        proven
    }

    /// The refusal of a request that is too large.
    pub fn refused(&self, too_large: TooLarge) -> &Proven {
        &self.refused[too_large.index()]
    }

    /// Inserts a node's entries into the tree.
    pub fn insert(&self, tree: &mut HttpCertificationTree, node: &Node) {
        let refused = if node.refuses { &self.refused[..] } else { &[] };
        for proven in node.proven.iter().chain(refused) {
            tree.insert(&HttpCertificationTreeEntry::new(
                &node.path,
                proven.certification,
            ));
        }
    }

    /// Certifies a response for one method, or without one for any.
    pub fn prove(
        &self,
        method: Option<&'static str>,
        binding: Binding,
        answer: StaticResponse,
    ) -> Proven {
        let (body, hash) = answer.body.certified();
        let mut headers = answer.headers.clone();
        headers.push((
            CERTIFICATE_EXPRESSION_HEADER_NAME.to_string(),
            self.text(binding).to_string(),
        ));
        let response = HttpResponse::builder()
            .with_status_code(
                StatusCode::from_u16(answer.status).expect("BUG: an answer's status is no status"),
            )
            .with_headers(headers)
            .with_body(body)
            .build();
        let full = |expression| {
            let request = HttpRequest::builder()
                .with_method(
                    Method::from_bytes(method.unwrap_or_default().as_bytes())
                        .expect("BUG: an answer's method is no method"),
                )
                .with_url("/")
                .build();
            HttpCertification::full(expression, &request, &response, hash)
        };
        let certification = match binding {
            Binding::Nothing => {
                HttpCertification::response_only(&self.response_only, &response, hash)
            }
            Binding::Request => full(&self.full),
            Binding::UnpaidRequest => full(&self.unpaid),
        }
        .expect("BUG: an answer does not carry its certification expression");
        Proven {
            method,
            binding,
            answer: Rc::new(answer),
            certification,
        }
    }
}
