// Stock clients against the demo that `clients-test` started; TOLLKEEPER_DEMO is its JSON line.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { DelegationChain, DelegationIdentity, ECDSAKeyIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Secp256k1KeyIdentity } from "@icp-sdk/core/identity/secp256k1";
import { Principal } from "@icp-sdk/core/principal";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from "@x402/core/http";
import { PaymentRequiredV2Schema } from "@x402/core/schemas";
import { cancelPayment, ExactIcpScheme, PayerLedger, resendingFetch } from "tollkeeper-x402";
import * as idl from "./idl.mjs";
import { actor, agentFor, ok } from "./replica.mjs";

const demo = JSON.parse(process.env.TOLLKEEPER_DEMO);
const network = { replica: demo.replica, root_key: demo.root_key };
const report = new URL("/report", demo.gateway).href;
const payer = identityOf(demo.payer_pem);
const FUNDS = 2_000_000n;

function identityOf(pemFile) {
  const { d } = createPrivateKey(readFileSync(pemFile)).export({ format: "jwk" });
  return Ed25519KeyIdentity.fromSecretKey(new Uint8Array(Buffer.from(d, "base64url")));
}

/** Gives `identity` ckUSDC from the demo's payer and lets the canister take it. */
async function fund(identity) {
  const books = actor(await agentFor(network, payer), demo.ledgers.ckUSDC, idl.transfer);
  const to = { owner: identity.getPrincipal(), subaccount: [] };
  ok("icrc1_transfer", await books.icrc1_transfer({ to, amount: FUNDS, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
  const ledger = new PayerLedger(await agentFor(network, identity), demo.ledgers.ckUSDC);
  await ledger.approve(demo.canister, FUNDS / 2n);
  return ledger;
}

/** Why a paid request was answered 402: the code of the outcome or of the fresh offers. */
function refusal({ status, headers }) {
  const header = headers.get("payment-response") ?? headers.get("payment-required");
  return `${status} ${header ? atob(header) : "without an x402 header"}`;
}

const clientOf = (identity) => new x402Client().register("icp:*", new ExactIcpScheme(identity));
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
      const response = await wrapFetchWithPayment(resendingFetch(fetch), clientOf(identity))(report);
      assert.equal(response.status, 200, refusal(response));
      assert.match(await response.text(), /Market report/);
      const settled = decodePaymentResponseHeader(response.headers.get("payment-response"));
      assert.equal(settled.success, true);
      assert.equal(settled.payer, identity.getPrincipal().toText());
      assert.match(response.headers.get("cache-control"), /no-store/);
      assert.equal(before - (await ledger.balance()), 10_000n + 10_000n);
    });
  }

  it("is told why when the allowance does not suffice, and keeps its money", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity);
    await ledger.approve(demo.canister, 19_999n);
    const before = await ledger.balance();
    const response = await wrapFetchWithPayment(fetch, clientOf(identity))(report);
    assert.equal(response.status, 402);
    assert.equal(decodePaymentResponseHeader(response.headers.get("payment-response")).errorReason, "insufficient_allowance");
    assert.equal(await ledger.balance(), before);
  });

  it("ends a payment that a gateway calls refused and keeps", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity);
    const before = await ledger.balance();
    const agent = await agentFor(network, identity);
    let held;
    const liar = async (input, init) => {
      const request = new Request(input, init);
      held = request.headers.get("PAYMENT-SIGNATURE") ?? held;
      return held ? new Response("{}", { status: 402 }) : fetch(request);
    };
    await wrapFetchWithPayment(liar, clientOf(identity))(report);
    assert.equal(await cancelPayment(agent, held), "cancelled");
    const late = await fetch(report, { headers: { "PAYMENT-SIGNATURE": held } });
    assert.match(refusal(late), /invalid_exact_icp_cancelled/);
    assert.equal(await ledger.balance(), before);
    // One that was used cannot be taken back.
    const paid = await wrapFetchWithPayment((input, init) => {
      held = new Request(input, init).headers.get("PAYMENT-SIGNATURE") ?? held;
      return fetch(input, init);
    }, clientOf(identity))(report);
    assert.equal(paid.status, 200);
    assert.equal(await cancelPayment(agent, held), "used");
    const other = await agentFor(network, Ed25519KeyIdentity.generate());
    await assert.rejects(cancelPayment(other, held), /signed this payment/);
  });

  it("gets the same content for the same authorization, charged once", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity);
    const before = await ledger.balance();
    const twice = async (input, init) => {
      const request = new Request(input, init);
      if (!request.headers.has("PAYMENT-SIGNATURE")) return fetch(request);
      const first = await fetch(request.clone());
      const second = await fetch(request);
      assert.equal(await first.text(), await second.clone().text());
      return second;
    };
    const response = await wrapFetchWithPayment(twice, clientOf(identity))(report);
    assert.equal(response.status, 200);
    assert.equal(before - (await ledger.balance()), 20_000n);
  });

  it("buys once under one payment-identifier, even if it signs twice", async () => {
    const identity = Ed25519KeyIdentity.generate();
    const ledger = await fund(identity);
    const dataset = new URL("/dataset", demo.gateway).href;
    const { extensions } = decodePaymentRequiredHeader((await fetch(dataset)).headers.get("payment-required"));
    assert.equal(extensions["payment-identifier"].info.required, false);
    const id = `pay_${"0123456789abcdef".repeat(2)}`;
    const client = clientOf(identity).registerExtension({
      key: "payment-identifier",
      enrichPaymentPayload: async (payload) => ({ ...payload, extensions: { "payment-identifier": { info: { id } } } }),
    });
    const before = await ledger.balance();
    const first = await wrapFetchWithPayment(fetch, client)(dataset);
    assert.equal(first.status, 200, refusal(first));
    const second = await wrapFetchWithPayment(fetch, client)(dataset);
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
    assert.deepEqual(rest, { unpaid: 402, offers: 1, status: 200, success: true, payer: payer.getPrincipal().toText() });
    assert.match(content, /Market report/);
    assert.match(transaction, /^\d+$/);
  });
});
