/**
 * What `resendingFetch`, which sees requests, and the scheme, which sees offers, tell each other through a stock
 * client that knows neither. A table of the process, so that several copies of this package work together.
 */
import type { JsonObject } from "./bytes.js";
import type { Move } from "./moving.js";
import type { Journal } from "./journal.js";
import type { Offer } from "./offer.js";
import type { RequestFacts } from "./request.js";

/** The key in an offer's `extra` under which the id of a call stands; it is removed before a payment is sent. */
export const CALL_TAG = "tollkeeper-x402/call";

const MAX_CALLS = 1_000;
const MAX_BODY_BYTES = 32 << 20;

/** One unpaid request that was answered 402. */
export interface Call {
  id: string;
  /** As the caller made it. */
  request: RequestFacts;
  /** The URL that answered 402: the request's own, or where it was redirected to on the same origin. */
  url: string;
  /** Unix milliseconds at which the unpaid request was made. */
  begun: number;
  /** The caller's own payment identifier. */
  identifier: string | undefined;
  /** Whether the seller takes payment identifiers. */
  takesIdentifier: boolean;
  /** The canister that the gateway named; it proves nothing by itself. */
  gatewayCanister: string | undefined;
  /** Why nothing may be paid for this answer, whatever it offers. */
  unpayable: string | undefined;
  offers: Offer[];
  resource: unknown;
  extensions: JsonObject | undefined;
  /** Set by the scheme: the payment that this request is to be made with. */
  payment?: { journal: Journal; requestKey: string; move: Move };
  /** Set by the scheme instead: why there is none. */
  refusal?: unknown;
}

/** Who has recorded payments, and can ask what became of them. */
export interface Payer {
  /** Asks about payments of this request that are past; never throws. */
  lastWords(request: Pick<RequestFacts, "method" | "url" | "digest">): Promise<void>;
}

interface Table {
  calls: Map<string, Call>;
  bytes: number;
  payers: Set<WeakRef<Payer>>;
}

const TABLE = Symbol.for("tollkeeper-x402/calls/1");
const holder = globalThis as { [TABLE]?: Table };
const table = (holder[TABLE] ??= { calls: new Map(), bytes: 0, payers: new Set() });

/** Remembers a call under an id that nobody can guess. The oldest calls are forgotten when there are too many. */
export function remember(call: Omit<Call, "id">): Call {
  const known: Call = { ...call, id: crypto.randomUUID() };
  table.calls.set(known.id, known);
  table.bytes += call.request.body?.length ?? 0;
  for (const [id, old] of table.calls) {
    if (id === known.id || (table.calls.size <= MAX_CALLS && table.bytes <= MAX_BODY_BYTES)) break;
    table.calls.delete(id);
    table.bytes -= old.request.body?.length ?? 0;
  }
  return known;
}

/** The call and the offer that a tag names. */
export function find(tag: unknown): { call: Call; offer: Offer } | undefined {
  const [id = "", position = ""] = typeof tag === "string" ? tag.split("#") : [];
  const call = table.calls.get(id);
  const offer = call?.offers[Number(position)];
  return call && offer ? { call, offer } : undefined;
}

export function tagOf(call: Call, position: number): string {
  return `${call.id}#${position}`;
}

/** Lets requests that are not answered 402 reach a payer, too. */
export function enlist(payer: Payer): void {
  for (const known of table.payers) if (known.deref() === undefined) table.payers.delete(known);
  table.payers.add(new WeakRef(payer));
}

export function livePayers(): Payer[] {
  return Array.from(table.payers, (known) => known.deref()).filter((payer) => payer !== undefined);
}
