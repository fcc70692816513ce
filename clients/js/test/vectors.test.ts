import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { decodePaymentSignatureHeader } from "@x402/core/http";
import { accountText, type ExactIcrc2Payload, paymentId, signedMessage } from "../src/index.js";

interface Vectors {
  accounts: { owner: string; subaccount: string | null; text: string }[];
  payments: { name: string; header: string; message: string; paymentId: string; payer: string }[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../../../../crates/x402-icp/tests/vectors.json", import.meta.url), "utf8"),
) as Vectors;

describe("the vectors of docs/scheme_exact_icp.md", () => {
  for (const { owner, subaccount, text } of vectors.accounts) {
    it(`account ${text}`, () => {
      const bytes = subaccount === null ? undefined : new Uint8Array(Buffer.from(subaccount, "hex"));
      assert.equal(accountText(Principal.fromText(owner), bytes), text);
    });
  }

  for (const { name, header, message, paymentId: id, payer } of vectors.payments) {
    it(`payment ${name}: message, id and payer`, async () => {
      const { accepted, payload } = decodePaymentSignatureHeader(header);
      const authorization = payload as unknown as ExactIcrc2Payload;
      const { spender, offer } = accepted.extra as { spender: string; offer: string };
      const bytes = signedMessage({ ...accepted, spender, offer }, authorization);
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
});
