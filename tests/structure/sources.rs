//! The modules of a crate, found by following `mod` from its root, without those that only tests have.

use crate::{
    lists,
    paths::{self, Paths},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use syn::{Attribute, Item, ItemMod};

/// A module's path from the crate's root; the root is empty.
pub type ModulePath = Vec<String>;

/// The modules of a crate by their path.
pub struct Sources {
    pub modules: BTreeMap<ModulePath, Paths>,
    /// Variants that the list `ALL` of their enum lacks.
    pub gaps: Vec<String>,
}

impl Sources {
    /// Reads a crate from the file of its root.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut sources = Sources {
            modules: BTreeMap::new(),
            gaps: Vec::new(),
        };
        let directory = root.parent().unwrap_or(Path::new("."));
        sources.read_file(vec![], root, directory)?;
        Ok(sources)
    }

    /// Modules given as text, for tests: `("domain::price", "…")`.
    pub fn of(texts: &[(&str, &str)]) -> Self {
        let mut sources = Sources {
            modules: BTreeMap::new(),
            gaps: Vec::new(),
        };
        for (path, text) in texts {
            let path = path
                .split("::")
                .filter(|part| !part.is_empty())
                .map(str::to_string)
                .collect();
            let file = syn::parse_file(text).unwrap();
            sources.add(path, file.items);
        }
        sources
    }

    /// Adds a module and those written inside it; returns those in files of their own.
    fn add(&mut self, path: ModulePath, items: Vec<Item>) -> Vec<String> {
        let mut in_files = Vec::new();
        let mut own = Vec::new();
        for item in items {
            match item {
                _ if is_for_tests(attributes(&item)) => {}
                Item::Mod(ItemMod {
                    ident,
                    content: Some((_, items)),
                    ..
                }) => {
                    let inner = path.iter().cloned().chain([ident.to_string()]).collect();
                    self.add(inner, items);
                }
                Item::Mod(module) => in_files.push(module.ident.to_string()),
                item => own.push(item),
            }
        }
        self.gaps.extend(lists::gaps(&path, &own));
        self.modules.insert(path, paths::of(&own));
        in_files
    }

    fn read_file(&mut self, path: ModulePath, file: &Path, directory: &Path) -> io::Result<()> {
        let text = fs::read_to_string(file)?;
        let parsed = syn::parse_file(&text)
            .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        for name in self.add(path.clone(), parsed.items) {
            let inner: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
            let below = directory.join(&name);
            let candidates: [PathBuf; 2] =
                [directory.join(format!("{name}.rs")), below.join("mod.rs")];
            let file = candidates.iter().find(|file| file.exists());
            let file = file.ok_or_else(|| {
                io::Error::other(format!("module {} has no file", inner.join("::")))
            })?;
            self.read_file(inner, file, &below)?;
        }
        Ok(())
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether only tests have the item: `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all (test"))
    })
}
