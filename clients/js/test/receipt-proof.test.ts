import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { Agent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { fetchReceipt, verifyReceipt } from "../src/index.js";

interface Proof {
  receipt: Record<string, unknown>;
  details?: Record<string, unknown>;
  [member: string]: unknown;
}

interface Vectors {
  rootKey: string;
  canister: string;
  index: string;
  certifiedAt: string;
  good: { name: string; proof: Proof }[];
  bad: { name: string; proof: Proof }[];
}

const text = readFileSync(new URL("../../../../crates/x402-icp/tests/receipts.json", import.meta.url), "utf8");
const vectors = JSON.parse(text) as Vectors;
const rootKey = new Uint8Array(Buffer.from(vectors.rootKey, "hex"));
const verify = (proof: unknown) => verifyReceipt(JSON.stringify(proof), { rootKey });

describe("the vectors of receipts", () => {
  for (const { name, proof } of vectors.good) {
    it(`verifies: ${name}`, async () => {
      const verified = await verify(proof);
      assert.deepEqual(verified.receipt, proof.receipt);
      assert.deepEqual(verified.details, proof.details);
      assert.equal(verified.index, BigInt(vectors.index));
      assert.equal(verified.certifiedAt, BigInt(vectors.certifiedAt));
    });
  }

  for (const { name, proof } of vectors.bad) {
    it(`refuses: ${name}`, () => assert.rejects(verify(proof), /^Error: the receipt is not verified: /));
  }
});

describe("a receipt with its proof", () => {
  const full = vectors.good[1]?.proof;
  assert.ok(full?.details);

  for (const part of ["receipt", "details"] as const) {
    for (const [field, value] of Object.entries(full[part] ?? {})) {
      it(`is refused with another ${part}.${field}`, async () => {
        const others: unknown[] =
          typeof value === "string"
            ? [..."01abé "].map((last) => [...value].slice(0, -1).join("") + last).concat(`${value} `, `0${value}`, value.toUpperCase(), "", "\ud800")
            : [7, 0, 6.5, -250, 262, "6"];
        for (const other of [...others, null, undefined, 1e999, {}].filter((other) => other !== value)) {
          await assert.rejects(verify({ ...full, [part]: { ...full[part], [field]: other } }), `${String(other)}`);
        }
      });
    }
    it(`is refused with a member more in ${part}`, () => assert.rejects(verify({ ...full, [part]: { ...full[part], more: "1" } })));
  }

  it("is refused from another network or canister", async () => {
    const json = JSON.stringify(full);
    await assert.rejects(verifyReceipt(json), /network icp:1/);
    await assert.rejects(verifyReceipt(json, { rootKey, canister: "aaaaa-aa" }), /canister aaaaa-aa/);
    await verifyReceipt(json, { rootKey, canister: vectors.canister });
  });

  it("is refused if it is no receipt", async () => {
    for (const junk of ["", "null", "[]", "{}", '{"version":1}', " ".repeat(70_000)]) await assert.rejects(verifyReceipt(junk, { rootKey }));
    for (const witness of ["", "gA==", "gwE=", Buffer.from([0x81, 0xf6]).toString("base64"), Buffer.alloc(40_000, 0x81).toString("base64")]) {
      await assert.rejects(verify({ ...full, witness }));
    }
  });
});

describe("fetching a receipt", () => {
  const id = "07".repeat(32);
  /** An agent whose node has this receipt, or rejects. */
  const agent = (json: [] | [string] | "reject") =>
    ({
      query: (canister: { toText(): string }, { methodName, arg }: { methodName: string; arg: Uint8Array }) => {
        assert.equal(canister.toText(), vectors.canister);
        assert.equal(methodName, "receipt_proof");
        assert.deepEqual(IDL.decode([IDL.Vec(IDL.Nat8)], arg)[0], new Uint8Array(32).fill(7));
        if (json === "reject") return Promise.resolve({ status: "rejected", reject_message: "no" });
        return Promise.resolve({ reply: { arg: IDL.encode([IDL.Opt(IDL.Text)], [json]) } });
      },
    }) as unknown as Agent;

  it("asks the query receipt_proof, and the answer is verified", async () => {
    const json = await fetchReceipt(agent([JSON.stringify(vectors.good[0]?.proof)]), vectors.canister, id);
    assert.equal((await verifyReceipt(json, { rootKey })).receipt.canister, vectors.canister);
  });

  it("throws if there is none, if the canister rejects, and for no id", async () => {
    await assert.rejects(fetchReceipt(agent([]), vectors.canister, id), /has no receipt of payment/);
    await assert.rejects(fetchReceipt(agent("reject"), vectors.canister, id), /refuses: no/);
    for (const bad of ["", "07", id.replace("0", "G"), `${id}00`]) {
      await assert.rejects(fetchReceipt(agent([]), vectors.canister, bad), /64 hexadecimal digits/);
    }
  });

  it("says that an answer without a proof has none", async () => {
    const { witness, certificate, index, ...rest } = vectors.good[0]!.proof;
    assert.ok(witness && certificate && index);
    await assert.rejects(verify({ ...rest, proofAt: { canister: vectors.canister, query: "receipt_proof" } }), /no index/);
  });
});
