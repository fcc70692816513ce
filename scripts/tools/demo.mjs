// The story of one paid request, told step by step; scripts/demo runs it.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from "@x402/core/http";
import { ExactIcpScheme, PayerLedger, resendingFetch } from "tollkeeper-x402";
import * as idl from "./idl.mjs";
import { actor, agentFor, startReplica } from "./replica.mjs";
import { CANISTER, LEDGERS, openShop, routeList } from "./shop.mjs";

const { values: options } = parseArgs({
  options: {
    serve: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    port: { type: "string", default: "0" },
    binary: { type: "string" },
    build: { type: "string" },
    canister: { type: "string" },
    ledger: { type: "string" },
  },
});
// Each run has a folder of its own: a second demo from the same clone leaves the keys of the first alone.
mkdirSync(join(options.build, "demo"), { recursive: true });
const keysFolder = mkdtempSync(join(options.build, "demo", "run-"));
process.once("exit", () => rmSync(keysFolder, { recursive: true, force: true }));
const say = options.json ? console.error : console.log;
let stepNumber = 0;
const step = (text) => say(`\n${++stepNumber}. ${text}`);
const show = (value) => say(JSON.stringify(value, (_, v) => (typeof v === "bigint" ? v.toString() : v), 2).replace(/^/gm, "   "));

// A signal that comes before the server is up ends the run at once; `exit` removes the folder in every case.
let stop = () => process.exit(1);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => stop());
const network = await startReplica(options.binary, { port: options.port, canister: CANISTER });
stop = () => network.process.kill("SIGTERM");

try {
  step("A local Internet Computer, two ledgers under their mainnet ids, the canister, three routes");
  const started = Date.now();
  const shop = await openShop(network, { canisterWasm: options.canister, keysFolder, ledgerWasm: options.ledger });
  const { network: networkId, version } = await shop.tollkeeper.config();
  say(`   canister ${CANISTER}, version ${version}, network ${networkId}, ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  await tell(shop);
  if (options.serve) {
    const running = {
      gateway: network.gateway,
      replica: network.replica,
      canister: CANISTER,
      network: networkId,
      root_key: network.root_key,
      ledgers: Object.fromEntries(Object.entries(LEDGERS).map(([symbol, { id }]) => [symbol, id])),
      payer_pem: join(keysFolder, "payer.pem"),
      operator_pem: join(keysFolder, "operator.pem"),
      routes: routeList(network.gateway),
    };
    const settings = { network: "local", replica: running.replica, identity: `"${running.payer_pem}"`, spender: CANISTER };
    const named = Object.entries(settings).map(([name, value]) => `--${name} ${value}`);
    running.pay = `tollkeeper pay ${running.routes[0].url} ${named.join(" ")} --approve`;
    if (options.json) console.log(JSON.stringify(running));
    else {
      say("\nServing until interrupted:");
      show(running);
    }
    await new Promise((resolve) => network.process.once("exit", resolve));
  }
} finally {
  stop();
}

async function tell({ payer, merchant, tollkeeper }) {
  const url = new URL("/report", network.gateway).href;
  const payerAgent = await agentFor(network, payer);
  const ckUsdc = new PayerLedger(payerAgent, LEDGERS.ckUSDC.id);
  const books = actor(payerAgent, LEDGERS.ckUSDC.id, idl.ledger);
  const merchantAccount = { owner: merchant.getPrincipal(), subaccount: [] };
  const before = { payer: await ckUsdc.balance(), merchant: await books.icrc1_balance_of(merchantAccount) };

  step(`GET ${url} without payment: 402, from a query, certified`);
  const unpaid = await fetch(url);
  assert.equal(unpaid.status, 402);
  const required = decodePaymentRequiredHeader(unpaid.headers.get("payment-required"));
  show(required);
  const terms = required.accepts[0];

  step("The payer approves the canister on the ledger, once, for many payments");
  const approved = 1_000_000n;
  say(`   icrc2_approve ${approved} atomic ckUSDC to ${terms.extra.spender}: block ${await ckUsdc.approve(terms.extra.spender, approved)}`);

  step("The stock @x402/fetch client signs an authorization and asks again");
  const seen = {};
  const watched = (input, init) => {
    const header = new Request(input, init).headers.get("payment-signature");
    if (header) seen.authorization = JSON.parse(atob(header)).payload;
    return fetch(input, init);
  };
  // The demo's gateway serves the canister under a name that says nothing, so the payer names it.
  const client = new x402Client().register("icp:*", new ExactIcpScheme(payer, { spenders: [CANISTER], agent: payerAgent }));
  const paid = await wrapFetchWithPayment(resendingFetch(watched), client)(url);
  const content = await paid.text();
  const settled = decodePaymentResponseHeader(paid.headers.get("payment-response"));
  show(seen.authorization);
  assert.equal(paid.status, 200);
  assert.equal(settled.success, true);

  step(`The block on the ledger: ${settled.transaction}`);
  const { blocks } = await books.icrc3_get_blocks([{ start: BigInt(settled.transaction), length: 1n }]);
  show(readable(blocks[0].block));
  const after = { payer: await ckUsdc.balance(), merchant: await books.icrc1_balance_of(merchantAccount) };
  const [price, fee] = [BigInt(terms.amount), BigInt(terms.extra.fee)];
  // The approval cost a ledger fee of its own.
  assert.equal(before.payer - after.payer, price + fee + fee);
  assert.equal(after.merchant - before.merchant, price);
  say(`   payer paid ${price} and the ledger's fee of ${fee}; merchant received ${after.merchant - before.merchant}`);

  step("The content");
  say(content.replace(/\n$/, "").replace(/^/gm, "   "));

  step("The receipt, kept by the canister");
  const id = memoOf(blocks[0].block);
  const receipt = await fetch(new URL(`/x402/receipts/${Buffer.from(id).toString("hex")}`, network.gateway));
  assert.equal(receipt.status, 200);
  show(await receipt.json());
  const [candid] = await tollkeeper.receipt(id);
  assert.equal(candid.block_index, BigInt(settled.transaction));
}

/** ICRC-3 Value as plain JSON: blobs in hex. */
function readable(value) {
  const [[kind, inner]] = Object.entries(value);
  if (kind === "Blob") return Buffer.from(inner).toString("hex");
  if (kind === "Array") return inner.map(readable);
  if (kind === "Map") return Object.fromEntries(inner.map(([key, item]) => [key, readable(item)]));
  return inner;
}

/** The memo of a transfer block: the payment id. */
function memoOf(block) {
  const field = (map, name) => map.Map.find(([key]) => key === name)?.[1];
  return new Uint8Array(field(field(block, "tx"), "memo").Blob);
}
