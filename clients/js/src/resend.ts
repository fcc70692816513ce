/** The fetch below a stock client: it sees the requests that the client does not tell its schemes about. */
import { Exchange, remade } from "./answer.js";
import { type Call, CALL_TAG, find, livePayers } from "./calls.js";
import { tick } from "./clock.js";
import { decodeHeader, isObject, type JsonObject } from "./bytes.js";
import { OfferRefused } from "./errors.js";
import { type Limits, limitsOf, type ResendOptions } from "./options.js";
import { follow } from "./redirect.js";
import { checkIdentifier, factsOf, PAYMENT_IDENTIFIER, type RequestFacts } from "./request.js";
import { rewrite } from "./required.js";
import { deliver } from "./send.js";
import { either, unlessAborted } from "./waits.js";

/** Bytes of a 402 that are read. */
const MAX_REFUSAL_BYTES = 1 << 20;

/**
 * A fetch for a stock client with {@link ExactIcpScheme}: `wrapFetchWithPayment(resendingFetch(fetch), client)`.
 *
 * It tells the scheme which request a 402 answers, lets a payment out only with the request it was made for, and
 * repeats a paid request, to the byte the same, until an answer says something. See {@link ResendOptions} for the
 * limits.
 */
export function resendingFetch(inner: typeof fetch, options: ResendOptions = {}): typeof fetch {
  const limits = limitsOf(options);
  return async (input, init) => {
    const request = new Request(input, init);
    const facts = await factsOf(request, limits.maxRequestBytes, input);
    const identifier = facts.headers.get(PAYMENT_IDENTIFIER) ?? undefined;
    if (identifier !== undefined) checkIdentifier(identifier);
    facts.headers.delete(PAYMENT_IDENTIFIER);
    const payment = facts.headers.get("PAYMENT-SIGNATURE") ?? facts.headers.get("X-PAYMENT");
    return payment === null ? ask(inner, facts, request.redirect, identifier, limits) : pay(inner, facts, payment, limits);
  };
}

async function ask(
  inner: typeof fetch,
  facts: RequestFacts,
  redirect: RequestRedirect,
  identifier: string | undefined,
  limits: Limits,
): Promise<Response> {
  const begun = tick();
  const { response, exchange, url, unpayable } = await follow(inner, facts, redirect, limits.idleMs).catch(async (error: unknown) => {
    await lastWords(facts);
    throw error;
  });
  // The exchange stays open: the caller reads the body, and aborts it if need be.
  if (response.status !== 402) {
    if (response.status >= 400) await lastWords(facts);
    return response;
  }
  const read = await exchange.read(response, { bytes: MAX_REFUSAL_BYTES, idleMs: limits.idleMs, totalMs: limits.idleMs });
  exchange.end();
  if ("rest" in read) void read.rest.cancel().catch(() => undefined);
  const body = "whole" in read ? read.whole : "{}";
  const headers = new Headers(response.headers);
  const required = headers.get("PAYMENT-REQUIRED");
  if (required === null) {
    await lastWords(facts);
  } else {
    const gatewayCanister = headers.get("x-ic-canister-id") ?? undefined;
    try {
      const call = { request: facts, url, begun, identifier, gatewayCanister, unpayable };
      const { header, offers } = await rewrite(required, call, limits);
      headers.set("PAYMENT-REQUIRED", header);
      if (offers === 0) await lastWords(facts);
    } catch (error) {
      await lastWords(facts);
      throw error;
    }
  }
  headers.delete("content-length");
  return remade(response, body, headers);
}

/** Whatever HTTP says, payments of the same request that are past get their last word. */
async function lastWords(facts: RequestFacts): Promise<void> {
  await unlessAborted(Promise.all(livePayers().map((payer) => payer.lastWords(facts))), facts.signal);
}

async function pay(inner: typeof fetch, facts: RequestFacts, header: string, limits: Limits): Promise<Response> {
  let payload: JsonObject | undefined;
  try {
    payload = decodeHeader(header);
  } catch {
    // Another scheme's, in a form of its own.
  }
  const accepted = payload?.accepted;
  const tag = isObject(accepted) && isObject(accepted.extra) ? accepted.extra[CALL_TAG] : undefined;
  if (tag === undefined) {
    // Not of this scheme, or made without it. It is money all the same, so it follows no redirects.
    return new Exchange(facts.signal).ask(inner, facts, { ...facts, redirect: "manual" }, limits.idleMs);
  }
  const call = find(tag)?.call;
  if (!call) throw new OfferRefused("the request that this payment was made for is not known any more; make it again");
  if (call.refusal !== undefined) throw call.refusal;
  if (!call.payment) throw new OfferRefused("no payment was made for this request");
  if (!sameRequest(call, facts)) throw new OfferRefused("this payment was made for another request");
  // A header that stock clients send by mistake: it is one of responses, and makes browsers ask for permission.
  facts.headers.delete("Access-Control-Expose-Headers");
  const { journal, requestKey, move } = call.payment;
  const extensions = isObject(payload?.extensions) ? payload.extensions : undefined;
  const envelope = { resource: call.resource, ...(extensions === undefined ? {} : { extensions }) };
  // The caller's abort reaches the unpaid request for sure, and a copy of it may be lost; see `RequestFacts.origins`.
  const signal = either(call.request.signal, facts.signal);
  const current = { ...facts, signal, origins: [...facts.origins, call.request] };
  return deliver(inner, { journal, requestKey, which: call.begun, envelope, current, move }, limits);
}

function sameRequest(call: Call, facts: RequestFacts): boolean {
  const { method, url, digest } = call.request;
  return method === facts.method && url === facts.url && digest === facts.digest;
}
