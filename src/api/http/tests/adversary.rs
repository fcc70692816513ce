//! A malicious node that may serve any certified response for any request, against random catalogues.

use super::prover::{Prover, free, hidden, priced};
use crate::api::http::{
    layout,
    site::{Site, SiteRoute},
};
use proptest::prelude::*;

const SEGMENTS: [&str; 5] = ["a", "b", "{x}", "{y}", ""];

fn template() -> impl Strategy<Value = String> {
    // The first segment is never a parameter, and only the last can be empty.
    (
        prop::sample::select(&SEGMENTS[..2]),
        prop::collection::vec(prop::sample::select(&SEGMENTS[..3]), 0..3),
        any::<bool>(),
    )
        .prop_map(|(first, rest, slash)| {
            let mut path = format!("/{first}");
            for (index, segment) in rest.iter().enumerate() {
                path.push('/');
                match *segment {
                    "{x}" => path.push_str(&format!("{{x{index}}}")),
                    text => path.push_str(text),
                }
            }
            if slash {
                path.push('/');
            }
            path
        })
}

fn routes(path: &str, kind: u8) -> Vec<SiteRoute> {
    match kind {
        0 => vec![],
        1 => vec![priced("GET", path)],
        2 => vec![free("GET")],
        3 => vec![priced("POST", path), free("GET")],
        4 => vec![hidden("GET")],
        _ => vec![priced("GET", path), priced("POST", path)],
    }
}

fn request_path() -> impl Strategy<Value = String> {
    (
        prop::collection::vec(prop::sample::select(&["a", "b", "c", "x y"][..]), 0..5),
        any::<bool>(),
    )
        .prop_map(|(segments, slash)| {
            let mut path: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
            if slash || path.is_empty() {
                path.push('/');
            }
            path
        })
}

fn catalogue() -> impl Strategy<Value = Vec<(String, u8)>> {
    prop::collection::vec((template(), 0..6u8), 1..8)
}

fn build(steps: &[(String, u8)]) -> Site {
    let mut site = Site::default();
    for (path, kind) in steps {
        // The catalogue refuses a second template of the same shape.
        site.set_path(path, routes(path, *kind));
    }
    site
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Every response of the query is accepted by the verifier, and is the response of the update.
    #[test]
    fn served_answers_verify_and_are_true(steps in catalogue(), paths in prop::collection::vec(request_path(), 6)) {
        let (site, prover) = (build(&steps), Prover::default());
        for path in paths {
            let url = path.replace(' ', "%20");
            for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
                if let Some(response) = prover.serve(&site, method, &path, b"") {
                    prop_assert!(prover.accepts(method, &url, b"", &response), "{method} {path}");
                    prop_assert_eq!(response.status_code, site.answer(method, &path).status, "{} {}", method, path);
                }
            }
        }
    }

    /// The tree after any series of changes is the tree of the final catalogue, whether the changes are made at once or
    /// one by one.
    #[test]
    fn incremental_changes_leave_nothing_behind(
        steps in catalogue(),
        more in catalogue(),
        paths in prop::collection::vec(request_path(), 6),
    ) {
        let mut last = std::collections::BTreeMap::new();
        for (path, kind) in steps.iter().chain(&more) {
            last.insert(path.clone(), *kind);
        }
        let all = |steps: &[(String, u8)]| {
            let steps = steps.iter().map(|(path, kind)| (path.clone(), routes(path, *kind)));
            steps.collect::<Vec<_>>()
        };
        let last: Vec<_> = last.into_iter().collect();
        let one_by_one = build(&last);
        let mut at_once = Site::default();
        at_once.set_all(all(&last));
        let (mut changed, mut in_batches) = (build(&steps), build(&steps));
        in_batches.set_all(all(&more));
        for (path, kind) in &more {
            changed.set_path(path, routes(path, *kind));
        }
        for site in [&at_once, &changed, &in_batches] {
            prop_assert_eq!(site.leaves(), one_by_one.leaves());
            for path in &paths {
                for method in ["GET", "POST", "OPTIONS"] {
                    prop_assert_eq!(site.answer(method, path), one_by_one.answer(method, path));
                    let found = |site: &Site| site.lookup(method, path, false, false).map(|found| found.answer().clone());
                    prop_assert_eq!(found(site), found(&one_by_one), "{} {}", method, path);
                }
            }
        }
    }

    /// No response that a node can give to a paid request is an offer: a client that believed it would sign a second
    /// payment.
    #[test]
    fn no_paid_request_gets_an_offer(steps in catalogue(), paths in prop::collection::vec(request_path(), 2)) {
        let (site, prover) = (build(&steps), Prover::default());
        for path in paths {
            let url = path.replace(' ', "%20");
            for method in ["GET", "POST"] {
                if let Some(found) = site.lookup(method, &path, false, true) {
                    let response = prover.lie(&site, &found);
                    prop_assert!(prover.accepts_with(method, &url, &["e30="], b"", &response), "{} {}", method, path);
                    prop_assert_ne!(response.status_code, 402, "{} {}", method, path);
                }
                for (_, found) in site.everything_proven() {
                    let lie = prover.lie(&site, &found);
                    if lie.header("payment-required").is_some() {
                        prop_assert!(!prover.accepts_with(method, &url, &["e30="], b"", &lie), "{} {}", method, path);
                    }
                }
            }
        }
    }

    /// No certified response is accepted for another request than its own. Exceptions: that of a template for a path
    /// below it that no route has (documented), and 404 for a preflight of an unknown path.
    #[test]
    fn no_answer_passes_as_another(steps in catalogue(), paths in prop::collection::vec(request_path(), 4)) {
        let (site, prover) = (build(&steps), Prover::default());
        for path in paths {
            let url = path.replace(' ', "%20");
            for method in ["GET", "POST", "OPTIONS"] {
                let truth = site.answer(method, &path);
                for (template, found) in site.everything_proven() {
                    let lie = prover.lie(&site, &found);
                    if !prover.accepts(method, &url, b"", &lie) {
                        continue;
                    }
                    let same = lie.status_code == truth.status
                        && lie.header("payment-required") == truth.headers.iter()
                            .find(|(name, _)| name == "PAYMENT-REQUIRED").map(|(_, value)| value.as_str());
                    let below_a_template = site.template_of(&path).is_none()
                        && template.is_some_and(layout::has_parameters);
                    let preflight_of_nothing = method == "OPTIONS" && lie.status_code == 404;
                    prop_assert!(
                        same || below_a_template || preflight_of_nothing,
                        "{} {} answered with {:?} of {:?}, the truth is {}", method, path, lie.status_code, template, truth.status
                    );
                }
            }
        }
    }
}
