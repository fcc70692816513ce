/** What is kept of a payment from before it is sent until its end is proven. */
import type { ExactIcrc2Payload } from "./authorization.js";
import type { ExactIcrc1Payload } from "./transfer.js";
import { type JsonObject, hex, sha256, utf8 } from "./bytes.js";

/**
 * Where a payment stands:
 * - `unresolved`: signed; whether its money moves is not known. The same request sends it again, byte for byte. Of a
 *   transfer: it may have been made, and its proof has brought nothing yet.
 * - `paid`: canister and ledger say that its money moved, but no answer with a matching receipt came. The same request
 *   sends it again and gets what was bought.
 * - `delivered`: the content came with a matching receipt.
 * - `dead`: canister and ledger say that it can never be charged.
 * - `forgotten`: the user gave it up with `forget`.
 */
export type PaymentState = "unresolved" | "paid" | "delivered" | "dead" | "forgotten";

/** The request that a payment is for. */
export interface RecordedRequest {
  method: string;
  /** Without fragment. */
  url: string;
  /** The caller's headers without those that look like secrets. */
  headers: [string, string][];
  /** Base64; null if there is none. */
  body: string | null;
  /** As in `RequestFacts`. */
  digest: string;
}

/** What a payment by the payer's own transfer has beside its terms. All of it is fixed before the transfer is sent. */
export interface OwnTransfer {
  /** Nanoseconds since 1970-01-01, decimal text. */
  createdAtTime: string;
  /** Whether it may have been sent. */
  sent: boolean;
  /** The canister's name of the payment, 64 hexadecimal digits; absent while the block is not known. */
  knownAs?: string;
}

/** The proof of a transfer, whose block may not be known yet. */
export type TransferPayload = Omit<ExactIcrc1Payload, "blockIndex"> & { blockIndex?: string };

/** The formats of records. The second one is of transfers: a version that does not know them leaves them alone. */
export const FORMATS = ["tollkeeper-x402/1", "tollkeeper-x402/2"] as const;

/** One payment in a store: plain JSON. Whoever reads an unresolved one can present the payment. */
export interface PaymentRecord {
  format: (typeof FORMATS)[number];
  /** 64 hexadecimal digits: the key in the store, and the memo of the block. */
  paymentId: string;
  /** Names the purchase: see {@link requestKey}. */
  requestKey: string;
  /** The key of the caller's own request, where a redirect led from it to the one that is paid. */
  askedKey?: string;
  state: PaymentState;
  network: string;
  /** ICRC-1 text of the account that pays. */
  payer: string;
  spender: string;
  asset: string;
  symbol: string;
  /** Atomic units that arrive at `payTo`. */
  amount: string;
  payTo: string;
  /** The ledger's fee of the offer. */
  fee: string;
  /** Unix seconds. Of a transfer: when it was made, and from when on the ledger cannot make it any more. */
  validAfter: number;
  validBefore: number;
  /** The entry of `accepts` that was signed. */
  accepted: JsonObject;
  payload: ExactIcrc2Payload | TransferPayload;
  /** Present if it is paid by the payer's own transfer. */
  transfer?: OwnTransfer;
  /** `resource` and `extensions` of the payment. */
  envelope: { resource?: unknown; extensions?: JsonObject };
  /** The payment identifier in the extensions. */
  identifier?: string;
  /**
   * The value of PAYMENT-SIGNATURE as it was first sent; null while it has never left this process, and while the block
   * of a transfer is not known.
   */
  header: string | null;
  /** Null if another transport than `resendingFetch` sends it. */
  request: RecordedRequest | null;
  /** Allowance of the spender before the payment was sent, if it was asked. */
  allowance?: string;
  /** Its end in nanoseconds since 1970-01-01; absent if it has none. */
  allowanceEnds?: string;
  /** The last complete answer was a refusal; its HTTP status. */
  refused?: number;
  /** Unix milliseconds. */
  createdAt: number;
  endedAt?: number;
}

/** Whether a payment holds its request: nothing else is signed for it. */
export function isOpen(record: PaymentRecord): boolean {
  return record.state === "unresolved" || record.state === "paid";
}

/** Whether a payment may have left this process. */
export function hasLeft(record: PaymentRecord): boolean {
  return record.header !== null || record.transfer?.sent === true;
}

/** The keys of the requests that a payment holds. */
export function keysOf({ requestKey, askedKey }: PaymentRecord): string[] {
  return askedKey === undefined ? [requestKey] : [requestKey, askedKey];
}

/** The key of one purchase: SHA-256 over payer, network, method, URL without fragment and the digest of the body. */
export async function requestKey(payer: string, network: string, method: string, url: string, bodyDigest: string): Promise<string> {
  return digest(["request", payer, network, method, url, bodyDigest]);
}

/** The key of one purchase where the request is not known: payer, network and offer. */
export async function offerKey(payer: string, network: string, spender: string, offer: string): Promise<string> {
  return digest(["offer", payer, network, spender, offer]);
}

async function digest(parts: string[]): Promise<string> {
  return hex(await sha256(utf8(JSON.stringify(parts))));
}
