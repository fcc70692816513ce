/** What the payer knows of its payments: the questions that decide whether something may be signed or sent. */
import { tick } from "./clock.js";
import { encodeHeader, type JsonObject } from "./bytes.js";
import { OfferRefused } from "./errors.js";
import { identifierIn } from "./identifier.js";
import { hasLeft, isOpen, keysOf, type PaymentRecord, type PaymentState, type TransferPayload } from "./record.js";
import type { PaymentStore } from "./store.js";

/** The longest PAYMENT-SIGNATURE that a verifier reads (section 3 of docs/scheme_exact_icp.md). */
export const MAX_HEADER_BYTES = 16_384;
/**
 * Ended payments are kept for a day: calls that began before the end use them, and the ledger's blocks are told
 * apart by them.
 */
const KEEP_ENDED_MS = 86_400_000;
const MAX_ENDED = 500;
/** Ended payments that are kept for longer, because one that is open began before their end. */
const MAX_KEPT = 5_000;
/** As far as blocks before an authorization's beginning are looked at. */
const SLACK_SECONDS = 120;
/** Additions after which ended payments are looked through. */
const PRUNE_EVERY = 20;
/** How far clocks of processes that share a store may be apart. */
const CLOCKS_DIFFER_MS = 10_000;
/** Characters of a body that is kept after its delivery, for calls that began before it. */
const MAX_KEPT_BODY = 100_000;

/** The part of a payment that is no part of the authorization. */
export interface Envelope {
  resource?: unknown;
  extensions?: JsonObject;
}

export class Journal {
  readonly store: PaymentStore;
  #added = 0;

  constructor(store: PaymentStore) {
    this.store = store;
  }

  /**
   * The payment of `key` that a request which began at `begun` (Unix milliseconds) has to use: the one that is open,
   * or one that ended while the request was under way. Call it under the lock of `key`.
   */
  async current(key: string, begun: number): Promise<PaymentRecord | undefined> {
    return usedBy((await this.store.list()).filter((record) => record.requestKey === key), begun)[0];
  }

  /**
   * Runs `fn` with the payments that a request under any of `keys` has to use, the one that counts first, under the
   * locks of the keys and of the payments.
   */
  async exclusively<T>(keys: string[], begun: number, fn: (candidates: PaymentRecord[]) => Promise<T>): Promise<T> {
    const held = new Set(keys);
    for (;;) {
      const done = await this.#locked([...held].sort(), async () => {
        const records = (await this.store.list()).filter((record) => keysOf(record).some((key) => keys.includes(key)));
        const found = usedBy(records, begun);
        const missing = found.map(({ requestKey }) => requestKey).filter((key) => !held.has(key));
        return missing.length === 0 ? { result: await fn(found) } : missing;
      });
      if ("result" in done) return done.result;
      for (const key of done) held.add(key);
    }
  }

  /** Takes locks in their order: two calls that need several never wait for one another. */
  #locked<T>([first, ...rest]: string[], fn: () => Promise<T>): Promise<T> {
    return first === undefined ? fn() : this.store.withLock(first, () => this.#locked(rest, fn));
  }

  /** Open payments of a payer to one spender. */
  async openTo(spender: string, payer: string): Promise<number> {
    const records = await this.store.list();
    return records.filter((record) => isOpen(record) && record.spender === spender && record.payer === payer).length;
  }

  /** Ids of all payments of this store that are open or ended within a day, other than `paymentId`. */
  async others(paymentId: string): Promise<Set<string>> {
    const ids = (await this.store.list()).map((record) => record.paymentId);
    return new Set(ids.filter((id) => id !== paymentId));
  }

  /** Throws if `limit` payments to a spender are open. */
  async checkRoom(spender: string, payer: string, limit: number): Promise<void> {
    if ((await this.openTo(spender, payer)) < limit) return;
    throw new OfferRefused(`${limit} payments to canister ${spender} are not resolved: resolve or forget some of them first`);
  }

  /** Adds a payment, unless `limit` payments to its spender are open by now. */
  async add(record: PaymentRecord, limit: number): Promise<void> {
    if (this.#added++ % PRUNE_EVERY === 0) await this.prune();
    const { spender, payer } = record;
    await this.store.withLock(`room ${payer} ${spender}`, async () => {
      await this.checkRoom(spender, payer, limit);
      await this.store.put(record);
    });
  }

  /**
   * The payment that goes out with a request of `key`, with its header fixed durably: from now on it may have left
   * the process. `which`: when the request began, or the id of the payment. Throws if it does not fit into a
   * header; then it never goes out. A transfer has no header before its block is known, and its envelope is fixed.
   */
  async release(key: string, which: number | string, envelope: Envelope): Promise<PaymentRecord> {
    return this.store.withLock(key, async () => {
      const record = typeof which === "string" ? await this.store.get(which) : await this.current(key, which);
      if (!record) throw new OfferRefused("the payment for this request was given up meanwhile; make the request again");
      if (hasLeft(record)) return record;
      const header = headerOf(record.transfer ? inBlock(record, MAX_BLOCK) : record, envelope);
      if (header.length > MAX_HEADER_BYTES) {
        await this.store.delete(record.paymentId);
        throw tooLong(header.length);
      }
      // An extension of the client may have named it otherwise.
      const identifier = identifierIn(envelope.extensions) ?? record.identifier;
      const released = { ...record, envelope, header: record.transfer ? null : header, ...(identifier === undefined ? {} : { identifier }) };
      await this.store.put(released);
      return released;
    });
  }

  /** Notes that the latest complete answer refused an open payment. */
  async refused(paymentId: string, status: number): Promise<void> {
    await this.#change(paymentId, (record) => (isOpen(record) ? { ...record, refused: status } : undefined));
  }

  /** Ends an open payment, or notes that it is `paid`. Whatever has ended stays as it is. */
  async settle(paymentId: string, state: PaymentState): Promise<void> {
    await this.#change(paymentId, (record) => ended(record, state));
  }

  /** The same for who holds the lock of the payment's request. */
  async settleLocked(record: PaymentRecord, state: PaymentState): Promise<void> {
    const next = ended(record, state);
    if (next) await this.store.put(next);
  }

  /**
   * Drops what ended more than a day ago. What ended since an open payment to the same spender began stays without
   * its content: the ledger's blocks of it have to be told from that one's.
   */
  async prune(): Promise<void> {
    const records = await this.store.list();
    const open = records.filter(isOpen);
    const ended = records.filter((record) => !isOpen(record)).sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
    const now = Date.now();
    for (const [position, record] of ended.entries()) {
      const { endedAt = 0, payer, spender } = record;
      if (position < MAX_ENDED && endedAt >= now - KEEP_ENDED_MS && endedAt <= now + KEEP_ENDED_MS) continue;
      const needed = open.some((one) => one.payer === payer && one.spender === spender && one.validAfter - SLACK_SECONDS <= endedAt / 1000);
      if (!needed || position >= MAX_KEPT) await this.store.delete(record.paymentId);
      else if (record.request !== null || record.header !== "") await this.store.put(bare(record));
    }
  }

  async #change(paymentId: string, change: (record: PaymentRecord) => PaymentRecord | undefined): Promise<void> {
    const known = await this.store.get(paymentId);
    if (!known) return;
    await this.store.withLock(known.requestKey, async () => {
      const record = await this.store.get(paymentId);
      const next = record && change(record);
      if (next) await this.store.put(next);
    });
  }
}

/** What a request that began at `begun` has to use of the payments for it, the one that counts first. */
function usedBy(records: PaymentRecord[], begun: number): PaymentRecord[] {
  // One that may have left comes before one that never did.
  const open = records.filter(isOpen).sort((a, b) => Number(!hasLeft(a)) - Number(!hasLeft(b)));
  // What ended in the future was dated by a clock that was put right since.
  const latest = tick() + CLOCKS_DIFFER_MS;
  const meanwhile = records.filter(
    ({ state, header, endedAt = 0 }) => state === "delivered" && header !== "" && endedAt >= begun && endedAt <= latest,
  );
  return [...open, ...meanwhile.sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0))];
}

function ended(record: PaymentRecord, state: PaymentState): PaymentRecord | undefined {
  if (!isOpen(record)) return undefined;
  const next: PaymentRecord = { ...record, state };
  if (isOpen(next)) return next;
  if (state === "delivered") {
    const large = (next.request?.body?.length ?? 0) > MAX_KEPT_BODY;
    return { ...next, endedAt: tick(), request: large ? null : next.request };
  }
  // A payment that is over needs neither its proof nor what was sent with it.
  return bare({ ...next, endedAt: tick() });
}

function bare(record: PaymentRecord): PaymentRecord {
  // Without the secret the money of a transfer that was given up would be lost for good.
  if ("secret" in record.payload) return { ...record, request: null };
  return { ...record, header: "", request: null, envelope: {}, payload: { ...record.payload, signature: "" } };
}

/** The longest index of a block. */
const MAX_BLOCK = (1n << 64n) - 1n;

/** A transfer with its block: now it can be presented. */
export function inBlock(record: PaymentRecord, block: bigint): PaymentRecord {
  const { from, secret } = record.payload as TransferPayload;
  return { ...record, payload: { from, blockIndex: block.toString(), secret } };
}

/** The value of PAYMENT-SIGNATURE. */
export function headerOf(record: Pick<PaymentRecord, "accepted" | "payload">, envelope: Envelope): string {
  return encodeHeader({
    x402Version: 2,
    ...(envelope.resource === undefined || envelope.resource === null ? {} : { resource: envelope.resource }),
    accepted: record.accepted,
    payload: record.payload,
    ...(envelope.extensions === undefined ? {} : { extensions: envelope.extensions }),
  });
}

export function tooLong(length: number): OfferRefused {
  return new OfferRefused(`the payment has ${length} characters, and a seller reads at most ${MAX_HEADER_BYTES}`);
}
