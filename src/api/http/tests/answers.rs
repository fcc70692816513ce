//! Correct responses are accepted, changed ones are not.

use super::prover::{CONTENT, Prover, free, hidden, priced};
use crate::api::http::{
    site::{METHODS, Site},
    types::HttpResponse,
    url::RequestUrl,
};

fn site() -> Site {
    let mut site = Site::default();
    site.set_path(
        "/paid",
        vec![priced("GET", "/paid"), priced("POST", "/paid")],
    );
    site.set_path("/free", vec![free("GET")]);
    site.set_path("/", vec![free("GET")]);
    site.set_path("/off", vec![hidden("GET")]);
    site.set_path("/data/{id}", vec![priced("GET", "/data/{id}")]);
    site.set_path("/data/{id}/raw", vec![]);
    site.set_path(
        "/deep/er/{a}/x/{b}",
        vec![priced("GET", "/deep/er/{a}/x/{b}")],
    );
    site
}

fn served(site: &Site, method: &str, url: &str) -> Option<HttpResponse> {
    let path = RequestUrl::parse(url).expect("a good URL").path;
    Prover::default().serve(site, method, &path, b"")
}

#[test]
fn should_prove_every_method_of_every_kind_of_path() {
    let (site, prover) = (site(), Prover::default());
    for (url, get_status) in [
        ("/paid", 402),
        ("/paid?x=1&y=2", 402),
        ("//paid", 402),
        ("/%70aid", 402),
        ("https://example.com/paid", 402),
        ("/free", 200),
        ("/", 200),
        ("/off", 404),
        ("/nothing", 404),
        ("/paid/", 404),
        ("/paid/x", 404),
        ("/a/b/c/d/e/f?q", 404),
        ("/..", 404),
        ("/caf%C3%A9", 404),
        ("/data", 404),
        ("/data/", 404),
        ("/data/1", 402),
        ("/data/caf%C3%A9", 402),
        ("/deep/er/1/x/2", 402),
        ("/deep/er", 404),
    ] {
        for method in METHODS {
            let response = served(&site, method, url).unwrap_or_else(|| panic!("{method} {url}"));
            assert!(
                prover.accepts(method, url, b"", &response),
                "{method} {url}"
            );
            let expected = match method {
                "OPTIONS" => 204,
                "GET" | "HEAD" => get_status,
                "POST" if RequestUrl::parse(url).unwrap().path == "/paid" => 402,
                _ if get_status == 404 => 404,
                _ => 405,
            };
            assert_eq!(response.status_code, expected, "{method} {url}");
            if matches!(method, "HEAD" | "OPTIONS") {
                assert!(response.body.is_empty(), "{method} {url}");
            }
        }
    }
}

#[test]
fn should_leave_to_updates_what_no_node_proves() {
    let (site, prover) = (site(), Prover::default());
    for (method, url) in [
        ("GET", "/data/1/2"),
        ("GET", "/data/1/"),
        ("GET", "/deep/er/1"),
        ("PROPFIND", "/paid"),
        ("get", "/paid"),
    ] {
        assert_eq!(served(&site, method, url), None, "{method} {url}");
    }
    for method in ["GET", "POST", "OPTIONS", "DELETE"] {
        assert_eq!(
            prover.serve(&site, method, "/paid", b"{}"),
            None,
            "{method} with a body"
        );
    }
    let unknown = prover
        .serve(&site, "POST", "/nothing", b"{}")
        .expect("404 for any body");
    assert!(prover.accepts("POST", "/nothing", b"{}", &unknown));
}

#[test]
fn should_leave_to_updates_whatever_pays_where_something_is_sold() {
    let (site, prover) = (site(), Prover::default());
    for url in ["/paid", "/data/1"] {
        for method in METHODS {
            assert!(
                site.lookup(method, url, false, true).is_none(),
                "{method} {url}"
            );
            let unpaid = served(&site, method, url).expect("a proven answer");
            for payments in [&["e30="][..], &[""], &["a", "b"]] {
                assert!(
                    !prover.accepts_with(method, url, payments, b"", &unpaid),
                    "{method} {url} with {payments:?}"
                );
            }
        }
    }
    // Where nothing is sold, a payment makes no difference.
    for url in ["/free", "/off", "/nothing", "/data"] {
        let found = site
            .lookup("GET", url, false, true)
            .expect("a proven answer");
        let response = prover.lie(&site, &found);
        assert!(
            prover.accepts_with("GET", url, &["e30="], b"", &response),
            "{url}"
        );
    }
}

#[test]
fn should_prove_nothing_about_payments_but_preflights() {
    let (site, prover) = (site(), Prover::default());
    let id = "ab".repeat(32);
    for url in [
        "/x402/receipts".to_string(),
        "/x402/payments/".to_string(),
        format!("/x402/receipts/{id}"),
        format!("/x402/payments/{id}"),
        format!("/x402/payments/{id}/more"),
    ] {
        let preflight = served(&site, "OPTIONS", &url).expect("a proven answer");
        assert!(prover.accepts("OPTIONS", &url, b"", &preflight), "{url}");
        for method in ["GET", "HEAD", "POST"] {
            assert_eq!(served(&site, method, &url), None, "{method} {url}");
            for (_, found) in site.everything_proven() {
                let lie = prover.lie(&site, &found);
                assert!(!prover.accepts(method, &url, b"", &lie), "{method} {url}");
            }
        }
    }
    assert_eq!(
        served(&site, "GET", "/x402").expect("proven").status_code,
        404
    );
    assert_eq!(
        served(&site, "GET", "/x402/other")
            .expect("proven")
            .status_code,
        404
    );
}

#[test]
fn should_answer_head_like_get_without_the_body() {
    let site = site();
    for url in ["/paid", "/free", "/nothing"] {
        let get = served(&site, "GET", url).unwrap();
        let head = served(&site, "HEAD", url).unwrap();
        assert_eq!(get.status_code, head.status_code);
        assert!(!get.body.is_empty() && head.body.is_empty());
        for (name, value) in &get.headers {
            if !name.to_lowercase().starts_with("ic-certificate") {
                assert_eq!(head.header(name), Some(value.as_str()), "{url} {name}");
            }
        }
    }
}

#[test]
fn should_answer_a_preflight_as_the_production_gateway_wants_it() {
    let site = site();
    for url in ["/paid", "/free", "/nothing", "/data/7", "/off", "/data"] {
        let response = served(&site, "OPTIONS", url).unwrap();
        assert!((200..300).contains(&response.status_code) && response.body.is_empty());
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        let allowed = response.header("access-control-allow-headers").unwrap();
        for name in [
            "Content-Type",
            "PAYMENT-SIGNATURE",
            "X-PAYMENT",
            "SIGN-IN-WITH-X",
            "Access-Control-Expose-Headers",
            "Authorization",
            "Range",
            "If-None-Match",
        ] {
            assert!(allowed.split(", ").any(|allowed| allowed == name), "{name}");
        }
        assert_eq!(response.header("access-control-max-age"), Some("7200"));
        let methods = response.header("access-control-allow-methods").unwrap();
        assert!(
            METHODS
                .iter()
                .all(|method| methods.split(", ").any(|one| one == *method))
        );
    }
}

/// The header names in a constant of the gateway's cross-origin rules.
fn of_the_gateway(constant: &str) -> Vec<String> {
    let rules = include_str!("../../../../crates/local-ic/src/gateway/cors.rs");
    let start = rules
        .find(&format!("const {constant}"))
        .expect("the constant");
    let text = rules[start..].split('"').nth(1).expect("a text");
    text.split(", ").map(str::to_string).collect()
}

#[test]
fn should_allow_and_expose_whatever_the_gateway_would() {
    let names =
        |list: &str| -> Vec<String> { list.split(", ").map(str::to_ascii_lowercase).collect() };
    let preflight = served(&site(), "OPTIONS", "/paid").unwrap();
    let allowed = names(preflight.header("access-control-allow-headers").unwrap());
    let of_the_gateway = [
        (of_the_gateway("ALLOW_HEADERS"), allowed),
        (
            of_the_gateway("EXPOSE_HEADERS"),
            names(super::super::static_response::EXPOSED),
        ),
    ];
    for (gateway, ours) in of_the_gateway {
        assert!(gateway.len() > 3, "{gateway:?}");
        for name in gateway {
            assert!(ours.contains(&name), "{name}");
        }
    }
}

#[test]
fn should_name_the_allowed_methods_in_a_405() {
    let response = served(&site(), "DELETE", "/paid").unwrap();
    assert_eq!(response.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
}

#[test]
fn should_let_no_cache_keep_a_402_and_let_scripts_read_its_offers() {
    let response = served(&site(), "GET", "/paid").unwrap();
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    assert_eq!(response.header("payment-required"), Some("GET+/paid"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let exposed = response.header("access-control-expose-headers").unwrap();
    for name in [
        "PAYMENT-REQUIRED",
        "PAYMENT-RESPONSE",
        "X-PAYMENT-RESPONSE",
        "Retry-After",
    ] {
        assert!(exposed.split(", ").any(|one| one == name), "{name}");
    }
    assert_eq!(response.body, b"{}");
}

#[test]
fn forged_402_is_refused_by_the_verifier() {
    let (site, prover) = (site(), Prover::default());
    let honest = served(&site, "GET", "/paid").unwrap();
    assert!(prover.accepts("GET", "/paid", b"", &honest));
    let refused = |what: &str, forge: &dyn Fn(&mut HttpResponse)| {
        let mut response = honest.clone();
        forge(&mut response);
        assert!(!prover.accepts("GET", "/paid", b"", &response), "{what}");
    };
    refused("other status", &|r| r.status_code = 200);
    refused("other body", &|r| r.body = b"{\"pay\":\"me\"}".to_vec());
    refused("no proof", &|r| {
        r.headers.retain(|(name, _)| name != "IC-Certificate")
    });
    for index in 0..honest.headers.len() {
        let (name, _) = honest.headers[index].clone();
        refused(&format!("without {name}"), &|r| {
            r.headers.remove(index);
        });
        refused(&format!("other {name}"), &|r| r.headers[index].1.push('A'));
    }
    refused("one header more", &|r| {
        r.headers.push(("set-cookie".into(), "a=b".into()))
    });
    refused("a second PAYMENT-REQUIRED", &|r| {
        r.headers.push(("payment-required".into(), "e30=".into()))
    });
    refused("skipped certification", &|r| {
        let skip = "default_certification(ValidationArgs{no_certification:Empty{}})";
        for (name, value) in &mut r.headers {
            if name == "IC-CertificateExpression" {
                *value = skip.into();
            }
        }
    });
}

#[test]
fn certificate_of_another_root_key_or_other_data_is_refused() {
    let (site, prover) = (site(), Prover::default());
    let found = site.lookup("GET", "/paid", false, false).unwrap();
    let mut response = prover.lie(&site, &found);
    assert!(prover.accepts("GET", "/paid", b"", &response));
    let other = Site::default();
    let stale = prover.certificate(other.root_hash());
    let (_, proof) = found.with_whole_tree(&site, &stale);
    response.headers.last_mut().unwrap().1 = proof;
    assert!(!prover.accepts("GET", "/paid", b"", &response));
}

#[test]
fn stale_answers_are_gone_after_a_change() {
    let prover = Prover::default();
    let mut site = site();
    let old = served(&site, "GET", "/paid").unwrap();
    site.set_path("/paid", vec![free("GET")]);
    let new = served(&site, "GET", "/paid").unwrap();
    assert_eq!((new.status_code, new.body.as_slice()), (200, CONTENT));
    assert!(prover.accepts("GET", "/paid", b"", &new));
    let found_old_tree = served(&site, "POST", "/paid").unwrap();
    assert_eq!(found_old_tree.status_code, 405);
    // The old response with the new certificate.
    let mut forged = old;
    forged.headers.pop();
    forged.headers.push(new.headers.last().unwrap().clone());
    assert!(!prover.accepts("GET", "/paid", b"", &forged));
    site.set_path("/paid", vec![]);
    let gone = served(&site, "GET", "/paid").unwrap();
    assert_eq!(gone.status_code, 404);
    assert!(prover.accepts("GET", "/paid", b"", &gone));
}

#[test]
fn answers_without_proof_are_the_same_answers() {
    let site = site();
    for (method, url, status) in [
        ("POST", "/paid", 402),
        ("GET", "/data/1/2", 404),
        ("PROPFIND", "/paid", 405),
        ("OPTIONS", "/data/1/2", 204),
        ("HEAD", "/paid", 402),
    ] {
        assert_eq!(site.answer(method, url).status, status, "{method} {url}");
    }
}
