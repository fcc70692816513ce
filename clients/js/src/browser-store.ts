/** Records in a browser: IndexedDB, shared by all pages and workers of an origin; locks by `navigator.locks`. */
import type { PaymentRecord } from "./record.js";
import type { PaymentStore } from "./store.js";

const TABLE = "payments";

/** Whether this is a browser (a page or a worker in a secure context) that can keep records. */
export function hasBrowserStore(): boolean {
  return typeof indexedDB !== "undefined" && typeof navigator !== "undefined" && navigator.locks !== undefined;
}

/** The store of this origin; `name` keeps several apart. */
export function browserStore(name = "tollkeeper-x402"): PaymentStore {
  return new BrowserStore(name);
}

class BrowserStore implements PaymentStore {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  async get(paymentId: string): Promise<PaymentRecord | undefined> {
    return this.#run<PaymentRecord | undefined>("readonly", (table) => table.get(paymentId));
  }

  async put(record: PaymentRecord): Promise<void> {
    await this.#run("readwrite", (table) => table.put(record));
  }

  async delete(paymentId: string): Promise<void> {
    await this.#run("readwrite", (table) => table.delete(paymentId));
  }

  async list(): Promise<PaymentRecord[]> {
    return this.#run<PaymentRecord[]>("readonly", (table) => table.getAll());
  }

  async withLock<T>(key: string, fn: () => Promise<T>): Promise<T> {
    // The browser releases the lock of a page that goes away.
    return (await navigator.locks.request(`${this.#name}/${key}`, fn)) as T;
  }

  /** One request in one transaction; resolves when the transaction is on disk. */
  async #run<T>(mode: IDBTransactionMode, request: (table: IDBObjectStore) => IDBRequest): Promise<T> {
    const database = await this.#open();
    try {
      return await new Promise<T>((resolve, reject) => {
        const transaction = database.transaction(TABLE, mode, { durability: "strict" });
        const asked = request(transaction.objectStore(TABLE));
        transaction.oncomplete = () => resolve(asked.result as T);
        transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("IndexedDB: the transaction was aborted"));
      });
    } finally {
      database.close();
    }
  }

  #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open(this.#name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE, { keyPath: "paymentId" });
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error ?? new Error("IndexedDB cannot be opened"));
      opening.onblocked = () => reject(new Error("IndexedDB is blocked by another page"));
    });
  }
}
