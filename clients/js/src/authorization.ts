/**
 * The signed authorization of the `exact` scheme, method `icrc2` (docs/scheme_exact_icp.md):
 * what is hashed, how it is signed, and the id that names the payment everywhere.
 */
import { requestIdOf, type SignIdentity } from "@icp-sdk/core/agent";
import type { DelegationIdentity } from "@icp-sdk/core/identity";

/** Domain separator; its length prefix keeps the message apart from every other signature an identity makes. */
const DOMAIN_SEPARATOR = "x402-icp-exact";

/** What the server offers and the payer signs, each value as it stands in the JSON of the 402. */
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
  /** The canister that will call `icrc2_transfer_from`. */
  spender: string;
  /** Binds the signature to canister, method, route and price revision. */
  offer: string;
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
    spender: terms.spender,
    offer: terms.offer,
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
export async function signAuthorization(
  identity: SignIdentity,
  terms: Terms,
  fields: AuthorizationFields,
): Promise<ExactIcrc2Payload> {
  const signature = await identity.sign(signedMessage(terms, fields));
  const payload: ExactIcrc2Payload = {
    ...fields,
    publicKey: base64(identity.getPublicKey().toDer()),
    signature: base64(signature),
  };
  if (isDelegated(identity)) {
    payload.delegations = identity.getDelegation().delegations.map(({ delegation, signature }) => {
      if (delegation.permissions !== undefined) {
        throw new Error("This delegation is limited by `permissions`; it cannot authorize payments");
      }
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

/** By shape and not by class: the application may have another copy of @icp-sdk/core than this package. */
function isDelegated(identity: SignIdentity): identity is DelegationIdentity {
  return "getDelegation" in identity && typeof identity.getDelegation === "function";
}

/** Padded standard base64, the only form x402 headers take. */
export function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Lower-case hex. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
