/** Text that comes from strangers, and how it may stand in our own messages. */

const MAX_CHARACTERS = 200;
/** C0, DEL, C1, bidirectional controls, zero-width and tag characters, line and paragraph separators. */
const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]|\u{e0001}|[\u{e0020}-\u{e007f}]/gu;

/**
 * A stranger's text as one bounded line: every control character is replaced by U+FFFD, and what is longer than
 * 200 characters ends with an ellipsis. What is no text is shown by its JSON.
 */
export function plain(value: unknown): string {
  let text: string;
  try {
    text =
      typeof value === "string"
        ? value
        : (JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? inner.toString() : inner)) ?? String(value));
  } catch {
    text = typeof value;
  }
  // Cut before replacing: the text may be of any length.
  const shown = Array.from(text.slice(0, 2 * MAX_CHARACTERS + 2).replace(UNPRINTABLE, "\ufffd"));
  return shown.length > MAX_CHARACTERS ? `${shown.slice(0, MAX_CHARACTERS).join("")}…` : shown.join("");
}

/** What a caught value says, as one bounded line. */
export function messageOf(error: unknown): string {
  return plain(error instanceof Error ? error.message : error);
}
