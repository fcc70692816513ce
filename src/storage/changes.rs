//! Changes of routes since the certified responses were last updated.
//!
//! Heap only: an upgrade certifies everything again.

use crate::storage::offers;
use std::{cell::RefCell, collections::BTreeSet};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// A setting changed that any route may depend on.
    pub everything: bool,
    /// Path templates at which a route was put, removed or given content.
    pub paths: BTreeSet<String>,
    /// Path templates whose offers changed for another reason. There may be very many.
    pub stale: BTreeSet<String>,
}

thread_local! {
    static CHANGES: RefCell<Changes> = RefCell::default();
}

/// Returns the changes since the last call.
pub fn take() -> Changes {
    CHANGES.take()
}

/// Returns the path templates that changed, at most `limit` of the stale ones, and whether some are left for another
/// message. `all` returns every path template.
pub fn take_some(limit: usize, all: impl FnOnce() -> Vec<String>) -> (Vec<String>, bool) {
    CHANGES.with_borrow_mut(|changes| {
        if std::mem::take(&mut changes.everything) {
            changes.stale.extend(all());
        }
        let mut paths: Vec<String> = std::mem::take(&mut changes.paths).into_iter().collect();
        for path in &paths {
            changes.stale.remove(path);
        }
        paths.extend(std::iter::from_fn(|| changes.stale.pop_first()).take(limit));
        (paths, !changes.stale.is_empty())
    })
}

/// Records a change that any route may depend on.
pub(super) fn note_everything() {
    offers::clear();
    CHANGES.with_borrow_mut(|changes| changes.everything = true);
}

/// Records a change of the routes at a path.
pub(super) fn note_path(path: &str) {
    offers::clear();
    CHANGES.with_borrow_mut(|changes| changes.paths.insert(path.to_string()));
}

/// Records that the offers at these paths changed.
pub(super) fn note_stale(paths: impl Iterator<Item = String>) {
    offers::clear();
    CHANGES.with_borrow_mut(|changes| changes.stale.extend(paths));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{config::Limits, route::tests::draft};
    use crate::storage::routes;

    fn all() -> Vec<String> {
        routes::paths()
    }

    #[test]
    fn a_large_change_is_taken_in_steps_and_the_path_that_was_put_comes_first() {
        for n in 0..10 {
            routes::put(draft(&format!("/{n}")).apply(None, None, &Limits::default(), 1));
        }
        let (paths, more) = take_some(4, all);
        assert_eq!((paths.len(), more), (10, false), "put by hand");
        note_everything();
        note_path("/7");
        assert_eq!(
            take_some(4, all),
            (
                ["/7", "/0", "/1", "/2", "/3"].map(String::from).to_vec(),
                true
            )
        );
        note_stale(["/1".to_string(), "/4".to_string()].into_iter());
        assert_eq!(
            take_some(4, all),
            (["/1", "/4", "/5", "/6"].map(String::from).to_vec(), true)
        );
        assert_eq!(
            take_some(4, all),
            (["/8", "/9"].map(String::from).to_vec(), false)
        );
        assert_eq!(take_some(4, all), (vec![], false));
    }
}
