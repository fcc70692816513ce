// The story of one paid request, of purchases by call, by transfer and by invoice and of a canister that sells, told
// step by step; scripts/demo runs it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from "@x402/core/http";
import {
  checkInvoice,
  ExactIcpScheme,
  PayerLedger,
  resendingFetch,
  transferCommitment,
  transferProblem,
  transferProof,
  transferTermsOf,
} from "tollkeeper-x402";
import * as idl from "./idl.mjs";
import { actor, agentFor, install, ok, startReplica } from "./replica.mjs";
import { CANISTER, LEDGERS, offerInvoices, offerTransfers, openShop, routeList } from "./shop.mjs";

const { values: options } = parseArgs({
  options: {
    serve: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    port: { type: "string", default: "0" },
    binary: { type: "string" },
    build: { type: "string" },
    canister: { type: "string" },
    ledger: { type: "string" },
    seller: { type: "string" },
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
  const content = await tell(shop);
  await tellOfCall(shop, content);
  await tellOfTransfer(shop, content);
  await tellOfInvoice(shop, content);
  await tellOfForward(shop);
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
  show(await receiptOf(id));
  const [candid] = await tollkeeper.receipt(id);
  assert.equal(candid.block_index, BigInt(settled.transaction));
  return content;
}

/** The same resource, bought by a principal with a Candid call. */
async function tellOfCall({ payer }, content) {
  const dapp = Ed25519KeyIdentity.generate();
  const dappAgent = await agentFor(network, dapp);
  const ckUsdc = new PayerLedger(dappAgent, LEDGERS.ckUSDC.id);
  const tollkeeper = actor(dappAgent, CANISTER, idl.tollkeeper);
  const books = actor(await agentFor(network, payer), LEDGERS.ckUSDC.id, idl.transfer);
  const money = 1_000_000n;
  const gift = { to: { owner: dapp.getPrincipal(), subaccount: [] }, amount: money, fee: [], memo: [], from_subaccount: [], created_at_time: [] };
  ok("icrc1_transfer", await books.icrc1_transfer(gift));

  step("A dapp's principal buys by the method pay, without HTTP; its wallet shows this before (ICRC-21)");
  const key = { method: "GET", path: "/report" };
  const [{ offers }] = await tollkeeper.quote(key);
  const { ledger, amount, fee, pay_to } = offers[0];
  // The clock of the network may be behind.
  const created_at_time = BigInt(Date.now() - 10_000) * 1_000_000n;
  const order = { ...key, id: randomBytes(32), ledger, amount, fee, pay_to, from_subaccount: [], created_at_time };
  const [, method] = idl.tollkeeper({ IDL })._fields.find(([name]) => name === "pay");
  const user_preferences = { metadata: { language: "en", utc_offset_minutes: [] }, device_spec: [{ GenericDisplay: null }] };
  const asked = { method: "pay", arg: new Uint8Array(IDL.encode(method.argTypes, [order])), user_preferences };
  const consent = ok("consent", await tollkeeper.icrc21_canister_call_consent_message(asked));
  const message = consent.consent_message.GenericDisplayMessage;
  say(message.replace(/\n+/g, "\n").replace(/^/gm, "   "));
  assert.ok(message.startsWith("# Buy GET /report\n"));
  for (const told of ["0.01 ckUSDC", dapp.getPrincipal(), ledger, pay_to.owner, CANISTER, order.id.toString("hex")]) {
    assert.ok(message.includes(`\`${told}\``), `the message says ${told}`);
  }

  step("It approves, and calls; the same call again costs nothing");
  say(`   icrc2_approve ${money} atomic ckUSDC to ${CANISTER}: block ${await ckUsdc.approve(CANISTER, money)}`);
  const bought = ok("pay", await tollkeeper.pay(order));
  const { receipt, body, mime_type } = bought;
  assert.equal(Buffer.from(body).toString(), content);
  const left = await ckUsdc.balance();
  // The approval cost a fee of its own.
  assert.equal(money - left, amount + fee + fee);
  say(`   pay: block ${receipt.block_index}, ${body.length} bytes of ${mime_type}; the dapp has ${left} left`);
  assert.deepEqual(ok("pay", await tollkeeper.pay(order)), bought);
  assert.equal(await ckUsdc.balance(), left);
  say(`   pay again: the same block and bytes; the dapp has ${left} left`);
  const kept = await receiptOf(receipt.payment_id);
  show(kept);
  assert.equal(kept.transaction, receipt.block_index.toString());
}

/** The same resource, paid by a transfer that the payer makes and proves. */
async function tellOfTransfer({ payer, tollkeeper }, content) {
  step("Who can send a memo, but neither sign nor approve, transfers; the route offers it since its operator said so");
  await offerTransfers(tollkeeper);
  const url = new URL("/report", network.gateway).href;
  const unpaid = await fetch(url);
  const { accepts } = decodePaymentRequiredHeader(unpaid.headers.get("payment-required"));
  const offer = accepts.find(({ extra }) => extra.assetTransferMethod === "icrc1");
  show(offer);
  assert.equal(await transferProblem(offer, "GET", url), undefined);
  const secret = new Uint8Array(randomBytes(32));
  const memo = await transferCommitment(transferTermsOf(offer), secret);
  const books = actor(await agentFor(network, payer), LEDGERS.ckUSDC.id, idl.transfer);
  const to = { owner: Principal.fromText(offer.payTo), subaccount: [] };
  const transfer = { to, amount: BigInt(offer.amount), fee: [], memo: [memo], from_subaccount: [], created_at_time: [] };
  const block = ok("icrc1_transfer", await books.icrc1_transfer(transfer));
  say(`   icrc1_transfer of ${offer.amount} to payTo: block ${block}; the memo commits to the offer and to a secret`);

  step("The block and the secret buy it, once; a stranger sees the block, not the secret");
  const from = payer.getPrincipal().toText();
  const present = async (known) => {
    const payload = { from, blockIndex: block.toString(), secret: Buffer.from(known).toString("hex") };
    const { header } = await transferProof(offer, payload);
    return fetch(url, { headers: { "payment-signature": header } });
  };
  const stranger = await present(randomBytes(32));
  say(`   a stranger: ${stranger.status} ${(await stranger.json()).message}`);
  assert.equal(stranger.status, 402);
  for (const time of ["the payer", "again"]) {
    const paid = await present(secret);
    assert.equal(paid.status, 200);
    assert.equal(await paid.text(), content);
    const { transaction } = decodePaymentResponseHeader(paid.headers.get("payment-response"));
    assert.equal(transaction, block.toString());
    say(`   ${time}: 200, block ${transaction}`);
  }
}

/** The same resource, for who can only send money to an account. */
async function tellOfInvoice({ payer, merchant, tollkeeper }, content) {
  step("Who can set no memo, such as an exchange, pays an invoice: an account of its own, which a secret id makes");
  await offerInvoices(tollkeeper);
  const id = randomBytes(32).toString("hex");
  const ledger = LEDGERS.ckUSDC.id;
  const made = await fetch(new URL("/x402/invoices", network.gateway), {
    method: "POST",
    body: JSON.stringify({ id, path: "/report", ledger }),
  });
  const invoice = await made.json();
  assert.equal(made.status, 201, JSON.stringify(invoice));
  const { status, amount, price, account, expiresAt } = invoice;
  show({ status, amount, price, account, expiresAt });
  const page = new URL(made.headers.get("location"), network.gateway);
  // Whoever shows an invoice could show another account: it is computed from canister and id.
  const toPay = await checkInvoice(invoice, { canister: CANISTER, id, ledger, maxAmount: 50_000n, now: Date.parse(invoice.createdAt) });
  say(`   its page, with a QR code: ${page.pathname.slice(0, 24)}…`);

  step("A plain transfer pays it; the payer sends too much");
  const agent = await agentFor(network, payer);
  const books = actor(agent, ledger, idl.transfer);
  const merchantAccount = { owner: merchant.getPrincipal(), subaccount: [] };
  const own = new PayerLedger(agent, ledger);
  const reader = actor(agent, ledger, idl.ledger);
  const earned = await reader.icrc1_balance_of(merchantAccount);
  const tooMuch = 25_000n;
  const to = { owner: toPay.account.owner, subaccount: [toPay.account.subaccount] };
  const sent = toPay.amount + tooMuch;
  const block = ok("icrc1_transfer", await books.icrc1_transfer({ to, amount: sent, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
  say(`   icrc1_transfer of ${sent} to the account: block ${block}; ${toPay.amount} were asked for`);
  const bought = await fetch(new URL(invoice.content, network.gateway));
  assert.equal(bought.status, 200);
  assert.equal(await bought.text(), content);
  const { transaction } = decodePaymentResponseHeader(bought.headers.get("payment-response"));
  assert.equal((await reader.icrc1_balance_of(merchantAccount)) - earned, BigInt(price));
  say(`   200, the content; the merchant got ${price} in block ${transaction}`);

  step("What is too much goes back, to the account that who knows the id names");
  const before = await own.balance();
  const back = { owner: payer.getPrincipal(), subaccount: [] };
  const asked = { id: Buffer.from(id, "hex"), ledger: Principal.fromText(ledger), to: [back] };
  const returned = ok("invoice_return", await tollkeeper.invoice_return(asked));
  assert.equal((await own.balance()) - before, returned.amount);
  assert.equal(returned.amount, tooMuch - LEDGERS.ckUSDC.fee);
  say(`   invoice_return: ${returned.amount} in block ${returned.block_index}, less the ledger's fee`);
}

/** A route whose work another canister does. */
async function tellOfForward({ operator, payer, tollkeeper }) {
  step("Another canister sells: a route names it, and its method x402_serve is called after the payment");
  const id = Principal.fromText(CANISTER).toUint8Array();
  id[7] += 1;
  const seller = Principal.fromUint8Array(id);
  await install(await agentFor(network, operator), seller.toText(), options.seller, IDL.Null, null);
  const price = { ledger: Principal.fromText(LEDGERS.ckUSDC.id), amount: 10_000n };
  const forward = { canister: seller, mode: { Serve: null }, idempotent: false, on_failure: { Refund: null } };
  ok(
    "route_put",
    await tollkeeper.route_put({
      method: "POST",
      path: "/shout",
      description: "Your text in capitals",
      mime_type: "text/plain",
      prices: [price],
      pay_to: [],
      max_timeout_seconds: [],
      on_sale: true,
      payment_identifier: [],
      transfers: [],
      invoices: [],
      forward: [forward],
    }),
  );
  show({ target: seller.toText(), mode: "Serve", idempotent: false, on_failure: "Refund" });
  const url = new URL("/shout", network.gateway).href;
  const request = { method: "POST", body: "pay once, shout once" };
  assert.equal((await fetch(url, request)).status, 402);

  step("The client pays and gets the target's answer; the canister keeps it and gives it again");
  const sent = {};
  const watched = (input, init) => {
    // A request with a body can be read once.
    const header = new Headers(init?.headers ?? input.headers).get("payment-signature");
    if (header) sent.header = header;
    return fetch(input, init);
  };
  const agent = await agentFor(network, payer);
  const client = new x402Client().register("icp:*", new ExactIcpScheme(payer, { spenders: [CANISTER], agent }));
  const paid = await wrapFetchWithPayment(resendingFetch(watched), client)(url, request);
  const answer = await paid.text();
  say(`   ${paid.status}: ${answer}`);
  assert.equal(answer, "PAY ONCE, SHOUT ONCE");
  const { extra } = decodePaymentResponseHeader(paid.headers.get("payment-response"));
  const again = await fetch(url, { ...request, headers: { "payment-signature": sent.header } });
  assert.equal(await again.text(), answer);
  const counts = () => IDL.Service({ works: IDL.Func([IDL.Vec(IDL.Nat8)], [IDL.Nat32], ["query"]) });
  const works = await actor(agent, seller.toText(), counts).works(Buffer.from(extra.paymentId, "hex"));
  assert.equal(works, 1);
  say(`   the same request again: the same answer; the target was called ${works} time`);
}

/** What anybody may read of a receipt. */
async function receiptOf(id) {
  const receipt = await fetch(new URL(`/x402/receipts/${Buffer.from(id).toString("hex")}`, network.gateway));
  assert.equal(receipt.status, 200);
  return (await receipt.json()).receipt;
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
