import { Principal } from "@icp-sdk/core/principal";
import { hex } from "./bytes.js";

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** ICRC-1 textual encoding of an account: the principal alone for the default subaccount. */
export function accountText(owner: Principal, subaccount?: Uint8Array): string {
  const text = owner.toText();
  if (subaccount === undefined) return text;
  if (subaccount.length !== 32) throw new RangeError(`subaccount: ${subaccount.length} bytes, must be 32`);
  if (subaccount.every((byte) => byte === 0)) return text;
  const bytes = owner.toUint8Array();
  const both = new Uint8Array(bytes.length + 32);
  both.set(bytes);
  both.set(subaccount, bytes.length);
  const checksum = base32(bigEndian(crc32(both)));
  return `${text}-${checksum}.${hex(subaccount).replace(/^0+/, "")}`;
}

/** An account as ledgers take it. */
export interface Account {
  owner: Principal;
  subaccount: Uint8Array | undefined;
}

/** The account of an ICRC-1 text; undefined unless the text is exactly the one that {@link accountText} makes. */
export function parseAccount(text: string): Account | undefined {
  const [before = "", digits] = text.split(".", 2);
  const cut = digits === undefined ? -1 : before.lastIndexOf("-");
  const owner = parsePrincipal(digits === undefined ? before : before.slice(0, Math.max(cut, 0)));
  if (!owner) return undefined;
  let subaccount: Uint8Array | undefined;
  if (digits !== undefined) {
    if (!/^[0-9a-f]{1,64}$/.test(digits)) return undefined;
    subaccount = Uint8Array.from(digits.padStart(64, "0").match(/../g) ?? [], (pair) => parseInt(pair, 16));
  }
  return accountText(owner, subaccount) === text ? { owner, subaccount } : undefined;
}

/** The principal of a text in its one canonical form; undefined for any other text. */
function parsePrincipal(text: string): Principal | undefined {
  try {
    const principal = Principal.fromText(text);
    return principal.toText() === text ? principal : undefined;
  } catch {
    return undefined;
  }
}

/** The id of a canister: an opaque principal, so neither a key's, the anonymous one nor the management canister. */
export function parseCanisterId(text: string): Principal | undefined {
  const principal = parsePrincipal(text);
  const bytes = principal?.toUint8Array();
  return bytes && bytes.length > 1 && bytes.length < 29 && bytes.at(-1) === 1 ? principal : undefined;
}

function bigEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function base32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((held >> bits) & 31);
    }
  }
  return bits > 0 ? text + BASE32.charAt((held << (5 - bits)) & 31) : text;
}

/** CRC-32 (ISO 3309), the checksum of textual principals and accounts. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
