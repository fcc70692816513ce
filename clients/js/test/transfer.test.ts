/** Purchases by the payer's own transfer: it is made once, recorded before it leaves, and its proof is kept. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import { fileStore } from "../src/file-store.js";
import { type ExactIcpOptions, ExactIcpScheme, MemoryStore, OfferRefused, payByTransfer, PaymentUnresolved, type ResendOptions } from "../src/index.js";
import { own } from "./bank.js";
import { FakeNetwork, STATUSES } from "./network.js";
import { buyer, CKUSDC, encode, type Entry, identity, offer, QUICK, Seller, SPENDER } from "./support.js";
import { proven, transferOffer } from "./transfers.js";

const DAY = 86_400;
const seller = await new Seller().start();
const folders: string[] = [];
const folder = () => (folders.push(mkdtempSync(join(tmpdir(), "tollkeeper-transfer-"))), folders.at(-1)!);
after(() => (seller.stop(), folders.forEach((path) => rmSync(path, { recursive: true }))));

let net: FakeNetwork;
let terms: Entry;
beforeEach(async () => {
  net = new FakeNetwork();
  terms = transferOffer(await offer({ network: await net.id() }));
  net.offers = [{ ledger: Principal.fromText(CKUSDC), amount: 10_000n, pay_to: { owner: Principal.anonymous(), subaccount: [] }, offer: terms.extra.offer }];
  seller.reset([terms], proven);
});

const payer = (options: ExactIcpOptions = {}, resend: ResendOptions = {}) => {
  const ways = ["icrc2", "icrc1"] as const;
  return buyer({ agent: net.agent(), ways, ...options }, { ways, ...resend });
};
const refused = (words: RegExp) => (error: unknown) => error instanceof OfferRefused && words.test(error.message);
const unresolved = (error: unknown) => error instanceof PaymentUnresolved;
const bought = async (response: Response) => (assert.equal(response.status, 200), assert.equal(await response.text(), "the report"));

describe("a transfer", () => {
  it("and its block are recorded before anything depends on them", async () => {
    const store = new MemoryStore();
    const only = async () => (await store.list()).find(({ state }) => state === "unresolved")!;
    net.bank.watch = async (when, { memo }) => {
      const record = await only();
      assert.deepEqual([record.transfer?.sent, record.header], [true, null], when);
      assert.equal(record.paymentId, Buffer.from(memo[0]).toString("hex"));
    };
    seller.paid = async (attempt, response, seen) => {
      const { header, payload, transfer } = await only();
      assert.equal(header, seen.header);
      assert.deepEqual(payload, seen.payment.payload);
      assert.match(String(transfer?.knownAs), /^[0-9a-f]{64}$/);
      proven(attempt, response, seen);
    };
    const { pay, scheme } = payer({ store });
    await bought(await pay(seller.url()));
    const [sent] = net.bank.sent;
    assert.equal(net.bank.sent.length, 1);
    assert.deepEqual([sent!.amount, sent!.fee, sent!.from_subaccount], [10_000n, [10_000n], []]);
    assert.deepEqual(seller.seen[0]!.payment.accepted, terms);
    assert.deepEqual(await scheme.unresolved(), []);
    // The same purchase again is another one, with a transfer of its own.
    await bought(await pay(seller.url()));
    assert.equal(net.bank.made.size, 2);
  });

  it("is made without a stock client, too", async () => {
    seller.offers = [await offer({ network: await net.id() }), terms];
    const scheme = new ExactIcpScheme(identity, { agent: net.agent(), ways: ["icrc1"], store: new MemoryStore() });
    await bought(await payByTransfer(scheme, fetch, QUICK)(seller.url()));
    assert.equal(net.bank.made.size, 1);
    const two = new ExactIcpScheme(identity, { agent: net.agent(), store: new MemoryStore() });
    await assert.rejects(payByTransfer(two, fetch, QUICK)(seller.url()), refused(/option ways/));
    assert.equal(net.bank.sent.length, 1);
  });

  it("is made only where there is no offer by allowance, and the user allows it", async () => {
    seller.offers = [terms, await offer({ network: await net.id(), amount: "20000" })];
    seller.paid = (_attempt, response) => void response.writeHead(404).end();
    await payer().pay(seller.url());
    assert.equal(seller.seen[0]!.payment.accepted.extra?.assetTransferMethod, "icrc2");
    seller.reset([terms], proven);
    const ways = ["icrc1"] as const;
    await assert.rejects(buyer({ agent: net.agent() }).pay(seller.url()), refused(/option ways/));
    await assert.rejects(buyer({ agent: net.agent(), ways }).pay(seller.url()), refused(/option ways/));
    await assert.rejects(buyer({ agent: net.agent() }, { ways }).pay(seller.url()), refused(/option ways/));
    await assert.rejects(payer({ agent: false }).pay(seller.url()), refused(/needs an agent/));
    assert.throws(() => payer({ ways: ["cash" as never] }), RangeError);
    assert.equal(net.bank.sent.length, 0);
  });

  it("is not made for an offer that its canister does not confirm", async () => {
    const [made] = net.offers;
    const elsewhere = { ...terms, payTo: identity.getPrincipal().toText() };
    for (const change of [
      () => (seller.offers = [elsewhere]),
      () => (net.offers = []),
      () => (net.offers = [{ ...made!, amount: 9_999n }]),
      () => (net.offers = [{ ...made!, ledger: Principal.fromText(SPENDER) }]),
      () => (net.offers = [{ ...made!, offer: "0".repeat(32) }]),
      () => net.broken.add("offers"),
    ]) {
      seller.offers = [terms];
      net.offers = [made!];
      change();
      const { pay, scheme } = payer();
      await assert.rejects(pay(seller.url()), refused(/makes no offer|did not confirm/));
      assert.deepEqual(await scheme.unresolved(), []);
    }
    net.principal = Principal.anonymous();
    await assert.rejects(payer().pay(seller.url()), refused(/speaks for/));
    assert.equal(net.bank.sent.length, 0);
  });

  it("is not made above the cap, with another fee, too little money, or a proof that is too long", async () => {
    const { pay } = payer();
    net.fee = 9_000n;
    await assert.rejects(pay(seller.url()), refused(/fee/));
    net.fee = 10_000n;
    net.balance = 19_999n;
    await assert.rejects(pay(seller.url()), refused(/balance/));
    net.balance = 1_000_000n;
    await assert.rejects(payer({ maxAmounts: { [CKUSDC]: 9_999n } }).pay(seller.url()), refused(/cap/));
    const long = encode({ x402Version: 2, resource: { url: "/report", description: "x".repeat(12_000) }, accepts: [terms] });
    const inner = async () => new Response("{}", { status: 402, headers: { "PAYMENT-REQUIRED": long } });
    const ways = ["icrc1"] as const;
    await assert.rejects(buyer({ agent: net.agent(), ways }, { ways }, inner).pay(seller.url()), refused(/characters/));
    assert.equal(net.bank.sent.length, 0);
  });

  for (const lost of ["lost after", "lost before"] as const) {
    it(`is made again, the same, when the ledger's answer is ${lost}`, async () => {
      net.bank.script = (call) => (call < 2 ? lost : "made");
      const path = folder();
      const first = payer({ store: fileStore(path) }, { attempts: 2 });
      await assert.rejects(first.pay(seller.url()), unresolved);
      assert.equal(seller.seen.length, 0);
      const [open] = await first.scheme.unresolved();
      assert.deepEqual([open!.sent, open!.transfer], [true, { block: undefined, knownAs: undefined }]);
      await bought(await payer({ store: fileStore(path) }).pay(seller.url()));
      assert.deepEqual([net.bank.sent.length, net.bank.different(), net.bank.made.size], [3, 1, 1]);
    });
  }

  it("is made once when the call is aborted while the ledger is silent", async () => {
    net.bank.script = (call) => (call === 0 ? "silent" : "made");
    const store = new MemoryStore();
    await assert.rejects(payer({ store, agentCallMs: 500 }).pay(seller.url(), { signal: AbortSignal.timeout(100) }), { name: "TimeoutError" });
    await bought(await payer({ store }).pay(seller.url()));
    assert.deepEqual([net.bank.sent.length, net.bank.different(), net.bank.made.size], [2, 1, 1]);
  });

  it("is over when the ledger refuses it at first, and not when it refuses it later", async () => {
    const refusal = { Err: { InsufficientFunds: { balance: 5n } } };
    net.bank.script = () => refusal;
    const first = payer();
    await assert.rejects(first.pay(seller.url()), refused(/InsufficientFunds/));
    assert.deepEqual(await first.scheme.unresolved(), []);
    net.bank.script = () => ({ Err: { TemporarilyUnavailable: null } });
    await assert.rejects(first.pay(seller.url()), refused(/TemporarilyUnavailable/));
    assert.deepEqual(await first.scheme.unresolved(), []);
    for (const lost of ["lost after", "lost before"] as const) {
      net.bank.sent = [];
      net.bank.script = (call) => (call === 0 ? lost : refusal);
      const { pay, scheme } = payer();
      if (lost === "lost after") await bought(await pay(seller.url()));
      else await assert.rejects(pay(seller.url()), unresolved);
      assert.equal((await scheme.unresolved()).length, lost === "lost after" ? 0 : 1);
      assert.equal(net.bank.different(), 1);
    }
    assert.equal(net.bank.made.size, 1);
  });

  it("is looked for in the log after 24 hours, and nothing is sent", async () => {
    for (const lost of ["lost after", "lost before"] as const) {
      net.bank.sent = [];
      net.bank.script = (call) => (call === 0 ? lost : "made");
      const store = new MemoryStore();
      let now = Date.now() / 1000;
      const later = () => payer({ store, now: () => now }, { attempts: 1 });
      await assert.rejects(later().pay(seller.url()), unresolved);
      now += DAY;
      if (lost === "lost before") {
        // The ledger's clock may be behind, and it allows for some minutes more.
        for (const seconds of [DAY, DAY + 590]) {
          net.seconds = Math.floor(Date.now() / 1000) + seconds;
          await assert.rejects(later().pay(seller.url()), unresolved);
          now = Date.now() / 1000 + DAY + 700;
        }
        net.broken.add("icrc3_get_blocks");
        await assert.rejects(later().pay(seller.url()), unresolved);
        net.broken.clear();
        net.seconds += 60;
      }
      assert.equal(net.bank.sent.length, 1);
      await bought(await later().pay(seller.url()));
      assert.deepEqual([net.bank.different(), net.bank.made.size], lost === "lost after" ? [1, 1] : [2, 2]);
      assert.equal((await later().scheme.unresolved()).length, 0);
    }
  });

  it("is found below a transfer of somebody else who copied its memo", async () => {
    net.bank.script = () => "lost after";
    const store = new MemoryStore();
    let now = Date.now() / 1000;
    const later = () => payer({ store, now: () => now }, { attempts: 1 });
    await assert.rejects(later().pay(seller.url()), unresolved);
    net.blocks.push(own(Principal.anonymous(), { ...net.bank.sent[0]!, amount: 1n }));
    now += DAY;
    await bought(await later().pay(seller.url()));
    assert.equal(net.bank.made.size, 1);
  });

  it("of which a block of an unknown shape bears the memo is not called dead", async () => {
    net.bank.script = () => "lost before";
    const store = new MemoryStore();
    const scheme = payer({ store }, { attempts: 1 });
    await assert.rejects(scheme.pay(seller.url()), unresolved);
    const { paymentId } = (await scheme.scheme.unresolved())[0]!;
    net.blocks.push({ Map: [["memo", { Blob: Uint8Array.from(Buffer.from(paymentId, "hex")) }]] });
    net.seconds += 2 * DAY;
    const { state, reason } = await scheme.scheme.resolve(paymentId);
    assert.deepEqual([state, /cannot be read/.test(reason)], ["unresolved", true]);
  });

  it("attack_a_stranger_who_repeats_the_memo_hides_no_transfer", async () => {
    net.bank.script = () => "lost after";
    const { pay, scheme } = payer({ store: new MemoryStore() }, { attempts: 1 });
    await assert.rejects(pay(seller.url()), unresolved);
    const [sent] = net.bank.sent;
    const stranger = Principal.fromText("ryjl3-tyaaa-aaaaa-aaaba-cai");
    net.blocks.push(own(stranger, { ...sent!, amount: 1n }), own(stranger, sent!));
    const { paymentId } = (await scheme.unresolved())[0]!;
    const { state, reason } = await scheme.resolve(paymentId);
    assert.deepEqual([state, /in block 0,/.test(reason)], ["paid", true], reason);
  });
});

describe("the proof of a transfer", () => {
  it("is kept when it is refused, and no other transfer is made", async () => {
    const fresh = encode({ success: false, errorReason: "invalid_exact_icp_transfer", transaction: "", network: terms.network });
    seller.paid = (_attempt, response) => void response.writeHead(402, { "PAYMENT-RESPONSE": fresh }).end("{}");
    const { pay, scheme } = payer();
    for (let time = 0; time < 3; time++) assert.equal((await pay(seller.url())).status, 402);
    assert.equal(net.bank.sent.length, 1);
    assert.equal(new Set(seller.seen.map(({ header }) => header)).size, 1);
    const [open] = await scheme.unresolved();
    const outcome = await scheme.resolve(open!.paymentId);
    assert.deepEqual([outcome.state, /does not know the payment/.test(outcome.reason)], ["paid", true]);
    net.status = (id) => (id === open!.transfer!.knownAs ? STATUSES.Delivered! : null);
    assert.equal((await scheme.resolve(open!.transfer!.knownAs!)).delivered, true);
    seller.paid = proven;
    await bought(await scheme.refetch(open!.paymentId));
    assert.deepEqual(await scheme.unresolved(), []);
    assert.equal(net.bank.made.size, 1);
  });

  it("goes out again, the same, after whatever the seller did", async () => {
    for (const [status, headers] of [
      [503, {}],
      [404, {}],
      [402, { "PAYMENT-REQUIRED": encode({ x402Version: 2, accepts: [terms] }) }],
      [200, {}],
    ] as const) {
      seller.reset([terms], (attempt, response, seen) => (attempt === 1 ? void response.writeHead(status, headers).end("x") : proven(attempt, response, seen)));
      const { pay } = payer({}, { attempts: 1 });
      await pay(seller.url());
      await bought(await pay(seller.url()));
      assert.equal(new Set(seller.seen.map(({ header }) => header)).size, 1, `${status}`);
    }
    assert.equal(net.bank.made.size, 4);
  });

  it("is not answered by the receipt of another block or payment", async () => {
    for (const change of [{ transaction: "1" }, { extra: { paymentId: "07".repeat(32) } }, { amount: "1" }]) {
      seller.reset([terms], (attempt, response, seen) => proven(attempt, response, seen, change));
      const { pay, scheme } = payer();
      net.blocks = [];
      assert.equal((await pay(seller.url())).status, 200);
      assert.equal((await scheme.unresolved()).length, 1, JSON.stringify(change));
    }
  });

  it("names a block that the ledger shows", async () => {
    const { pay, scheme } = payer({}, { attempts: 1 });
    seller.paid = (_attempt, response) => void response.writeHead(503).end();
    await pay(seller.url());
    const { paymentId } = (await scheme.unresolved())[0]!;
    const memo: [Uint8Array] = [Uint8Array.from(Buffer.from(paymentId, "hex"))];
    const to = { owner: Principal.anonymous(), subaccount: [] as [] };
    const [at] = net.bank.sent[0]!.created_at_time;
    for (const [from, amount] of [
      [Principal.anonymous(), 10_000n],
      [identity.getPrincipal(), 9_999n],
    ] as const) {
      net.blocks = [own(from, { to, amount, memo, created_at_time: [at] })];
      assert.equal((await scheme.resolve(paymentId)).state, "unresolved");
    }
    net.blocks = [];
    assert.equal((await scheme.resolve(paymentId)).state, "unresolved");
  });
});

describe("of calls at once", () => {
  it("one transfers, and all get what it bought", async () => {
    for (const stores of [(() => ((store) => () => store)(new MemoryStore()))(), ((path) => () => fileStore(path))(folder())]) {
      net.bank.made.clear();
      net.blocks = [];
      net.bank.watch = async (when) => (when === "after the transfer" ? new Promise((resolve) => setTimeout(resolve, 50)) : undefined);
      const calls = Array.from({ length: 5 }, () => payer({ store: stores() }).pay(seller.url()));
      for (const call of calls) await bought(await call);
      assert.equal(net.bank.made.size, 1);
    }
  });
});
