import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { decodePaymentSignatureHeader } from "@x402/core/http";
import {
  type Accepted,
  accountText,
  type ExactIcrc1Payload,
  type ExactIcrc2Payload,
  networkId,
  offerId,
  paymentId,
  signedMessage,
  termsOf,
  transferCommitment,
  transferProblem,
  transferProof,
  transferTermsOf,
} from "../src/index.js";
import { chainCost } from "../src/authorization.js";
import { mismatch, readOffer } from "../src/offer.js";

interface Vectors {
  networks: { rootKey: string; network: string }[];
  offers: { canister: string; method: string; route: string; revision: number | string; offer: string }[];
  requests: { name: string; method: string; url: string; mismatch: string | null; extra: Record<string, unknown> }[];
  accounts: { owner: string; subaccount: string | null; text: string }[];
  badSignatures: { name: string; payment: { payload: ExactIcrc2Payload } }[];
  payments: { name: string; header: string; message: string; paymentId: string; payer: string }[];
  transfers: {
    payments: {
      name: string;
      header: string;
      secret: string;
      memo: string;
      blockIndex: string;
      paymentId: string;
      payment: { resource: unknown; accepted: Accepted; payload: ExactIcrc1Payload };
    }[];
    badHeaders: { name: string; field: string; header: string }[];
  };
}

const text = readFileSync(new URL("../../../../crates/x402-icp/tests/vectors.json", import.meta.url), "utf8");
// A number beyond 2^53 stays exact as a text.
const vectors = JSON.parse(text.replace(/: (\d{17,})(?=[,\s])/g, ': "$1"')) as Vectors;

describe("the vectors of docs/scheme_exact_icp.md", () => {
  for (const { owner, subaccount, text } of vectors.accounts) {
    it(`account ${text}`, () => {
      const bytes = subaccount === null ? undefined : new Uint8Array(Buffer.from(subaccount, "hex"));
      assert.equal(accountText(Principal.fromText(owner), bytes), text);
    });
  }

  for (const { rootKey, network } of vectors.networks) {
    it(`network ${network}`, async () => assert.equal(await networkId(new Uint8Array(Buffer.from(rootKey, "hex"))), network));
  }

  for (const { canister, method, route, revision, offer } of vectors.offers) {
    it(`offer ${method} ${route} ${revision}`, async () =>
      assert.equal(await offerId(Principal.fromText(canister), method, route, BigInt(revision)), offer));
  }

  for (const { name, method, url, mismatch: expected, extra } of vectors.requests) {
    it(`request: ${name}`, async () => {
      const entry = {
        scheme: "exact",
        network: "icp:1",
        asset: "xevnm-gaaaa-aaaar-qafnq-cai",
        amount: "1",
        payTo: "2vxsx-fae",
        maxTimeoutSeconds: 60,
        extra,
      };
      const problem = await readOffer(entry).then(
        (offer) => mismatch(offer, method, url),
        (error: Error) => error.message,
      );
      const shape = {
        missing: /^extra\.\w+ /,
        spender: /extra\.spender/,
        id: /extra\.(offer|spender)/,
        method: /requests, not for/,
        path: /, not for/,
      }[expected ?? ""];
      if (shape) assert.match(problem ?? "", shape);
      else assert.equal(problem, undefined);
    });
  }

  for (const { name, payment } of vectors.badSignatures) {
    it(`${name}: what the chain costs`, () => {
      const { publicKey, delegations = [] } = payment.payload;
      const keys = [publicKey, ...delegations.map(({ pubkey }) => pubkey)];
      const cost = chainCost(keys.map((key) => new Uint8Array(Buffer.from(key, "base64"))));
      assert.equal(cost > 515, name === "the chain is genuine and costs too much");
    });
  }

  for (const { name, header, message, paymentId: id, payer } of vectors.payments) {
    it(`payment ${name}: message, id and payer`, async () => {
      const { accepted, payload } = decodePaymentSignatureHeader(header);
      const authorization = payload as unknown as ExactIcrc2Payload;
      const bytes = signedMessage(termsOf(accepted), authorization);
      assert.equal(Buffer.from(bytes).toString("hex"), message);
      assert.equal(await paymentId(bytes), id);
      const key = new Uint8Array(Buffer.from(authorization.publicKey, "base64"));
      assert.equal(Principal.selfAuthenticating(key).toText(), payer);
      if (name.toLowerCase().includes("ed25519") && !authorization.delegations) {
        const raw = key.slice(-32);
        assert.equal(Ed25519KeyIdentity.verify(new Uint8Array(Buffer.from(authorization.signature, "base64")), bytes, raw), true);
      }
    });
  }

  for (const { name, header, secret, memo, blockIndex, paymentId: id, payment } of vectors.transfers.payments) {
    it(`transfer ${name}: memo, id and header`, async () => {
      const { accepted, payload, resource } = payment;
      assert.equal(payload.secret, secret);
      assert.equal(payload.blockIndex, blockIndex);
      const bytes = new Uint8Array(Buffer.from(secret, "hex"));
      assert.equal(Buffer.from(await transferCommitment(transferTermsOf(accepted), bytes)).toString("hex"), memo);
      const proof = await transferProof(accepted, payload, { resource });
      assert.equal(proof.memo, memo);
      assert.equal(proof.paymentId, id);
      assert.deepEqual(decodePaymentSignatureHeader(proof.header), decodePaymentSignatureHeader(header));
      assert.equal(Buffer.from(proof.header, "base64").length, Buffer.from(header, "base64").length);
      const path = String(accepted.extra.route).replace("{id}", "7");
      assert.equal(await transferProblem(accepted, "GET", `https://shop.example${path}`), undefined);
      assert.match((await transferProblem(accepted, "POST", `https://shop.example${path}`)) ?? "", /requests, not for/);
      assert.match((await transferProblem(accepted, "GET", "https://shop.example/other/path/x")) ?? "", /, not for/);
      const other = { ...accepted, extra: { ...accepted.extra, revision: 2 } };
      assert.match((await transferProblem(other, "GET", `https://shop.example${path}`)) ?? "", /extra\.offer/);
    });
  }

  for (const { name, field, header } of vectors.transfers.badHeaders.filter(({ field }) => field.startsWith("payload."))) {
    it(`transfer with a bad proof: ${name}`, async () => {
      const { accepted, payload } = decodePaymentSignatureHeader(header) as unknown as { accepted: Accepted; payload: ExactIcrc1Payload };
      const at = field.replace("payload.", "");
      await assert.rejects(transferProof(accepted, payload), (error: Error) => error instanceof RangeError && error.message.includes(at));
    });
  }
});
