// The JavaScript client pays by transfer on the demo that `clients-test` started: a real ledger, block log and gateway.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader, encodePaymentRequiredHeader } from "@x402/core/http";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { ExactIcpScheme, MemoryStore, payByTransfer, PayerLedger, resendingFetch } from "tollkeeper-x402";
import * as idl from "./idl.mjs";
import { actor, agentFor, keyIn, ok } from "./replica.mjs";

const demo = JSON.parse(process.env.TOLLKEEPER_DEMO);
const network = { replica: demo.replica, root_key: demo.root_key };
const report = new URL(`/report?canisterId=${demo.canister}`, demo.gateway).href;
const quick = { attempts: 2, delayMs: 10, warn: () => undefined };
/** Price and fee of the ledger. */
const COST = 10_000n + 10_000n;

/** A payer who has tokens of the demo's, and approves nobody. */
async function payer() {
  const identity = Ed25519KeyIdentity.generate();
  const books = actor(await agentFor(network, keyIn(demo.payer_pem)), demo.ledgers.ckUSDC, idl.transfer);
  const to = { owner: identity.getPrincipal(), subaccount: [] };
  ok("icrc1_transfer", await books.icrc1_transfer({ to, amount: 100_000n, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
  const agent = await agentFor(network, identity);
  const ledger = new PayerLedger(agent, demo.ledgers.ckUSDC);
  const store = new MemoryStore();
  const scheme = (asked = agent) => new ExactIcpScheme(identity, { agent: asked, store, ways: ["icrc1"] });
  return { identity, agent, scheme, spent: async () => 100_000n - (await ledger.balance()) };
}

/** The same agent, which loses the first `count` answers to transfers after they were made. */
function losing(agent, count) {
  let lost = 0;
  const update = async (canister, call, ...rest) => {
    const answer = await agent.update(canister, call, ...rest);
    if (call.methodName === "icrc1_transfer" && lost++ < count) throw new Error("the answer was lost");
    return answer;
  };
  const of = (value) => (typeof value === "function" ? value.bind(agent) : value);
  return new Proxy(agent, { get: (_, name) => (name === "update" ? update : of(agent[name])) });
}

describe("the JavaScript client, by transfer", () => {
  it("buys below the stock client, and the receipt names the block of the payer's own transfer", async () => {
    const { scheme, spent, identity } = await payer();
    const ways = ["icrc1"];
    const client = new x402Client().register("icp:*", scheme());
    const response = await wrapFetchWithPayment(resendingFetch(fetch, { ...quick, ways }), client)(report);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /Market report/);
    const { transaction, payer: from, extra } = decodePaymentResponseHeader(response.headers.get("payment-response"));
    assert.equal(from, identity.getPrincipal().toText());
    assert.match(extra.paymentId, /^[0-9a-f]{64}$/);
    const books = actor(await agentFor(network, identity), demo.ledgers.ckUSDC, idl.ledger);
    const { blocks } = await books.icrc3_get_blocks([{ start: BigInt(transaction), length: 1n }]);
    const tx = blocks[0].block.Map.find(([key]) => key === "tx")[1].Map;
    assert.ok(!tx.some(([key]) => key === "spender"));
    assert.equal(await spent(), COST);
  });

  it("pays once when an answer of the seller is lost, and knows what became of it", async () => {
    const { scheme, spent } = await payer();
    let lost = 0;
    const lossy = async (input, init) => {
      const answer = await fetch(input, init);
      if (!new Request(input, init).headers.has("PAYMENT-SIGNATURE") || lost++ > 1) return answer;
      await answer.arrayBuffer();
      throw new TypeError("the socket was closed");
    };
    const first = scheme();
    await assert.rejects(payByTransfer(first, lossy, quick)(report), { name: "PaymentUnresolved" });
    const [{ paymentId, transfer }] = await first.unresolved();
    assert.match(transfer.block, /^[0-9]+$/);
    const outcome = await first.resolve(paymentId);
    assert.deepEqual([outcome.state, outcome.delivered], ["paid", true], outcome.reason);
    const then = scheme();
    assert.match(await (await payByTransfer(then, lossy, quick)(report)).text(), /Market report/);
    assert.deepEqual(await then.unresolved(), []);
    assert.equal(await spent(), COST);
  });

  it("makes the same transfer when the ledger's answer is lost, also in another process", async () => {
    const { scheme, spent, agent } = await payer();
    const forgetful = losing(agent, 2);
    await assert.rejects(payByTransfer(scheme(forgetful), fetch, quick)(report), { name: "PaymentUnresolved" });
    assert.equal(await spent(), COST);
    assert.match(await (await payByTransfer(scheme(), fetch, quick)(report)).text(), /Market report/);
    assert.equal(await spent(), COST);
  });

  it("finds a transfer in the log of the ledger", async () => {
    const { scheme, agent } = await payer();
    const forgetful = losing(agent, Infinity);
    const first = scheme(forgetful);
    await assert.rejects(payByTransfer(first, fetch, quick)(report), { name: "PaymentUnresolved" });
    const [{ paymentId }] = await first.unresolved();
    const { state, reason } = await first.resolve(paymentId);
    assert.equal(state, "paid", reason);
    assert.match(await (await first.refetch(paymentId)).text(), /Market report/);
  });

  it("transfers nothing to an account that a gateway has put into the offer", async () => {
    const { scheme, spent, identity } = await payer();
    const thief = async (input, init) => {
      const answer = await fetch(input, init);
      const required = decodePaymentRequiredHeader(answer.headers.get("payment-required"));
      const accepts = required.accepts.map((offer) => ({ ...offer, payTo: identity.getPrincipal().toText() }));
      return new Response("{}", { status: 402, headers: { "PAYMENT-REQUIRED": encodePaymentRequiredHeader({ ...required, accepts }) } });
    };
    await assert.rejects(payByTransfer(scheme(), thief, quick)(report), /makes no offer/);
    assert.equal(await spent(), 0n);
  });
});
