/** Encodings of the wire. */

/** Padded standard base64, the only form that x402 headers take. */
export function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}

/** Throws on anything but standard base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new SyntaxError("not base64");
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Lower-case hex. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Throws unless the text is an even number of hexadecimal digits. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) throw new SyntaxError("not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (digits) => parseInt(digits, 16));
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  // Browsers have it on pages of https and localhost only.
  if (crypto.subtle === undefined) throw new Error("payments need a secure context: https, or localhost");
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** A JSON object, as opposed to an array, null or a scalar. */
export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The JSON object in a header value: base64 of UTF-8 JSON. Throws an error without any of its text. */
export function decodeHeader(value: string): JsonObject {
  let decoded: unknown;
  try {
    decoded = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64(value)));
  } catch {
    throw new SyntaxError("not base64 of JSON");
  }
  if (!isObject(decoded)) throw new SyntaxError("not a JSON object");
  if (nestsDeeper(decoded, MAX_DEPTH)) throw new SyntaxError(`JSON of more than ${MAX_DEPTH} levels`);
  return decoded;
}

/** Levels of JSON that are read: far more than anybody needs, and few enough for functions that call themselves. */
const MAX_DEPTH = 500;

function nestsDeeper(value: unknown, levels: number): boolean {
  const isParent = (member: unknown): member is object => typeof member === "object" && member !== null;
  let parents: object[] = [value].filter(isParent);
  for (; levels > 0 && parents.length > 0; levels--) parents = parents.flatMap((parent) => Object.values(parent) as unknown[]).filter(isParent);
  return parents.length > 0;
}

export function encodeHeader(value: JsonObject): string {
  return base64(utf8(JSON.stringify(value)));
}
