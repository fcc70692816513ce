//! Files of records: complete, durable and the owner's alone.

use super::JournalError;
use serde::Serialize;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A record as it is written.
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("BUG: a record has a key that is not text")
}

/// Writes to a file beside the path, and renames it when it is complete, so that a crash leaves no incomplete payment.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft_of(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    owner_only(&mut options);
    let mut file = options.open(&draft)?;
    let named = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| name(&draft, path));
    // The draft belongs to this call: its name is random and was new.
    let _ = fs::remove_file(&draft);
    named?;
    sync_folder(path)
}

fn draft_of(path: &Path) -> PathBuf {
    let random = hex::encode(rand::random::<[u8; 16]>());
    path.with_file_name(format!(".{random}.draft"))
}

/// Fails if the name is taken, which renaming would not.
fn name(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(problem)
            if matches!(
                problem.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            // A file system without hard links. The names of payments are random, so no other process takes this one
            // meanwhile.
            match fs::symlink_metadata(path) {
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                    fs::rename(draft, path)
                }
                Err(other) => Err(other),
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            }
        }
        linked => linked,
    }
}

/// A new name is durable when its folder is.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Lets only the owner read and write a new file.
pub fn owner_only(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// The error of an operation on this file or folder.
pub fn at(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_path_buf();
    move |problem| JournalError::Io { path, problem }
}

/// Whether the path still names the open file.
#[cfg(unix)]
pub fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Open files cannot be removed here, so the name and the file belong together.
#[cfg(not(unix))]
pub fn same_file(_file: &File, _path: &Path) -> bool {
    true
}
