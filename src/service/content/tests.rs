use super::*;
use crate::{
    domain::{
        config::{Config, Limits},
        forward::tests::forward,
        route::tests::draft,
        upload::UPLOAD_IDLE,
    },
    runtime::scripted::ScriptedRuntime,
    service::catalogue,
    storage::config::tests::config,
    types::TimestampNs,
};
use candid::Principal;

fn set_up() -> (ScriptedRuntime, RouteKey) {
    storage::config::write(&config()).unwrap();
    let runtime = ScriptedRuntime::new(TimestampNs(1));
    let mut route = draft("/a");
    route.prices.clear();
    let key = catalogue::put(&runtime, route).unwrap().key.clone();
    (runtime, key)
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn upload(runtime: &ScriptedRuntime, key: &RouteKey, bytes: &[u8], cut: usize) -> ContentMeta {
    let id = begin(runtime, key.clone(), bytes.len() as u64, hash(bytes)).unwrap();
    for (n, piece) in bytes.chunks(cut).enumerate() {
        chunk(runtime, id, (n * cut) as u64, piece).unwrap();
    }
    commit(runtime, id).unwrap()
}

#[test]
fn content_is_uploaded_and_replaced() {
    let (runtime, key) = set_up();
    let first = upload(&runtime, &key, &[1; 150_000], 70_000);
    assert_eq!(storage::routes::get(&key).unwrap().content, Some(first));
    let second = upload(&runtime, &key, b"hello", 5);
    assert_eq!(
        storage::content::read(&second).as_deref(),
        Some(&b"hello"[..])
    );
    assert_eq!(storage::content::read(&first), None);
    assert!(storage::uploads::all().is_empty());
    let empty = upload(&runtime, &key, b"", 5);
    assert_eq!(storage::content::read(&empty), Some(vec![]));
}

#[test]
fn an_upload_goes_on_only_as_announced() {
    let (runtime, key) = set_up();
    let first = [7; 65_536];
    let id = begin(&runtime, key.clone(), 65_538, hash(b"good")).unwrap();
    assert_eq!(
        chunk(&runtime, id, 1, b"g"),
        Err(ContentError::WrongOffset { expected: 0 })
    );
    assert!(matches!(
        chunk(&runtime, id, 0, &[7; 65_539]),
        Err(ContentError::InvalidArgument(e)) if e.limit == Some(65_538)
    ));
    assert!(matches!(
        chunk(&runtime, id, 0, b"go"),
        Err(ContentError::InvalidArgument(e)) if e.limit == Some(65_536)
    ));
    chunk(&runtime, id, 0, &first).unwrap();
    assert_eq!(
        commit(&runtime, id),
        Err(ContentError::Incomplete {
            received: 65_536,
            expected: 65_538
        })
    );
    chunk(&runtime, id, 65_536, b"at").unwrap();
    assert!(matches!(
        commit(&runtime, id),
        Err(ContentError::HashMismatch { .. })
    ));
    assert_eq!(commit(&runtime, id), Err(ContentError::UnknownUpload));
    assert_eq!(storage::routes::get(&key).unwrap().content, None);
    assert!(matches!(
        begin(&runtime, key, 1_900_001, [0; 32]),
        Err(ContentError::InvalidArgument(e)) if e.limit == Some(1_900_000)
    ));
}

#[test]
fn an_upload_belongs_to_the_caller_that_began_it() {
    let (runtime, key) = set_up();
    let id = begin(&runtime, key.clone(), 4, hash(b"good")).unwrap();
    runtime.caller.set(config().operators[0]);
    assert_eq!(
        chunk(&runtime, id, 0, b"evil"),
        Err(ContentError::UnknownUpload)
    );
    assert_eq!(commit(&runtime, id), Err(ContentError::UnknownUpload));
    runtime.caller.set(Principal::anonymous());
    let unauthorized = ContentError::Unauthorized(Unauthorized);
    assert_eq!(begin(&runtime, key, 4, [0; 32]), Err(unauthorized.clone()));
    assert_eq!(chunk(&runtime, id, 0, b"evil"), Err(unauthorized.clone()));
    assert_eq!(commit(&runtime, id), Err(unauthorized));
}

#[test]
fn uploads_are_bounded_and_expire() {
    let (runtime, key) = set_up();
    for _ in 0..MAX_UPLOADS {
        begin(&runtime, key.clone(), 1, [0; 32]).unwrap();
    }
    let full = Err(ContentError::TooManyUploads { limit: 16 });
    assert_eq!(begin(&runtime, key.clone(), 1, [0; 32]), full);
    runtime.now.set(TimestampNs(2).plus(UPLOAD_IDLE));
    let id = begin(&runtime, key.clone(), 1, [0; 32]).unwrap();
    assert_eq!(storage::uploads::all().len(), 1);

    let limits = Limits {
        max_content_total_bytes: 10,
        ..Limits::default()
    };
    storage::config::write(&Config { limits, ..config() }).unwrap();
    assert!(begin(&runtime, key.clone(), 9, [0; 32]).is_ok());
    let full = Err(ContentError::StorageFull { limit: 10 });
    assert_eq!(begin(&runtime, key.clone(), 1, [0; 32]), full);
    catalogue::remove(&runtime, &key).unwrap();
    assert_eq!(
        chunk(&runtime, id, 0, b"x"),
        Err(ContentError::UnknownUpload)
    );
}

#[test]
fn a_route_that_forwards_has_no_stored_content() {
    let (runtime, key) = set_up();
    let id = begin(&runtime, key.clone(), 1, hash(b"x")).unwrap();
    chunk(&runtime, id, 0, b"x").unwrap();
    let route = storage::routes::get(&key).unwrap();
    storage::routes::put(Route {
        forward: Some(forward()),
        ..Route::clone(&route)
    });
    let refused = |result: Result<(), ContentError>| match result {
        Err(ContentError::InvalidArgument(error)) => error.field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(commit(&runtime, id).map(drop)), "path");
    assert!(storage::uploads::all().is_empty());
    let again = begin(&runtime, key, 1, hash(b"x"));
    assert_eq!(refused(again.map(drop)), "path");
}
