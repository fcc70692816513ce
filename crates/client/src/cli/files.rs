//! Files for content: no existing file is lost, and only files of this run are removed.

use super::text;
use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// The identity of the file that a path names: device and inode on Unix.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// The path without symbolic links and dots, also of a file that does not exist yet in a folder that does.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(e)?;
            Ok(fs::canonicalize(folder(path))?.join(name))
        }
        found => found,
    }
}

/// The folder that contains a file.
pub fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Whether two paths name one file, also through a hard link or a symbolic link.
pub fn same(a: &Path, b: &Path) -> bool {
    let ids = [a, b].map(|path| {
        fs::metadata(path)
            .ok()
            .and_then(|metadata| identity(&metadata))
    });
    match ids {
        [Some(a), Some(b)] => a == b,
        _ => match (real(a), real(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        },
    }
}

/// Makes the name of a file durable. Not every file system can.
fn sync_folder(file: &Path) {
    let _ = File::open(folder(file)).and_then(|folder| folder.sync_all());
}

/// A file that this run created.
#[derive(Debug)]
pub struct Own {
    path: PathBuf,
    file: File,
}

impl Own {
    /// Creates a file that did not exist before.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Own {
            file: OpenOptions::new().write(true).create_new(true).open(path)?,
            path: path.to_path_buf(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still names the file that was created.
    fn is_ours(&self) -> bool {
        let there = fs::symlink_metadata(&self.path);
        match (there, self.file.metadata()) {
            (Ok(there), Ok(own)) => there.is_file() && identity(&there) == identity(&own),
            _ => false,
        }
    }

    /// Removes it, unless another file has its name by now.
    pub fn remove(&self) {
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Renames it, and replaces a file that has the name.
    fn rename(&mut self, target: &Path) -> io::Result<()> {
        if !self.is_ours() {
            return Err(io::Error::other(format!(
                "{} was replaced while it was written",
                text::path(&self.path)
            )));
        }
        fs::rename(&self.path, target)?;
        self.path = target.to_path_buf();
        sync_folder(target);
        Ok(())
    }
}

/// Reads a file of at most `limit` bytes. The limit also ends endless files such as `/dev/zero`.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::other(format!("it is larger than {limit} bytes"))),
        false => Ok(bytes),
    }
}

/// An output for content that is opened before anything is paid, so that a file that cannot be written is detected in
/// time.
#[derive(Debug)]
pub struct Sink {
    /// As the user wrote it.
    shown: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Written under another name, renamed when it is complete.
    Part { part: Own, target: PathBuf },
    /// Devices and pipes cannot be replaced.
    Device(File),
    /// The content is written.
    Done,
}

impl Sink {
    /// Opens the output for content. An existing file stays unchanged until the content is complete. Errors are
    /// messages for the user.
    pub fn open(asked: &Path) -> Result<Self, String> {
        let problem = |what: &dyn std::fmt::Display| format!("{}: {what}", text::path(asked));
        if asked.as_os_str().is_empty() {
            return Err("the file for the content has no name".into());
        }
        let slash = asked.as_os_str().as_encoded_bytes().ends_with(b"/");
        if slash || asked.is_dir() {
            return Err(problem(&"it is a folder, not a file"));
        }
        let parent = folder(asked);
        if !parent.is_dir() {
            return Err(problem(&format!(
                "there is no folder {}",
                text::path(&parent)
            )));
        }
        let there = fs::metadata(asked);
        if there.is_err() && fs::symlink_metadata(asked).is_ok_and(|link| link.is_symlink()) {
            return Err(problem(&"it is a symbolic link to nothing"));
        }
        // `/dev/fd/3` can be a regular file that another process has open.
        let is_device = there.as_ref().is_ok_and(|metadata| !metadata.is_file())
            || ["/dev", "/proc"].iter().any(|root| asked.starts_with(root));
        if is_device {
            let device = OpenOptions::new().append(true).open(asked);
            return Ok(Sink {
                shown: asked.to_path_buf(),
                place: Place::Device(device.map_err(|e| problem(&e))?),
            });
        }
        if there.is_ok() {
            // Renaming needs no permission on the file that is replaced.
            OpenOptions::new()
                .append(true)
                .open(asked)
                .map_err(|e| problem(&e))?;
        }
        let target = real(asked).map_err(|e| problem(&e))?;
        let name = format!(
            ".tollkeeper-{}.part",
            hex::encode(rand::random::<[u8; 8]>())
        );
        let part = Own::create(&folder(&target).join(name)).map_err(|e| problem(&e))?;
        if let Ok(metadata) = there
            && let Err(e) = part.file.set_permissions(metadata.permissions())
        {
            part.remove();
            return Err(problem(&e));
        }
        Ok(Sink {
            shown: asked.to_path_buf(),
            place: Place::Part { part, target },
        })
    }

    /// The name that the user gave.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// The unfinished file, which is removed if the process ends early.
    pub fn part(&self) -> Option<&Path> {
        match &self.place {
            Place::Part { part, .. } => Some(part.path()),
            Place::Device(_) | Place::Done => None,
        }
    }

    /// Whether the content would replace this file.
    pub fn replaces(&self, file: &Path) -> bool {
        match &self.place {
            Place::Part { target, .. } => same(target, file),
            Place::Device(_) | Place::Done => same(&self.shown, file),
        }
    }

    /// Writes the whole content and gives it its name. `keep` are files that must not be replaced, whatever the name
    /// refers to by now.
    pub fn finish(mut self, bytes: &[u8], keep: &[&Path]) -> io::Result<()> {
        if let Some(file) = keep.iter().find(|file| self.replaces(file)) {
            return Err(io::Error::other(format!(
                "it is the same file as {}",
                text::path(file)
            )));
        }
        match std::mem::replace(&mut self.place, Place::Done) {
            Place::Done => Ok(()),
            Place::Device(mut file) => {
                file.write_all(bytes)?;
                // Pipes and terminals cannot be synchronised, and contain nothing that could be lost.
                let _ = file.sync_all();
                Ok(())
            }
            Place::Part { mut part, target } => {
                let written = part
                    .file
                    .write_all(bytes)
                    .and_then(|()| part.file.sync_all())
                    .and_then(|()| part.rename(&target));
                if written.is_err() {
                    part.remove();
                }
                written
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Place::Part { part, .. } = &self.place {
            part.remove();
        }
    }
}

#[cfg(test)]
mod tests;
