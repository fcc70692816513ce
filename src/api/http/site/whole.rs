//! The whole tree, as a malicious node sees it.

use super::*;

impl Site {
    /// Replaces the routes of one path template.
    pub(in crate::api::http) fn set_path(&mut self, template: &str, routes: Vec<SiteRoute>) {
        self.set_all([(template.to_string(), routes)]);
    }

    /// The whole tree.
    pub(in crate::api::http) fn whole_tree(&self) -> ic_certification::HashTree {
        self.tree.as_hash_tree()
    }

    /// Every path of the tree. Unlike its hash, they do not depend on the order of changes.
    pub(in crate::api::http) fn leaves(
        &self,
    ) -> std::collections::BTreeSet<Vec<ic_certification::Label>> {
        self.tree.as_hash_tree().list_paths().into_iter().collect()
    }

    /// Every certified response with its template; without refusals.
    pub(in crate::api::http) fn everything_proven(&self) -> Vec<(Option<&str>, Found<'_>)> {
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

impl Found<'_> {
    /// Expression and certificate header with the whole tree as witness.
    pub(in crate::api::http) fn with_whole_tree(
        &self,
        site: &Site,
        certificate: &[u8],
    ) -> (String, String) {
        let tree = site.tree.as_hash_tree();
        (
            self.expression(site).to_string(),
            proof::header(certificate, &tree, None, &self.node.expr_path),
        )
    }
}
