/** What the payer knows of its payments: the questions that decide whether something may be signed or sent. */
import { tick } from "./clock.js";
import { encodeHeader, type JsonObject } from "./bytes.js";
import { OfferRefused } from "./errors.js";
import { identifierIn } from "./identifier.js";
import { isOpen, type PaymentRecord, type PaymentState } from "./record.js";
import type { PaymentStore } from "./store.js";

/** The longest PAYMENT-SIGNATURE that a verifier reads (section 3 of docs/scheme_exact_icp.md). */
export const MAX_HEADER_BYTES = 16_384;
/**
 * Ended payments are kept for a day: calls that began before the end use them, and the ledger's blocks are told
 * apart by them.
 */
const KEEP_ENDED_MS = 86_400_000;
const MAX_ENDED = 500;
/** Additions after which ended payments are looked through. */
const PRUNE_EVERY = 20;
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
   * The payment that a request which began at `begun` (Unix milliseconds) has to use: the one that is open, or one
   * that ended while the request was under way. Call it under the lock of `key`.
   */
  async current(key: string, begun: number): Promise<PaymentRecord | undefined> {
    const records = (await this.store.list()).filter((record) => record.requestKey === key);
    const open = records.find(isOpen);
    if (open) return open;
    const meanwhile = records.filter((record) => record.state === "delivered" && (record.endedAt ?? 0) >= begun);
    return meanwhile.sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0))[0];
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

  async add(record: PaymentRecord): Promise<void> {
    if (this.#added++ % PRUNE_EVERY === 0) await this.prune();
    await this.store.put(record);
  }

  /**
   * The payment that goes out with a request of `key`, with its header fixed durably: from now on it may have left
   * the process. `which`: when the request began, or the id of the payment. Throws if it does not fit into a
   * header; then it never goes out.
   */
  async release(key: string, which: number | string, envelope: Envelope): Promise<PaymentRecord & { header: string }> {
    return this.store.withLock(key, async () => {
      const record = typeof which === "string" ? await this.store.get(which) : await this.current(key, which);
      if (!record) throw new OfferRefused("the payment for this request was given up meanwhile; make the request again");
      if (record.header !== null) return { ...record, header: record.header };
      const header = headerOf(record, envelope);
      if (header.length > MAX_HEADER_BYTES) {
        await this.store.delete(record.paymentId);
        throw tooLong(header.length);
      }
      // An extension of the client may have named it otherwise.
      const identifier = identifierIn(envelope.extensions) ?? record.identifier;
      const released = { ...record, envelope, header, ...(identifier === undefined ? {} : { identifier }) };
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

  /** Drops what ended more than a day ago. */
  async prune(): Promise<void> {
    const ended = (await this.store.list()).filter((record) => !isOpen(record));
    ended.sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
    const limit = Date.now() - KEEP_ENDED_MS;
    for (const [position, record] of ended.entries()) {
      if (position >= MAX_ENDED || (record.endedAt ?? 0) < limit) await this.store.delete(record.paymentId);
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

function ended(record: PaymentRecord, state: PaymentState): PaymentRecord | undefined {
  if (!isOpen(record)) return undefined;
  const next: PaymentRecord = { ...record, state };
  if (isOpen(next)) return next;
  if (state === "delivered") {
    const large = (next.request?.body?.length ?? 0) > MAX_KEPT_BODY;
    return { ...next, endedAt: tick(), request: large ? null : next.request };
  }
  // A payment that is over needs neither its proof nor what was sent with it.
  return { ...next, endedAt: tick(), header: "", request: null, payload: { ...next.payload, signature: "" } };
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
