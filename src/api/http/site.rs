//! The responses to requests without a payment, and the tree that certifies them.
//!
//! Every path template of the catalogue has a *slot*: its routes and the responses made from them. Slots are laid out
//! as *nodes* of the certification tree of response verification, version 2:
//!
//! - a path without parameters is an exact node, which no wildcard can replace;
//! - a template is a wildcard node at the path before its first parameter. A wildcard covers more than the template
//!   does, so [`layout`] decides where one may be. A node that must not prove anything is a *tombstone*: it has only
//!   refusals;
//! - the root's wildcard proves 404 for every path that no other node covers;
//! - every node that does not prove 404 for all requests also proves the refusals of requests that are too large.
//!
//! On paths where a payment can be accepted, responses are certified for requests without a payment header only: no
//! node can answer a paid request as if it were unpaid.
//!
//! Everything except the refusals and the 404s is certified together with its request's method and its empty body, so
//! that no node can return the response to one method for another. Requests without a certified response go to an
//! update call. `docs/certification.md` explains why.

use super::{
    layout::{self, Templates, Under},
    node::{Binding, Expressions, Node, Proven, Show},
    proof,
    request::{INVOICES, PAYMENTS, RECEIPTS},
    size::TooLarge,
    static_response::StaticResponse,
};
use ic_certification::Hash;
use ic_http_certification::{
    HttpCertificationPath, HttpCertificationTree, HttpCertificationTreeEntry,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// Methods that a known path responds to; an update call refuses any other.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A route in the form that the site needs.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteRoute {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Whether a payment can be accepted (or delivered again) for it.
    pub priced: bool,
    /// The response to a request without a payment; `None` while the route is hidden.
    pub unpaid: Option<StaticResponse>,
}

/// The routes of one path template and their responses, by method.
#[derive(Debug)]
struct Slot {
    routes: Vec<SiteRoute>,
    /// One for each of [`METHODS`]; empty while all routes are hidden.
    answers: Vec<Proven>,
}

/// A certified response, found by [`Site::lookup`].
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    node: &'a Node,
    proven: &'a Proven,
}

impl<'a> Found<'a> {
    pub fn answer(&self) -> &'a StaticResponse {
        &self.proven.answer
    }

    pub fn expression(&self, site: &'a Site) -> &'a str {
        site.expressions.text_for(self.proven)
    }
}

/// Responses, nodes and the tree over them.
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
        let mut fixed = vec![
            site.expressions
                .not_found(HttpCertificationPath::wildcard("")),
        ];
        // The content there changes with every payment, so nothing can be certified.
        for prefix in [RECEIPTS, PAYMENTS, INVOICES] {
            let path = HttpCertificationPath::wildcard(prefix.trim_end_matches('/'));
            fixed.push(site.expressions.preflight_only(path));
        }
        for (prefix, node) in ["", RECEIPTS, PAYMENTS, INVOICES].into_iter().zip(fixed) {
            site.expressions.insert(&mut site.tree, &node);
            let prefix = prefix.trim_end_matches('/');
            site.wildcard.insert(prefix.to_string(), node);
        }
        site
    }
}

impl Site {
    /// The 32 bytes that the canister has to certify for this tree.
    pub fn root_hash(&self) -> [u8; 32] {
        self.tree.root_hash()
    }

    /// Replaces the routes of path templates; an empty list removes one. Only the nodes whose responses change are
    /// certified again, each of them once, so many changes should be made in one call.
    pub fn set_all(&mut self, changes: impl IntoIterator<Item = (String, Vec<SiteRoute>)>) {
        // Places whose responses changed, and templates that were added or removed.
        let (mut exact, mut wildcard) = (BTreeSet::new(), BTreeSet::new());
        let (mut moved, mut before) = (Vec::new(), BTreeSet::new());
        for (template, routes) in changes {
            let known = self.slots.get(&template);
            if known.map_or(&[][..], |slot| &slot.routes) == routes {
                continue;
            }
            let there = !routes.is_empty();
            let moves = known.is_some() != there;
            if there {
                let answers = answers_of(&routes, &mut self.expressions);
                let slot = Slot { routes, answers };
                self.slots.insert(template.clone(), slot);
            } else {
                self.slots.remove(&template);
            }
            if !layout::has_parameters(&template) {
                exact.insert(template);
                continue;
            }
            wildcard.insert(layout::prefix_of(&template).to_string());
            if moves {
                // A removed template leaves its prefix and guards behind.
                before.insert(layout::prefix_of(&template).to_string());
                match there {
                    true => self.templates.insert(&template),
                    false => self.templates.remove(&template),
                };
                moved.push(template);
            }
        }
        let mut touched = match moved.as_slice() {
            [] => BTreeSet::new(),
            [one] => self.templates.prefixes_touched_by(one),
            // Each prefix once, instead of once for each template.
            _ => self.templates.prefixes(),
        };
        touched.extend(before);
        let guards = touched.iter().flat_map(|prefix| layout::guards_of(prefix));
        let guards: Vec<String> = guards.filter(|guard| !exact.contains(guard)).collect();
        touched.retain(|prefix| !wildcard.contains(prefix));
        exact.iter().for_each(|path| self.sync_exact(path, true));
        guards.iter().for_each(|path| self.sync_exact(path, false));
        let changed = wildcard.iter().map(|prefix| (prefix, true));
        for (prefix, changed) in changed.chain(touched.iter().map(|prefix| (prefix, false))) {
            self.sync_wildcard(prefix, changed);
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

    /// Whether some route that serves a path has a price.
    pub fn is_priced(&self, path: &str) -> bool {
        self.template_of(path)
            .and_then(|template| self.slots.get(template))
            .is_some_and(|slot| slot.routes.iter().any(|route| route.priced))
    }

    /// The response to a request without a payment, certified or not.
    pub fn answer(&self, method: &str, path: &str) -> Rc<StaticResponse> {
        let slot = self
            .template_of(path)
            .and_then(|template| self.slots.get(template))
            .filter(|slot| !slot.answers.is_empty());
        match (slot, method) {
            (Some(slot), _) => slot
                .answers
                .iter()
                .find(|proven| proven.method == Some(method))
                .map(|proven| proven.answer.clone())
                .unwrap_or_else(|| {
                    Rc::new(StaticResponse::method_not_allowed(&allowed(&slot.routes)))
                }),
            (None, "OPTIONS") => Rc::new(StaticResponse::preflight()),
            (None, "HEAD") => Rc::new(StaticResponse::not_found().head()),
            (None, _) => Rc::new(StaticResponse::not_found()),
        }
    }

    /// The certified response to a request; `None` if only an update call can respond. `has_payment`: whether it has a
    /// payment header, valid or not.
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

    /// The certified refusal of a request that is too large; `None` where any request gets a certified 404.
    pub fn refusal(&self, path: &str, too_large: TooLarge) -> Option<Found<'_>> {
        let node = match self.exact.get(path) {
            Some(node) => node,
            None => layout::prefixes_of(path).find_map(|prefix| self.wildcard.get(prefix))?,
        };
        let proven = self.expressions.refused(too_large);
        node.refuses.then_some(Found { node, proven })
    }

    /// The wildcard node that a verifier accepts for a path without an exact node, if what it proves is correct for the
    /// path.
    fn covering_wildcard(&self, path: &str) -> Option<&Node> {
        let node = layout::prefixes_of(path).find_map(|prefix| self.wildcard.get(prefix))?;
        let visible = self.templates.matching(path).filter(|template| {
            self.slots
                .get(*template)
                .is_some_and(|slot| !slot.answers.is_empty())
        });
        (node.template.as_deref() == visible).then_some(node)
    }

    /// The value of the header `IC-Certificate` for a found response. `certificate` is the system's data certificate,
    /// `path` the path that was looked up.
    /// `sibling` is certified beside the site.
    pub fn certificate_header(
        &self,
        found: &Found<'_>,
        path: &str,
        certificate: &[u8],
        sibling: Option<&Hash>,
    ) -> Option<String> {
        let entry = HttpCertificationTreeEntry::new(&found.node.path, found.proven.certification);
        let witness = self.tree.witness(&entry, path).ok()?;
        let expr_path = &found.node.expr_path;
        Some(proof::header(certificate, &witness, sibling, expr_path))
    }

    /// Updates the node at a path; `changed`: even if it shows the same template as before.
    fn sync_exact(&mut self, path: &str, changed: bool) {
        let show = match self.slots.get_key_value(path) {
            Some((_, slot)) if slot.answers.is_empty() => Some(Show::NotFound),
            Some((template, _)) => Some(Show::Answers(template)),
            None if !self.templates.is_guard(path) => None,
            None if self.templates.matching(path).is_some() => Some(Show::Tombstone),
            None => Some(Show::NotFound),
        };
        if !changed && self.exact.get(path).map(Node::shows) == show {
            return;
        }
        let node = self.node(show, HttpCertificationPath::exact(path.to_string()));
        if let Some(old) = self.exact.remove(path) {
            self.tree.delete_by_path(&old.path);
        }
        if let Some(node) = node {
            self.expressions.insert(&mut self.tree, &node);
            self.exact.insert(path.to_string(), node);
        }
    }

    /// Updates the node for everything under a prefix; `changed` as above.
    fn sync_wildcard(&mut self, prefix: &str, changed: bool) {
        // The root's wildcard proves 404 and belongs to no template.
        if prefix.is_empty() {
            return;
        }
        let show = match self.templates.under(prefix) {
            Under::Nothing => None,
            Under::One(template) => self
                .slots
                .get(template)
                .filter(|slot| !slot.answers.is_empty())
                .map(|_| Show::Answers(template)),
            Under::Rivals => Some(Show::Tombstone),
        };
        // A tombstone stays one, whatever the responses under it are.
        let changed = changed && show != Some(Show::Tombstone);
        if !changed && self.wildcard.get(prefix).map(Node::shows) == show {
            return;
        }
        let node = self.node(show, HttpCertificationPath::wildcard(prefix.to_string()));
        if let Some(old) = self.wildcard.remove(prefix) {
            self.tree.delete_by_path(&old.path);
        }
        if let Some(node) = node {
            self.expressions.insert(&mut self.tree, &node);
            self.wildcard.insert(prefix.to_string(), node);
        }
    }

    fn node(&self, show: Option<Show<'_>>, path: HttpCertificationPath<'static>) -> Option<Node> {
        match show? {
            Show::Answers(template) => {
                let answers = &self.slots.get(template)?.answers;
                Some(Node::answers(path, template, answers))
            }
            Show::NotFound => Some(self.expressions.not_found(path)),
            Show::Tombstone => Some(Node::tombstone(path)),
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

fn answers_of(routes: &[SiteRoute], expressions: &mut Expressions) -> Vec<Proven> {
    if routes.iter().all(|route| route.unpaid.is_none()) {
        return Vec::new();
    }
    let shown = |method: &str| {
        routes
            .iter()
            .find(|route| route.method == method)
            .and_then(|route| route.unpaid.as_ref())
    };
    let allow = allowed(routes);
    // Where a payment can be accepted, for any method, no node may answer it with these.
    let binding = match routes.iter().any(|route| route.priced) {
        true => Binding::UnpaidRequest,
        false => Binding::Request,
    };
    METHODS
        .into_iter()
        .map(|method| match (method, shown(method)) {
            ("OPTIONS", _) => expressions.preflight(binding),
            ("HEAD", _) => match shown("GET") {
                Some(answer) => expressions.prove(Some("HEAD"), binding, answer.head()),
                None => expressions.refusal("HEAD", binding, &allow),
            },
            (_, Some(answer)) => expressions.prove(Some(method), binding, answer.clone()),
            (_, None) => expressions.refusal(method, binding, &allow),
        })
        .collect()
}

#[cfg(test)]
mod whole;
