/**
 * Invoices (docs/invoices.md): what a page or a wallet checks before anybody pays one. Whoever shows an invoice could
 * put another account into it, and a transfer cannot be taken back.
 */
import { getCrc32, Principal } from "@icp-sdk/core/principal";
import { sha224 } from "@noble/hashes/sha2.js";
import { type Account, accountText, parseCanisterId } from "./account.js";
import { concat, fromHex, hex, isObject, sha256, utf8 } from "./bytes.js";
import { plain } from "./text.js";

const TAG = "x402-invoice";
const DOMAIN = "x402-icp-invoice";
const AMOUNT_LIMIT = 1n << 128n;

/** What a payer knows from elsewhere, and agrees to. */
export interface InvoiceExpectations {
  /** The canister that sells. */
  canister: Principal | string;
  /** The invoice's id: 32 bytes, or 64 lower-case hexadecimal digits. */
  id: Uint8Array | string;
  /** The ledger to pay in. */
  ledger: Principal | string;
  /** The most to send, in atomic units. */
  maxAmount: bigint;
  /** The network as CAIP-2 id; without it the network is not compared. */
  network?: string;
  /** Milliseconds since 1970-01-01; the present time by default. */
  now?: number;
  /** How many seconds must be left until the expiry; 60 by default. */
  secondsLeft?: number;
}

/** What to transfer. */
export interface InvoiceToPay {
  /** The account, computed from canister and id. */
  account: Account;
  /** Its ICRC-1 text. */
  accountText: string;
  /** Its account identifier, computed, for who pays on the ICP ledger by that: 64 hexadecimal digits. */
  accountIdentifier: string;
  /** What is missing, in atomic units, without the ledger's fee. */
  amount: bigint;
}

/** An id in the bytes or digits of a URL. */
function idOf(id: Uint8Array | string): Uint8Array {
  if (typeof id === "string" && !/^[0-9a-f]{64}$/.test(id)) throw new RangeError("id: not 64 lower-case hexadecimal digits");
  const bytes = typeof id === "string" ? fromHex(id) : id;
  if (bytes.length !== 32) throw new RangeError(`id: it has ${bytes.length} bytes, not 32`);
  return bytes;
}

function canisterOf(name: string, id: Principal | string): Principal {
  const canister = parseCanisterId(typeof id === "string" ? id : id.toText());
  if (!canister) throw new RangeError(`${name} ${plain(typeof id === "string" ? id : id.toText())}: not a canister id`);
  return canister;
}

/** The account that the invoice with this id is paid to: the same in every ledger. */
export async function invoiceAccount(canister: Principal | string, id: Uint8Array | string): Promise<Account> {
  const owner = canisterOf("canister", canister);
  const parts = [utf8(DOMAIN), owner.toUint8Array(), idOf(id), Uint8Array.of(0)];
  const hash = await sha256(concat(...parts.flatMap((part) => [length(part), part])));
  const tag = utf8(TAG);
  return { owner, subaccount: concat(tag, hash.subarray(0, 32 - tag.length)) };
}

/** The account identifier by which the ICP ledger and exchanges name an account. */
function identifierOf({ owner, subaccount = new Uint8Array(32) }: Account): string {
  const hash = sha224(concat(utf8("\x0aaccount-id"), owner.toUint8Array(), subaccount));
  return getCrc32(hash).toString(16).padStart(8, "0") + hex(hash);
}

function length(part: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(part.length));
  return bytes;
}

/**
 * Checks the JSON of an invoice, as `GET /x402/invoices/<id>` gives it, against what the payer knows. Returns what to
 * transfer; throws a RangeError that names the member if the invoice must not be paid.
 *
 * The amount is the seller's word, within `maxAmount`. The account is not: it is computed.
 */
export async function checkInvoice(invoice: unknown, expected: InvoiceExpectations): Promise<InvoiceToPay> {
  if (!isObject(invoice)) throw new RangeError("invoice: not an object");
  // Every comparison with a limit that is no number is false: it would be no limit.
  if (typeof expected.maxAmount !== "bigint") throw new RangeError(`maxAmount ${plain(expected.maxAmount)}: not a bigint`);
  const account = await invoiceAccount(expected.canister, expected.id);
  const text = accountText(account.owner, account.subaccount);
  const must = (member: string, value: string): void => {
    if (invoice[member] !== value) throw new RangeError(`${member} ${plain(invoice[member])}: it must be ${value}`);
  };
  must("account", text);
  const accountIdentifier = identifierOf(account);
  if (invoice.accountIdentifier !== undefined && invoice.accountIdentifier !== null) must("accountIdentifier", accountIdentifier);
  must("asset", canisterOf("ledger", expected.ledger).toText());
  if (expected.network !== undefined) must("network", expected.network);
  must("status", "open");
  const units = (member: string): bigint => {
    const value = invoice[member];
    if (typeof value !== "string" || !/^(0|[1-9][0-9]{0,38})$/.test(value) || BigInt(value) >= AMOUNT_LIMIT)
      throw new RangeError(`${member} ${plain(value)}: not atomic units below 2^128`);
    return BigInt(value);
  };
  const [whole, balance] = [units("amount"), units("balance")];
  if (whole > expected.maxAmount) throw new RangeError(`amount ${whole}: more than ${expected.maxAmount}`);
  if (balance >= whole) throw new RangeError(`balance ${balance}: the money is there, nothing is missing`);
  const expiry = typeof invoice.expiresAt === "string" ? Date.parse(invoice.expiresAt) : NaN;
  const { now = Date.now(), secondsLeft = 60 } = expected;
  if (!(expiry >= now + secondsLeft * 1000)) throw new RangeError(`expiresAt ${plain(invoice.expiresAt)}: too late to pay`);
  return { account, accountText: text, accountIdentifier, amount: whole - balance };
}
