//! Where templates may stand in the certification tree.
//!
//! The tree knows no parameters, only "everything under this path". A template `/a/{x}` therefore is
//! proven by a wildcard at `/a`, which a verifier also accepts for `/a` itself, `/a/` and `/a/x/y`. Three
//! rules keep one route's answer from passing as another's:
//!
//! 1. `/a` and `/a/` get exact nodes of their own (*guards*) that say what is true there;
//! 2. a wildcard proves answers only if no other template can match anything under its path; else it is
//!    a tombstone, and updates answer;
//! 3. a template whose first segment is a parameter would own the root's wildcard: it gets no node.

use std::collections::BTreeSet;

/// The templates that have parameters, and which of them matches a path.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    router: matchit::Router<String>,
    names: Vec<String>,
    prefixes: BTreeSet<String>,
}

/// Whether a path template has a parameter.
pub fn has_parameters(template: &str) -> bool {
    template.contains('{')
}

/// The part of a template before the segment with its first parameter, without the slash: `/a/b` of
/// `/a/b/{x}/c`, empty for `/{x}`.
fn prefix_of(template: &str) -> &str {
    let end = template.find('{').unwrap_or(template.len());
    let end = template[..end].rfind('/').unwrap_or(0);
    &template[..end]
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

/// Whether a template can match a path that begins with the segments of `prefix` (or is `prefix`).
fn reaches(template: &str, prefix: &str) -> bool {
    let mut own = segments(template);
    segments(prefix).all(|wanted| {
        own.next()
            .is_some_and(|segment| has_parameters(segment) || segment == wanted)
    })
}

/// Every prefix of a path at segment borders, the longest (the path itself) first, the root (empty) last.
pub fn prefixes_of(path: &str) -> impl Iterator<Item = &str> {
    let whole = path.strip_suffix('/').unwrap_or(path);
    std::iter::successors(Some(whole), |longer| {
        longer.rfind('/').map(|end| &longer[..end])
    })
}

/// The exact paths that a wildcard at `prefix` covers though they are no parameter values.
pub fn guards_of(prefix: &str) -> [String; 2] {
    [prefix.to_string(), format!("{prefix}/")]
}

impl Templates {
    /// Builds the router. A template it cannot take (two of the same shape, which the catalogue refuses)
    /// is left out and so has no node and no match.
    pub fn new<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut templates = Self::default();
        for name in names {
            if templates.router.insert(name.clone(), name.clone()).is_ok() {
                templates.names.push(name.clone());
                templates.prefixes.insert(prefix_of(name).to_string());
            }
        }
        templates
    }

    /// The template that serves a path; never one without parameters.
    pub fn matching(&self, path: &str) -> Option<&str> {
        self.router
            .at(path)
            .ok()
            .map(|matched| matched.value.as_str())
    }

    /// All templates that can match something under a prefix, if the prefix is one's own.
    pub fn under(&self, prefix: &str) -> Vec<&str> {
        if !self.prefixes.contains(prefix) {
            return Vec::new();
        }
        let depth = segments(prefix).count();
        self.names
            .iter()
            .filter(|name| reaches(name, prefix) && segments(name).count() > depth)
            .map(String::as_str)
            .collect()
    }

    /// Whether a path is `prefix` or `prefix/` of some template.
    pub fn is_guard(&self, path: &str) -> bool {
        let prefix = path.strip_suffix('/').unwrap_or(path);
        !prefix.is_empty() && self.prefixes.contains(prefix)
    }

    /// The prefixes whose nodes depend on a template: its own and those under which it can match.
    pub fn prefixes_touched_by(&self, template: &str) -> BTreeSet<String> {
        self.prefixes
            .iter()
            .filter(|prefix| !prefix.is_empty())
            .filter(|prefix| reaches(template, prefix))
            .cloned()
            .chain(Some(prefix_of(template).to_string()).filter(|prefix| !prefix.is_empty()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(names: &[&str]) -> Templates {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        Templates::new(names.iter())
    }

    #[test]
    fn should_cut_templates_before_the_first_parameter() {
        assert_eq!(prefix_of("/a/b/{x}/c"), "/a/b");
        assert_eq!(prefix_of("/a/{x}"), "/a");
        assert_eq!(prefix_of("/{x}"), "");
    }

    #[test]
    fn should_list_prefixes_from_long_to_short() {
        let list = |path| prefixes_of(path).collect::<Vec<_>>();
        assert_eq!(list("/a/b"), ["/a/b", "/a", ""]);
        assert_eq!(list("/a/b/"), ["/a/b", "/a", ""]);
        assert_eq!(list("/"), [""]);
    }

    #[test]
    fn should_see_two_templates_of_one_prefix_as_rivals() {
        let templates = templates(&["/a/{x}", "/a/{x}/b", "/c/{y}"]);
        assert_eq!(templates.under("/a"), ["/a/{x}", "/a/{x}/b"]);
        assert_eq!(templates.under("/c"), ["/c/{y}"]);
        assert!(templates.under("/d").is_empty());
    }

    #[test]
    fn should_see_a_template_that_reaches_under_a_longer_prefix_as_rival() {
        let templates = templates(&["/a/{x}/c/d", "/a/b/{y}", "/a/{x}"]);
        assert_eq!(templates.under("/a/b"), ["/a/{x}/c/d", "/a/b/{y}"]);
    }

    #[test]
    fn should_guard_the_prefix_with_and_without_slash() {
        let templates = templates(&["/a/b/{y}"]);
        assert!(templates.is_guard("/a/b") && templates.is_guard("/a/b/"));
        assert!(!templates.is_guard("/a") && !templates.is_guard("/"));
    }

    #[test]
    fn should_touch_every_prefix_a_template_reaches() {
        let templates = templates(&["/a/b/{y}", "/c/{z}"]);
        let touched = templates.prefixes_touched_by("/a/{x}");
        assert_eq!(touched.into_iter().collect::<Vec<_>>(), ["/a", "/a/b"]);
    }
}
