//! Path templates of routes: exact segments and `{param}` segments.

use crate::domain::validate::{InvalidArgument, text_length};
use x402_icp::{
    jws::DID_PATH,
    template::{parameter, segments},
};

/// The longest path template, and the longest path of a paid request, in bytes.
pub const MAX_PATH_BYTES: usize = 256;
pub const MAX_SEGMENTS: usize = 16;
/// The first segments that no route may have: that of the canister's own paths, and a label with another meaning in the
/// certification tree.
pub const RESERVED_SEGMENTS: [&str; 2] = ["x402", "http_expr"];

/// Checks a path template.
///
/// It begins with `/`; its segments are `[A-Za-z0-9._~!$&'()*+,;=@:-]+` or a whole `{name}`; the last may be empty (a
/// path with a trailing slash is another path). `.` and `..`, which clients resolve themselves, are refused, and so is
/// a first segment of [`RESERVED_SEGMENTS`] or a parameter in its place, and the path of the DID document.
pub fn check(path: &str) -> Result<(), InvalidArgument> {
    text_length("path", path, MAX_PATH_BYTES)?;
    let invalid = |problem: String| InvalidArgument::new("path", problem);
    let segments: Vec<&str> = segments(path)
        .ok_or_else(|| invalid("does not begin with /".into()))?
        .collect();
    if segments.len() > MAX_SEGMENTS {
        return Err(InvalidArgument::limit(
            "path",
            format!("has more than {MAX_SEGMENTS} segments"),
            MAX_SEGMENTS as u128,
        ));
    }
    let mut names = Vec::new();
    for (position, segment) in segments.iter().enumerate() {
        if segment.is_empty() {
            if position + 1 == segments.len() {
                continue;
            }
            return Err(invalid("has an empty segment".into()));
        }
        if let Some(name) = parameter(segment) {
            if position == 0 {
                return Err(invalid("has a parameter as its first segment".into()));
            }
            let name_ok = (1..=32).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !name_ok {
                return Err(InvalidArgument::limit(
                    "path",
                    "has a parameter whose name is not 1 to 32 of a-z, 0-9 and _",
                    32,
                ));
            }
            if names.contains(&name) {
                return Err(invalid(format!("has the parameter {name} twice")));
            }
            names.push(name);
        } else if matches!(*segment, "." | "..") {
            return Err(invalid("has a segment . or ..".into()));
        } else if let Some(bad) = segment.chars().find(|c| !literal_char(*c)) {
            return Err(invalid(format!("has the character {bad:?} in a segment")));
        }
    }
    if let Some(first) = segments
        .first()
        .filter(|first| RESERVED_SEGMENTS.contains(first))
    {
        return Err(invalid(format!("begins with /{first}, which is reserved")));
    }
    // The keys there speak for the canister, and operators put routes.
    match path == DID_PATH {
        true => Err(invalid("is the path of the canister's DID document".into())),
        false => Ok(()),
    }
}

/// Whether some path matches both templates.
pub fn overlap(a: &str, b: &str) -> bool {
    zip_segments(a, b, |a, b| {
        a == b || parameter(a).is_some() || parameter(b).is_some()
    })
}

/// Whether the templates differ at most in the names of parameters.
pub fn same_shape(a: &str, b: &str) -> bool {
    zip_segments(a, b, |a, b| {
        a == b || (parameter(a).is_some() && parameter(b).is_some())
    })
}

fn zip_segments(a: &str, b: &str, same: impl Fn(&str, &str) -> bool) -> bool {
    let (Some(a), Some(b)) = (segments(a), segments(b)) else {
        return false;
    };
    a.clone().count() == b.clone().count() && a.zip(b).all(|(a, b)| same(a, b))
}

fn literal_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._~!$&'()*+,;=@:-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_templates() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a/{id}",
            "/a/{id}/b.txt",
            "/a/{x}/{y}",
            "/x402a",
            "/a/x402",
            "/a/http_expr",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn bad_templates() {
        let long = format!("/{}", "a".repeat(256));
        let deep = "/a".repeat(17);
        for path in [
            "",
            "a",
            "//",
            "/a//b",
            "/{id}",
            "/a/{}",
            "/a/{ID}",
            "/a/{x}/{x}",
            "/a/{*rest}",
            "/a/b{x}",
            "/a/../b",
            "/.",
            "/x402",
            "/x402/supported",
            DID_PATH,
            "/http_expr",
            "/http_expr/{x}",
            "/a%20b",
            "/a b",
            "/ä",
            "/a?b",
            "/a#b",
            "/<a>",
            "/a\n",
            &long,
            &deep,
        ] {
            let error = check(path).expect_err(path);
            assert_eq!(error.field, "path");
        }
    }

    #[test]
    fn overlaps_and_shapes() {
        assert!(overlap("/a/{id}", "/a/42"));
        assert!(overlap("/a/{id}/c", "/a/b/{x}"));
        assert!(!overlap("/a/{id}", "/a"));
        assert!(!overlap("/a/{id}", "/b/42"));
        assert!(!overlap("/a", "/a/"));
        assert!(same_shape("/a/{id}", "/a/{name}"));
        assert!(!same_shape("/a/{id}", "/a/42"));
    }

    proptest! {
        /// The router accepts every template that `check` accepts.
        #[test]
        fn what_is_accepted_can_be_routed(path in "(/[a-z.{}*%_A-Z0-9]{0,6}){1,5}") {
            if check(&path).is_ok() {
                let mut router = matchit::Router::new();
                prop_assert!(router.insert(path.clone(), ()).is_ok());
            }
        }

        #[test]
        fn any_text_is_answered(path in "\\PC{0,300}") {
            let _ = check(&path);
            let _ = overlap(&path, "/a/{b}");
        }
    }
}
