/** Offline verification of signed receipts: the JWS of the x402 extension `offer-receipt` (docs/receipts.md). */
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { base64, fromBase64, isObject, type JsonObject, sameBytes, utf8 } from "./bytes.js";
import { messageOf, plain } from "./text.js";

/** The most characters of a JWS that are read. */
const MAX_CHARACTERS = 16_384;

/** What a signed receipt says: this payer has paid for this resource, and it was delivered. */
export interface SignedReceipt {
  version: 1;
  network: string;
  resourceUrl: string;
  payer: string;
  /** Unix seconds at which it was signed. */
  issuedAt: number;
  /** The block of the payment; empty if the receipt names none. */
  transaction: string;
}

/**
 * Verifies a signed receipt by the keys of a site: its DID document (`/.well-known/did.json`), or one JWK. Throws unless
 * one of them has signed every field, and signs for the site of `resourceUrl`.
 *
 * A JWS is believed by a key from outside of it: get the document from the site itself, or from where it was kept.
 */
export async function verifySignedReceipt(jws: string, keys: unknown): Promise<SignedReceipt> {
  try {
    return await verified(jws, keys);
  } catch (error) {
    throw new Error(`the signed receipt is not verified: ${messageOf(error)}`);
  }
}

async function verified(jws: string, keys: unknown): Promise<SignedReceipt> {
  if (jws.length > MAX_CHARACTERS) throw new Error(`${jws.length} characters, at most ${MAX_CHARACTERS} are read`);
  const parts = jws.split(".");
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) throw new Error("it has no three parts");
  const { alg, kid, jwk, typ, ...more } = object(header);
  void typ;
  if (alg !== "EdDSA") throw new Error(`its algorithm is ${plain(alg)}, not EdDSA`);
  if (typeof kid !== "string" || Object.keys(more).length > 0) throw new Error("its header is not that of a receipt");
  const key = keyOf(kid, keys);
  const own = jwk === undefined ? key : publicKey(jwk);
  const proof = base64url(signature);
  const signed = proof.length === 64 && own && sameBytes(own, key) && (await Ed25519KeyIdentity.verify(proof, utf8(`${header}.${payload}`), key));
  if (!signed) throw new Error(`its signature is not by the key ${plain(kid)}`);
  const { version, network, resourceUrl, payer, issuedAt, transaction = "", ...others } = object(payload);
  if (version !== 1) throw new Error(`version ${plain(version)}`);
  const texts = [network, resourceUrl, payer, transaction];
  if (texts.some((text) => typeof text !== "string") || !Number.isSafeInteger(issuedAt) || Number(issuedAt) < 0 || Object.keys(others).length > 0) {
    throw new Error("its payload is not that of a receipt");
  }
  const did = kid.split("#")[0];
  const site = /^[a-z]+:\/\/([^/?#]*)/.exec(resourceUrl as string)?.[1];
  if (site === undefined || did !== `did:web:${site.replaceAll(":", "%3A")}`) {
    throw new Error(`the key of ${plain(did)} does not sign for ${plain(resourceUrl)}`);
  }
  return { version, network, resourceUrl, payer, issuedAt, transaction } as SignedReceipt;
}

/** The key of this id, which makes assertions in the DID document, or is the JWK. */
function keyOf(kid: string, keys: unknown): Uint8Array {
  const unknown = new Error(`its key ${plain(kid)} is not among those that are given`);
  if (!isObject(keys)) throw new Error("the keys are neither a DID document nor an Ed25519 JWK");
  if (keys.kty !== undefined) {
    const key = publicKey(keys);
    if (!key) throw new Error("the keys are neither a DID document nor an Ed25519 JWK");
    if (keys.kid !== undefined && keys.kid !== kid) throw unknown;
    return key;
  }
  const list = (name: string): unknown[] => (Array.isArray(keys[name]) ? (keys[name] as unknown[]) : []);
  const of = `${String(keys.id)}#`;
  const method = list("verificationMethod").find((method) => isObject(method) && method.id === kid && publicKey(method.publicKeyJwk));
  if (!isObject(method) || !kid.startsWith(of) || method.controller !== keys.id || !list("assertionMethod").includes(kid)) throw unknown;
  return publicKey(method.publicKeyJwk) ?? new Uint8Array();
}

function publicKey(jwk: unknown): Uint8Array | undefined {
  if (!isObject(jwk) || jwk.kty !== "OKP" || jwk.crv !== "Ed25519" || typeof jwk.x !== "string") return undefined;
  const key = base64url(jwk.x);
  return key.length === 32 ? key : undefined;
}

function object(part: string): JsonObject {
  const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(base64url(part)));
  if (!isObject(value)) throw new Error("a part of it is no JSON object");
  return value;
}

/** The bytes of a text of base64url without padding, in its only form. */
function base64url(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new Error("a part of it is not base64url");
  const padded = text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4);
  const bytes = fromBase64(padded);
  if (base64(bytes) !== padded) throw new Error("a part of it is not in its only form");
  return bytes;
}
