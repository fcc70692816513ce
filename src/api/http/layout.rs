//! The places that templates may have in the certification tree.
//!
//! The tree knows no parameters, only "everything under this path". A template `/a/{x}` is therefore proved by a
//! wildcard at `/a`, which a verifier also accepts for `/a` itself, `/a/` and `/a/x/y`. Three rules keep one route's
//! response from being accepted as another's:
//!
//! 1. `/a` and `/a/` get exact nodes of their own (*guards*) with the correct response for them;
//! 2. a wildcard proves responses only if no other template can match anything under its path; else it is a tombstone,
//!    and updates respond;
//! 3. a template whose first segment is a parameter would need the root's wildcard: it gets no node.
//!
//! [`Templates`] is a tree of path segments. The cost of a lookup depends on the relevant paths, not on the size of the
//! catalogue.

use std::collections::{BTreeMap, BTreeSet};

/// The templates that have parameters, for finding the one that matches a path.
#[derive(Debug, Default)]
pub struct Templates {
    root: Branch,
}

/// The templates that begin with the same segments, whatever the names of their parameters are.
#[derive(Debug, Default)]
struct Branch {
    literals: BTreeMap<String, Branch>,
    parameter: Option<Box<Branch>>,
    /// The template that ends here.
    template: Option<String>,
    /// The number of templates that end here or further on.
    count: usize,
}

/// The templates that can match something under a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under<'a> {
    /// No template can, or the prefix belongs to none.
    Nothing,
    /// This template alone can.
    One(&'a str),
    /// Several templates can.
    Rivals,
}

pub fn has_parameters(template: &str) -> bool {
    template.contains('{')
}

/// The part of a template before the segment with its first parameter, without the slash: `/a/b` of `/a/b/{x}/c`, empty
/// for `/{x}`.
pub fn prefix_of(template: &str) -> &str {
    let end = template.find('{').unwrap_or(template.len());
    let end = template[..end].rfind('/').unwrap_or(0);
    &template[..end]
}

/// The segments of a path: one empty segment for `/`, none for the root prefix (the empty text).
fn segments(path: &str) -> Vec<&str> {
    path.split('/').skip(1).collect()
}

/// Every prefix of a path at segment borders, the longest (the path itself) first, the root (empty) last.
pub fn prefixes_of(path: &str) -> impl Iterator<Item = &str> {
    let whole = path.strip_suffix('/').unwrap_or(path);
    std::iter::successors(Some(whole), |longer| {
        longer.rfind('/').map(|end| &longer[..end])
    })
}

/// The exact paths that a wildcard at `prefix` covers although they are not parameter values.
pub fn guards_of(prefix: &str) -> [String; 2] {
    [prefix.to_string(), format!("{prefix}/")]
}

impl Branch {
    fn insert(&mut self, segments: &[&str], name: &str) -> bool {
        let inserted = match segments.split_first() {
            None if self.template.is_some() => false,
            None => {
                self.template = Some(name.to_string());
                true
            }
            Some((first, rest)) if has_parameters(first) => {
                self.parameter.get_or_insert_default().insert(rest, name)
            }
            Some((first, rest)) => {
                let branch = self.literals.entry(first.to_string()).or_default();
                branch.insert(rest, name)
            }
        };
        self.count += usize::from(inserted);
        inserted
    }

    fn remove(&mut self, segments: &[&str], name: &str) -> bool {
        let removed = match segments.split_first() {
            None => self.template.take_if(|known| known == name).is_some(),
            Some((first, rest)) if has_parameters(first) => {
                let Some(branch) = self.parameter.as_mut() else {
                    return false;
                };
                let removed = branch.remove(rest, name);
                if branch.count == 0 {
                    self.parameter = None;
                }
                removed
            }
            Some((first, rest)) => {
                let Some(branch) = self.literals.get_mut(*first) else {
                    return false;
                };
                let removed = branch.remove(rest, name);
                if branch.count == 0 {
                    self.literals.remove(*first);
                }
                removed
            }
        };
        self.count -= usize::from(removed);
        removed
    }

    /// A literal has precedence over a parameter, which is never empty.
    fn matching(&self, segments: &[&str]) -> Option<&str> {
        let Some((first, rest)) = segments.split_first() else {
            return self.template.as_deref();
        };
        let literal = self.literals.get(*first);
        let parameter = self.parameter.as_deref().filter(|_| !first.is_empty());
        literal
            .and_then(|branch| branch.matching(rest))
            .or_else(|| parameter?.matching(rest))
    }

    /// Adds the templates that can match something under the path of these segments, until there are two.
    fn under<'a>(&'a self, segments: &[&str], found: &mut Under<'a>) {
        if *found == Under::Rivals {
            return;
        }
        if let Some((first, rest)) = segments.split_first() {
            if let Some(branch) = self.literals.get(*first) {
                branch.under(rest, found);
            }
            if let Some(branch) = &self.parameter {
                branch.under(rest, found);
            }
            return;
        }
        for branch in self.literals.values().chain(self.parameter.as_deref()) {
            *found = match (*found, branch.count) {
                (Under::Nothing, 1) => branch.only().map_or(Under::Rivals, Under::One),
                _ => Under::Rivals,
            };
            if *found == Under::Rivals {
                return;
            }
        }
    }

    /// The template of a branch that has only one.
    fn only(&self) -> Option<&str> {
        match &self.template {
            Some(template) => Some(template),
            None => self
                .literals
                .values()
                .chain(self.parameter.as_deref())
                .next()?
                .only(),
        }
    }

    /// The prefixes here and further on under which a template with these segments can match a path; without segments,
    /// all of them. `path` is the path of this branch.
    fn prefixes(&self, segments: Option<&[&str]>, path: &str, found: &mut BTreeSet<String>) {
        if self.parameter.is_some() && !path.is_empty() {
            found.insert(path.to_string());
        }
        match segments.map(<[_]>::split_first) {
            Some(None) => {}
            Some(Some((first, rest))) if !has_parameters(first) => {
                if let Some(branch) = self.literals.get(*first) {
                    branch.prefixes(Some(rest), &format!("{path}/{first}"), found);
                }
            }
            any => {
                let rest = any.flatten().map(|(_, rest)| rest);
                for (segment, branch) in &self.literals {
                    branch.prefixes(rest, &format!("{path}/{segment}"), found);
                }
            }
        }
    }
}

impl Templates {
    /// Adds a template. One with the shape of another (the catalogue refuses it) is left out and has no node and no
    /// match.
    pub fn insert(&mut self, template: &str) -> bool {
        self.root.insert(&segments(template), template)
    }

    pub fn remove(&mut self, template: &str) -> bool {
        self.root.remove(&segments(template), template)
    }

    /// The template that serves a path; never one without parameters.
    pub fn matching(&self, path: &str) -> Option<&str> {
        self.root.matching(&segments(path))
    }

    /// The templates that can match something under a prefix, if the prefix belongs to one.
    pub fn under(&self, prefix: &str) -> Under<'_> {
        let mut found = Under::Nothing;
        if self.has_prefix(prefix) {
            self.root.under(&segments(prefix), &mut found);
        }
        found
    }

    /// Whether a path is `prefix` or `prefix/` of some template.
    pub fn is_guard(&self, path: &str) -> bool {
        let prefix = path.strip_suffix('/').unwrap_or(path);
        !prefix.is_empty() && self.has_prefix(prefix)
    }

    /// The prefixes whose nodes depend on this template: those under which it can match.
    pub fn prefixes_touched_by(&self, template: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.root
            .prefixes(Some(&segments(template)), "", &mut found);
        found
    }

    /// The prefixes of all templates.
    pub fn prefixes(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.root.prefixes(None, "", &mut found);
        found
    }

    /// Whether some template has its first parameter right after this path.
    fn has_prefix(&self, path: &str) -> bool {
        let branch = segments(path)
            .into_iter()
            .try_fold(&self.root, |branch, segment| branch.literals.get(segment));
        branch.is_some_and(|branch| branch.parameter.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn templates(names: &[&str]) -> Templates {
        let mut templates = Templates::default();
        for name in names {
            templates.insert(name);
        }
        templates
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
        assert_eq!(templates.under("/a"), Under::Rivals);
        assert_eq!(templates.under("/c"), Under::One("/c/{y}"));
        assert_eq!(templates.under("/d"), Under::Nothing);
    }

    #[test]
    fn should_see_a_template_that_reaches_under_a_longer_prefix_as_rival() {
        let mut templates = templates(&["/a/{x}/c/d", "/a/b/{y}", "/a/{x}"]);
        assert_eq!(templates.under("/a/b"), Under::Rivals);
        assert!(templates.remove("/a/{x}/c/d") && !templates.remove("/a/{x}/c/d"));
        assert_eq!(templates.under("/a/b"), Under::One("/a/b/{y}"));
    }

    #[test]
    fn should_guard_the_prefix_with_and_without_slash() {
        let templates = templates(&["/a/b/{y}"]);
        assert!(templates.is_guard("/a/b") && templates.is_guard("/a/b/"));
        assert!(!templates.is_guard("/a") && !templates.is_guard("/"));
    }

    #[test]
    fn should_touch_every_prefix_a_template_reaches() {
        let templates = templates(&["/a/b/{y}", "/c/{z}", "/a/{x}"]);
        let touched = templates.prefixes_touched_by("/a/{x}");
        assert_eq!(touched.into_iter().collect::<Vec<_>>(), ["/a", "/a/b"]);
        assert_eq!(templates.prefixes().len(), 3);
    }

    #[test]
    fn should_keep_the_first_of_two_templates_of_one_shape() {
        let mut templates = templates(&["/a/{x}/b"]);
        assert!(!templates.insert("/a/{y}/b"));
        assert!(!templates.remove("/a/{y}/b"));
        assert_eq!(templates.matching("/a/1/b"), Some("/a/{x}/b"));
        assert!(templates.remove("/a/{x}/b"));
        assert_eq!(templates.matching("/a/1/b"), None);
        assert!(templates.prefixes().is_empty());
    }

    /// Whether a template can match a path that begins with the segments of `prefix`, by definition.
    fn reaches(template: &str, prefix: &str) -> bool {
        let (own, wanted) = (segments(template), segments(prefix));
        own.len() > wanted.len()
            && wanted
                .iter()
                .zip(own)
                .all(|(wanted, own)| has_parameters(own) || own == *wanted)
    }

    fn arb_path(parameters: bool) -> impl Strategy<Value = String> {
        const ALL: &[&str] = &["a", "b", "c", "{p}"];
        let segment = prop::sample::select(if parameters { ALL } else { &ALL[..3] });
        (prop::collection::vec(segment, 1..5), any::<bool>()).prop_map(|(segments, slash)| {
            let end = if slash { "/" } else { "" };
            let named = segments
                .iter()
                .enumerate()
                .map(|(n, segment)| match *segment {
                    "{p}" => format!("/{{p{n}}}"),
                    literal => format!("/{literal}"),
                });
            named.collect::<String>() + end
        })
    }

    proptest! {
        /// The tree of segments gives the same results as a list of all templates, and as another router.
        #[test]
        fn should_answer_as_a_walk_over_all_templates_would(
            steps in prop::collection::vec((arb_path(true), any::<bool>()), 0..24),
            paths in prop::collection::vec(arb_path(false), 12),
        ) {
            let mut templates = Templates::default();
            let mut names = BTreeSet::new();
            for (name, add) in steps.into_iter().filter(|(name, _)| has_parameters(name)) {
                match add {
                    true => prop_assert_eq!(templates.insert(&name), names.insert(name)),
                    false => prop_assert_eq!(templates.remove(&name), names.remove(&name)),
                }
            }
            let prefixes: BTreeSet<&str> = names.iter().map(|name| prefix_of(name)).collect();
            let mut router = matchit::Router::new();
            for name in &names {
                router.insert(name.clone(), name.as_str()).expect("a template of its own shape");
            }
            for path in &paths {
                prop_assert_eq!(templates.matching(path), router.at(path).ok().map(|found| *found.value), "{}", path);
            }
            for prefix in paths.iter().map(|path| path.trim_end_matches('/')).chain(prefixes.clone()) {
                let under: Vec<&String> = names.iter().filter(|name| reaches(name, prefix)).collect();
                let expected = match under.as_slice() {
                    _ if !prefixes.contains(prefix) => Under::Nothing,
                    [] => Under::Nothing,
                    [one] => Under::One(one),
                    _ => Under::Rivals,
                };
                prop_assert_eq!(templates.under(prefix), expected, "{}", prefix);
                prop_assert_eq!(templates.is_guard(prefix), !prefix.is_empty() && prefixes.contains(prefix));
            }
            let own: BTreeSet<String> = prefixes.iter().filter(|p| !p.is_empty()).map(|p| p.to_string()).collect();
            prop_assert_eq!(&templates.prefixes(), &own);
            for name in &names {
                let touched: BTreeSet<String> = own.iter().filter(|prefix| reaches(name, prefix)).cloned().collect();
                let found = templates.prefixes_touched_by(name);
                prop_assert!(touched.is_subset(&found) && found.is_subset(&own), "{}", name);
            }
        }
    }
}
