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
//! Where a payment can mean something, answers are certified for requests without a payment header only:
//! no node can answer a paid request as if it were unpaid.
//!
//! Everything but the 404s is certified together with its request's method and its empty body, so that
//! no node can show the answer of one method to another. What no node proves goes to an update call.
//! `docs/certification.md` has the reasoning.

use super::{
    answer::Answer,
    layout::{self, Templates},
    node::{Expressions, Node, Proven},
    request::{PAYMENTS, RECEIPTS},
};
use ic_http_certification::{
    HttpCertificationPath, HttpCertificationTree, HttpCertificationTreeEntry,
    utils::build_v2_certificate_header_value,
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

    /// Whether a payment can mean something here, for any method.
    fn priced(&self) -> bool {
        self.routes.iter().any(|route| route.priced)
    }
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
        site.expressions.text_for(self.proven)
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
    expressions: Expressions,
}

impl Default for Site {
    fn default() -> Self {
        let mut site = Self {
            tree: HttpCertificationTree::default(),
            slots: BTreeMap::new(),
            templates: Templates::default(),
            exact: BTreeMap::new(),
            wildcard: BTreeMap::new(),
            expressions: Expressions::default(),
        };
        let root = HttpCertificationPath::wildcard("");
        let node = site.expressions.not_found(root);
        site.put_wildcard("", Some(node));
        // What is there changes with every payment, so that nothing can be proven about it.
        for prefix in [RECEIPTS, PAYMENTS] {
            let prefix = prefix.trim_end_matches('/');
            let path = HttpCertificationPath::wildcard(prefix);
            let node = site.expressions.preflight_only(path);
            site.put_wildcard(prefix, Some(node));
        }
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

    /// The route of this method that serves a path, on sale or not.
    pub fn route(&self, method: &str, path: &str) -> Option<&SiteRoute> {
        let slot = self.slots.get(self.template_of(path)?)?;
        slot.routes.iter().find(|route| route.method == method)
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

    /// The proven answer to a request; none if only an update call can answer. `has_payment` says whether
    /// it has a payment header, good or not.
    pub fn lookup(
        &self,
        method: &str,
        path: &str,
        has_body: bool,
        has_payment: bool,
    ) -> Option<Found<'_>> {
        let node = match self.exact.get(path) {
            Some(node) => node,
            None => self.covering_wildcard(path)?,
        };
        let proven = node.find(method, has_body, has_payment)?;
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
            Some(slot) if slot.answers.is_empty() => {
                Some(self.expressions.not_found(certified_path))
            }
            Some(slot) => {
                let answers = slot.answers.clone();
                let node = self
                    .expressions
                    .answers(certified_path, path, slot.priced(), &answers);
                Some(node)
            }
            None if !self.templates.is_guard(path) => None,
            None if self.templates.matching(path).is_some() => {
                Some(Node::tombstone(certified_path))
            }
            None => Some(self.expressions.not_found(certified_path)),
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
                .map(|slot| {
                    self.expressions
                        .answers(certified_path, template, slot.priced(), &slot.answers)
                }),
            _ => Some(Node::tombstone(certified_path)),
        };
        self.put_wildcard(prefix, node);
    }

    fn put_exact(&mut self, path: &str, node: Option<Node>) {
        self.tree
            .delete_by_path(&HttpCertificationPath::exact(path));
        self.exact.remove(path);
        if let Some(node) = node {
            self.expressions.insert(&mut self.tree, &node);
            self.exact.insert(path.to_string(), node);
        }
    }

    fn put_wildcard(&mut self, prefix: &str, node: Option<Node>) {
        self.tree
            .delete_by_path(&HttpCertificationPath::wildcard(prefix));
        self.wildcard.remove(prefix);
        if let Some(node) = node {
            self.expressions.insert(&mut self.tree, &node);
            self.wildcard.insert(prefix.to_string(), node);
        }
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
