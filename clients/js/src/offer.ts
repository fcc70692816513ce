/**
 * Offers: entries of `accepts` that this scheme can pay, read one by one (sections 3 and 4 of
 * docs/scheme_exact_icp.md).
 */
import { requestIdOf } from "@icp-sdk/core/agent";
import type { PaymentRequirements } from "@x402/core/types";
import type { Principal } from "@icp-sdk/core/principal";
import { parseAccount, parseCanisterId } from "./account.js";
import { type Accepted, PAYMENT_FLOW } from "./authorization.js";
import { concat, hex, isObject, type JsonObject, sha256, utf8 } from "./bytes.js";
import { OfferRefused } from "./errors.js";
import { plain } from "./text.js";

const DOMAIN_SEPARATOR = "x402-icp-offer";
/** The longest authorization that is signed: one day. */
const MAX_TIMEOUT_SECONDS = 86_400;
const AMOUNT_LIMIT = 1n << 128n;

/** How money moves: the canister takes it from an allowance, or the payer transfers it. */
export type Way = "icrc2" | "icrc1";

/** The ways that are taken unless the user allows others: nobody can take a transfer back. */
export const DEFAULT_WAYS: readonly Way[] = ["icrc2"];

/** The ways of an option; throws a RangeError unless it lists some that exist. */
export function waysOf(given: readonly Way[] | undefined): readonly Way[] {
  const ways = given ?? DEFAULT_WAYS;
  const known = (way: unknown) => way === "icrc2" || way === "icrc1";
  if (!Array.isArray(ways) || ways.length === 0 || !ways.every(known)) throw new RangeError(`ways: ${plain(ways)} is no list of icrc2 and icrc1`);
  return ways;
}

/** One offer with every field checked. */
export interface Offer {
  way: Way;
  /** The entry as the seller wrote it. */
  entry: Accepted & JsonObject;
  network: string;
  /** Ledger canister id. */
  asset: string;
  /** Atomic units, decimal text below 2^128. */
  amount: string;
  /** ICRC-1 textual account. */
  payTo: string;
  /** Whole seconds, 1 to 86,400. */
  maxTimeoutSeconds: number;
  /** The canister that collects, or reads the proof of a transfer. */
  spender: string;
  offer: string;
  /** The ledger's transfer fee, atomic units. */
  fee: bigint;
  symbol: string;
  method: string;
  route: string;
  revision: bigint;
}

/** Why an entry cannot be paid; the message is safe to show. */
export class Unreadable extends Error {}

/**
 * The offer id: 32 hexadecimal digits of SHA-256 over the length-prefixed domain and the representation-independent
 * hash of canister, method, route and revision (section 4.2).
 */
export async function offerId(canister: Principal, method: string, route: string, revision: bigint): Promise<string> {
  const hash = requestIdOf({ canister: canister.toUint8Array(), method, route, revision });
  const separator = utf8(DOMAIN_SEPARATOR);
  return hex(await sha256(concat(Uint8Array.of(separator.length), separator, hash))).slice(0, 32);
}

/**
 * Whether the path of a URL, as it stands there, is of the route: `{name}` matches one segment that is not empty,
 * and every other segment itself. An encoded slash matches nothing: the canister decodes it and sees two segments
 * (section 4.3).
 */
export function routeMatches(route: string, path: string): boolean {
  if (/%2f/i.test(path)) return false;
  const [expected, actual] = [route.split("/"), path.split("/")];
  if (expected.length !== actual.length) return false;
  return expected.every((segment, at) => (/^\{.*\}$/s.test(segment) ? actual[at] !== "" : segment === actual[at]));
}

/** Reads one entry of `accepts`; throws {@link Unreadable} with the field at fault. */
export async function readOffer(entry: unknown, ways: readonly Way[] = DEFAULT_WAYS): Promise<Offer> {
  if (!isObject(entry)) throw new Unreadable(`an entry of accepts is ${plain(entry)}: must be an object`);
  const extra = entry.extra;
  if (!isObject(extra)) throw new Unreadable(`extra is ${plain(extra)}: must be an object`);
  if (entry.scheme !== "exact") throw new Unreadable(`scheme ${plain(entry.scheme)}: this is the exact scheme`);
  const network = text(entry, "network");
  if (!/^icp:[-_a-zA-Z0-9]{1,32}$/.test(network)) throw new Unreadable(`network ${plain(network)}: not of the Internet Computer`);
  const asset = text(entry, "asset");
  if (!parseCanisterId(asset)) throw new Unreadable(`asset ${plain(asset)}: not a canister id`);
  const amount = text(entry, "amount");
  atomic("amount", amount);
  const payTo = text(entry, "payTo");
  if (!parseAccount(payTo)) throw new Unreadable(`payTo ${plain(payTo)}: not an ICRC-1 account`);
  const seconds = entry.maxTimeoutSeconds;
  if (typeof seconds !== "number" || !Number.isInteger(seconds) || seconds < 1 || seconds > MAX_TIMEOUT_SECONDS) {
    throw new Unreadable(`maxTimeoutSeconds ${plain(seconds)}: must be a whole number from 1 to ${MAX_TIMEOUT_SECONDS}`);
  }
  const way = extra.assetTransferMethod;
  if (way !== "icrc2" && way !== "icrc1") throw new Unreadable(`extra.assetTransferMethod ${plain(way)}: neither icrc2 nor icrc1`);
  if (!ways.includes(way)) {
    const what = way === "icrc1" ? "the client's own transfer" : "an allowance";
    throw new Unreadable(`extra.assetTransferMethod ${way}: it is paid by ${what}, which the option ways does not allow`);
  }
  const flow = extra.paymentFlow ?? PAYMENT_FLOW;
  if (flow !== "upfront" && (flow !== "authorization" || way === "icrc1"))
    throw new Unreadable(`extra.paymentFlow ${plain(flow)}: not supported for ${way}`);
  const party = way === "icrc1" ? "canister" : "spender";
  const spender = text(extra, party, "extra.");
  const canister = parseCanisterId(spender);
  if (!canister) throw new Unreadable(`extra.${party} ${plain(spender)}: not a canister id`);
  const fee = atomic("extra.fee", text(extra, "fee", "extra."));
  const [method, route] = [text(extra, "method", "extra."), text(extra, "route", "extra.")];
  const revision = extra.revision;
  if (typeof revision !== "number" || !Number.isSafeInteger(revision) || revision < 0) {
    throw new Unreadable(`extra.revision ${plain(revision)}: must be a whole number below 2^53`);
  }
  const offer = text(extra, "offer", "extra.");
  if (offer !== (await offerId(canister, method, route, BigInt(revision)))) {
    throw new Unreadable(`extra.offer ${plain(offer)}: not the id of ${plain(method)} ${plain(route)} at ${spender}`);
  }
  const { decimals } = extra;
  if (typeof decimals !== "number" || !Number.isInteger(decimals) || decimals < 0 || decimals > 255) {
    throw new Unreadable(`extra.decimals ${plain(decimals)}: must be a whole number from 0 to 255`);
  }
  const symbol = plain(text(extra, "symbol", "extra.")).slice(0, 20);
  return {
    way,
    entry: entry as Accepted & JsonObject,
    network,
    asset,
    amount,
    payTo,
    maxTimeoutSeconds: seconds,
    spender,
    offer,
    fee,
    symbol,
    method,
    route,
    revision: BigInt(revision),
  };
}

/** Why an offer is not for this request; undefined if it is. `url` is the one that was answered with the offer. */
export function mismatch(offer: Pick<Offer, "method" | "route">, method: string, url: string): string | undefined {
  if (offer.method !== method) return `the offer is for ${plain(offer.method)} requests, not for ${plain(method)}`;
  const path = new URL(url).pathname;
  if (!routeMatches(offer.route, path)) return `the offer is for ${plain(offer.route)}, not for ${plain(path)}`;
  return undefined;
}

/** What the client chose is what the seller offered: policies may choose, but not change. */
export function sameTerms(offer: Offer, chosen: PaymentRequirements): void {
  const { scheme, network, asset, amount, payTo, maxTimeoutSeconds } = chosen;
  const same = scheme === "exact" && network === offer.network && asset === offer.asset && amount === offer.amount && payTo === offer.payTo;
  if (
    !same ||
    maxTimeoutSeconds !== offer.maxTimeoutSeconds ||
    chosen.extra[offer.way === "icrc1" ? "canister" : "spender"] !== offer.spender ||
    chosen.extra.offer !== offer.offer
  ) {
    throw new OfferRefused("the chosen offer is not the one that the seller made");
  }
}

function text(object: JsonObject, name: string, prefix = ""): string {
  const value = object[name];
  if (typeof value !== "string") throw new Unreadable(`${prefix}${name} is ${plain(value)}: must be a text`);
  return value;
}

function atomic(name: string, value: string): bigint {
  if (!/^(0|[1-9][0-9]{0,38})$/.test(value) || BigInt(value) >= AMOUNT_LIMIT) {
    throw new Unreadable(`${name} ${plain(value)}: not atomic units below 2^128`);
  }
  return BigInt(value);
}
