/** Sending a payment until an answer says something, and keeping the record until its end is proven. */
import { Exchange, remade } from "./answer.js";
import { continued, type Read } from "./body.js";
import { PaymentUnresolved } from "./errors.js";
import type { Envelope, Journal } from "./journal.js";
import type { Limits } from "./options.js";
import { isPending, receiptOf, receiptProblem } from "./receipt.js";
import type { Move } from "./moving.js";
import type { PaymentRecord } from "./record.js";
import { recorded, replayed, type RequestFacts } from "./request.js";
import { messageOf } from "./text.js";
import { retryAfter, sleep, unlessAborted } from "./waits.js";

/** Statuses with which somebody on the way says that asking again may help. */
const TRANSIENT = [408, 425, 429];

export interface Payment {
  journal: Journal;
  requestKey: string;
  /** Unix milliseconds at which the unpaid request was made, or the id of the payment. */
  which: number | string;
  envelope: Envelope;
  /** The request of today; undefined: as it was recorded. */
  current: RequestFacts | undefined;
  /** Makes the transfer of a payment whose block is not known. */
  move: Move;
}

/**
 * Sends the payment of a request and gives its answer, with the whole body read. A connection that breaks, a body
 * that is cut or falls silent, 5xx, 408, 425, 429 and `settlement_pending` make it send the same again, to the
 * byte.
 *
 * Throws {@link PaymentUnresolved} when no attempt was answered, and the signal's reason as soon as the caller aborts.
 */
export async function deliver(inner: typeof fetch, payment: Payment, limits: Limits): Promise<Response> {
  const signal = payment.current?.signal ?? new AbortController().signal;
  const released = await unlessAborted(payment.journal.release(payment.requestKey, payment.which, payment.envelope), signal);
  const record = released.header === null ? await payment.move(released.paymentId, limits, signal) : released;
  const header = record.header;
  if (header === null) throw new PaymentUnresolved(record.paymentId, "the block of this payment is not known");
  // The body of a payment that was delivered meanwhile may be gone; the caller has the same.
  const request = record.request ?? (payment.current && recorded(payment.current, payment.current.url));
  if (!request) throw new PaymentUnresolved(record.paymentId, "the request of this payment is not known");
  const { url, headers, body } = replayed(request, payment.current);
  headers.set("PAYMENT-SIGNATURE", header);
  const facts = { method: request.method, options: payment.current?.options ?? {} };
  const end = Date.now() + limits.patienceMs;
  for (let attempt = 1; ; attempt++) {
    const exchange = new Exchange(signal);
    let answer: { response: Response; read: Read } | undefined;
    let failure: unknown;
    try {
      const response = await exchange.ask(inner, facts, { url, headers, body, redirect: "manual" }, limits.idleMs);
      // What a browser hides of a redirect cannot be made again.
      if (response.type === "opaqueredirect") return await final(payment.journal, record, response, limits);
      const read = await exchange.read(response, { bytes: limits.maxBodyBytes, idleMs: limits.idleMs, totalMs: limits.totalMs });
      answer = { response, read };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      failure = error;
    }
    exchange.end();
    const pause = Math.max(limits.delayMs * 2 ** (attempt - 1), (answer && retryAfter(answer.response.headers, Date.now())) ?? 0);
    if ((answer && saysSomething(answer.response)) || attempt >= limits.attempts || Date.now() + pause > end) {
      if (answer) return conclude(payment.journal, record, answer.response, answer.read, limits, signal);
      const what = `payment ${record.paymentId} was sent, and no answer came: ${messageOf(failure)}. ${advice(record)}`;
      throw new PaymentUnresolved(record.paymentId, what, failure);
    }
    if (answer && "rest" in answer.read) void answer.read.rest.cancel().catch(() => undefined);
    await sleep(pause, signal);
  }
}

/** Whether there is no point in asking again at once. */
function saysSomething(response: Response): boolean {
  if (response.ok) return true;
  return response.status < 500 && !TRANSIENT.includes(response.status) && !isPending(receiptOf(response.headers));
}

/** Takes from the last answer what it proves. */
async function conclude(
  journal: Journal,
  record: PaymentRecord,
  response: Response,
  read: Read,
  limits: Limits,
  signal: AbortSignal,
): Promise<Response> {
  if ("whole" in read) {
    await final(journal, record, response, limits);
    return remade(response, read.whole);
  }
  // Too long to keep: the end is seen by whoever reads it.
  const ended = async () => void (await final(journal, record, response, limits));
  return remade(response, continued(read.part, read.rest, limits.idleMs, ended, signal));
}

async function final(journal: Journal, record: PaymentRecord, response: Response, limits: Limits): Promise<Response> {
  const receipt = receiptOf(response.headers);
  const problem = response.ok ? receiptProblem(receipt, record) : `the answer has status ${response.status}`;
  try {
    if (problem === undefined) {
      await journal.settle(record.paymentId, "delivered");
      return response;
    }
    if (!response.ok && saysSomething(response)) await journal.refused(record.paymentId, response.status);
  } catch (error) {
    // The answer is worth more to the caller than the note, without which the payment is only taken to be open.
    limits.warn(`the outcome of payment ${record.paymentId} could not be noted: ${messageOf(error)}`);
    return response;
  }
  if (record.state !== "delivered") limits.warn(`the outcome of payment ${record.paymentId} is not proven: ${problem}. ${advice(record)}`);
  return response;
}

function advice(record: PaymentRecord): string {
  return `The same request sends the same payment; resolve("${record.paymentId}") asks the canister and the ledger.`;
}
