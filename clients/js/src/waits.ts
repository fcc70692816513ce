/** Waiting with limits that an abort ends at once. */

/** The limit that ended a wait. */
export class TimedOut extends Error {
  override readonly name = "TimeoutError";
}

/** Resolves after `ms`; rejects with the signal's reason when it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(
      () => {
        signal?.removeEventListener("abort", aborted);
        resolve();
      },
      Math.min(ms, 2 ** 31 - 1),
    );
    const aborted = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** What `promise` gives, unless `ms` pass or the signal is aborted before. The promise itself goes on. */
export function within<T>(promise: Promise<T>, what: string, ms: number, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (finish: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      finish();
    };
    const aborted = () => end(() => reject(signal?.reason));
    const expired = () => end(() => reject(new TimedOut(`${what}: no answer within ${ms} ms`)));
    const timer = ms === Infinity ? undefined : setTimeout(expired, Math.min(ms, 2 ** 31 - 1));
    promise.then(
      (value) => end(() => resolve(value)),
      (error: unknown) => end(() => reject(error)),
    );
    if (signal?.aborted) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** What `promise` gives, unless the signal is aborted before. */
export function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  return within(promise, "", Infinity, signal);
}

/** A signal that is aborted with the first of two. */
export function either(first: AbortSignal, second: AbortSignal): AbortSignal {
  const controller = new AbortController();
  for (const signal of [first, second]) {
    if (signal.aborted) controller.abort(signal.reason);
    else signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}

/** How long `Retry-After` asks to wait, in milliseconds: seconds or a date; undefined if there is nothing to go by. */
export function retryAfter(headers: Headers, now: number): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  // A date has letters in it; `Date.parse` would also take "1.5" and "-3".
  const date = /[a-z]/i.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(date) || date <= now ? undefined : date - now;
}
