//! Uploads and the content made from them.

use crate::support::{
    Request, Setup,
    interface::{Content, ContentBegin, ContentChunk, ContentCommit, ContentError},
    setup::{free, operator},
};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

fn begin(setup: &Setup, bytes: u64, sha256: Vec<u8>) -> Result<u64, ContentError> {
    let begin = ContentBegin {
        method: "GET".into(),
        path: "/page".into(),
        bytes,
        sha256: ByteBuf::from(sha256),
    };
    setup.update(operator(), "content_begin", (begin,))
}

fn chunk(setup: &Setup, upload: u64, offset: u64, bytes: &[u8]) -> Result<(), ContentError> {
    let chunk = ContentChunk {
        upload,
        offset,
        bytes: ByteBuf::from(bytes.to_vec()),
    };
    setup.update(operator(), "content_chunk", (chunk,))
}

fn commit(setup: &Setup, upload: u64) -> Result<Content, ContentError> {
    setup.update(operator(), "content_commit", (ContentCommit { upload },))
}

fn with_route() -> Setup {
    let setup = Setup::with_any_ledger();
    setup.route_put(free("GET", "/page")).unwrap();
    setup
}

#[test]
fn largest_content_is_served_and_proven() {
    let setup = with_route();
    let bytes: Vec<u8> = (0..1_900_000_u32).map(|n| (n % 251) as u8).collect();
    setup.upload("GET", "/page", &bytes);
    let answer = setup.get("/page");
    assert!(!answer.upgraded);
    assert!(answer.body == bytes);
    assert_eq!(setup.send(&Request::new("HEAD", "/page")).body.len(), 0);
}

#[test]
fn largest_content_is_sold() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(100);
    let bytes: Vec<u8> = (0..1_900_000_u32).map(|n| (n % 253) as u8).collect();
    setup
        .route_put(setup.priced("GET", "/page", 1_000))
        .unwrap();
    setup.upload("GET", "/page", &bytes);
    let answer = setup.sale(Request::get("/page")).pay(&payer).send().answer;
    assert_eq!(answer.status, 200);
    assert!(answer.body == bytes);
    setup.check_conservation();
}

#[test]
fn content_too_large_is_refused_before_any_byte() {
    let setup = with_route();
    let refused = begin(&setup, 1_900_001, vec![0; 32]);
    let Err(ContentError::InvalidArgument(problem)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problem.field, "bytes");
    assert_eq!(problem.limit, Some(candid::Nat::from(1_900_000_u32)));
}

#[test]
fn chunk_at_another_offset_is_refused() {
    let setup = with_route();
    let (first, all) = ([7; 65_536], [7; 65_538]);
    let upload = begin(&setup, 65_538, Sha256::digest(all).to_vec()).unwrap();
    assert_eq!(
        chunk(&setup, upload, 1, b"ext"),
        Err(ContentError::WrongOffset { expected: 0 })
    );
    let tiny = chunk(&setup, upload, 0, b"te");
    assert!(
        matches!(&tiny, Err(ContentError::InvalidArgument(problem)) if problem.field == "bytes"),
        "{tiny:?}"
    );
    chunk(&setup, upload, 0, &first).unwrap();
    assert_eq!(
        chunk(&setup, upload, 0, &first),
        Err(ContentError::WrongOffset { expected: 65_536 })
    );
    assert_eq!(
        commit(&setup, upload),
        Err(ContentError::Incomplete {
            received: 65_536,
            expected: 65_538
        })
    );
    chunk(&setup, upload, 65_536, &all[65_536..]).unwrap();
    assert_eq!(commit(&setup, upload).unwrap().bytes, 65_538);
    assert_eq!(setup.get("/page").body, all);
}

#[test]
fn content_with_another_hash_never_appears() {
    let setup = with_route();
    let upload = begin(&setup, 4, vec![1; 32]).unwrap();
    chunk(&setup, upload, 0, b"text").unwrap();
    assert!(matches!(
        commit(&setup, upload),
        Err(ContentError::HashMismatch { .. })
    ));
    assert_eq!(setup.get("/page").status, 404);
}

#[test]
fn unknown_upload_and_route_are_named() {
    let setup = Setup::with_any_ledger();
    assert_eq!(
        begin(&setup, 4, vec![0; 32]),
        Err(ContentError::UnknownRoute)
    );
    assert_eq!(chunk(&setup, 99, 0, b"x"), Err(ContentError::UnknownUpload));
    assert_eq!(commit(&setup, 99), Err(ContentError::UnknownUpload));
}

#[test]
fn malformed_hash_is_refused() {
    let setup = with_route();
    for length in [0, 31, 33, 1_000] {
        let refused = begin(&setup, 4, vec![0; length]);
        assert!(
            matches!(&refused, Err(ContentError::InvalidArgument(problem)) if problem.field == "sha256"),
            "{refused:?}"
        );
    }
}

#[test]
fn payer_gets_what_was_for_sale_when_he_paid() {
    // The route's content is replaced during the call to the ledger.
    use test_ledger::testing::Fault;
    let setup = Setup::new();
    let payer = setup.payer(101);
    let sale = setup.sell("/article", 1_000);
    let paying = sale.pay(&payer);
    setup
        .ledger
        .fault(&setup, 1, &Fault::delayed_after_transfer());
    let call = setup.under_way(&paying.request());
    setup.upload("GET", "/article", b"something else");
    setup.ledger.release(&setup);
    let answer = setup.collect(call);
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, crate::support::flow::ARTICLE)
    );
    setup.check_conservation();
}
