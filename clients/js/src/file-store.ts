/**
 * Records in files, one for each payment, in a folder of their own: `import { fileStore } from
 * "tollkeeper-x402/file-store"`. Every process on the machine that names the same folder shares the payments.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, lstat, mkdir, open, readdir, readFile, rename, unlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { FileLocks } from "./file-lock.js";
import { FORMATS, type PaymentRecord } from "./record.js";
import type { PaymentStore } from "./store.js";

const RECORD = /^([0-9a-f]{64})\.json$/;

/** Files that are read at the same time. */
const OPEN_FILES = 16;

/** A store in `folder`, which is made with mode 0700 if it does not exist. Files have mode 0600. */
export function fileStore(folder: string): PaymentStore {
  return new FileStore(resolve(folder));
}

class FileStore implements PaymentStore {
  readonly #folder: string;
  readonly #locks: FileLocks;
  #made: Promise<unknown> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#locks = new FileLocks(folder);
  }

  async get(paymentId: string): Promise<PaymentRecord | undefined> {
    await this.#make();
    return this.#read(this.#path(paymentId), paymentId);
  }

  async put(record: PaymentRecord): Promise<void> {
    await this.#make();
    const path = this.#path(record.paymentId);
    const known = (await this.#read(path, record.paymentId)) !== undefined;
    const draft = join(this.#folder, `.${record.paymentId}.${randomBytes(8).toString("hex")}.tmp`);
    const file = await open(draft, "wx", 0o600);
    try {
      try {
        await file.writeFile(JSON.stringify(record));
        await file.sync();
      } finally {
        await file.close();
      }
      if (known) await rename(draft, path);
      else await claim(draft, path);
    } finally {
      await unlink(draft).catch(() => undefined);
    }
    await this.#syncFolder();
  }

  async delete(paymentId: string): Promise<void> {
    await this.#make();
    const path = this.#path(paymentId);
    if ((await this.#read(path, paymentId)) === undefined) return;
    await unlink(path);
    await this.#syncFolder();
  }

  async list(): Promise<PaymentRecord[]> {
    await this.#make();
    const names = await readdir(this.#folder);
    const records: PaymentRecord[] = [];
    // A few at a time: a process may have no more than 256 files open.
    for (let from = 0; from < names.length; from += OPEN_FILES) {
      const found = names.slice(from, from + OPEN_FILES).map(async (name) => {
        const id = RECORD.exec(name)?.[1];
        return id === undefined ? undefined : this.#read(join(this.#folder, name), id);
      });
      records.push(...(await Promise.all(found)).filter((record) => record !== undefined));
    }
    return records;
  }

  async withLock<T>(key: string, fn: () => Promise<T>): Promise<T> {
    await this.#make();
    return this.#locks.run(key, fn);
  }

  #make(): Promise<unknown> {
    return (this.#made ??= mkdir(this.#folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      this.#made = undefined;
      throw error;
    }));
  }

  #path(paymentId: string): string {
    if (!/^[0-9a-f]{64}$/.test(paymentId)) throw new RangeError("a payment id has 64 hexadecimal digits");
    return join(this.#folder, `${paymentId}.json`);
  }

  /** Undefined if there is no file. Throws on what is not a record of ours: it is neither read past nor replaced. */
  async #read(path: string, paymentId: string): Promise<PaymentRecord | undefined> {
    let text: string;
    try {
      if (!(await lstat(path)).isFile()) throw new Error(`${path}: not a regular file`);
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        text = await readFile(file, "utf8");
      } finally {
        await file.close();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    let record: Partial<PaymentRecord> | null = null;
    try {
      record = JSON.parse(text) as Partial<PaymentRecord> | null;
    } catch {
      // Refused below; the text may hold a payment, so it does not go into the message.
    }
    if (!FORMATS.some((format) => record?.format === format) || record?.paymentId !== paymentId) {
      throw new Error(`${path}: not a record of this payment; move it away if it is not needed`);
    }
    return record as PaymentRecord;
  }

  /** Makes a rename or an unlink survive a power failure, where the system can. */
  async #syncFolder(): Promise<void> {
    try {
      const folder = await open(this.#folder, "r");
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    } catch (error) {
      // Windows opens no folders.
      if (!["EISDIR", "EPERM", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  }
}

/**
 * Gives `draft` a name that nobody has: `link` fails if somebody took it meanwhile, where `rename` would replace
 * it.
 */
async function claim(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path);
  } catch (error) {
    // Some file systems have no hard links.
    if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await rename(draft, path);
  }
}
