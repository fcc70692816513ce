/** Locks between processes: a file that exists while somebody holds the lock. */
import { createHash, randomBytes } from "node:crypto";
import { readlinkSync } from "node:fs";
import { open, readFile, stat, unlink, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { Mutexes } from "./store.js";

/** How often a holder says that it lives. */
const HEARTBEAT_MS = 2_000;
/**
 * How long a waiter itself has to see no sign of life, whatever the clock says: after the machine has slept, or its
 * clock was set, the last sign of a holder that lives looks old until the next one.
 */
const WATCHED_MS = 6_000;
/** A lock of a process that cannot be looked at is stale when it is silent for so long. */
const SILENT_STALE_MS = 120_000;
/** A lock whose process seems to live, but whose number may be another process's by now. */
const SILENT_ALIVE_MS = 600_000;
const POLL_MS = 25;

interface Holder {
  pid: number;
  /** Where `pid` means something: the host, and on Linux the process namespace. */
  place: string;
  token: string;
}

const SHARED = Symbol.for("tollkeeper-x402/file-locks/1");
const shared = globalThis as { [SHARED]?: { mutexes: Mutexes; held: Set<string> } };
/** For all copies of this package in the process: lock files are for other processes only. */
const { mutexes, held } = (shared[SHARED] ??= { mutexes: new Mutexes(), held: new Set() });

export class FileLocks {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs `fn` while no other process that uses this folder runs one under the same key. */
  run<T>(key: string, fn: () => Promise<T>): Promise<T> {
    const path = join(this.#folder, `${createHash("sha256").update(key).digest("hex").slice(0, 32)}.lock`);
    return mutexes.run(path, async () => {
      const token = await take(path);
      held.add(token);
      const heart = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), HEARTBEAT_MS);
      heart.unref();
      try {
        return await fn();
      } finally {
        clearInterval(heart);
        held.delete(token);
        if ((await holderOf(path))?.token === token) await unlink(path).catch(() => undefined);
      }
    });
  }
}

async function take(path: string): Promise<string> {
  const token = randomBytes(16).toString("hex");
  let last: number | undefined;
  let since = performance.now();
  for (;;) {
    if (await create(path, token)) return token;
    const sign = await lifeSign(path);
    if (sign !== last) [last, since] = [sign, performance.now()];
    if (await isStale(path, performance.now() - since)) await breakLock(path, performance.now() - since);
    else await new Promise((resolve) => setTimeout(resolve, POLL_MS * (0.5 + Math.random())));
  }
}

/** False if the file exists. */
async function create(path: string, token: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(JSON.stringify({ pid: process.pid, place: place(), token } satisfies Holder));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Two processes that find a lock stale must not both remove it, the second one the first one's new lock. */
async function breakLock(path: string, watched: number): Promise<void> {
  const guard = `${path}.break`;
  const age = await silence(guard);
  if (age !== undefined && Math.abs(age) > 10_000) await unlink(guard).catch(() => undefined);
  if (!(await create(guard, "break"))) return new Promise((resolve) => setTimeout(resolve, POLL_MS));
  try {
    if (await isStale(path, watched)) await unlink(path).catch(() => undefined);
  } finally {
    await unlink(guard).catch(() => undefined);
  }
}

/** `watched`: milliseconds for which the caller has seen no sign of life, by a clock that nobody sets. */
async function isStale(path: string, watched: number): Promise<boolean> {
  const [holder, age] = [await holderOf(path), await silence(path)];
  if (age === undefined) return false;
  // Empty or half written: its maker is about to write it, or was killed.
  if (!holder) return Math.abs(age) > 10_000;
  const silent = (limit: number) => watched > limit || (age > limit && watched > WATCHED_MS);
  if (holder.place !== place()) return silent(SILENT_STALE_MS);
  if (holder.pid === process.pid) {
    if (held.has(holder.token)) return false;
    // Older than this process: of one that had the same number, as is usual in a container. Younger: another worker
    // thread's.
    return age > process.uptime() * 1000 || silent(SILENT_STALE_MS);
  }
  return alive(holder.pid) ? silent(SILENT_ALIVE_MS) : true;
}

async function holderOf(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Holder;
  } catch {
    return undefined;
  }
}

/** When the last sign of life was, by the clock of then; undefined if there is no file. */
async function lifeSign(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch {
    return undefined;
  }
}

/** Milliseconds since the last sign of life; undefined if there is no file. */
async function silence(path: string): Promise<number | undefined> {
  const last = await lifeSign(path);
  return last === undefined ? undefined : Date.now() - last;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function place(): string {
  let namespace = "";
  try {
    namespace = readlinkSync("/proc/self/ns/pid");
  } catch {
    // Only Linux has it.
  }
  return `${hostname()} ${namespace}`;
}
