use super::*;

fn fresh(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!(
        "tollkeeper-files-{}-{name}-{}",
        std::process::id(),
        hex::encode(rand::random::<[u8; 4]>())
    ));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn content_replaces_a_file_only_when_it_is_complete() {
    let folder = fresh("complete");
    let file = folder.join("f");
    fs::write(&file, "old").unwrap();
    let sink = Sink::open(&file).unwrap();
    assert_eq!(names(&folder).len(), 2);
    drop(sink);
    assert_eq!(names(&folder), ["f"]);
    assert_eq!(fs::read(&file).unwrap(), b"old");
    Sink::open(&file).unwrap().finish(b"new", &[]).unwrap();
    assert_eq!(names(&folder), ["f"]);
    assert_eq!(fs::read(&file).unwrap(), b"new");
}

#[cfg(unix)]
#[test]
fn content_goes_where_a_link_points() {
    let folder = fresh("link");
    let (target, link) = (folder.join("target"), folder.join("link"));
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    Sink::open(&link).unwrap().finish(b"new", &[]).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&target).unwrap(), b"new");
}

#[test]
fn places_that_cannot_hold_content_are_refused() {
    let folder = fresh("refused");
    for place in [
        folder.join("no/such/f"),
        folder.clone(),
        folder.join("new/"),
        PathBuf::new(),
        folder.join(".."),
        folder.join("no/../f"),
        folder.join("x".repeat(300)).join("f"),
    ] {
        assert!(Sink::open(&place).is_err(), "{}", place.display());
    }
    assert_eq!(names(&folder), Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    let sink = Sink::open(Path::new("/dev/full")).unwrap();
    assert!(sink.finish(b"content", &[]).is_err());
    let null = Sink::open(Path::new("/dev/null")).unwrap();
    null.finish(b"content", &[]).unwrap();
}

#[cfg(unix)]
#[test]
fn one_file_is_recognised_by_any_of_its_names() {
    let folder = fresh("same");
    let (a, hard, soft) = (folder.join("a"), folder.join("hard"), folder.join("soft"));
    fs::write(&a, "").unwrap();
    fs::hard_link(&a, &hard).unwrap();
    std::os::unix::fs::symlink(&a, &soft).unwrap();
    fs::create_dir(folder.join("d")).unwrap();
    for other in [&hard, &soft, &folder.join("d/../a"), &folder.join("./a")] {
        assert!(same(&a, other), "{}", other.display());
    }
    // Also if it does not exist.
    assert!(same(&folder.join("new"), &folder.join("d/../new")));
    assert!(!same(&folder.join("new"), &folder.join("d/new")));
    assert!(!same(&a, &folder.join("new")));
    let sink = Sink::open(&hard).unwrap();
    assert!(sink.replaces(&a));
    assert!(sink.finish(b"content", &[&a]).is_err());
    assert_eq!(fs::read(&a).unwrap(), b"");
}

#[test]
fn only_what_is_still_our_own_is_removed() {
    let folder = fresh("own");
    let file = folder.join("f");
    let own = Own::create(&file).unwrap();
    assert!(Own::create(&file).is_err(), "never replaced");
    // Another process put another file in its place.
    fs::rename(&file, folder.join("moved")).unwrap();
    fs::write(&file, "other").unwrap();
    own.remove();
    assert_eq!(fs::read(&file).unwrap(), b"other");
    // The same for content whose unfinished file was replaced: it is not renamed.
    let target = folder.join("content");
    let sink = Sink::open(&target).unwrap();
    let part = sink.part().unwrap().to_path_buf();
    fs::remove_file(&part).unwrap();
    fs::write(&part, "other").unwrap();
    assert!(sink.finish(b"content", &[]).is_err());
    assert_eq!(fs::read(&part).unwrap(), b"other");
    assert!(!target.exists());
}
