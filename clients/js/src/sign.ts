/** Making an authorization that is good for long enough when it leaves. */
import type { SignIdentity } from "@icp-sdk/core/agent";
import {
  checkDelegations,
  type ExactIcrc2Payload,
  paymentId,
  proofSize,
  signAuthorization,
  signedMessage,
  termsOf,
} from "./authorization.js";
import { hex } from "./bytes.js";
import { OfferRefused } from "./errors.js";
import { type Envelope, headerOf, MAX_HEADER_BYTES, tooLong } from "./journal.js";
import type { Offer } from "./offer.js";

/** How far an authorization reaches back, so that a clock slightly ahead of the subnet's does no harm. */
const CLOCK_SKEW_SECONDS = 30;
/** The deepest JSON that a verifier reads; the payment itself is level 1. */
const MAX_JSON_DEPTH = 32;
/** Base64 of the shortest signature. */
const SIGNATURE_CHARACTERS = 88;

export interface Signed {
  paymentId: string;
  payload: ExactIcrc2Payload;
  validAfter: number;
  validBefore: number;
}

/**
 * Signs an authorization of an offer for `from`. It ends `maxTimeoutSeconds` after signing began; if less than half
 * of that is left when the signature is there, which a user or a slow device may take its time for, another is made
 * and the first one dropped.
 */
export async function sign(identity: SignIdentity, from: string, offer: Offer, envelope: Envelope, now: () => number): Promise<Signed> {
  for (let attempt = 1; ; attempt++) {
    const signed = await signNow(identity, from, offer, envelope, Math.floor(now()));
    if (signed.validBefore - Math.floor(now()) >= offer.maxTimeoutSeconds / 2) return signed;
    if (attempt === 2)
      throw new OfferRefused(`signing took longer than half of the ${offer.maxTimeoutSeconds} seconds that the offer gives`);
  }
}

async function signNow(identity: SignIdentity, from: string, offer: Offer, envelope: Envelope, now: number): Promise<Signed> {
  const [validAfter, validBefore] = [now - CLOCK_SKEW_SECONDS, now + offer.maxTimeoutSeconds];
  checkDelegations(identity, offer.spender, validBefore);
  const terms = termsOf(offer.entry);
  const fields = {
    from,
    nonce: hex(crypto.getRandomValues(new Uint8Array(32))),
    validAfter: validAfter.toString(),
    validBefore: validBefore.toString(),
  };
  const bare = { accepted: offer.entry, payload: { ...fields, publicKey: "", signature: "" } };
  checkDepth({ ...bare, ...envelope });
  const atLeast = headerOf(bare, envelope).length + (4 / 3) * (SIGNATURE_CHARACTERS + proofSize(identity));
  if (atLeast > MAX_HEADER_BYTES + 4) throw tooLong(Math.floor(atLeast));
  const payload = await signAuthorization(identity, terms, fields);
  const length = headerOf({ accepted: offer.entry, payload }, envelope).length;
  if (length > MAX_HEADER_BYTES) throw tooLong(length);
  return { paymentId: await paymentId(signedMessage(terms, fields)), payload, validAfter, validBefore };
}

/** Refuses a payment that a verifier would not read. */
export function checkDepth(payment: object): void {
  const levels = depth(payment);
  if (levels > MAX_JSON_DEPTH)
    throw new OfferRefused(`the payment would nest ${levels} levels, and a seller reads at most ${MAX_JSON_DEPTH}`);
}

/** Levels of objects and lists in a JSON value; 0 for a scalar. */
function depth(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let deepest = 0;
  for (const member of Object.values(value)) deepest = Math.max(deepest, depth(member));
  return deepest + 1;
}
