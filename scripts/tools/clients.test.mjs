// Stock clients against the demo that `clients-test` started; TOLLKEEPER_DEMO is its JSON line.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { DelegationChain, DelegationIdentity, ECDSAKeyIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import { Principal } from "@icp-sdk/core/principal";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from "@x402/core/http";
import { PaymentRequiredV2Schema } from "@x402/core/schemas";
import { cancelPayment, ExactIcpScheme, MemoryStore, OfferRefused, PayerLedger, resendingFetch, withPaymentIdentifier } from "tollkeeper-x402";
import { fileStore } from "tollkeeper-x402/file-store";
import * as idl from "./idl.mjs";
import { actor, agentFor, keyIn, ok } from "./replica.mjs";

const demo = JSON.parse(process.env.TOLLKEEPER_DEMO);
const network = { replica: demo.replica, root_key: demo.root_key };
/** On a bare gateway the parameter says which canister serves: nobody has to name the spender. */
const urlOf = (path) => new URL(`${path}?canisterId=${demo.canister}`, demo.gateway).href;
const report = urlOf("/report");
const payer = keyIn(demo.payer_pem);
const FUNDS = 300_000n;

/** Gives `identity` tokens of the demo's payer and lets the canister take half of them. */
async function fund(identity, id = demo.ledgers.ckUSDC, amount = FUNDS) {
  const books = actor(await agentFor(network, payer), id, idl.transfer);
  const to = { owner: identity.getPrincipal(), subaccount: [] };
  ok("icrc1_transfer", await books.icrc1_transfer({ to, amount, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
  const ledger = new PayerLedger(await agentFor(network, identity), id);
  await ledger.approve(demo.canister, amount / 2n);
  return ledger;
}

/** Why a paid request was answered 402: the code of the outcome or of the fresh offers. */
function refusal({ status, headers }) {
  const header = headers.get("payment-response") ?? headers.get("payment-required");
  return `${status} ${header ? atob(header) : "without an x402 header"}`;
}

const clientOf = (scheme) => new x402Client().register("icp:*", scheme);
/** A scheme with a store of its own; without `agent` it can ask nobody. */
const schemeOf = (identity, options) => new ExactIcpScheme(identity, { store: new MemoryStore(), ...options });
const quick = { attempts: 2, delayMs: 10, warn: () => undefined };
const payWith = (scheme, inner = fetch) => wrapFetchWithPayment(resendingFetch(inner, quick), clientOf(scheme));
/** Answers `answer` to paid requests, after they went through if `sends`; keeps the last header. */
function between(answer, sends = true) {
  const middle = async (input, init) => {
    const request = new Request(input, init);
    const header = request.headers.get("PAYMENT-SIGNATURE");
    if (header === null) return fetch(request);
    middle.header = header;
    if (sends) await (await fetch(request)).arrayBuffer();
    return answer();
  };
  return middle;
}
const closed = () => Promise.reject(new TypeError("the socket was closed"));
const delegated = async () => {
  const session = Ed25519KeyIdentity.generate();
  const root = Ed25519KeyIdentity.generate();
  const chain = await DelegationChain.create(root, session.getPublicKey(), new Date(Date.now() + 600_000), {
    targets: [demo.canister, demo.ledgers.ckUSDC].map((id) => Principal.fromText(id)),
  });
  return DelegationIdentity.fromDelegation(session, chain);
};

describe("the stock @x402/fetch client", () => {
  it("gets a 402 that the reference schema accepts", async () => {
    const response = await fetch(report);
    assert.equal(response.status, 402);
    assert.match(response.headers.get("cache-control"), /no-store/);
    PaymentRequiredV2Schema.parse(decodePaymentRequiredHeader(response.headers.get("payment-required")));
  });

  for (const [name, make] of [
    ["Ed25519", async () => Ed25519KeyIdentity.generate()],
    ["secp256k1", async () => Secp256k1KeyIdentity.generate()],
    ["P-256", async () => ECDSAKeyIdentity.generate()],
    ["delegated Ed25519", delegated],
  ]) {
    it(`pays with a ${name} key, once`, async () => {
      const identity = await make();
      const ledger = await fund(identity);
      const before = await ledger.balance();
      const scheme = schemeOf(identity, { agent: await agentFor(network, identity) });
      const response = await wrapFetchWithPayment(resendingFetch(fetch), clientOf(scheme))(report);
      assert.equal(response.status, 200, refusal(response));
      assert.match(await response.text(), /Market report/);
      const settled = decodePaymentResponseHeader(response.headers.get("payment-response"));
      assert.equal(settled.success, true);
      assert.equal(settled.payer, identity.getPrincipal().toText());
      assert.match(response.headers.get("cache-control"), /no-store/);
      assert.equal(before - (await ledger.balance()), 10_000n + 10_000n);
      assert.deepEqual(await scheme.unresolved(), []);
    });
  }

  it("is paid by another transport too, for a spender that the payer names, and knows when a payment has ended", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity);
    const before = await ledger.balance();
    const pay = wrapFetchWithPayment(fetch, clientOf(schemeOf(identity, { spenders: [demo.canister], host: demo.replica })));
    for (const total of [20_000n, 40_000n]) {
      assert.equal((await pay(report)).status, 200);
      assert.equal(before - (await ledger.balance()), total);
    }
  });

  it("believes the gateway about the canister when the canister says that it serves the origin", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity);
    const before = await ledger.balance();
    const tollkeeper = actor(await agentFor(network, keyIn(demo.operator_pem)), demo.canister, idl.tollkeeper);
    const url = new URL("/report", demo.gateway);
    const buy = () => payWith(schemeOf(identity, { host: demo.replica }))(url.href);
    await assert.rejects(buy(), (error) => error instanceof OfferRefused && /cannot be told/.test(error.message));
    ok("origin_set", await tollkeeper.origin_set([url.origin]));
    try {
      assert.equal((await buy()).status, 200);
    } finally {
      ok("origin_set", await tollkeeper.origin_set([]));
    }
    assert.equal(before - (await ledger.balance()), 20_000n);
  });

  it("takes the token that its owner named, of the several in one 402", async () => {
    const { ckUSDC, ICP } = demo.ledgers;
    const dataset = urlOf("/dataset");
    const unpaid = await fetch(dataset);
    const { accepts } = decodePaymentRequiredHeader(unpaid.headers.get("payment-required"));
    assert.deepEqual(accepts.map(({ asset }) => asset), [ckUSDC, ICP]);
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity, ICP, 2_000_000n);
    const before = await ledger.balance();
    const scheme = schemeOf(identity, { maxAmounts: { [ICP]: 700_000n } });
    const client = clientOf(scheme).setSpendControls(false).registerPolicy(scheme.policy);
    const response = await wrapFetchWithPayment(resendingFetch(fetch, quick), client)(dataset);
    assert.equal(response.status, 200, refusal(response));
    assert.equal(before - (await ledger.balance()), 700_000n + 10_000n);
  });

  it("buys one thing once under one payment identifier, whatever signs", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity);
    const before = await ledger.balance();
    const id = `pay_${randomUUID().replaceAll("-", "")}`;
    const first = await payWith(schemeOf(identity))(urlOf("/dataset"), withPaymentIdentifier(id));
    assert.equal(first.status, 200, refusal(first));
    const second = await payWith(schemeOf(identity))(urlOf("/dataset"), withPaymentIdentifier(id));
    assert.equal(second.status, 409, refusal(second));
    assert.deepEqual(await second.json(), { error: "payment_identifier_conflict" });
    assert.equal(before - (await ledger.balance()), 50_000n + 10_000n);
  });

  it("answers HEAD, OPTIONS, free and unknown paths without payment", async () => {
    const head = await fetch(report, { method: "HEAD" });
    assert.equal(head.status, 402);
    const preflight = await fetch(report, { method: "OPTIONS" });
    assert.ok(preflight.ok);
    assert.match(preflight.headers.get("access-control-allow-headers"), /PAYMENT-SIGNATURE/i);
    assert.equal((await fetch(demo.gateway)).status, 200);
    assert.equal((await fetch(new URL("/nothing", demo.gateway))).status, 404);
  });
});

/** The payer's transfers to the merchant, counted in the blocks of the ledger. */
async function transfersOf(identity) {
  const books = actor(await agentFor(network, identity), demo.ledgers.ckUSDC, idl.ledger);
  const blocks = [];
  for (let page; page?.length !== 0; blocks.push(...page)) {
    ({ blocks: page } = await books.icrc3_get_blocks([{ start: BigInt(blocks.length), length: 1000n }]));
  }
  const owner = Buffer.from(identity.getPrincipal().toUint8Array()).toString("hex");
  const field = (map, name) => map?.Map?.find(([key]) => key === name)?.[1];
  const paid = blocks.map(({ block }) => field(block, "tx")).filter((tx) => field(tx, "spender") && field(tx, "op")?.Text === "xfer");
  return paid.filter((tx) => Buffer.from(field(tx, "from").Array[0].Blob).toString("hex") === owner).length;
}

describe("one purchase is one block", () => {
  const folders = [];
  const folder = () => {
    folders.push(mkdtempSync(join(tmpdir(), "tollkeeper-clients-")));
    return folders.at(-1);
  };
  after(() => folders.forEach((path) => rmSync(path, { recursive: true })));

  for (const [name, answer] of [
    ["the socket is closed after settlement", closed],
    ["the answer is replaced by 503", () => new Response("", { status: 503 })],
    ["the answer is replaced by a refusal", () => new Response("{}", { status: 402 })],
    ["the receipt is taken away", () => new Response("Market report")],
  ]) {
    it(`when ${name}, and another process goes on`, async () => {
      const identity = Ed25519KeyIdentity.generate();
      await fund(identity);
      const path = folder();
      const first = schemeOf(identity, { store: fileStore(path) });
      await payWith(first, between(answer))(report).catch(() => undefined);
      assert.equal((await first.unresolved()).length, 1);
      const then = schemeOf(identity, { store: fileStore(path), host: demo.replica });
      assert.match(await (await payWith(then)(report)).text(), /Market report/);
      assert.deepEqual(await then.unresolved(), []);
      assert.equal(await transfersOf(identity), 1);
    });
  }

  it("when two processes buy at once", async () => {
    const identity = Ed25519KeyIdentity.generate();
    await fund(identity);
    const [path, barrier] = [folder(), folder()];
    const secret = Buffer.from(identity.getKeyPair().secretKey).toString("hex");
    const script = new URL("buyer.mjs", import.meta.url).pathname;
    const run = () => promisify(execFile)(process.execPath, [script, path, barrier, report], { env: { ...process.env, BUYER_SECRET: secret } });
    const results = await Promise.all([run(), run()]);
    for (const { stdout } of results) assert.match(stdout, /^200 .*Market report/);
    assert.equal(await transfersOf(identity), 1);
  });

  it("when it is refused, then approved, then bought", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity);
    await ledger.revoke(demo.canister);
    const agent = await agentFor(network, identity);
    await assert.rejects(payWith(schemeOf(identity, { agent }))(report), (error) => error instanceof OfferRefused && /allowance .* is 0/.test(error.message));
    const scheme = schemeOf(identity, { agent, preflight: false });
    const middle = (input, init) => ((middle.header = new Request(input, init).headers.get("PAYMENT-SIGNATURE") ?? middle.header), fetch(input, init));
    const pay = payWith(scheme, middle);
    const refused = await pay(report);
    assert.equal(decodePaymentResponseHeader(refused.headers.get("payment-response")).errorReason, "insufficient_allowance");
    const first = middle.header;
    await ledger.ensureAllowance(demo.canister, 20_000n);
    assert.equal((await pay(report)).status, 200);
    assert.deepEqual(await scheme.unresolved(), []);
    assert.equal(await cancelPayment(agent, first), "cancelled");
    assert.equal(await cancelPayment(agent, middle.header), "used");
    const late = await fetch(report, { headers: { "PAYMENT-SIGNATURE": first } });
    assert.equal(late.status, 402);
    assert.equal(await transfersOf(identity), 1);
    const other = await agentFor(network, Ed25519KeyIdentity.generate());
    await assert.rejects(cancelPayment(other, first), /signed this payment/);
  });

  it("when a gateway keeps it, and it is resolved", async () => {
    const identity = Ed25519KeyIdentity.generate();
    await fund(identity);
    const scheme = schemeOf(identity, { host: demo.replica });
    const middle = between(() => new Response("{}", { status: 402 }), false);
    await payWith(scheme, middle)(report);
    const [{ paymentId }] = await scheme.unresolved();
    assert.equal((await scheme.resolve(paymentId)).state, "dead");
    const late = await fetch(report, { headers: { "PAYMENT-SIGNATURE": middle.header } });
    assert.match(refusal(late), /invalid_exact_icp_cancelled/);
    assert.equal(await transfersOf(identity), 0);
  });

  it("when the answer is lost, the payment is found paid, and the content is fetched", async () => {
    const identity = Ed25519KeyIdentity.generate();
    await fund(identity);
    const scheme = schemeOf(identity, { host: demo.replica });
    await assert.rejects(payWith(scheme, between(closed))(report), { name: "PaymentUnresolved" });
    const [{ paymentId }] = await scheme.unresolved();
    const outcome = await scheme.resolve(paymentId);
    assert.deepEqual([outcome.state, outcome.delivered], ["paid", true], outcome.reason);
    assert.match(await (await scheme.refetch(paymentId)).text(), /Market report/);
    assert.deepEqual(await scheme.unresolved(), []);
    assert.equal(await transfersOf(identity), 1);
  });
});

describe("the tollkeeper command", () => {
  const run = promisify(execFile);
  const cli = (...args) =>
    run(process.env.TOLLKEEPER_CLI, [...args, "--json", "--network", "local", "--replica", demo.replica, "--identity", demo.payer_pem]);

  it("pays for a URL and prints the content's receipt as JSON", async () => {
    const { stdout } = await cli("pay", report, "--approve", "100000");
    const printed = JSON.parse(stdout);
    assert.match(JSON.stringify(printed), /Market report/);
  });
});

describe("the stock Python client", { skip: process.env.TOLLKEEPER_PYTHON ? false : "no Python 3.10 or newer here" }, () => {
  it("reads the 402 and pays with a plug-in of its own", async () => {
    const script = new URL("stock_python.py", import.meta.url).pathname;
    const { stdout } = await promisify(execFile)(process.env.TOLLKEEPER_PYTHON, [script, report, demo.payer_pem]);
    const { content, transaction, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, { unpaid: 402, offers: 2, status: 200, success: true, payer: payer.getPrincipal().toText() });
    assert.match(content, /Market report/);
    assert.match(transaction, /^\d+$/);
  });
});
