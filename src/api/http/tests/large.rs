//! Many routes.

use super::prover::{Prover, priced};
use crate::api::http::site::Site;

#[test]
fn should_prove_all_of_a_large_site_after_changes_in_steps() {
    let (mut site, prover) = (Site::default(), Prover::default());
    let path = |n: usize| match n % 10 {
        0 => format!("/a/{{x}}/s{n}"),
        1 => format!("/a/b{n}/{{y}}"),
        _ => format!("/shelf/number-{n}"),
    };
    let with_fee =
        |n: usize, fee: u32| (path(n), vec![priced("GET", &format!("{}-{fee}", path(n)))]);
    site.set_all(
        (0..2_000)
            .map(|n| with_fee(n, 1))
            .chain([("/about".to_string(), vec![priced("GET", "/about")])]),
    );
    assert_eq!(site.root_hash(), site.whole_tree().digest());
    for step in 0..4 {
        site.set_all((0..500).map(|n| with_fee(step * 500 + n, 2)));
        assert_eq!(site.root_hash(), site.whole_tree().digest(), "step {step}");
        let answer = prover.serve(&site, "GET", "/about", b"").expect("proven");
        assert!(prover.accepts("GET", "/about", b"", &answer));
    }
}
