import { decodePaymentResponseHeader } from "@x402/core/http";

/** How often and how fast a paid request is repeated. */
export interface ResendOptions {
  /** Requests sent in all, the first included; default 5. */
  attempts?: number;
  /** Pause before the first repetition, doubled each time; default 1,000 ms. */
  delayMs?: number;
}

/**
 * A fetch that repeats a paid request, to the byte the same, when the connection breaks, a server on the
 * way fails (5xx, 408, 425, 429), or the answer is `settlement_pending`. The payment id is a hash of the authorization, so a repetition is the same
 * payment: it is charged at most once and delivered when it is. A new authorization would be a second
 * payment, which is why this must sit *below* `wrapFetchWithPayment`:
 * `wrapFetchWithPayment(resendingFetch(fetch), client)`.
 */
export function resendingFetch(inner: typeof fetch, options: ResendOptions = {}): typeof fetch {
  const attempts = options.attempts ?? 5;
  const delayMs = options.delayMs ?? 1000;
  return async (input, init) => {
    const request = new Request(input, init);
    if (!request.headers.has("PAYMENT-SIGNATURE")) return inner(request);
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await inner(request.clone());
        if (attempt >= attempts || !saysNothing(response)) return response;
      } catch (error) {
        if (attempt >= attempts || request.signal.aborted) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs * 2 ** (attempt - 1)));
    }
  };
}

/** Whether an answer leaves open what became of the payment. */
function saysNothing(response: Response): boolean {
  const header = response.headers.get("PAYMENT-RESPONSE");
  if (header === null) return response.status >= 500 || [408, 425, 429].includes(response.status);
  try {
    const settled = decodePaymentResponseHeader(header);
    return !settled.success && settled.errorReason === "settlement_pending";
  } catch {
    return false;
  }
}
