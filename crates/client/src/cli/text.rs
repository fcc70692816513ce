//! The last barrier before a terminal: whatever is printed holds no control characters of strangers.

use serde_json::Value;

/// Whether a terminal or a reader could take the character for something else than text: C0, DEL and C1
/// controls, bidirectional controls, line and paragraph separators, and other invisible format characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// One line, whatever the text holds.
pub fn line(text: &str) -> String {
    text.chars()
        .map(|c| if is_unsafe(c) { '\u{fffd}' } else { c })
        .collect()
}

/// A path in our own words: file names may hold anything.
pub fn path(path: &std::path::Path) -> String {
    line(&path.display().to_string())
}

/// Our own lines: line feeds stay, nothing else that controls a terminal does. Strangers' texts in it must have
/// been made one line before.
pub fn lines(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// JSON on one line in which no character controls a terminal.
pub fn json(value: &Value) -> String {
    let mut safe = String::new();
    for c in value.to_string().chars() {
        match is_unsafe(c) {
            // Such characters stand inside strings only, where an escape means the same.
            true => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    safe.push_str(&format!("\\u{unit:04x}"));
                }
            }
            false => safe.push(c),
        }
    }
    safe
}

/// Whether bytes are what a terminal shows as they are: UTF-8 without NUL.
pub fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_printed_controls_a_terminal() {
        let hostile = "a\u{1b}]52;c;eA==\u{7}b\u{9b}31m\u{202e}c\u{2028}d\rE\u{7f}";
        for shown in [
            line(hostile),
            lines(hostile),
            json(&json!({ "x": hostile })),
        ] {
            assert!(!shown.chars().any(is_unsafe), "{shown:?}");
        }
        assert_eq!(line("a\nb"), "a\u{fffd}b");
        assert_eq!(lines("a\nb\r\nc"), "a\nb\u{fffd}\nc");
        assert_eq!(line("ckUSD₮0 für 5 €"), "ckUSD₮0 für 5 €");
    }

    #[test]
    fn json_means_the_same_after_it_was_made_safe() {
        let value = json!({ "k\u{85}": ["\u{1b}[0m", "\u{202e}\u{feff}", "ü\"\\", 1] });
        let read: Value = serde_json::from_str(&json(&value)).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn binary_content_is_told_from_text() {
        assert!(is_text("Grüße\n".as_bytes()));
        assert!(!is_text(b"\x89PNG\r\n"));
        assert!(!is_text(b"a\0b"));
    }
}
