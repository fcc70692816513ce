import { hasLeft, type PaymentRecord } from "./record.js";

/** A payment whose end is not proven, without anything that could be presented to a seller. */
export interface UnresolvedPayment {
  paymentId: string;
  /** `paid`: its money moved, and the content did not arrive with a receipt. */
  state: "unresolved" | "paid";
  network: string;
  spender: string;
  asset: string;
  symbol: string;
  amount: string;
  payTo: string;
  /** Unix seconds. */
  validBefore: number;
  /** Undefined if another transport than `resendingFetch` sent it. */
  method: string | undefined;
  url: string | undefined;
  identifier: string | undefined;
  /** Whether it may have left this process. */
  sent: boolean;
  /** HTTP status of the last answer, if it refused the payment. */
  refused: number | undefined;
  createdAt: Date;
  /** Of a payment by transfer: its block, and the canister's name of it; undefined while they are not known. */
  transfer?: { block: string | undefined; knownAs: string | undefined };
}

export function summary(record: PaymentRecord): UnresolvedPayment {
  const { paymentId, network, spender, asset, symbol, amount, payTo, validBefore, identifier, refused } = record;
  return {
    paymentId,
    state: record.state === "paid" ? "paid" : "unresolved",
    network,
    spender,
    asset,
    symbol,
    amount,
    payTo,
    validBefore,
    method: record.request?.method,
    url: record.request?.url,
    identifier,
    sent: hasLeft(record),
    refused,
    createdAt: new Date(record.createdAt),
    ...(record.transfer && "secret" in record.payload
      ? { transfer: { block: record.payload.blockIndex, knownAs: record.transfer.knownAs } }
      : {}),
  };
}
