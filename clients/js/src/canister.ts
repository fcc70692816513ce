/** The methods of the canister that a payer asks about a payment (canister.did). */
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { accountText } from "./account.js";
import type { Certified, Network } from "./agents.js";
import { accountType, type CandidAccount } from "./icrc.js";

const { Record, Variant, Opt, Vec, Nat, Nat8, Nat32, Nat64, Text, Null } = IDL;
const Blob = Vec(Nat8);

const cancelError = Variant({
  InvalidArgument: Record({ field: Text, problem: Text, limit: Opt(Nat) }),
  AnonymousCaller: Null,
  AlreadyUsed: Record({ payment_id: Blob }),
  TooManyCancellations: Record({ limit: Nat32 }),
  Expired: Record({ now_seconds: Nat64 }),
  TooFarAhead: Record({ limit_seconds: Nat64 }),
});
const status = Variant({
  Settling: Null,
  Settled: Record({}),
  Failed: Record({}),
  Unknown: Record({}),
  Delivered: Record({}),
  Refunding: Record({}),
  Refunded: Record({}),
});

/**
 * Their types: of records only the fields that are read. Other canisters that collect may say less, and later versions of
 * this one more. A test holds them to canister.did.
 */
export const methods = {
  cancel_authorization: {
    argument: Record({ nonce: Blob, valid_before_seconds: Nat64 }),
    reply: Variant({ Ok: Null, Err: cancelError }),
  },
  payment: { argument: Blob, reply: Opt(Record({ status })) },
  origin: { reply: Opt(Text) },
  receipt_proof: { argument: Blob, reply: Opt(Text) },
  offers: {
    argument: Record({ method: Text, path: Text }),
    reply: Vec(Record({ ledger: IDL.Principal, amount: Nat, pay_to: accountType, offer: Text })),
  },
};

/** What became of a cancellation. */
export type Cancelled = "Ok" | "InvalidArgument" | "AnonymousCaller" | "AlreadyUsed" | "TooManyCancellations" | "Expired" | "TooFarAhead";

/** Asks the spender to never charge the caller's authorization with this nonce. */
export async function cancelAuthorization(
  network: Network,
  spender: Principal,
  nonce: Uint8Array,
  validBefore: bigint,
): Promise<Certified<Cancelled>> {
  const { argument, reply } = methods.cancel_authorization;
  const args = { nonce, valid_before_seconds: validBefore };
  const { value, seconds } = await network.update<Record<string, unknown>>(spender, "cancel_authorization", [[argument, args]], reply);
  const name = "Err" in value ? Object.keys(value.Err as object)[0] : "Ok";
  return { value: name as Cancelled, seconds };
}

/** Where a payment stands; `null`: the canister never had it, or has forgotten it. */
export type PaymentStatus = "Settling" | "Settled" | "Failed" | "Unknown" | "Delivered" | "Refunding" | "Refunded" | null;

/** What the spender says of a payment, by update call. */
export async function paymentStatus(network: Network, spender: Principal, paymentId: Uint8Array): Promise<Certified<PaymentStatus>> {
  const { argument, reply } = methods.payment;
  const { value, seconds } = await network.update<[] | [{ status: object }]>(spender, "payment", [[argument, paymentId]], reply);
  return { value: value[0] ? (Object.keys(value[0].status)[0] as PaymentStatus) : null, seconds };
}

/** An offer by the word of the canister that makes it. */
export interface Promised {
  asset: string;
  amount: string;
  payTo: string;
  offer: string;
}

/** The present offers of a route, by update call: what a gateway has forwarded proves nothing. */
export async function offersOf(network: Network, canister: Principal, method: string, route: string): Promise<Promised[]> {
  const { argument, reply } = methods.offers;
  const key = { method, path: route };
  type Raw = { ledger: Principal; amount: bigint; pay_to: CandidAccount; offer: string };
  const { value } = await network.update<Raw[]>(canister, "offers", [[argument, key]], reply);
  return value.map(({ ledger, amount, pay_to, offer }) => ({
    asset: ledger.toText(),
    amount: amount.toString(),
    payTo: accountText(pay_to.owner, pay_to.subaccount[0] && Uint8Array.from(pay_to.subaccount[0])),
    offer,
  }));
}

/** The origin of which a canister says that it serves it; undefined if it says none. */
export async function originOf(network: Network, canister: Principal): Promise<string | undefined> {
  const { value } = await network.update<[] | [string]>(canister, "origin", [], methods.origin.reply);
  return value[0];
}
