/** Answers: asked for with limits, and made again for the caller with the URL they came from. */
import { type BodyLimits, isStream, type Read, readBody } from "./body.js";
import { type RequestFacts, send, type Sending } from "./request.js";
import { within } from "./waits.js";

/** Statuses with which a response must have no body. */
const WITHOUT_BODY = [101, 204, 205, 304];

/**
 * One exchange, up to the headers. The request is aborted with `signal`, and when there is no answer within
 * `idleMs`; the signal is watched for as long as the answer is read (`exchange.end()` says that it was).
 */
export class Exchange {
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #forward = () => this.#abort.abort(this.#signal.reason);

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    if (signal.aborted) this.#forward();
    else signal.addEventListener("abort", this.#forward, { once: true });
  }

  async ask(inner: typeof fetch, facts: Pick<RequestFacts, "method" | "options">, request: Sending, idleMs: number): Promise<Response> {
    this.#signal.throwIfAborted();
    try {
      return await within(send(inner, facts, request, this.#abort.signal), "the seller", idleMs, this.#signal);
    } catch (error) {
      this.cancel();
      throw error;
    }
  }

  /** Reads the answer's body. A body that is shorter than it was said to be is an error. */
  async read(response: Response, limits: BodyLimits): Promise<Read> {
    try {
      const read = await this.#read(response, limits);
      const announced = response.headers.get("content-length");
      // A page sees the length of an answer of another origin, and not its encoding; its browser has compared both.
      const hidden = response.type === "cors";
      const encoded = response.headers.has("content-encoding") || response.headers.has("transfer-encoding");
      if (
        "whole" in read &&
        response.body !== null &&
        announced !== null &&
        !encoded &&
        !hidden &&
        /^\d+$/.test(announced) &&
        read.whole.length < Number(announced)
      ) {
        throw new TypeError("the body was cut");
      }
      return read;
    } catch (error) {
      this.cancel();
      throw error;
    }
  }

  async #read(response: Response, limits: BodyLimits): Promise<Read> {
    const { body } = response;
    if (body === null || isStream(body)) return readBody(body, limits, this.#signal);
    const bytes = await within(response.arrayBuffer(), "the body", Math.max(limits.idleMs, limits.totalMs), this.#signal);
    return { whole: new Uint8Array(bytes) };
  }

  /** Ends what is under way. */
  cancel(): void {
    this.#abort.abort();
    this.end();
  }

  end(): void {
    this.#signal.removeEventListener("abort", this.#forward);
  }
}

/** The response with another body, and with the URL and the status line of the first one. */
export function remade(response: Response, body: BodyInit | null, headers: Headers = new Headers(response.headers)): Response {
  const { status, statusText, ok, url, redirected } = response;
  if (status < 200) return response;
  // The constructor takes fewer statuses and reason phrases than servers send.
  const made = new Response(WITHOUT_BODY.includes(status) ? null : body, { status: status > 599 ? 500 : status, headers });
  return withOrigin(made, { status, statusText, ok, url, redirected });
}

type Origin = Pick<Response, "status" | "statusText" | "ok" | "url" | "redirected">;

function withOrigin(made: Response, origin: Origin): Response {
  const members = Object.entries(origin).map(([name, value]) => [name, { value: value as unknown }]);
  return Object.defineProperties(made, {
    ...(Object.fromEntries(members) as PropertyDescriptorMap),
    clone: { value: () => withOrigin(Response.prototype.clone.call(made), origin) },
  });
}
