//! A crash between any two steps loses nothing and pays nothing twice.

use super::{
    super::transfers::crashes::{Fragile, Points},
    *,
};

#[tokio::test]
async fn a_crash_at_any_step_of_a_call_loses_nothing_and_pays_once() {
    let mut names = Vec::new();
    for crash_at in 0.. {
        let points = Arc::new(Points {
            crash_at,
            ..Points::default()
        });
        let at_canister = points.clone();
        let till = Till::watched(
            identity().principal(),
            |_| Word::Sold,
            move |name| at_canister.pass(name),
        );
        let seller = shop().await;
        let folder = folder();
        let journal = Arc::new(Fragile(FileJournal::open(&folder).unwrap(), points.clone()));
        let first = buyer(journal, &till).with_patience(Duration::ZERO);
        let request = get(&seller, "/a");
        let asked = request.clone();
        let ended = tokio::spawn(async move { first.pay(&asked).await }).await;
        let crashed = !matches!(&ended, Ok(Ok(_)));
        names.push(points.last.lock().unwrap().clone());
        let second = buyer(files(&folder), &till);
        let open = second.unresolved().unwrap();
        let over = open.is_empty() && till.moved().len() == 1;
        assert!(
            over || till.moved().len() <= open.len(),
            "{crash_at}: money moved, and no record of it is left: {names:?}"
        );
        if !over {
            proven(second.pay(&request).await);
        }
        assert_eq!(till.moved().len(), 1, "{crash_at}: {names:?}");
        assert_eq!(second.unresolved().unwrap(), [], "{crash_at}: {names:?}");
        std::fs::remove_dir_all(folder).unwrap();
        if !crashed {
            break;
        }
    }
    for step in [
        "before the record",
        "after the record",
        "before the call",
        "after the call",
        "before the end",
        "after the end",
    ] {
        assert!(names.iter().any(|name| name == step), "{step}: {names:?}");
    }
}
