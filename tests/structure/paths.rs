//! The paths that a module's code names.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeMap;
use syn::{Item, UseTree, Visibility, visit::Visit};

/// A path as written: `crate::storage::payments` or `payments::record`.
pub type Written = Vec<String>;

/// The names in a module.
#[derive(Debug, Default)]
pub struct Paths {
    /// Names that `use` imports, with their paths.
    pub imports: BTreeMap<String, Written>,
    /// Names that `pub use` re-exports. These are not uses of the module's own.
    pub passed_on: BTreeMap<String, Written>,
    /// Modules all of whose names are re-exported: `pub use price::*`.
    pub all_passed_on: Vec<Written>,
    /// Names of exported macros that the module defines; their path is the crate's root.
    pub macros: Vec<String>,
    /// Every path that is used: imports, and those in types, expressions, patterns and macros.
    pub used: Vec<Written>,
}

/// The names in these items.
pub fn of(items: &[Item]) -> Paths {
    let mut paths = Paths::default();
    for item in items {
        paths.visit_item(item);
    }
    paths
}

impl Paths {
    fn import(&mut self, before: &Written, tree: &UseTree, public: bool) {
        let then = |name: &syn::Ident| -> Written {
            before.iter().cloned().chain([name.to_string()]).collect()
        };
        match tree {
            UseTree::Path(path) => self.import(&then(&path.ident), &path.tree, public),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(before, tree, public);
                }
            }
            UseTree::Glob(_) if public => self.all_passed_on.push(before.clone()),
            UseTree::Glob(_) => self.used.push(before.clone()),
            UseTree::Name(name) if name.ident == "self" => {
                let alias = before.last().cloned().unwrap_or_default();
                self.named(alias, before.clone(), public);
            }
            UseTree::Name(name) => {
                self.named(name.ident.to_string(), then(&name.ident), public);
            }
            UseTree::Rename(rename) if rename.ident == "self" => {
                self.named(rename.rename.to_string(), before.clone(), public);
            }
            UseTree::Rename(rename) => {
                self.named(rename.rename.to_string(), then(&rename.ident), public);
            }
        }
    }

    fn named(&mut self, name: String, path: Written, public: bool) {
        if public {
            self.passed_on.insert(name.clone(), path.clone());
        } else {
            self.used.push(path.clone());
        }
        self.imports.insert(name, path);
    }

    /// Finds `a::b::c` among the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Written::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons < 2 {
                        self.flush(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.flush(&mut path);
                    self.tokens(group.stream());
                }
                _ => self.flush(&mut path),
            }
        }
        self.flush(&mut path);
    }

    fn flush(&mut self, path: &mut Written) {
        if !path.is_empty() {
            self.used.push(std::mem::take(path));
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, Visibility::Inherited);
        self.import(&Written::new(), &item.tree, public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.used
            .push(segments.map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let exported = |attribute: &syn::Attribute| attribute.path().is_ident("macro_export");
        match &item.ident {
            // The body of an exported macro is used where the macro is called.
            Some(name) if item.attrs.iter().any(exported) => self.macros.push(name.to_string()),
            Some(_) => self.tokens(item.mac.tokens.clone()),
            None => self.visit_macro(&item.mac),
        }
    }
}
