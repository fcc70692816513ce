/**
 * Payments by the client's own transfer (docs/scheme_exact_icp_transfer.md): the memo that commits to the terms, and the
 * proof that is presented afterwards. `ExactIcpScheme` makes such payments if its option `ways` allows them.
 */
import { requestIdOf } from "@icp-sdk/core/agent";
import { parseAccount, parseCanisterId } from "./account.js";
import type { Accepted } from "./authorization.js";
import { concat, encodeHeader, fromHex, hex, type JsonObject, sha256, utf8 } from "./bytes.js";
import { OfferRefused } from "./errors.js";
import { MAX_HEADER_BYTES } from "./journal.js";
import { mismatch, offerId } from "./offer.js";
import { plain } from "./text.js";

const MEMO_DOMAIN = "x402-icp-transfer";
const ID_DOMAIN = "x402-icp-transfer-id";
const NAT64 = 1n << 64n;
const AMOUNT_LIMIT = 1n << 128n;

/** What the memo of a transfer commits to. Texts are as they stand in the JSON of the offer. */
export interface TransferTerms {
  network: string;
  /** Ledger canister id. */
  asset: string;
  payTo: string;
  /** Atomic units, decimal text. */
  amount: string;
  /** The offer id: `extra.offer`. */
  offer: string;
}

/** `payload` of a payment by transfer. */
export interface ExactIcrc1Payload {
  /** ICRC-1 text of the account that the money came from. */
  from: string;
  /** Decimal text. */
  blockIndex: string;
  /** 64 lower-case hexadecimal digits. Whoever knows them may present the block. */
  secret: string;
}

/** The parts of a payment beside the proof. */
export interface TransferEnvelope {
  resource?: unknown;
  extensions?: JsonObject;
}

/** A proof that is ready to be sent. */
export interface TransferProof {
  /** The value of PAYMENT-SIGNATURE. */
  header: string;
  /** 64 hexadecimal digits: how the canister names the payment. */
  paymentId: string;
  /** The memo that the transfer must have, 64 hexadecimal digits. */
  memo: string;
}

/** The terms of an offer, which has to be well-formed. */
export function transferTermsOf({ network, asset, payTo, amount, extra }: Accepted): TransferTerms {
  if (typeof extra.offer !== "string") throw new RangeError("extra.offer: it is no text");
  return { network, asset, payTo, amount, offer: extra.offer };
}

/**
 * The memo of the transfer that pays these terms: 32 bytes. `secret`: 32 bytes from a cryptographic source of
 * randomness, drawn for this transfer alone. Record the secret and the `created_at_time` of the transfer before you
 * send it: without the secret the money buys nothing.
 */
export async function transferCommitment(terms: TransferTerms, secret: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (secret.length !== 32) throw new RangeError(`secret: it has ${secret.length} bytes, not 32`);
  const { network, asset, payTo, amount, offer } = terms;
  const secretHash = hex(await sha256(concat(secret)));
  return hashed(MEMO_DOMAIN, { network, asset, payTo, amount, offer, secretHash });
}

/** The payment's id, 64 hexadecimal digits; `memo`: 32 bytes. Public: every part of it is in the ledger. */
export async function transferPaymentId(network: string, asset: string, blockIndex: bigint, memo: Uint8Array): Promise<string> {
  return hex(await hashed(ID_DOMAIN, { network, asset, blockIndex: blockIndex.toString(), memo: hex(memo) }));
}

/**
 * The proof of a transfer that was made. `accepted` is the offer as it was when the transfer was made, byte for byte.
 * Send it with the same request until an answer says something, and never make another transfer for the same purchase.
 */
export async function transferProof(accepted: Accepted, payload: ExactIcrc1Payload, envelope: TransferEnvelope = {}): Promise<TransferProof> {
  const { from, blockIndex, secret } = payload;
  if (!parseAccount(from)) throw new RangeError(`from ${plain(from)}: not an ICRC-1 account`);
  if (typeof blockIndex !== "string" || !/^(0|[1-9][0-9]{0,19})$/.test(blockIndex) || BigInt(blockIndex) >= NAT64)
    throw new RangeError(`blockIndex ${plain(blockIndex)}: not a block`);
  if (typeof secret !== "string" || !/^[0-9a-f]{64}$/.test(secret)) throw new RangeError("secret: not 64 lower-case hexadecimal digits");
  const memo = await transferCommitment(transferTermsOf(accepted), fromHex(secret));
  const { resource, extensions } = envelope;
  const header = encodeHeader({
    x402Version: 2,
    ...(resource === undefined ? {} : { resource }),
    accepted,
    payload: { from, blockIndex, secret },
    ...(extensions === undefined ? {} : { extensions }),
  });
  if (header.length > MAX_HEADER_BYTES) throw new OfferRefused(`the payment is ${header.length} bytes long, at most ${MAX_HEADER_BYTES} are read`);
  const paymentId = await transferPaymentId(accepted.network, accepted.asset, BigInt(blockIndex), memo);
  return { header, paymentId, memo: hex(memo) };
}

/**
 * Why no transfer may be made for an offer; undefined if it is one of the method `icrc1` for this request. Compare its
 * network, `asset`, `amount` and `extra.canister` with what you trust before you transfer anything, and `payTo` with what
 * the canister itself answers to an update call of `offers`: whoever forwarded the offer could have changed it.
 */
export async function transferProblem(accepted: Accepted, method: string, url: string): Promise<string | undefined> {
  const { extra, amount, asset, payTo, scheme } = accepted;
  if (scheme !== "exact" || extra.assetTransferMethod !== "icrc1") return "it is no offer by transfer";
  if (extra.paymentFlow !== "upfront") return `extra.paymentFlow ${plain(extra.paymentFlow)}: it must be upfront`;
  if (!parseCanisterId(asset)) return `asset ${plain(asset)}: not a canister id`;
  if (typeof amount !== "string" || !/^(0|[1-9][0-9]{0,38})$/.test(amount) || BigInt(amount) >= AMOUNT_LIMIT)
    return `amount ${plain(amount)}: not atomic units below 2^128`;
  if (!parseAccount(payTo)) return `payTo ${plain(payTo)}: not an ICRC-1 account`;
  const { canister: named, method: offered, route, revision, offer } = extra;
  const canister = typeof named === "string" ? parseCanisterId(named) : undefined;
  if (!canister) return `extra.canister ${plain(named)}: not a canister id`;
  if (typeof offered !== "string" || typeof route !== "string") return "extra.method and extra.route must be texts";
  if (typeof revision !== "number" || !Number.isSafeInteger(revision) || revision < 0) return "extra.revision: must be a whole number below 2^53";
  if (offer !== (await offerId(canister, offered, route, BigInt(revision)))) return `extra.offer ${plain(offer)}: not the id of its parts`;
  return mismatch({ method: offered, route }, method, url);
}

async function hashed(domain: string, texts: Record<string, string>): Promise<Uint8Array<ArrayBuffer>> {
  const separator = utf8(domain);
  return sha256(concat(Uint8Array.of(separator.length), separator, requestIdOf(texts)));
}
