/** What an answer proves about a payment. */
import { decodeHeader, isObject, type JsonObject } from "./bytes.js";
import type { PaymentRecord } from "./record.js";
import { plain } from "./text.js";

/** The receipt in the headers of an answer; undefined if there is none that can be read. */
export function receiptOf(headers: Headers): JsonObject | undefined {
  const value = headers.get("PAYMENT-RESPONSE") ?? headers.get("X-PAYMENT-RESPONSE");
  if (value === null) return undefined;
  try {
    return decodeHeader(value);
  } catch {
    return undefined;
  }
}

/** Whether the seller says that it does not know yet. */
export function isPending(receipt: JsonObject | undefined): boolean {
  return receipt?.success === false && receipt.errorReason === "settlement_pending";
}

/** Why a receipt is none for this payment; undefined if it is. */
export function receiptProblem(
  receipt: JsonObject | undefined,
  record: Pick<PaymentRecord, "network" | "payer" | "amount" | "paymentId" | "payload" | "transfer">,
): string | undefined {
  if (!receipt) return "there is no receipt that can be read";
  if (receipt.success !== true) return `the receipt says success ${plain(receipt.success)}`;
  for (const field of ["network", "payer", "amount"] as const) {
    if (receipt[field] !== record[field]) return `${field} is ${plain(receipt[field])} in the receipt, ${record[field]} was agreed`;
  }
  if (typeof receipt.transaction !== "string" || !/^(0|[1-9][0-9]{0,38})$/.test(receipt.transaction)) {
    return `transaction ${plain(receipt.transaction)} is no block index`;
  }
  if ("secret" in record.payload && receipt.transaction !== record.payload.blockIndex) return `the receipt is for block ${receipt.transaction}`;
  const expected = record.transfer?.knownAs ?? record.paymentId;
  const id = isObject(receipt.extra) ? (receipt.extra.paymentId ?? expected) : expected;
  if (id !== expected) return `the receipt is for payment ${plain(id)}`;
  return undefined;
}
