//! Text of strangers, made safe for a terminal and a log.

/// The most characters of such a text that are shown.
pub const PLAIN_TEXT_CHARACTERS: usize = 200;

/// A stranger's text as one bounded line.
///
/// Control characters (C0, DEL, C1), bidirectional controls, and line and paragraph separators become U+FFFD, so that
/// the text can neither control a terminal nor imitate lines of the program that prints it. A text longer than
/// [`PLAIN_TEXT_CHARACTERS`] is cut and ends in an ellipsis.
pub fn plain_text(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain: String = characters
        .by_ref()
        .take(PLAIN_TEXT_CHARACTERS)
        .map(|c| if is_unsafe(c) { '\u{FFFD}' } else { c })
        .collect();
    if characters.next().is_some() {
        plain.pop();
        plain.push('…');
    }
    plain
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Left-to-right and right-to-left marks, embeddings, overrides and isolates; the Arabic letter mark.
            '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separator.
            | '\u{2028}' | '\u{2029}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_strangers_do_not_reach_the_terminal() {
        for (text, plain) in [
            ("\u{1b}[31mred\u{1b}[0m", "\u{FFFD}[31mred\u{FFFD}[0m"),
            ("\u{1b}]52;c;AAAA\u{7}", "\u{FFFD}]52;c;AAAA\u{FFFD}"),
            (
                "paid\r\ntollkeeper: done",
                "paid\u{FFFD}\u{FFFD}tollkeeper: done",
            ),
            ("a\u{9b}2Jb\u{7f}", "a\u{FFFD}2Jb\u{FFFD}"),
            ("abc\u{202e}cba\u{2069}", "abc\u{FFFD}cba\u{FFFD}"),
            ("one\u{2028}two\u{2029}", "one\u{FFFD}two\u{FFFD}"),
            ("USD₮0 für 1 €", "USD₮0 für 1 €"),
        ] {
            assert_eq!(plain_text(text), plain);
        }
    }

    #[test]
    fn text_of_strangers_is_bounded() {
        assert_eq!(plain_text(&"ä".repeat(200)), "ä".repeat(200));
        let long = plain_text(&"ä".repeat(10_000));
        assert_eq!(long.chars().count(), PLAIN_TEXT_CHARACTERS);
        assert!(long.ends_with('…'));
    }
}
