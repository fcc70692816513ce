//! The output of bought content: a file that is opened before anything is paid, or standard output.

use super::{
    exit::{Failure, OTHER},
    files::{self, Sink},
    output::Output,
    text,
};
use serde_json::{Value, json};
use std::{
    io::{IsTerminal, stdout},
    path::{Path, PathBuf},
};
use tollkeeper_client::{Response, plain_text};

/// Names of standard output that are not files.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// The output of the content.
#[derive(Debug)]
pub enum Target {
    File(Sink),
    /// Standard output; with JSON, the content is part of the object.
    Stdout {
        /// Whether the user named standard output, which allows any bytes on a terminal.
        named: bool,
    },
}

/// Whether content is written to standard output unchanged. Binary content is useless on a terminal, unless the user
/// names standard output.
fn may_be_shown(named: bool, terminal: bool, body: &[u8]) -> bool {
    named || !terminal || text::is_text(body)
}

/// Whether a path, as given or with its links resolved, is in the folder of payments or is one of its files by another
/// name.
fn is_payments(asked: &Path, payments: &Path) -> bool {
    let places = [Some(asked.to_path_buf()), files::real(asked).ok()];
    places
        .iter()
        .flatten()
        .any(|place| files::same(&files::folder(place), payments))
        || std::fs::read_dir(payments).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| files::same(asked, &entry.path()))
        })
}

impl Target {
    /// Opens the output. `keep` are files that the content must not replace, each with its description for the user;
    /// `payments` is the folder in which payments are recorded.
    pub fn open(
        asked: Option<&Path>,
        keep: &[(&str, PathBuf)],
        payments: &Path,
        output: &Output,
    ) -> Result<Self, Failure> {
        let Some(asked) = asked else {
            return Ok(Target::Stdout { named: false });
        };
        if STDOUT.iter().any(|name| Path::new(name) == asked) {
            return match output.json() {
                true => Err(Failure::usage(
                    "with --json the content is in the object: name a file with -o, or leave -o out",
                )),
                false => Ok(Target::Stdout { named: true }),
            };
        }
        // Compared before any file is created.
        if let Some((what, file)) = keep.iter().find(|(_, file)| files::same(asked, file)) {
            return Err(Failure::usage(format!(
                "-o {} is the same file as {what} {}",
                text::path(asked),
                text::path(file)
            )));
        }
        if is_payments(asked, payments) {
            return Err(Failure::usage(format!(
                "-o {}: payments are recorded there, content must go elsewhere",
                text::path(asked)
            )));
        }
        let sink = Sink::open(asked).map_err(|e| Failure::usage(format!("-o {e}")))?;
        Ok(Target::File(sink))
    }

    pub fn part(&self) -> Option<&Path> {
        match self {
            Target::File(sink) => sink.part(),
            Target::Stdout { .. } => None,
        }
    }

    /// Writes the content, with `object` as the result for programs. The object gets `content`: `bytes`, `mimeType`,
    /// and `file`, `text` or `base64`.
    pub fn write(
        self,
        response: &Response,
        keep: &[&Path],
        output: &Output,
        mut object: Value,
    ) -> Result<(), Failure> {
        let body = &response.body;
        let mut about = json!({
            "bytes": body.len(),
            "mimeType": response.header("content-type"),
        });
        match self {
            Target::File(sink) => {
                let name = sink.shown().to_path_buf();
                sink.finish(body, keep).map_err(|e| {
                    Failure::new(OTHER, "output", format!("{}: {e}", text::path(&name)))
                })?;
                output.say(format!(
                    "{} bytes written to {}",
                    body.len(),
                    text::path(&name)
                ));
                about["file"] = json!(name.display().to_string());
            }
            Target::Stdout { named } if !output.json() => {
                if !may_be_shown(named, stdout().is_terminal(), body) {
                    let kind = response
                        .header("content-type")
                        .map_or_else(|| "content of no known type".into(), plain_text);
                    return Err(Failure::new(
                        OTHER,
                        "output",
                        format!(
                            "the content is binary ({kind}, {} bytes) and standard output is a terminal: \
                             name a file with -o FILE, or -o - to print it all the same",
                            body.len()
                        ),
                    ));
                }
                return output.bytes(body);
            }
            Target::Stdout { .. } => match std::str::from_utf8(body) {
                Ok(text) => about["text"] = json!(text),
                Err(_) => about["base64"] = json!(x402_icp::values::to_base64(body)),
            },
        }
        object["content"] = about;
        output.result(object, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_content_goes_to_a_terminal_only_if_it_is_named() {
        for binary in [&b"\x89PNG"[..], b"a\0b", b"\xff\xfe"] {
            assert!(!may_be_shown(false, true, binary));
            assert!(may_be_shown(true, true, binary));
            assert!(may_be_shown(false, false, binary));
        }
        for text in ["", "text\n", "\u{1b}[31m what the user bought"] {
            assert!(may_be_shown(false, true, text.as_bytes()));
        }
    }
}
