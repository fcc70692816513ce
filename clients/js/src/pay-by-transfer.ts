/** Paying by transfer without a stock client. */
import type { PaymentRequirements } from "@x402/core/types";
import { decodeHeader, encodeHeader, isObject } from "./bytes.js";
import { CALL_TAG } from "./calls.js";
import type { ResendOptions } from "./options.js";
import { resendingFetch } from "./resend.js";
import type { ExactIcpScheme } from "./scheme.js";

/**
 * A fetch that pays offers by transfer, in the name of the scheme's identity, whatever else a seller offers:
 *
 *     const scheme = new ExactIcpScheme(identity, { agent, ways: ["icrc1"] });
 *     const response = await payByTransfer(scheme)("https://<canister>.icp0.io/report");
 *
 * The rules are those of the scheme below a stock client: one request is one transfer, which is recorded before it is
 * sent; the same request makes the same transfer and presents the same proof until its end is proven.
 */
export function payByTransfer(scheme: ExactIcpScheme, inner: typeof fetch = fetch, options: Omit<ResendOptions, "ways"> = {}): typeof fetch {
  const send = resendingFetch(inner, { ...options, ways: ["icrc1"] });
  return async (input, init) => {
    const request = new Request(input, init);
    const paid = request.clone();
    const answer = await send(request);
    const required = answer.status === 402 ? answer.headers.get("PAYMENT-REQUIRED") : null;
    if (required === null) return answer;
    const { accepts, resource, extensions } = decodeHeader(required);
    const ours = (entry: unknown) => isObject(entry) && isObject(entry.extra) && CALL_TAG in entry.extra;
    const accepted = Array.isArray(accepts) ? (accepts.find(ours) as PaymentRequirements | undefined) : undefined;
    if (accepted === undefined) return answer;
    const made = await scheme.createPaymentPayload(2, accepted);
    const echoed = { ...(isObject(extensions) ? extensions : {}), ...made.extensions };
    const payment = encodeHeader({
      x402Version: 2,
      ...(resource === undefined ? {} : { resource }),
      accepted,
      payload: made.payload,
      ...(isObject(extensions) || made.extensions ? { extensions: echoed } : {}),
    });
    const headers = new Headers(paid.headers);
    headers.set("PAYMENT-SIGNATURE", payment);
    return send(new Request(paid, { headers }));
  };
}
