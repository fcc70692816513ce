//! The places of the certification tree and what they prove.

use super::answer::Answer;
use ic_http_certification::{
    CERTIFICATE_EXPRESSION_HEADER_NAME, DefaultCelBuilder, DefaultFullCelExpression,
    DefaultResponseCertification, DefaultResponseOnlyCelExpression, HttpCertification,
    HttpCertificationPath, HttpCertificationTree, HttpCertificationTreeEntry, HttpRequest,
    HttpResponse, Method, StatusCode, utils::cbor_encode_to_base64,
};
use sha2::{Digest, Sha256};
use std::rc::Rc;

/// A place of the tree.
#[derive(Debug)]
pub struct Node {
    /// Where it is.
    pub path: HttpCertificationPath<'static>,
    /// The same as `expr_path` of the certificate header, encoded.
    pub expr_path: String,
    /// The template whose answers these are; none for 404s and tombstones.
    pub template: Option<String>,
    /// What it proves; nothing if it is a tombstone.
    pub proven: Vec<Proven>,
}

/// An answer and what is certified about it.
#[derive(Debug)]
pub struct Proven {
    /// The one method it is certified for; none: any other method and any body (404 only).
    pub method: Option<&'static str>,
    /// The answer.
    pub answer: Rc<Answer>,
    /// What stands in the tree.
    pub certification: HttpCertification,
}

impl Node {
    fn new(path: HttpCertificationPath<'static>, template: Option<String>) -> Self {
        Self {
            expr_path: cbor_encode_to_base64(&path.to_expr_path()),
            path,
            template,
            proven: Vec::new(),
        }
    }

    /// A node that proves nothing and lets nothing less specific prove anything for its paths.
    pub fn tombstone(path: HttpCertificationPath<'static>) -> Self {
        Self::new(path, None)
    }

    /// The answer proven for a request.
    pub fn find(&self, method: &str, has_body: bool) -> Option<&Proven> {
        self.proven.iter().find(|proven| match proven.method {
            Some(certified) => certified == method && !has_body,
            None => !matches!(method, "OPTIONS" | "HEAD"),
        })
    }
}

/// The two ways in which answers are certified, as expressions and as the text of their header. Both
/// cover the status, the body and every header.
#[derive(Debug)]
pub struct Expressions {
    full: DefaultFullCelExpression<'static>,
    full_text: String,
    response_only: DefaultResponseOnlyCelExpression<'static>,
    response_only_text: String,
}

impl Default for Expressions {
    fn default() -> Self {
        let all_headers =
            || DefaultResponseCertification::response_header_exclusions(Vec::<&str>::new());
        let full = DefaultCelBuilder::full_certification()
            .with_response_certification(all_headers())
            .build();
        let response_only = DefaultCelBuilder::response_only_certification()
            .with_response_certification(all_headers())
            .build();
        Self {
            full_text: full.to_string(),
            full,
            response_only_text: response_only.to_string(),
            response_only,
        }
    }
}

impl Expressions {
    /// The text that goes with an answer.
    pub fn text_for(&self, proven: &Proven) -> &str {
        match proven.method {
            Some(_) => &self.full_text,
            None => &self.response_only_text,
        }
    }

    /// A node with a template's answers.
    pub fn answers(
        &self,
        path: HttpCertificationPath<'static>,
        template: &str,
        answers: &[(&'static str, Rc<Answer>)],
    ) -> Node {
        let mut node = Node::new(path, Some(template.to_string()));
        node.proven = answers
            .iter()
            .map(|(method, answer)| self.prove(Some(method), answer.clone()))
            .collect();
        node
    }

    /// A node that says there is nothing.
    pub fn not_found(&self, path: HttpCertificationPath<'static>) -> Node {
        let answer = Answer::not_found();
        let mut node = Node::new(path, None);
        node.proven = vec![
            self.prove(Some("OPTIONS"), Rc::new(Answer::preflight())),
            self.prove(Some("HEAD"), Rc::new(answer.head())),
            self.prove(None, Rc::new(answer)),
        ];
        node
    }

    /// Puts a node's entries into the tree.
    pub fn insert(&self, tree: &mut HttpCertificationTree, node: &Node) {
        for proven in &node.proven {
            tree.insert(&HttpCertificationTreeEntry::new(
                &node.path,
                proven.certification,
            ));
        }
        if node.proven.is_empty() {
            // No response hashes to zeros.
            let expression = Sha256::digest(self.full_text.as_bytes()).into();
            let certification = HttpCertification::response_only_prehashed(expression, [0; 32]);
            tree.insert(&HttpCertificationTreeEntry::new(&node.path, certification));
        }
    }

    fn prove(&self, method: Option<&'static str>, answer: Rc<Answer>) -> Proven {
        let expression = match method {
            Some(_) => &self.full_text,
            None => &self.response_only_text,
        };
        let (body, hash) = answer.body.certified();
        let mut headers = answer.headers.clone();
        headers.push((
            CERTIFICATE_EXPRESSION_HEADER_NAME.to_string(),
            expression.clone(),
        ));
        let response = HttpResponse::builder()
            .with_status_code(
                StatusCode::from_u16(answer.status).expect("BUG: an answer's status is no status"),
            )
            .with_headers(headers)
            .with_body(body)
            .build();
        let certification = match method {
            Some(method) => {
                let request = HttpRequest::builder()
                    .with_method(
                        Method::from_bytes(method.as_bytes())
                            .expect("BUG: an answer's method is no method"),
                    )
                    .with_url("/")
                    .build();
                HttpCertification::full(&self.full, &request, &response, hash)
            }
            None => HttpCertification::response_only(&self.response_only, &response, hash),
        }
        .expect("BUG: an answer does not carry its certification expression");
        Proven {
            method,
            answer,
            certification,
        }
    }
}
