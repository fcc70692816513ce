/** The last word about a payment: of the canister that collects it, by update call, and of the ledger. */
import { parseAccount, parseCanisterId } from "./account.js";
import { Network } from "./agents.js";
import { askLedger, type LedgerWord } from "./blocks.js";
import { fromHex } from "./bytes.js";
import { cancelAuthorization, paymentStatus, type PaymentStatus } from "./canister.js";
import type { PaymentRecord } from "./record.js";
import { messageOf } from "./text.js";

/** What could be proven of a payment. */
export interface Outcome {
  /**
   * - `dead`: it can never be charged; the next purchase signs a new one.
   * - `paid`: its money moved; `refetch` fetches what was bought.
   * - `unresolved`: neither is proven.
   */
  state: "dead" | "paid" | "unresolved";
  /** What the proof is, or what is missing. */
  reason: string;
  /** The canister says that the content went out. */
  delivered: boolean;
}

const PAID: PaymentStatus[] = ["Settled", "Delivered", "Refunding", "Refunded"];

/**
 * Asks the canister and the ledger of a payment. While it is good and the network is asked in the payer's name, it is
 * cancelled: ask only about a payment that shall not be made any more. With `mayBeUnderWay` a good payment that the
 * canister does not know yet is left alone. Never throws.
 */
export async function lastWord(network: Network, record: PaymentRecord, others: Set<string>, mayBeUnderWay = false): Promise<Outcome> {
  try {
    return await ask(network, record, others, mayBeUnderWay);
  } catch (error) {
    return unresolved(`the network did not answer: ${messageOf(error)}`);
  }
}

async function ask(network: Network, record: PaymentRecord, others: Set<string>, mayBeUnderWay: boolean): Promise<Outcome> {
  const spender = parseCanisterId(record.spender);
  const { payload } = record;
  if (!spender) return unresolved("the spender is no canister");
  if ("secret" in payload) return unresolved("it is a transfer, which no canister can cancel");
  if (mayBeUnderWay) {
    const { value, seconds } = await paymentStatus(network, spender, fromHex(record.paymentId));
    if (value === null && seconds < BigInt(record.validBefore)) return unresolved("it is good, and the canister has not seen it");
  }
  const payer = parseAccount(record.payer)?.owner.toText();
  let cancelled: string | undefined;
  // The nonce is the caller's own: under another name, another authorization would be cancelled.
  if ((await network.caller()).toText() === payer) {
    const { value, seconds } = await cancelAuthorization(network, spender, fromHex(payload.nonce), BigInt(record.validBefore));
    if (value === "Ok") return agreed(await askLedger(network, record, others), "the canister cancelled it");
    cancelled = value === "Expired" && seconds < BigInt(record.validBefore) ? "Expired too early" : value;
  }
  const { value: status, seconds } = await paymentStatus(network, spender, fromHex(record.paymentId));
  if (PAID.includes(status)) {
    const word = await askLedger(network, record, others);
    if (word === "moved")
      return { state: "paid", reason: `the canister says ${status}, and the ledger has the transfer`, delivered: status === "Delivered" };
    return unresolved(`the canister says ${status}, but the ledger does not show the transfer (${word})`);
  }
  const past = seconds >= BigInt(record.validBefore) && cancelled !== "AlreadyUsed";
  if (past && (status === null || status === "Failed")) {
    return agreed(
      await askLedger(network, record, others),
      status === null ? "it is past, and the canister never had it" : "the canister says Failed, and it is past",
    );
  }
  if (cancelled === "TooFarAhead") return unresolved("it ends too far ahead to be cancelled now");
  return unresolved(
    `the canister says ${status ?? "that it does not have it"}${cancelled === undefined ? "" : ` and ${cancelled}`}, and it is ${past ? "past" : "still good"}`,
  );
}

function agreed(ledger: LedgerWord, reason: string): Outcome {
  if (ledger === "none") return { state: "dead", reason, delivered: false };
  const why = {
    moved: "but the ledger has its transfer",
    suspect: "but the ledger has a transfer by the same canister that is for no payment known here",
    unknown: "but the ledger cannot tell",
  }[ledger];
  return unresolved(`${reason}, ${why}`);
}

export function unresolved(reason: string): Outcome {
  return { state: "unresolved", reason, delivered: false };
}
