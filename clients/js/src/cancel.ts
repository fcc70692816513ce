/** Ending a payment that was refused: only the canister that would collect it can. */
import type { Agent } from "@icp-sdk/core/agent";
import { parseCanisterId } from "./account.js";
import { Network } from "./agents.js";
import { decodeHeader, fromHex, isObject } from "./bytes.js";
import { cancelAuthorization } from "./canister.js";
import { plain } from "./text.js";

/**
 * What the canister says of a cancellation:
 * - `cancelled`: it will never charge this authorization;
 * - `used`: the money moved or may have moved;
 * - `expired`: the authorization had ended; whether it was charged before is another question (`scheme.resolve`);
 * - `too_far_ahead`: it ends too late to be cancelled yet, and stays good: ask again later.
 */
export type Cancellation = "cancelled" | "used" | "expired" | "too_far_ahead";

/**
 * Asks the spender of a payment never to charge it, whoever presents it. `scheme.resolve` does this for recorded
 * payments, and asks the ledger too: the word of a canister that the seller named proves nothing by itself.
 *
 * `header` is the value of `PAYMENT-SIGNATURE`; `agent` carries the identity that signed it and the root key of its
 * network. Throws if they do not belong together, or the canister does not answer.
 */
export async function cancelPayment(agent: Agent, header: string): Promise<Cancellation> {
  const { accepted, payload } = decodeHeader(header);
  const extra = isObject(accepted) ? accepted.extra : undefined;
  if (!isObject(accepted) || !isObject(extra) || !isObject(payload)) throw new SyntaxError("not a payment of this scheme");
  const spender = parseCanisterId(String(extra.spender));
  if (!spender) throw new SyntaxError("the payment names no spender");
  const network = await Network.of(agent, String(accepted.network));
  const [owner, from] = [(await network.caller()).toText(), String(payload.from)];
  // The nonce is the caller's own: with another identity, another authorization would be cancelled.
  if (from !== owner && !from.startsWith(`${owner}-`)) throw new Error(`${plain(from)} signed this payment, not ${owner}`);
  const { value, seconds } = await cancelAuthorization(
    network,
    spender,
    fromHex(String(payload.nonce)),
    BigInt(String(payload.validBefore)),
  );
  switch (value) {
    case "Ok":
      return "cancelled";
    case "AlreadyUsed":
      return "used";
    case "TooFarAhead":
      return "too_far_ahead";
    case "Expired":
      if (seconds >= BigInt(String(payload.validBefore))) return "expired";
      throw new Error("the canister says that the payment ended, and by its own time it did not");
    default:
      throw new Error(`cancel_authorization: ${plain(value)}`);
  }
}
