/**
 * The signed authorization of the `exact` scheme, method `icrc2` (docs/scheme_exact_icp.md):
 * what is hashed, how it is signed, and the id that names the payment everywhere.
 */
import { requestIdOf, type SignIdentity } from "@icp-sdk/core/agent";
import type { DelegationIdentity } from "@icp-sdk/core/identity";
import { base64, hex } from "./bytes.js";
import { OfferRefused } from "./errors.js";

/** Domain separator; its length prefix keeps the message apart from every other signature an identity makes. */
const DOMAIN_SEPARATOR = "x402-icp-exact-2";

/** `paymentFlow` of an offer that does not say it. */
export const PAYMENT_FLOW = "authorization";

/**
 * What the server offers and the payer signs: all that a verifier compares. Texts are as they stand in the JSON of
 * the 402, numbers in decimal digits; {@link termsOf} reads them from an offer.
 */
export interface Terms {
  scheme: string;
  /** CAIP-2 network id, such as `icp:1`. */
  network: string;
  /** Ledger canister id. */
  asset: string;
  /** Atomic token units, decimal text. */
  amount: string;
  /** ICRC-1 textual account. */
  payTo: string;
  /** Seconds that an authorization may be valid. */
  maxTimeoutSeconds: string;
  assetTransferMethod: string;
  symbol: string;
  decimals: string;
  /** The ledger's transfer fee, atomic token units. */
  fee: string;
  /** The canister that will call `icrc2_transfer_from`. */
  spender: string;
  /** Binds the signature to canister, method, route and price revision. */
  offer: string;
  /** `authorization` where the offer does not say it. */
  paymentFlow: string;
}

/** An entry of `accepts`, or `accepted` of a payment. */
export interface Accepted {
  scheme: string;
  network: string;
  asset: string;
  amount: string;
  payTo: string;
  maxTimeoutSeconds: number;
  extra: Record<string, unknown>;
}

/** The terms of an offer, which has to be well-formed. */
export function termsOf({ scheme, network, asset, amount, payTo, maxTimeoutSeconds, extra }: Accepted): Terms {
  const text = (name: string): string => {
    const value = extra[name];
    if (typeof value !== "string") throw new RangeError(`extra.${name}: it is no text`);
    return value;
  };
  return {
    scheme,
    network,
    asset,
    amount,
    payTo,
    maxTimeoutSeconds: String(maxTimeoutSeconds),
    assetTransferMethod: text("assetTransferMethod"),
    symbol: text("symbol"),
    decimals: String(extra.decimals),
    fee: text("fee"),
    spender: text("spender"),
    offer: text("offer"),
    paymentFlow: typeof extra.paymentFlow === "string" ? extra.paymentFlow : PAYMENT_FLOW,
  };
}

/** The part of an authorization that the payer chooses. */
export interface AuthorizationFields {
  /** The payer's ICRC-1 textual account. */
  from: string;
  /** 32 random bytes, hex. */
  nonce: string;
  /** Unix seconds, decimal text. */
  validAfter: string;
  /** Unix seconds, decimal text. */
  validBefore: string;
}

/** One link of a delegation chain; binary values in base64, expiration in nanoseconds as decimal text. */
export interface PayloadDelegation {
  pubkey: string;
  expiration: string;
  targets?: string[];
  signature: string;
}

/** `payload` of a PaymentPayload for method `icrc2`. */
export interface ExactIcrc2Payload extends AuthorizationFields {
  /** DER public key of the payer, base64: the outermost key where there are delegations. */
  publicKey: string;
  signature: string;
  delegations?: PayloadDelegation[];
}

/** The bytes the payer signs: separator, then the representation-independent hash of the map of all fields. */
export function signedMessage(terms: Terms, fields: AuthorizationFields): Uint8Array<ArrayBuffer> {
  const separator = new TextEncoder().encode(DOMAIN_SEPARATOR);
  const hash = requestIdOf({
    scheme: terms.scheme,
    network: terms.network,
    asset: terms.asset,
    amount: terms.amount,
    payTo: terms.payTo,
    maxTimeoutSeconds: terms.maxTimeoutSeconds,
    assetTransferMethod: terms.assetTransferMethod,
    symbol: terms.symbol,
    decimals: terms.decimals,
    fee: terms.fee,
    spender: terms.spender,
    offer: terms.offer,
    paymentFlow: terms.paymentFlow,
    from: fields.from,
    nonce: fields.nonce,
    validAfter: fields.validAfter,
    validBefore: fields.validBefore,
  });
  const message = new Uint8Array(1 + separator.length + hash.length);
  message[0] = separator.length;
  message.set(separator, 1);
  message.set(hash, 1 + separator.length);
  return message;
}

/** The payment's id, hex: SHA-256 of the signed message. The same authorization always has the same id. */
export async function paymentId(message: Uint8Array<ArrayBuffer>): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", message)));
}

/** Signs an authorization with any identity that signs, a delegated one included. */
export async function signAuthorization(identity: SignIdentity, terms: Terms, fields: AuthorizationFields): Promise<ExactIcrc2Payload> {
  const signature = await identity.sign(signedMessage(terms, fields));
  const payload: ExactIcrc2Payload = {
    ...fields,
    publicKey: base64(identity.getPublicKey().toDer()),
    signature: base64(signature),
  };
  if (isDelegated(identity)) {
    payload.delegations = identity.getDelegation().delegations.map(({ delegation, signature }) => {
      if (delegation.permissions !== undefined) throw new OfferRefused(LIMITED);
      return {
        pubkey: base64(delegation.pubkey),
        expiration: delegation.expiration.toString(),
        ...(delegation.targets ? { targets: delegation.targets.map((target) => target.toText()) } : {}),
        signature: base64(signature),
      };
    });
  }
  return payload;
}

const LIMITED = "the identity's delegation is limited by `permissions`; it cannot authorize payments";
const MAX_DELEGATIONS = 20;

/**
 * What a verifier takes one signature to cost, in millions of instructions, by the DER of the key's algorithm
 * (docs/scheme_exact_icp.md, section 6.2): Ed25519, secp256k1, P-256 and a canister's.
 */
const KEY_COSTS = [
  ["06032b6570", 2.5],
  ["06052b8104000a", 5],
  ["06082a8648ce3d030107", 23],
  ["060a2b0601040183b8430102", 465],
] as const;
const MAX_CHAIN_COST = 515;

/** What the signatures of a chain cost together; keys of an unknown kind, which no verifier takes, cost nothing. */
export function chainCost(keys: Uint8Array[]): number {
  const cost = (der: string): number => KEY_COSTS.find(([algorithm]) => der.slice(0, 64).includes(algorithm))?.[1] ?? 0;
  return keys.map((key) => cost(hex(key))).reduce((sum, one) => sum + one, 0);
}

/**
 * Refuses an identity whose delegations do not let it pay this spender up to `validBefore` (Unix seconds): a
 * verifier would refuse the payment after it left.
 */
export function checkDelegations(identity: SignIdentity, spender: string, validBefore: number): void {
  if (!isDelegated(identity)) return;
  const { delegations } = identity.getDelegation();
  if (delegations.length > MAX_DELEGATIONS)
    throw new OfferRefused(`the identity has ${delegations.length} delegations, at most ${MAX_DELEGATIONS} are taken`);
  const keys = [identity.getPublicKey().toDer(), ...delegations.map(({ delegation }) => delegation.pubkey)];
  const cost = chainCost(keys.map((key) => new Uint8Array(key)));
  if (cost > MAX_CHAIN_COST)
    throw new OfferRefused(`the identity's keys cost ${cost} million instructions to verify, at most ${MAX_CHAIN_COST} are spent`);
  for (const { delegation } of delegations) {
    if (delegation.permissions !== undefined) throw new OfferRefused(LIMITED);
    if (delegation.targets && !delegation.targets.some((target) => target.toText() === spender)) {
      throw new OfferRefused(`the identity's delegation is not for canister ${spender}`);
    }
    if (delegation.expiration <= BigInt(validBefore) * 1_000_000_000n) {
      throw new OfferRefused("the identity's delegation ends before the payment would");
    }
  }
}

/** Base64 of the delegations and the public key, as long as they are in a payment. */
export function proofSize(identity: SignIdentity): number {
  const key = base64(identity.getPublicKey().toDer()).length;
  return isDelegated(identity) ? key + JSON.stringify(identity.getDelegation().toJSON()).length : key;
}

/** By shape and not by class: the application may have another copy of @icp-sdk/core than this package. */
function isDelegated(identity: SignIdentity): identity is DelegationIdentity {
  return "getDelegation" in identity && typeof identity.getDelegation === "function";
}
