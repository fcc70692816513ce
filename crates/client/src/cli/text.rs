//! The last filter before a terminal: printed text contains no control characters of strangers.

use serde_json::Value;

/// Whether a terminal or a reader could interpret the character as something else than text: C0, DEL and C1 controls,
/// bidirectional controls, line and paragraph separators, and other invisible format characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text as one line.
pub fn line(text: &str) -> String {
    text.chars()
        .map(|c| if is_unsafe(c) { '\u{fffd}' } else { c })
        .collect()
}

/// A path in a message: file names may contain any characters.
pub fn path(path: &std::path::Path) -> String {
    line(&path.display().to_string())
}

/// Lines of this program: line feeds stay, other control characters are replaced. Texts of strangers in them must be
/// one line already.
pub fn lines(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// JSON on one line without control characters.
pub fn json(value: &Value) -> String {
    let mut safe = String::new();
    for c in value.to_string().chars() {
        match is_unsafe(c) {
            // Such characters occur in strings only, where an escape means the same.
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

/// Whether a terminal can show the bytes unchanged: UTF-8 without NUL.
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
