/** Reading bodies of strangers: bounded in bytes, in silence and in time. */
import { concat, isObject } from "./bytes.js";
import { TimedOut, within } from "./waits.js";

export interface BodyLimits {
  /** Bytes that are kept at the most. */
  bytes: number;
  /** Milliseconds without a byte. */
  idleMs: number;
  /** Milliseconds in all. */
  totalMs: number;
}

/** A body that was read to its end, or the part of a larger one with its reader. */
export type Read = { whole: Uint8Array<ArrayBuffer> } | { part: Uint8Array<ArrayBuffer>; rest: ReadableStreamDefaultReader<Uint8Array> };

/** Whether a body is a stream of the web; fetches of some systems have others, or none. */
export function isStream(body: unknown): body is ReadableStream<Uint8Array> {
  return isObject(body) && typeof body.getReader === "function";
}

/** Reads a body up to the limit. Throws when it breaks off, falls silent, takes too long, or the signal is aborted. */
export async function readBody(body: ReadableStream<Uint8Array> | null, limits: BodyLimits, signal?: AbortSignal): Promise<Read> {
  if (body === null) return { whole: new Uint8Array() };
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  const end = Date.now() + limits.totalMs;
  let size = 0;
  try {
    for (;;) {
      const left = end - Date.now();
      if (left <= 0) throw new TimedOut(`the body did not end within ${limits.totalMs} ms`);
      const { done, value } = await within(reader.read(), "the body", Math.min(limits.idleMs, left), signal);
      if (done) return { whole: concat(...chunks) };
      chunks.push(value);
      size += value.length;
      if (size > limits.bytes) return { part: concat(...chunks), rest: reader };
    }
  } catch (error) {
    void reader.cancel().catch(() => undefined);
    throw error;
  }
}

/** A stream of a part that was read and of what is left; `ended` is called when its reader has seen the end. */
export function continued(
  part: Uint8Array<ArrayBuffer>,
  rest: ReadableStreamDefaultReader<Uint8Array>,
  idleMs: number,
  ended: () => Promise<void>,
  signal?: AbortSignal,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(part),
    async pull(controller) {
      try {
        const { done, value } = await within(rest.read(), "the body", idleMs, signal);
        if (!done) return controller.enqueue(value);
        await ended();
        controller.close();
      } catch (error) {
        controller.error(error);
        void rest.cancel().catch(() => undefined);
      }
    },
    cancel: (reason) => rest.cancel(reason),
  });
}
