// The canister of examples/motoko sells a method, with the canister of the demo that `clients-test` started.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { PayerLedger } from "tollkeeper-x402";
import * as idl from "./idl.mjs";
import { compileMotoko } from "./motoko.mjs";
import { actor, agentFor, installModule, keyIn, ok } from "./replica.mjs";
import { publish } from "./shop.mjs";

const FOLDER = fileURLToPath(new URL("../../examples/motoko", import.meta.url));
const demo = JSON.parse(process.env.TOLLKEEPER_DEMO);
const network = { replica: demo.replica, root_key: demo.root_key };
/** An id of the application subnet that nobody uses. */
const SELLER = (() => {
  const id = Principal.fromText(demo.canister).toUint8Array();
  id[7] += 32;
  return Principal.fromUint8Array(id).toText();
})();
const PRICE = 30_000n;

const Blob = IDL.Vec(IDL.Nat8);
const event = IDL.Record({
  event_id: IDL.Nat64,
  kind: IDL.Variant({ Settled: IDL.Null, Delivered: IDL.Null }),
  payment_id: Blob,
  path: IDL.Text,
});
const seller = () =>
  IDL.Service({
    forecast: IDL.Func([Blob], [IDL.Variant({ Ok: IDL.Text, Err: IDL.Text })], []),
    x402_notify: IDL.Func([event], [], []),
    sold: IDL.Func([], [IDL.Nat64], ["query"]),
  });

/** A payer with tokens of the demo's, who has approved the canister. */
async function newPayer() {
  const identity = Ed25519KeyIdentity.generate();
  const books = actor(await agentFor(network, keyIn(demo.payer_pem)), demo.ledgers.ckUSDC, idl.transfer);
  const to = { owner: identity.getPrincipal(), subaccount: [] };
  ok("icrc1_transfer", await books.icrc1_transfer({ to, amount: 300_000n, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
  const agent = await agentFor(network, identity);
  await new PayerLedger(agent, demo.ledgers.ckUSDC).approve(demo.canister, 200_000n);
  return agent;
}

/** Pays for a path by call, and returns the payment's id. */
async function pay(agent, path) {
  const tollkeeper = actor(agent, demo.canister, idl.tollkeeper);
  const [{ offers }] = await tollkeeper.quote({ method: "GET", path });
  const { ledger, amount, fee, pay_to } = offers[0];
  const created_at_time = BigInt(Date.now() - 1_000) * 1_000_000n;
  const id = randomBytes(32);
  const bought = await tollkeeper.pay({ id, method: "GET", path, ledger, amount, fee, pay_to, from_subaccount: [], created_at_time });
  return ok("pay", bought).receipt.payment_id;
}

describe("a Motoko canister that sells a method", () => {
  let agent;
  let payer;
  const as = (caller) => actor(caller, SELLER, seller);
  const refuses = async (call, words) => assert.match((await call).Err, words);

  before(async () => {
    const operator = await agentFor(network, keyIn(demo.operator_pem));
    agent = await agentFor(network, Ed25519KeyIdentity.generate());
    const argument = new Uint8Array(IDL.encode([IDL.Principal], [Principal.fromText(demo.canister)]));
    await installModule(operator, SELLER, compileMotoko(FOLDER, "Seller.mo"), argument);
    const tollkeeper = actor(operator, demo.canister, idl.tollkeeper);
    for (const path of ["/forecast", "/other"]) {
      await publish(tollkeeper, { path, description: "A ticket", mime_type: "text/plain", prices: { ckUSDC: PRICE }, content: "Thank you.\n" });
    }
    const id = Principal.fromText(SELLER);
    ok("access_readers_set", await tollkeeper.access_readers_set([id]));
    ok("notify_set", await tollkeeper.notify_set([id]));
    payer = await newPayer();
  });

  it("has forty lines of payment code", () => {
    const lines = readFileSync(join(FOLDER, "Paid.mo"), "utf8").split("\n");
    const code = lines.filter((line) => line.trim() !== "" && !line.trim().startsWith("//"));
    assert.ok(code.length <= 40, `${code.length}`);
  });

  it("gives what was paid for, once, to who has paid", async () => {
    const id = await pay(payer, "/forecast");
    await refuses(as(agent).forecast(id), /NotPaid/);
    await refuses(as(payer).forecast(new Uint8Array(32)), /NotPaid/);
    await refuses(as(payer).forecast(new Uint8Array(31)), /InvalidArgument/);
    await refuses(as(payer).forecast(await pay(payer, "/other")), /NotPaid/);
    // Two calls at the same time, with one payment.
    const answers = await Promise.all([as(payer).forecast(id), as(payer).forecast(id)]);
    assert.deepEqual(answers.filter((answer) => "Ok" in answer), [{ Ok: "Sun, 21 degrees." }]);
    await refuses(as(payer).forecast(id), /used before/);
  });

  it("counts its sales, and believes nobody but the Tollkeeper", async () => {
    const id = createHash("sha256").update("no payment").digest();
    const forged = { event_id: 99n, kind: { Delivered: null }, payment_id: id, path: "/forecast" };
    await assert.rejects(as(agent).x402_notify(forged), /only the Tollkeeper/);
    const end = Date.now() + 30_000;
    while ((await as(agent).sold()) < 2n && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 250));
    assert.ok((await as(agent).sold()) >= 2n);
  });
});
