/** Where records of payments are kept. */
import type { PaymentRecord } from "./record.js";
import { browserStore, hasBrowserStore } from "./browser-store.js";

/**
 * Keeps records of payments. Every scheme that may buy the same things for the same payer shares one: tabs and
 * processes too, or each of them can buy the same thing once.
 */
export interface PaymentStore {
  get(paymentId: string): Promise<PaymentRecord | undefined>;
  /** Adds or replaces a record. When the promise resolves, the record survives the end of the process. */
  put(record: PaymentRecord): Promise<void>;
  /** No effect if there is no such record. */
  delete(paymentId: string): Promise<void>;
  /** Every record, ended ones included. */
  list(): Promise<PaymentRecord[]>;
  /**
   * Runs `fn` while nobody else who shares this store, in whatever process, runs a function under the same key. The
   * lock of a process that ended is released.
   */
  withLock<T>(key: string, fn: () => Promise<T>): Promise<T>;
}

/** One function at a time for each key, within this process. */
export class Mutexes {
  readonly #last = new Map<string, Promise<unknown>>();

  async run<T>(key: string, fn: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const mine = (async () => {
      await before?.catch(() => undefined);
      return fn();
    })();
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }
}

/** A store that ends with the process. */
export class MemoryStore implements PaymentStore {
  readonly #records = new Map<string, string>();
  readonly #mutexes = new Mutexes();

  async get(paymentId: string): Promise<PaymentRecord | undefined> {
    const text = this.#records.get(paymentId);
    return text === undefined ? undefined : (JSON.parse(text) as PaymentRecord);
  }

  async put(record: PaymentRecord): Promise<void> {
    this.#records.set(record.paymentId, JSON.stringify(record));
  }

  async delete(paymentId: string): Promise<void> {
    this.#records.delete(paymentId);
  }

  async list(): Promise<PaymentRecord[]> {
    return Array.from(this.#records.values(), (text) => JSON.parse(text) as PaymentRecord);
  }

  withLock<T>(key: string, fn: () => Promise<T>): Promise<T> {
    return this.#mutexes.run(key, fn);
  }
}

const DEFAULT = Symbol.for("tollkeeper-x402/default-store/1");

/**
 * The store of schemes that name none: in a browser that of the page's origin, which outlives reloads and is shared
 * between tabs; elsewhere one in memory, shared by all copies of this package in the process.
 */
export function defaultStore(): PaymentStore {
  const holder = globalThis as { [DEFAULT]?: PaymentStore };
  return (holder[DEFAULT] ??= hasBrowserStore() ? browserStore() : new MemoryStore());
}
