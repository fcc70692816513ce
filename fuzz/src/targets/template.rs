//! Path templates, two to an input, on lines of their own.
//!
//! What is accepted can be routed; overlap and shape are symmetric, and the same shape overlaps.

use tollkeeper::domain::template::{check, overlap, same_shape};
use x402_icp::template::{matches, matches_url_path};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (a, b) = text.split_once('\n').unwrap_or((text, text));
    assert_eq!(overlap(a, b), overlap(b, a));
    assert_eq!(same_shape(a, b), same_shape(b, a));
    assert!(!same_shape(a, b) || overlap(a, b));
    if check(a).is_err() {
        return;
    }
    assert!(overlap(a, a) && same_shape(a, a));
    let mut router = matchit::Router::new();
    router.insert(a, 0).expect("what is accepted can be routed");
    // A path that fills the parameters in is found again.
    let filled: Vec<&str> = a
        .split('/')
        .map(|segment| {
            if segment.starts_with('{') {
                "x"
            } else {
                segment
            }
        })
        .collect();
    let filled = filled.join("/");
    assert!(router.at(&filled).is_ok());
    assert!(matches(a, &filled) && matches_url_path(a, &filled));
    // The matcher of canister and client says what the router says.
    assert_eq!(matches(a, b), router.at(b).is_ok() && b.starts_with('/'));
    if check(b).is_ok() && !same_shape(a, b) {
        router
            .insert(b, 1)
            .expect("another shape can be routed too");
    }
}
