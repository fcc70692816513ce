/** What tests of payments by transfer have in common. */
import type { ServerResponse } from "node:http";
import { transferPaymentId, transferCommitment, transferTermsOf } from "../src/index.js";
import { type Entry, receipt, type Seen } from "./support.js";

/** The same offer, paid by the client's own transfer (docs/scheme_exact_icp_transfer.md). */
export function transferOffer(good: Entry): Entry {
  const { spender, ...extra } = good.extra;
  return { ...good, extra: { ...extra, assetTransferMethod: "icrc1", paymentFlow: "upfront", canister: spender, maxProofAgeSeconds: 86_400 } };
}

/** An honest seller's answer to a proof. */
export async function proven(_attempt: number, response: ServerResponse, seen: Seen, change: Entry = {}): Promise<void> {
  const payload = seen.payment.payload as Record<string, string>;
  const terms = transferTermsOf(seen.payment.accepted);
  const memo = await transferCommitment(terms, Uint8Array.from(Buffer.from(payload.secret!, "hex")));
  const paymentId = await transferPaymentId(terms.network, terms.asset, BigInt(payload.blockIndex!), memo);
  const headers = { "PAYMENT-RESPONSE": receipt(seen, { transaction: payload.blockIndex, extra: { paymentId }, ...change }) };
  response.writeHead(200, headers).end("the report");
}
