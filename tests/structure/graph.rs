//! The uses between modules, and violations of the rules for them.

use crate::{
    paths::Written,
    sources::{ModulePath, Sources},
};
use std::collections::{BTreeMap, BTreeSet};

/// The layers that each layer may use. `lib.rs` may use every layer.
const LAYERS: [(&str, &[&str]); 6] = [
    ("types", &[]),
    ("domain", &["types"]),
    ("storage", &["types", "domain"]),
    ("runtime", &["types", "domain"]),
    ("service", &["types", "domain", "storage", "runtime"]),
    ("api", &["types", "domain", "storage", "runtime", "service"]),
];
/// The crates that call the system, and the one layer that may use them.
const SYSTEM: [&str; 4] = ["ic_cdk", "ic_cdk_executor", "ic_cdk_timers", "ic0"];
const SYSTEM_LAYER: &str = "runtime";
/// The most re-exports that are followed.
const MAX_HOPS: usize = 8;

/// The uses of a layer by one to its left, each once.
pub fn layer_breaks(sources: &Sources) -> Vec<String> {
    let uses = uses(sources).into_iter().filter(|(from, to)| {
        let layer = from.first().map(String::as_str).unwrap_or_default();
        let used = to.first().map(String::as_str).unwrap_or_default();
        let may = LAYERS.iter().find(|(name, _)| *name == layer);
        layer != used && may.is_some_and(|(_, may)| !may.contains(&used))
    });
    let lines = uses.map(|(from, to)| format!("{} uses {}", name(&from), name(&to)));
    lines.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The groups of modules that stand beside each other, in a layer or deeper in it, and use each other in a circle.
pub fn circles(sources: &Sources) -> Vec<String> {
    let mut edges = BTreeMap::<(ModulePath, String), BTreeSet<String>>::new();
    for (from, to) in uses(sources) {
        let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        // A layer's root is a module like the others. Deeper in it a module and those inside it know each other.
        let topic = |path: &ModulePath| match path.get(common) {
            None if common == 1 => Some("mod.rs".to_string()),
            other => other.cloned(),
        };
        if let (1.., Some(user), Some(used)) = (common, topic(&from), topic(&to)) {
            let key = (from[..common].to_vec(), user);
            edges.entry(key).or_default().insert(used);
        }
    }
    let reachable = |within: &ModulePath, from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from.to_string()];
        while let Some(topic) = next.pop() {
            let used = edges.get(&(within.clone(), topic));
            for topic in used.into_iter().flatten() {
                if seen.insert(topic.clone()) {
                    next.push(topic.clone());
                }
            }
        }
        seen
    };
    let mut found = BTreeSet::new();
    for (within, topic) in edges.keys() {
        let mut circle = reachable(within, topic);
        if circle.contains(topic) {
            circle.retain(|other| reachable(within, other).contains(topic));
            let members: Vec<String> = circle.into_iter().collect();
            found.insert(format!("{}: {}", name(within), members.join(", ")));
        }
    }
    found.into_iter().collect()
}

/// The modules outside of `runtime/` and `lib.rs` that name a crate of the system.
pub fn system_uses(sources: &Sources) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (module, paths) in &sources.modules {
        if module.first().is_none_or(|layer| layer == SYSTEM_LAYER) {
            continue;
        }
        let passed_on = paths.passed_on.values().chain(&paths.all_passed_on);
        for written in paths.used.iter().chain(passed_on) {
            if let Some(first) = written.first()
                && SYSTEM.contains(&first.as_str())
            {
                found.insert(format!("{} uses {first}", name(module)));
            }
        }
    }
    found.into_iter().collect()
}

/// Every use of a module by another one, by their full paths.
fn uses(sources: &Sources) -> BTreeSet<(ModulePath, ModulePath)> {
    let mut uses = BTreeSet::new();
    for (module, paths) in &sources.modules {
        // Re-exports by lib.rs and by a layer's root are not uses of their own.
        for written in &paths.used {
            if let Some(used) = owner(sources, module, written)
                && used != *module
            {
                uses.insert((module.clone(), used));
            }
        }
    }
    uses
}

/// The module that contains what `written` names in `module`; `None` if it is not in this crate.
fn owner(sources: &Sources, module: &ModulePath, written: &Written) -> Option<ModulePath> {
    let mut path = absolute(sources, module, written, MAX_HOPS)?;
    for _ in 0..MAX_HOPS {
        let depth = (0..=path.len())
            .rev()
            .find(|depth| sources.modules.contains_key(&path[..*depth]))?;
        let (holder, rest) = path.split_at(depth);
        let Some(next) = rest.first() else {
            return Some(holder.to_vec());
        };
        let paths = &sources.modules[holder];
        if holder.is_empty()
            && let Some(definer) = defining_macro(sources, next)
        {
            return Some(definer.clone());
        }
        let named = paths.passed_on.get(next).cloned();
        let by_glob = || {
            let candidates = paths.all_passed_on.iter().cloned().map(|mut path| {
                path.push(next.clone());
                path
            });
            candidates.into_iter().next()
        };
        let Some(passed_on) = named.or_else(by_glob) else {
            return Some(holder.to_vec());
        };
        let Some(target) = absolute(sources, &holder.to_vec(), &passed_on, MAX_HOPS) else {
            return Some(holder.to_vec());
        };
        path = target
            .into_iter()
            .chain(rest[1..].iter().cloned())
            .collect();
    }
    None
}

fn defining_macro<'a>(sources: &'a Sources, name: &String) -> Option<&'a ModulePath> {
    let mut modules = sources.modules.iter();
    modules
        .find(|(_, paths)| paths.macros.contains(name))
        .map(|(module, _)| module)
}

/// `written` from the crate's root; `None` if it begins with the name of another crate or of something local.
fn absolute(
    sources: &Sources,
    module: &ModulePath,
    written: &Written,
    hops: usize,
) -> Option<Written> {
    let (first, rest) = written.split_first()?;
    let below = |base: &[String]| Some(base.iter().chain(rest).cloned().collect());
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => below(module),
        "super" => {
            let parent = module.split_last()?.1.to_vec();
            let again = rest.first().is_some_and(|next| next == "super");
            if again {
                absolute(sources, &parent, &rest.to_vec(), hops)
            } else {
                Some(parent.iter().chain(rest).cloned().collect())
            }
        }
        name => {
            let paths = sources.modules.get(module)?;
            let child: ModulePath = module.iter().cloned().chain([name.to_string()]).collect();
            if sources.modules.contains_key(&child) {
                return below(&child);
            }
            let imported = paths.imports.get(name)?;
            if hops == 0 || imported.first() == Some(first) {
                return None;
            }
            below(&absolute(sources, module, imported, hops - 1)?)
        }
    }
}

fn name(module: &ModulePath) -> String {
    match module.is_empty() {
        true => "lib.rs".into(),
        false => module.join("::"),
    }
}
