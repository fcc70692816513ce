/** What can be known before signing: fee, balance and allowance, as far as the ledger answers. */
import { parseCanisterId, type Account } from "./account.js";
import type { Network } from "./agents.js";
import { OfferRefused } from "./errors.js";
import { accountType, type Allowance, allowanceArgs, allowanceType, candidAccount } from "./icrc.js";
import { IDL } from "@icp-sdk/core/candid";
import type { Offer } from "./offer.js";

/** Time for all three questions together. */
const PREFLIGHT_MS = 5_000;

/**
 * Refuses an offer that the ledger would refuse: another fee, too little money, too small or too short an
 * allowance. Gives the allowance; undefined if the ledger does not answer, which stops no purchase.
 */
export async function preflight(network: Network, offer: Offer, payer: Account, validBefore: number): Promise<Allowance | undefined> {
  const [ledger, spender] = [parseCanisterId(offer.asset), parseCanisterId(offer.spender)];
  if (!ledger || !spender) return undefined;
  const from = candidAccount(payer);
  const allowanceOf = { account: from, spender: { owner: spender, subaccount: [] } };
  const [fee, balance, allowance] = await Promise.all([
    quiet(network.query<bigint>(ledger, "icrc1_fee", [], IDL.Nat, PREFLIGHT_MS)),
    quiet(network.query<bigint>(ledger, "icrc1_balance_of", [[accountType, from]], IDL.Nat, PREFLIGHT_MS)),
    // The payer transfers by himself.
    offer.way === "icrc1" ? undefined : quiet(network.query<Allowance>(ledger, "icrc2_allowance", [[allowanceArgs, allowanceOf]], allowanceType, PREFLIGHT_MS)),
  ]);
  if (fee !== undefined && fee !== offer.fee) {
    // The seller learns of a new fee from payments, and this one is not made. A canister that does not know the
    // method, or has asked its ledger a short while ago, changes nothing.
    await quiet(network.update(spender, "ledger_refresh", [[IDL.Principal, ledger]], IDL.Reserved));
    throw new OfferRefused(`the ledger's fee is ${fee}, the offer says ${offer.fee}`);
  }
  const need = BigInt(offer.amount) + offer.fee;
  if (balance !== undefined && balance < need) {
    throw new OfferRefused(`the balance is ${balance}, and ${need} is needed (${offer.amount} and the ledger's fee)`);
  }
  if (allowance === undefined) return undefined;
  if (allowance.allowance < need) {
    throw new OfferRefused(
      `the allowance of canister ${offer.spender} is ${allowance.allowance}, and ${need} is needed: approve it on the ledger`,
    );
  }
  const expires = allowance.expires_at[0];
  if (expires !== undefined && expires < BigInt(validBefore) * 1_000_000_000n) {
    throw new OfferRefused(`the allowance of canister ${offer.spender} ends before the payment would: approve it again`);
  }
  return allowance;
}

async function quiet<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch {
    return undefined;
  }
}
