//! What the site answers to requests without a payment, and the tree that proves it.
//!
//! Every path template of the catalogue has a *slot*: the routes there and the answers made of them.
//! Slots are laid out as *nodes* of the certification tree of response verification, version 2:
//!
//! - a path without parameters is an exact node, which no wildcard can stand in for;
//! - a template is a wildcard node at the path before its first parameter. A wildcard covers more than
//!   the template does, so [`layout`](super::layout) decides where one may stand, and a node that must
//!   not prove anything holds a *tombstone*: a leaf for a response nobody can produce;
//! - the root's wildcard proves 404 for every path no other node covers.
//!
//! Everything but the 404s is certified together with its request's method and its empty body, so that
//! no node can show the answer of one method to another. What no node proves goes to an update call.
//! `docs/certification.md` has the reasoning.

use super::{
    answer::Answer,
    layout::{self, Templates},
};
use ic_http_certification::{
    DefaultCelBuilder, DefaultFullCelExpression, DefaultResponseCertification,
    DefaultResponseOnlyCelExpression, HttpCertification, HttpCertificationPath,
    HttpCertificationTree, HttpCertificationTreeEntry, Method, StatusCode,
    utils::{build_v2_certificate_header_value, cbor_encode_to_base64},
};
use std::{collections::BTreeMap, rc::Rc};

/// Methods that a known path answers; anything else is refused by an update call.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// One route, as far as the site is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteRoute {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Whether a payment can be accepted (or delivered again) for it.
    pub priced: bool,
    /// The answer to a request without a payment; none while the route is not to be seen.
    pub unpaid: Option<Answer>,
}

/// The routes of one path template and their answers, by method.
#[derive(Debug)]
struct Slot {
    routes: Vec<SiteRoute>,
    /// One for each of [`METHODS`]; empty while no route is to be seen.
    answers: Vec<(&'static str, Rc<Answer>)>,
}

impl Slot {
    fn new(routes: Vec<SiteRoute>) -> Self {
        let answers = answers_of(&routes);
        Self { routes, answers }
    }
}

/// A place of the tree that proves answers.
#[derive(Debug)]
struct Node {
    path: HttpCertificationPath<'static>,
    /// `expr_path` of the certificate header, encoded.
    expr_path: String,
    /// The template whose answers these are; none for 404s and tombstones.
    template: Option<String>,
    proven: Vec<Proven>,
}

/// An answer and what is certified about it.
#[derive(Debug)]
struct Proven {
    /// The one method it is certified for; none: any other method and any body (404 only).
    method: Option<&'static str>,
    answer: Rc<Answer>,
    certification: HttpCertification,
}

/// A proven answer, found by [`Site::lookup`].
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    node: &'a Node,
    proven: &'a Proven,
}

impl<'a> Found<'a> {
    /// The answer.
    pub fn answer(&self) -> &'a Answer {
        &self.proven.answer
    }

    /// The certification expression that belongs to it.
    pub fn expression(&self, site: &'a Site) -> &'a str {
        match self.proven.method {
            Some(_) => &site.full_text,
            None => &site.response_only_text,
        }
    }
}

/// Answers, nodes and the tree over them.
#[derive(Debug)]
pub struct Site {
    tree: HttpCertificationTree,
    slots: BTreeMap<String, Slot>,
    templates: Templates,
    exact: BTreeMap<String, Node>,
    wildcard: BTreeMap<String, Node>,
    full: DefaultFullCelExpression<'static>,
    full_text: String,
    response_only: DefaultResponseOnlyCelExpression<'static>,
    response_only_text: String,
}

impl Default for Site {
    fn default() -> Self {
        let all_headers =
            || DefaultResponseCertification::response_header_exclusions(Vec::<&str>::new());
        let full = DefaultCelBuilder::full_certification()
            .with_response_certification(all_headers())
            .build();
        let response_only = DefaultCelBuilder::response_only_certification()
            .with_response_certification(all_headers())
            .build();
        let mut site = Self {
            tree: HttpCertificationTree::default(),
            slots: BTreeMap::new(),
            templates: Templates::default(),
            exact: BTreeMap::new(),
            wildcard: BTreeMap::new(),
            full_text: full.to_string(),
            full,
            response_only_text: response_only.to_string(),
            response_only,
        };
        let node = site.not_found_node(HttpCertificationPath::wildcard(""));
        site.put_wildcard("", Some(node));
        site
    }
}

impl Site {
    /// The 32 bytes that the canister has to certify for this tree.
    pub fn root_hash(&self) -> [u8; 32] {
        self.tree.root_hash()
    }

    /// Replaces the routes of one path template; none removes it. Only the nodes whose answers can have
    /// changed are certified again.
    pub fn set_path(&mut self, template: &str, routes: Vec<SiteRoute>) {
        if routes.is_empty() {
            self.slots.remove(template);
        } else {
            self.slots.insert(template.to_string(), Slot::new(routes));
        }
        if !layout::has_parameters(template) {
            self.sync_exact(template);
            return;
        }
        // The prefixes before and after the change: a template that goes leaves its guards behind.
        let mut prefixes = self.templates.prefixes_touched_by(template);
        let names = self
            .slots
            .keys()
            .filter(|path| layout::has_parameters(path));
        self.templates = Templates::new(names);
        prefixes.extend(self.templates.prefixes_touched_by(template));
        for prefix in prefixes {
            self.sync_wildcard(&prefix);
            for guard in layout::guards_of(&prefix) {
                self.sync_exact(&guard);
            }
        }
    }

    /// The template that serves a path.
    pub fn template_of(&self, path: &str) -> Option<&str> {
        match self.slots.get_key_value(path) {
            Some((template, _)) if !layout::has_parameters(template) => Some(template),
            _ => self.templates.matching(path),
        }
    }

    /// Whether a route of this method exists at the path and has a price.
    pub fn is_priced(&self, method: &str, path: &str) -> bool {
        self.template_of(path)
            .and_then(|template| self.slots.get(template))
            .is_some_and(|slot| {
                slot.routes
                    .iter()
                    .any(|route| route.priced && route.method == method)
            })
    }

    /// The answer to a request without a payment, proven or not.
    pub fn answer(&self, method: &str, path: &str) -> Rc<Answer> {
        let slot = self
            .template_of(path)
            .and_then(|template| self.slots.get(template))
            .filter(|slot| !slot.answers.is_empty());
        match (slot, method) {
            (Some(slot), _) => slot
                .answers
                .iter()
                .find(|(name, _)| *name == method)
                .map(|(_, answer)| answer.clone())
                .unwrap_or_else(|| Rc::new(Answer::method_not_allowed(&allowed(&slot.routes)))),
            (None, "OPTIONS") => Rc::new(Answer::preflight()),
            (None, "HEAD") => Rc::new(Answer::not_found().head()),
            (None, _) => Rc::new(Answer::not_found()),
        }
    }

    /// The proven answer to a request without a payment; none if only an update call can answer.
    pub fn lookup(&self, method: &str, path: &str, has_body: bool) -> Option<Found<'_>> {
        let node = match self.exact.get(path) {
            Some(node) => node,
            None => self.covering_wildcard(path)?,
        };
        let proven = node.proven.iter().find(|proven| match proven.method {
            Some(certified) => certified == method && !has_body,
            None => !matches!(method, "OPTIONS" | "HEAD"),
        })?;
        Some(Found { node, proven })
    }

    /// The wildcard node that a verifier accepts for a path without an exact node, if what it proves is
    /// also the truth about the path.
    fn covering_wildcard(&self, path: &str) -> Option<&Node> {
        let node = layout::prefixes_of(path).find_map(|prefix| self.wildcard.get(prefix))?;
        let visible = self.templates.matching(path).filter(|template| {
            self.slots
                .get(*template)
                .is_some_and(|slot| !slot.answers.is_empty())
        });
        (node.template.as_deref() == visible).then_some(node)
    }

    /// The value of the header `IC-Certificate` for a found answer. `certificate` is the system's data
    /// certificate, `path` the path that was looked up.
    pub fn certificate_header(
        &self,
        found: &Found<'_>,
        path: &str,
        certificate: &[u8],
    ) -> Option<String> {
        let entry = HttpCertificationTreeEntry::new(&found.node.path, found.proven.certification);
        let witness = self.tree.witness(&entry, path).ok()?;
        Some(build_v2_certificate_header_value(
            certificate,
            &witness,
            &found.node.expr_path,
        ))
    }

    fn sync_exact(&mut self, path: &str) {
        let certified_path = HttpCertificationPath::exact(path.to_string());
        let node = match self.slots.get(path) {
            Some(slot) if slot.answers.is_empty() => Some(self.not_found_node(certified_path)),
            Some(slot) => {
                let answers = slot.answers.clone();
                Some(self.answers_node(certified_path, path, &answers))
            }
            None if !self.templates.is_guard(path) => None,
            None if self.templates.matching(path).is_some() => Some(tombstone(certified_path)),
            None => Some(self.not_found_node(certified_path)),
        };
        self.put_exact(path, node);
    }

    fn sync_wildcard(&mut self, prefix: &str) {
        let certified_path = HttpCertificationPath::wildcard(prefix.to_string());
        let node = match self.templates.under(prefix).as_slice() {
            _ if prefix.is_empty() => return,
            [] => None,
            [template] => self
                .slots
                .get(*template)
                .filter(|slot| !slot.answers.is_empty())
                .map(|slot| (template.to_string(), slot.answers.clone()))
                .map(|(template, answers)| self.answers_node(certified_path, &template, &answers)),
            _ => Some(tombstone(certified_path)),
        };
        self.put_wildcard(prefix, node);
    }

    fn put_exact(&mut self, path: &str, node: Option<Node>) {
        self.tree
            .delete_by_path(&HttpCertificationPath::exact(path));
        self.exact.remove(path);
        if let Some(node) = node {
            insert_entries(&mut self.tree, &self.full_text, &node);
            self.exact.insert(path.to_string(), node);
        }
    }

    fn put_wildcard(&mut self, prefix: &str, node: Option<Node>) {
        self.tree
            .delete_by_path(&HttpCertificationPath::wildcard(prefix));
        self.wildcard.remove(prefix);
        if let Some(node) = node {
            insert_entries(&mut self.tree, &self.full_text, &node);
            self.wildcard.insert(prefix.to_string(), node);
        }
    }

    fn answers_node(
        &self,
        path: HttpCertificationPath<'static>,
        template: &str,
        answers: &[(&'static str, Rc<Answer>)],
    ) -> Node {
        let proven = answers
            .iter()
            .map(|(method, answer)| self.prove(Some(method), answer.clone()))
            .collect();
        Node {
            expr_path: cbor_encode_to_base64(&path.to_expr_path()),
            path,
            // An exact node proves its own slot only; nothing asks whose it is.
            template: Some(template.to_string()),
            proven,
        }
    }

    fn not_found_node(&self, path: HttpCertificationPath<'static>) -> Node {
        let answer = Answer::not_found();
        let proven = vec![
            self.prove(Some("OPTIONS"), Rc::new(Answer::preflight())),
            self.prove(Some("HEAD"), Rc::new(answer.head())),
            self.prove(None, Rc::new(answer)),
        ];
        Node {
            expr_path: cbor_encode_to_base64(&path.to_expr_path()),
            path,
            template: None,
            proven,
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
            ic_http_certification::CERTIFICATE_EXPRESSION_HEADER_NAME.to_string(),
            expression.clone(),
        ));
        let response = ic_http_certification::HttpResponse::builder()
            .with_status_code(
                StatusCode::from_u16(answer.status).expect("BUG: an answer's status is no status"),
            )
            .with_headers(headers)
            .with_body(body)
            .build();
        let certification = match method {
            Some(method) => {
                let request = ic_http_certification::HttpRequest::builder()
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

fn insert_entries(tree: &mut HttpCertificationTree, full_text: &str, node: &Node) {
    for proven in &node.proven {
        tree.insert(&HttpCertificationTreeEntry::new(
            &node.path,
            proven.certification,
        ));
    }
    if node.proven.is_empty() {
        // No response hashes to zeros: the node is there, so a verifier accepts nothing less specific
        // for its paths, but there is no answer it proves.
        let expression = <sha2::Sha256 as sha2::Digest>::digest(full_text.as_bytes()).into();
        let certification = HttpCertification::response_only_prehashed(expression, [0; 32]);
        tree.insert(&HttpCertificationTreeEntry::new(&node.path, certification));
    }
}

fn tombstone(path: HttpCertificationPath<'static>) -> Node {
    Node {
        expr_path: cbor_encode_to_base64(&path.to_expr_path()),
        path,
        template: None,
        proven: Vec::new(),
    }
}

fn allowed(routes: &[SiteRoute]) -> String {
    let shown = |method: &str| {
        routes
            .iter()
            .any(|route| route.unpaid.is_some() && route.method == method)
    };
    let methods: Vec<&str> = METHODS
        .into_iter()
        .filter(|method| match *method {
            "HEAD" => shown("GET"),
            "OPTIONS" => true,
            method => shown(method),
        })
        .collect();
    methods.join(", ")
}

fn answers_of(routes: &[SiteRoute]) -> Vec<(&'static str, Rc<Answer>)> {
    if routes.iter().all(|route| route.unpaid.is_none()) {
        return Vec::new();
    }
    let shown = |method: &str| {
        routes
            .iter()
            .find(|route| route.method == method)
            .and_then(|route| route.unpaid.as_ref())
    };
    let refusal = Answer::method_not_allowed(&allowed(routes));
    METHODS
        .into_iter()
        .map(|method| {
            let answer = match (method, shown(method)) {
                ("OPTIONS", _) => Answer::preflight(),
                ("HEAD", _) => shown("GET").unwrap_or(&refusal).head(),
                (_, Some(answer)) => answer.clone(),
                (_, None) => refusal.clone(),
            };
            (method, Rc::new(answer))
        })
        .collect()
}

#[cfg(test)]
impl Site {
    /// Every path of the tree. Its hash depends on the order of changes, this does not.
    pub(super) fn leaves(&self) -> std::collections::BTreeSet<Vec<ic_certification::Label>> {
        self.tree.as_hash_tree().list_paths().into_iter().collect()
    }

    /// Every proven answer, with the template it belongs to.
    pub(super) fn everything_proven(&self) -> Vec<(Option<&str>, Found<'_>)> {
        self.exact
            .values()
            .chain(self.wildcard.values())
            .flat_map(|node| {
                node.proven
                    .iter()
                    .map(move |proven| (node.template.as_deref(), Found { node, proven }))
            })
            .collect()
    }
}

#[cfg(test)]
impl Found<'_> {
    /// Expression and certificate header with the whole tree as witness.
    pub(super) fn with_whole_tree(&self, site: &Site, certificate: &[u8]) -> (String, String) {
        let tree = site.tree.as_hash_tree();
        (
            self.expression(site).to_string(),
            build_v2_certificate_header_value(certificate, &tree, &self.node.expr_path),
        )
    }
}
