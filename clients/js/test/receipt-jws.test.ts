import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { verifySignedReceipt } from "../src/index.js";

interface Vectors {
  didDocument: Record<string, unknown>;
  jwk: Record<string, unknown>;
  good: { jws: string; receipt: object }[];
  bad: { name: string; jws: string }[];
}

const text = readFileSync(new URL("../../../../crates/x402-icp/tests/jws.json", import.meta.url), "utf8");
const { didDocument, jwk, good, bad } = JSON.parse(text) as Vectors;
const first = good[0]!;

describe("signed receipts", () => {
  for (const [name, keys] of Object.entries({ didDocument, jwk })) {
    it(`are verified by the ${name}`, async () => {
      for (const { jws, receipt } of good) assert.deepEqual(await verifySignedReceipt(jws, keys), receipt);
    });
  }

  for (const { name, jws } of bad) {
    it(`are refused: ${name}`, () => assert.rejects(verifySignedReceipt(jws, didDocument), /^Error: the signed receipt is not verified: /));
  }

  it("are refused with one changed character anywhere", async () => {
    const { jws } = first;
    for (let at = 0; at < jws.length; at++) {
      const changed = jws.slice(0, at) + (jws[at] === "A" ? "B" : "A") + jws.slice(at + 1);
      await assert.rejects(verifySignedReceipt(changed, didDocument), `${at}`);
    }
  });

  it("are refused by keys that make no assertions for the site, or are others", async () => {
    const changed = (change: (document: any) => void) => {
      const document = structuredClone(didDocument);
      change(document);
      return document;
    };
    for (const keys of [
      undefined,
      null,
      [],
      {},
      { ...jwk, kid: "did:web:shop.example#key_2" },
      { ...jwk, crv: "X25519" },
      { ...jwk, x: "AAAA" },
      { ...jwk, x: "A".repeat(43) },
      changed((document) => (document.assertionMethod = [])),
      changed((document) => (document.id = "did:web:evil.example")),
      changed((document) => (document.verificationMethod[1].controller = "did:web:evil.example")),
      changed((document) => (document.verificationMethod[1].publicKeyJwk.kty = "EC")),
    ]) {
      await assert.rejects(verifySignedReceipt(first.jws, keys), JSON.stringify(keys));
    }
  });
});
