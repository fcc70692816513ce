/** The last word about a payment that was refused: only the canister that would collect it has it. */
import { Actor, type Agent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";

interface CancelActor {
  cancel_authorization(args: { nonce: Uint8Array; valid_before_seconds: bigint }): Promise<{ Ok: null } | { Err: Record<string, unknown> }>;
}

const cancelIdl: IDL.InterfaceFactory = () =>
  IDL.Service({
    cancel_authorization: IDL.Func(
      [IDL.Record({ nonce: IDL.Vec(IDL.Nat8), valid_before_seconds: IDL.Nat64 })],
      [
        IDL.Variant({
          Ok: IDL.Null,
          Err: IDL.Variant({
            InvalidArgument: IDL.Record({ field: IDL.Text, problem: IDL.Text, limit: IDL.Opt(IDL.Nat) }),
            AnonymousCaller: IDL.Null,
            AlreadyUsed: IDL.Record({ payment_id: IDL.Vec(IDL.Nat8) }),
            TooManyCancellations: IDL.Record({ limit: IDL.Nat32 }),
          }),
        }),
      ],
      [],
    ),
  });

/**
 * Makes sure that a payment can never be charged, whoever holds it: `cancelled`, or `used` if its money moved or may have.
 *
 * An answer over HTTP is the word of whoever forwarded it: who says "refused" can keep the payment and present it before its
 * `validBefore`. Call this before paying anew. The reply is signed by the subnet, and the agent checks that.
 *
 * `header` is the value of `PAYMENT-SIGNATURE` that was sent; `agent` carries the identity that signed it and the network's root key.
 * Throws if the canister does not answer, or the payment is over by now (then ask the canister's `payment` for its outcome).
 */
export async function cancelPayment(agent: Agent, header: string): Promise<"cancelled" | "used"> {
  const { accepted, payload } = JSON.parse(atob(header)) as {
    accepted: { extra: { spender: string } };
    payload: { from: string; nonce: string; validBefore: string };
  };
  const owner = (await agent.getPrincipal()).toText();
  // The nonce is the caller's own: with another identity, another authorization would be cancelled.
  if (payload.from !== owner && !payload.from.startsWith(`${owner}-`)) throw new Error(`${payload.from} signed this payment, not ${owner}`);
  const canister = Actor.createActor<CancelActor>(cancelIdl, { agent, canisterId: accepted.extra.spender });
  const nonce = Uint8Array.from(payload.nonce.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  const result = await canister.cancel_authorization({ nonce, valid_before_seconds: BigInt(payload.validBefore) });
  if ("Ok" in result) return "cancelled";
  if ("AlreadyUsed" in result.Err) return "used";
  throw new Error(`cancel_authorization: ${JSON.stringify(result.Err, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value))}`);
}
