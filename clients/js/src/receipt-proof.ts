/** Receipts with their proofs, and their verification offline (docs/receipts.md). */
import { type Agent, Cbor, Certificate, type HashTree, IC_ROOT_KEY, lookup_path, LookupPathStatus, reconstruct } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { parseAccount } from "./account.js";
import { concat, fromBase64, fromHex, hex, isObject, type JsonObject, sameBytes, sha256, utf8 } from "./bytes.js";
import { methods } from "./canister.js";
import { networkId } from "./network.js";
import { messageOf, plain } from "./text.js";

/** The most characters of a receipt with its proof. Those of the mainnet have a few thousand. */
const MAX_CHARACTERS = 65_536;
const LABEL = "log";

/** What a verified receipt says to everybody. Numbers are decimal text. */
export interface ReceiptFields {
  network: string;
  canister: string;
  paymentId: string;
  asset: string;
  symbol: string;
  decimals: number;
  payTo: string;
  amount: string;
  fee: string;
  transaction: string;
  settledAt: string;
  commitment: string;
}

/** Who paid for what: only in receipts for payer, merchant and operators. */
export interface ReceiptDetails {
  payer: string;
  offer: string;
  method: string;
  path: string;
  salt: string;
}

/** A receipt that its proof confirms: the canister has recorded this payment as settled. */
export interface VerifiedReceipt {
  receipt: ReceiptFields;
  details: ReceiptDetails | undefined;
  /** The place in the canister's log, from 0. */
  index: bigint;
  /** When the subnet certified it, in nanoseconds since 1970-01-01. */
  certifiedAt: bigint;
  /** What the text says of the payment's present state. It is not proven. */
  claimedStatus: string;
}

/**
 * The receipt of a payment with its proof, for {@link verifyReceipt}: the canister's answer to the query `receipt_proof`.
 * It names payer and purchase if the agent's identity is the payer's or the merchant's. One node answers, and what it
 * says is worth as much as the proof.
 *
 * Throws if the canister has none.
 */
export async function fetchReceipt(agent: Agent, canister: string, paymentId: string): Promise<string> {
  if (!/^[0-9a-f]{64}$/.test(paymentId)) throw new Error("a payment id has 64 hexadecimal digits");
  const arg = IDL.encode([methods.receipt_proof.argument], [fromHex(paymentId)]);
  const answer = await agent.query(Principal.fromText(canister), { methodName: "receipt_proof", arg });
  if (!("reply" in answer)) throw new Error(`canister ${canister} refuses: ${plain(answer.reject_message)}`);
  const [json] = IDL.decode([methods.receipt_proof.reply], answer.reply.arg)[0] as [] | [string];
  if (json === undefined) throw new Error(`canister ${canister} has no receipt of payment ${paymentId}`);
  return json;
}

export interface VerifyOptions {
  /** The DER-encoded root key of the network; the mainnet's unless given. */
  rootKey?: Uint8Array;
  /** The canister that the receipt has to be from. */
  canister?: string;
}

/**
 * Verifies a receipt with its proof, as {@link fetchReceipt} returns it, without any request. Throws unless the proof confirms every field.
 *
 * The proof shows what the canister has recorded. Whether to believe the canister is for the caller to decide.
 */
export async function verifyReceipt(json: string, options: VerifyOptions = {}): Promise<VerifiedReceipt> {
  try {
    return await verified(json, options);
  } catch (error) {
    throw new Error(`the receipt is not verified: ${messageOf(error)}`);
  }
}

async function verified(json: string, { rootKey = fromHex(IC_ROOT_KEY), canister }: VerifyOptions): Promise<VerifiedReceipt> {
  if (json.length > MAX_CHARACTERS) throw new Error(`${json.length} characters, at most ${MAX_CHARACTERS} are read`);
  const proof: unknown = JSON.parse(json);
  if (!isObject(proof)) throw new Error("it is no JSON object");
  if (proof.version !== 1) throw new Error(`version ${plain(proof.version)}`);
  const receipt = new Fields("receipt", proof.receipt);
  const leaf = await receiptHash(receipt);
  const network = await networkId(rootKey);
  if (receipt.text("network") !== network) throw new Error(`it is not from network ${network}, the root key's`);
  if (canister !== undefined && receipt.text("canister") !== canister) throw new Error(`it is not from canister ${canister}`);
  let details: Fields | undefined;
  if (proof.details !== undefined && proof.details !== null) {
    details = new Fields("details", proof.details);
    if (hex(await commitment(details)) !== receipt.text("commitment")) {
      throw new Error("its details are not those that the receipt commits to");
    }
  }
  const place = proof.index;
  if (typeof place !== "string" || !isNatural(place, 64)) throw new Error("it has no index");
  const witness = tree(Cbor.decode(bytes("witness", proof.witness)));
  const found = lookup_path([LABEL, bigEndian(BigInt(place), 8)], witness);
  if (found.status !== LookupPathStatus.Found || !sameBytes(found.value, leaf)) {
    throw new Error("its witness does not hold the receipt");
  }
  const owner = principal(receipt.text("canister"));
  const certificate = await Certificate.create({
    certificate: bytes("certificate", proof.certificate),
    rootKey,
    principal: { canisterId: owner },
    // A receipt does not expire.
    disableTimeVerification: true,
  });
  const certified = certificate.lookup_path(["canister", owner.toUint8Array(), "certified_data"]);
  if (certified.status !== LookupPathStatus.Found || !sameBytes(certified.value, await reconstruct(witness))) {
    throw new Error("its certificate certifies another tree than its witness");
  }
  const time = certificate.lookup_path(["time"]);
  if (time.status !== LookupPathStatus.Found) throw new Error("its certificate has no time");
  return {
    receipt: receipt.members as unknown as ReceiptFields,
    details: details?.members as ReceiptDetails | undefined,
    index: BigInt(place),
    certifiedAt: leb128(time.value),
    claimedStatus: plain(proof.status),
  };
}

/** The members of a part of the receipt, each of which has to be hashed. */
class Fields {
  private readonly read = new Set<string>();
  readonly members: JsonObject;

  constructor(
    private readonly part: string,
    members: unknown,
  ) {
    if (!isObject(members)) throw new Error(`${part} is no JSON object`);
    this.members = members;
  }

  text(name: string): string {
    this.read.add(name);
    const value = Object.hasOwn(this.members, name) ? this.members[name] : undefined;
    if (typeof value !== "string" || /[\ud800-\udfff]/u.test(value)) throw this.problem(name);
    return value;
  }

  /** A number with one text, as this many bytes. */
  natural(name: string, length: number): Uint8Array {
    const text = this.text(name);
    if (!isNatural(text, 8 * length)) throw this.problem(name);
    return bigEndian(BigInt(text), length);
  }

  byte(name: string): Uint8Array {
    this.read.add(name);
    const value = this.members[name];
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 255) throw this.problem(name);
    return Uint8Array.of(value);
  }

  digits(name: string, length: number): Uint8Array {
    const text = this.text(name);
    if (!/^[0-9a-f]*$/.test(text) || text.length !== 2 * length) throw this.problem(name);
    return fromHex(text);
  }

  principal(name: string): Uint8Array {
    return principal(this.text(name)).toUint8Array();
  }

  account(name: string): [Uint8Array, Uint8Array] {
    const account = parseAccount(this.text(name));
    if (!account) throw this.problem(name);
    return [account.owner.toUint8Array(), account.subaccount ?? new Uint8Array()];
  }

  /** SHA-256 of the domain and the parts, each with its length before it. All members have been read. */
  async hash(domain: string, parts: Uint8Array[]): Promise<Uint8Array> {
    const other = Object.keys(this.members).find((name) => !this.read.has(name));
    if (other !== undefined) throw this.problem(other);
    if (parts.some((part) => part.length > 0xffff)) throw new Error(`${this.part} has a member of more than 65,535 bytes`);
    const all = parts.flatMap((part) => [bigEndian(BigInt(part.length), 2), part]);
    return sha256(concat(Uint8Array.of(domain.length), utf8(domain), ...all));
  }

  private problem(name: string): Error {
    return new Error(`${this.part}.${plain(name)} is not what a receipt has there`);
  }
}

function receiptHash(fields: Fields): Promise<Uint8Array> {
  return fields.hash("x402-icp-receipt-1", [
    utf8(fields.text("network")),
    fields.principal("canister"),
    fields.digits("paymentId", 32),
    fields.principal("asset"),
    utf8(fields.text("symbol")),
    fields.byte("decimals"),
    ...fields.account("payTo"),
    fields.natural("amount", 16),
    fields.natural("fee", 16),
    utf8(fields.text("transaction")),
    fields.natural("settledAt", 8),
    fields.digits("commitment", 32),
  ]);
}

function commitment(fields: Fields): Promise<Uint8Array> {
  return fields.hash("x402-icp-receipt-details-1", [
    fields.digits("salt", 16),
    ...fields.account("payer"),
    fields.digits("offer", 16),
    utf8(fields.text("method")),
    utf8(fields.text("path")),
  ]);
}

function principal(text: string): Principal {
  const principal = Principal.fromText(text);
  if (principal.toText() !== text) throw new Error("a principal is not in its only form");
  return principal;
}

function isNatural(text: string, bits: number): boolean {
  return /^(0|[1-9][0-9]{0,38})$/.test(text) && BigInt(text) < 1n << BigInt(bits);
}

function bigEndian(value: bigint, length: number): Uint8Array {
  return fromHex(value.toString(16).padStart(2 * length, "0"));
}

function leb128(value: Uint8Array): bigint {
  return value.reduceRight((number, byte) => (number << 7n) | BigInt(byte & 0x7f), 0n);
}

function bytes(name: string, value: unknown): Uint8Array {
  if (typeof value !== "string") throw new Error(`it has no ${name}: the answer to an update has none, ask by query`);
  return fromBase64(value);
}

/** A decoded tree, if it is one. */
function tree(value: unknown, levels = 200): HashTree {
  const problem = new Error("its witness is no tree");
  if (!Array.isArray(value) || levels === 0) throw problem;
  const [kind, first, second] = value as unknown[];
  const isBytes = (bytes: unknown) => bytes instanceof Uint8Array;
  const good = [
    () => value.length === 1,
    () => value.length === 3 && tree(first, levels - 1) && tree(second, levels - 1),
    () => value.length === 3 && isBytes(first) && tree(second, levels - 1),
    () => value.length === 2 && isBytes(first),
    () => value.length === 2 && first instanceof Uint8Array && first.length === 32,
  ][Number(kind)];
  if (!good?.()) throw problem;
  return value as HashTree;
}
