//! Path templates of routes (section 4.3): literal segments and `{name}` segments. The canister that serves a route and
//! the client that pays for it match paths with the same code.

/// The segments of a path or a template: the texts between the slashes. `None` without a leading slash.
///
/// A trailing slash makes an empty last segment, so `/a` and `/a/` differ.
pub fn segments(path: &str) -> Option<impl Iterator<Item = &str> + Clone> {
    path.strip_prefix('/').map(|rest| rest.split('/'))
}

/// The name of a segment `{name}`; `None` for a literal one.
pub fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Whether `path` matches the template: the same number of segments, literal ones equal byte for byte, and a segment
/// that is not empty for each parameter.
///
/// The canister calls this with the path that it has percent-decoded, clients with [`matches_url_path`].
pub fn matches(template: &str, path: &str) -> bool {
    let (Some(mut template), Some(mut path)) = (segments(template), segments(path)) else {
        return false;
    };
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(ours), Some(theirs)) if parameter(ours).is_some() && !theirs.is_empty() => {}
            (Some(ours), Some(theirs)) if parameter(ours).is_none() && ours == theirs => {}
            _ => return false,
        }
    }
}

/// As [`matches()`], for the path of a URL without decoding and without query.
///
/// Nothing is decoded, so another spelling of a literal segment does not match. A path with an encoded slash matches
/// nothing: the canister decodes it and sees two segments.
pub fn matches_url_path(template: &str, path: &str) -> bool {
    let encoded_slash = path
        .as_bytes()
        .windows(3)
        .any(|bytes| bytes.eq_ignore_ascii_case(b"%2f"));
    !encoded_slash && matches(template, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_match_one_segment_that_is_not_empty() {
        assert!(matches("/items/{id}", "/items/7"));
        assert!(matches("/items/{id}/x", "/items/ä/x"));
        for path in ["/items", "/items/", "/items/7/", "/items/7/x", "items/7"] {
            assert!(!matches("/items/{id}", path), "{path}");
        }
    }

    #[test]
    fn literal_segments_match_byte_for_byte() {
        assert!(matches("/", "/"));
        assert!(matches("/a/", "/a/"));
        for (template, path) in [
            ("/a", "/A"),
            ("/a", "/a/"),
            ("/a/", "/a"),
            ("/", ""),
            ("a", "a"),
        ] {
            assert!(!matches(template, path), "{template} {path}");
        }
    }

    #[test]
    fn what_a_url_encodes_is_compared_as_it_stands() {
        assert!(matches_url_path("/items/{id}", "/items/caf%C3%A9"));
        for path in ["/%69tems/7", "/items/a%2Fb", "/items/a%2fb", "/items/%2F"] {
            assert!(!matches_url_path("/items/{id}", path), "{path}");
        }
    }
}
