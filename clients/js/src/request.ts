/** Requests as facts: what makes two of them the same, and how one is made again. */
import { concat, fromBase64, base64, hex, sha256, utf8 } from "./bytes.js";
import type { RecordedRequest } from "./record.js";
import { readBody } from "./body.js";

/** The request header with which one call names its own payment identifier; it never leaves this process. */
export const PAYMENT_IDENTIFIER = "Tollkeeper-Payment-Identifier";
const IDENTIFIER = /^[a-zA-Z0-9_-]{16,128}$/;
/** Headers that are not written to a store: they let their reader act as the caller. */
const SECRET = /auth|cookie|token|secret|key|session|credential|password|signature/i;

/** A request whose body was read. */
export interface RequestFacts {
  method: string;
  /** Without fragment. */
  url: string;
  headers: Headers;
  /** Null if there is none. */
  body: Uint8Array<ArrayBuffer> | null;
  /** SHA-256 of the body, hex; the boundary of a multipart body, which is random, does not count. */
  digest: string;
  /** Browser's choices: credentials, cache, referrer and so on. */
  options: RequestInit;
  signal: AbortSignal;
  /**
   * What the request was made of: in Node a signal of a request is no longer told of an abort once the request, or the
   * one that it was made of, was collected.
   */
  origins: unknown[];
}

/**
 * `init` with the payment identifier (16 to 128 of `[a-zA-Z0-9_-]`) of this one purchase: `pay(url,
 * withPaymentIdentifier(id))`.
 */
export function withPaymentIdentifier(id: string, init: RequestInit = {}): RequestInit {
  const headers = new Headers(init.headers);
  headers.set(PAYMENT_IDENTIFIER, checkIdentifier(id));
  return { ...init, headers };
}

export function checkIdentifier(id: string): string {
  if (!IDENTIFIER.test(id)) throw new RangeError("a payment identifier has 16 to 128 of a-z, A-Z, 0-9, _ and -");
  return id;
}

/**
 * Reads a request to its end; the request itself cannot be sent any more. Throws if the body is longer than
 * `maxBytes`.
 */
export async function factsOf(request: Request, maxBytes: number, madeOf: unknown): Promise<RequestFacts> {
  const body = await bodyOf(request, maxBytes);
  const url = new URL(request.url);
  url.hash = "";
  const headers = new Headers(request.headers);
  return {
    method: request.method,
    url: url.href,
    headers,
    body,
    digest: await bodyDigest(body, headers.get("content-type")),
    options: optionsOf(request),
    signal: request.signal,
    origins: [request, madeOf],
  };
}

async function bodyOf(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer> | null> {
  const tooLong = () => new RangeError(`the body of the request has more than ${maxBytes} bytes`);
  if (request.body === null) return null;
  if (request.body === undefined) {
    // Firefox has no streams of requests.
    const bytes = new Uint8Array(await request.arrayBuffer());
    if (bytes.length > maxBytes) throw tooLong();
    return bytes.length === 0 ? null : bytes;
  }
  const read = await readBody(request.body, { bytes: maxBytes, idleMs: Infinity, totalMs: Infinity }, request.signal);
  if ("whole" in read) return read.whole;
  void read.rest.cancel().catch(() => undefined);
  throw tooLong();
}

/** The digest that says whether two bodies are the same. */
export async function bodyDigest(body: Uint8Array<ArrayBuffer> | null, contentType: string | null): Promise<string> {
  const boundary = /^multipart\/.*;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType ?? "");
  const found = boundary?.[1] ?? boundary?.[2];
  return hex(await sha256(found === undefined ? (body ?? new Uint8Array()) : without(body ?? new Uint8Array(), utf8(found))));
}

function without(body: Uint8Array, boundary: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at <= body.length - boundary.length; at++) {
    if (!boundary.every((byte, offset) => body[at + offset] === byte)) continue;
    parts.push(body.subarray(from, at), Uint8Array.of(0));
    from = at + boundary.length;
    at = from - 1;
  }
  return concat(...parts, body.subarray(from));
}

/** A request that is sent for another one. */
export interface Sending {
  url: string;
  headers: Headers;
  body: Uint8Array<ArrayBuffer> | null;
  redirect: RequestRedirect;
}

/** Sends a request with the method and the options of `facts`. */
export function send(
  inner: typeof fetch,
  facts: Pick<RequestFacts, "method" | "options">,
  { url, headers, body, redirect }: Sending,
  signal: AbortSignal,
): Promise<Response> {
  // A Blob can be sent any number of times; Node detaches the buffer of an array.
  const init = { ...facts.options, method: facts.method, headers, redirect, signal, ...(body === null ? {} : { body: new Blob([body]) }) };
  // A system that follows redirects has to send the body again, which it cannot read out of a Request twice.
  return redirect === "follow" && body !== null ? inner(url, init) : inner(new Request(url, init));
}

/** What a store keeps of a request. */
export function recorded(facts: RequestFacts, url: string): RecordedRequest {
  const headers = Array.from(facts.headers.entries()).filter(([name]) => !SECRET.test(name)) as [string, string][];
  return { method: facts.method, url, headers, body: facts.body === null ? null : base64(facts.body), digest: facts.digest };
}

/** A recorded request as one to be sent; `current` brings the caller's own headers of today, secrets included. */
export function replayed(
  request: RecordedRequest,
  current?: RequestFacts,
): { url: string; headers: Headers; body: Uint8Array<ArrayBuffer> | null } {
  const headers = current ? new Headers(current.headers) : new Headers(request.headers);
  const type = request.headers.find(([name]) => name.toLowerCase() === "content-type")?.[1];
  // The body that is sent is the recorded one, and a multipart body is read by the boundary in its type.
  if (type === undefined) headers.delete("content-type");
  else headers.set("content-type", type);
  return { url: request.url, headers, body: request.body === null ? null : fromBase64(request.body) };
}

/** Members of a request that a new one has to be given; `navigate` cannot be given. */
function optionsOf(request: Request): RequestInit {
  const options: Record<string, unknown> = {};
  for (const name of ["credentials", "cache", "integrity", "keepalive", "mode", "referrer", "referrerPolicy"] as const) {
    const value = request[name];
    if (value !== undefined && value !== "" && value !== "navigate") options[name] = value;
  }
  return options as RequestInit;
}
