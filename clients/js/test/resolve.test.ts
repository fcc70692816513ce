/** A3, B6 and B8: what proves the end of a payment, what the ledger has to say, and whom it takes for whose. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { after, before, beforeEach, describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { cancelPayment, type ExactIcpOptions, ExactIcpScheme, MemoryStore, OfferRefused, type PaymentStore } from "../src/index.js";
import { buyer, encode, identity, offer, OTHER_SPENDER, Seller, settled, SPENDER, type Paid } from "./support.js";
import { FakeNetwork, STATUSES, transfer } from "./network.js";

let seller: Seller;
before(async () => {
  seller = await new Seller().start();
});
after(() => seller.stop());

const closes: Paid = (_, response) => response.destroy();
const refuses: Paid = (_, response) =>
  response
    .writeHead(402, {
      "PAYMENT-RESPONSE": encode({ success: false, errorReason: "insufficient_allowance", transaction: "", network: "icp:1" }),
    })
    .end("{}");
const stranger = Ed25519KeyIdentity.generate().getPrincipal();
const past = () => Math.floor(Date.now() / 1000) + 100_000;

let net: FakeNetwork;
let store: PaymentStore;
beforeEach(() => {
  net = new FakeNetwork();
  store = new MemoryStore();
});

const withAgent = (options: ExactIcpOptions = {}) => buyer({ store, agent: net.agent(), ...options });

/** Sends one payment that `paid` answers; gives its id. */
async function sent(paid: Paid, path = "/report", options: ExactIcpOptions = {}): Promise<string> {
  seller.reset([await offer({ network: await net.id() }, {}, { route: path === "/report" ? path : "/data/{id}" })], paid);
  const { pay, scheme } = withAgent({ preflight: false, ...options });
  await pay(seller.url(path)).catch(() => undefined);
  const found = (await scheme.unresolved()).find(({ url }) => url === seller.url(path));
  return found!.paymentId;
}

interface Case {
  name: string;
  set: (id: string) => void;
  state: "dead" | "paid" | "unresolved";
}

const CASES: Case[] = [
  { name: "the canister cancels it and the ledger has nothing", set: () => undefined, state: "dead" },
  { name: "the canister cancels it and took the money", set: (id) => net.blocks.push(transfer(id)), state: "unresolved" },
  {
    name: "the canister cancels it and took money under another memo",
    set: () => net.blocks.push(transfer("ab".repeat(32))),
    state: "unresolved",
  },
  { name: "the canister cancels it and took money without a memo", set: () => net.blocks.push(transfer(undefined)), state: "unresolved" },
  {
    name: "attack: the canister cancels it and burned the money",
    set: () => net.blocks.push(transfer(undefined, { op: "burn" })),
    state: "unresolved",
  },
  { name: "the money of another payer moved", set: () => net.blocks.push(transfer(undefined, { from: stranger })), state: "dead" },
  {
    name: "another canister took money",
    set: () => net.blocks.push(transfer(undefined, { spender: Principal.fromText(OTHER_SPENDER) })),
    state: "dead",
  },
  { name: "the payer approved the canister", set: () => net.blocks.push(transfer(undefined, { op: "approve" })), state: "dead" },
  {
    name: "the canister cancels it and burned the money, as a minter that spends it can",
    set: () => net.blocks.push(transfer(undefined, { op: "burn" })),
    state: "unresolved",
  },
  { name: "a block has an unknown shape", set: () => net.blocks.push({ Map: [["new", { Text: "?" }]] }, { Text: "x" }), state: "dead" },
  {
    name: "a block of an unknown shape has the payment's id",
    set: (id) => net.blocks.push({ Array: [{ Blob: Uint8Array.from(Buffer.from(id, "hex")) }] }),
    state: "unresolved",
  },
  { name: "the ledger does not answer", set: () => net.broken.add("icrc3_get_blocks"), state: "unresolved" },
  {
    name: "the ledger's log is too long",
    set: () => net.blocks.push(...Array.from({ length: 10_001 }, () => transfer(undefined, { from: stranger }))),
    state: "unresolved",
  },
  {
    name: "the log is long, in an archive, and old enough",
    set: () => {
      net.blocks.push(
        ...Array.from({ length: 10_000 }, () => transfer(undefined, { ts: 1n })),
        ...Array.from({ length: 700 }, () => transfer(undefined, { from: stranger })),
      );
      [net.archived, net.page] = [10_300, 90];
    },
    state: "dead",
  },
  {
    name: "the transfer is in an archive",
    set: (id) => {
      net.blocks.push(transfer(id), ...Array.from({ length: 300 }, () => transfer(undefined, { from: stranger })));
      [net.archived, net.page] = [250, 10];
    },
    state: "unresolved",
  },
  { name: "the canister does not answer", set: () => net.broken.add("cancel_authorization"), state: "unresolved" },
  { name: "it ends too far ahead", set: () => (net.cancel = () => ({ Err: { TooFarAhead: { limit_seconds: 1n } } })), state: "unresolved" },
  {
    name: "the argument is said to be malformed",
    set: () => (net.cancel = () => ({ Err: { InvalidArgument: { field: "valid_before_seconds", problem: "is past", limit: [] } } })),
    state: "unresolved",
  },
  {
    name: "it is said to have expired before it could",
    set: () => (net.cancel = () => ({ Err: { Expired: { now_seconds: 1n } } })),
    state: "unresolved",
  },
  {
    name: "it expired and the canister never had it",
    set: () => ((net.cancel = () => ({ Err: { Expired: { now_seconds: 1n } } })), (net.seconds = past())),
    state: "dead",
  },
  ...["Failed"].map((name) => ({ name: `it expired and is ${name}`, set: () => expired(STATUSES[name]!), state: "dead" as const })),
  ...["Settling", "Unknown", "Settled", "Delivered", "Refunded"].map((name) => ({
    name: `it expired, is ${name}, and the ledger has nothing`,
    set: () => expired(STATUSES[name]!),
    state: "unresolved" as const,
  })),
  {
    name: "it expired, the canister has nothing, and the ledger has the transfer",
    set: (id) => (expired(null), net.blocks.push(transfer(id))),
    state: "unresolved",
  },
  ...["Settled", "Delivered", "Refunding", "Refunded"].map((name) => ({
    name: `it is used, is ${name}, and the ledger has the transfer`,
    set: (id: string) => (used(name), net.blocks.push(transfer(id))),
    state: "paid" as const,
  })),
  ...["Settled", "Settling", "Unknown"].map((name) => ({
    name: `it is used and ${name}`,
    set: () => used(name),
    state: "unresolved" as const,
  })),
  {
    name: "it is used, past, and the canister denies it",
    set: () => ((net.cancel = () => ({ Err: { AlreadyUsed: { payment_id: new Uint8Array(32) } } })), (net.seconds = past())),
    state: "unresolved",
  },
  { name: "somebody else asks while it is good", set: () => (net.principal = stranger), state: "unresolved" },
  { name: "somebody else asks when it is past", set: () => ((net.principal = stranger), (net.seconds = past())), state: "dead" },
];

function expired(status: object | null): void {
  net.cancel = () => ({ Err: { Expired: { now_seconds: 1n } } });
  net.status = () => status;
  net.seconds = past();
}

function used(name: string): void {
  net.cancel = () => ({ Err: { AlreadyUsed: { payment_id: new Uint8Array(32) } } });
  net.status = () => STATUSES[name]!;
}

describe("a payment that was refused", () => {
  for (const { name, set, state } of CASES) {
    it(`is ${state} when ${name}`, async () => {
      const id = await sent(refuses);
      set(id);
      const { pay, scheme } = withAgent();
      const outcome = await scheme.resolve(id);
      assert.equal(outcome.state, state, outcome.reason);
      assert.doesNotMatch(outcome.reason, /[\u0000-\u001f]/);
      assert.deepEqual(
        (await scheme.unresolved()).map((found) => found.state),
        state === "dead" ? [] : [state],
      );
      seller.paid = settled;
      assert.equal((await pay(seller.url())).status, 200);
      assert.equal(seller.nonces().size, state === "dead" ? 2 : 1);
    });
  }

  for (const [name, recorded, now, state, ends] of [
    ["as large as before", 20_000n, 20_000n, "dead"],
    ["larger, so approved again", 20_000n, 90_000n, "unresolved"],
    ["smaller", 20_000n, 19_999n, "unresolved"],
    ["not known from before", undefined, 20_000n, "unresolved"],
    ["as large as before, with another end: approved again", 20_000n, 20_000n, "unresolved", 7_200n],
    ["as large as before, with the same end", 20_000n, 20_000n, "dead", 3_600n],
  ] as [string, bigint | undefined, bigint, string, bigint?][]) {
    it(`is ${state} at a ledger without a block log when the allowance is ${name}`, async () => {
      net.standards = ["ICRC-1", "ICRC-2"];
      const end = (seconds?: bigint): [] | [bigint] => (seconds === undefined ? [] : [(hour + seconds) * 1_000_000_000n]);
      const hour = BigInt(Math.floor(Date.now() / 1000));
      net.allowance = { allowance: recorded ?? 0n, expires_at: end(ends && 3_600n) };
      const id = await sent(refuses, "/report", { preflight: recorded !== undefined });
      net.allowance = { allowance: now, expires_at: end(ends) };
      assert.equal((await withAgent().scheme.resolve(id)).state, state);
    });
  }

  it("is not taken for another one that was made meanwhile", async () => {
    const first = await sent(refuses, "/data/1");
    const second = await sent(closes, "/data/2");
    net.blocks.push(transfer(second));
    assert.equal((await withAgent().scheme.resolve(first)).state, "dead");
  });

  it("is asked about when the same thing is bought again, and not before", async () => {
    await sent(refuses);
    assert.deepEqual(net.updates, []);
    seller.paid = settled;
    const { pay } = withAgent();
    await pay(seller.url());
    assert.equal(net.updates[0], "cancel_authorization");
    assert.equal(seller.nonces().size, 2);
  });

  it("is not asked about while nobody refused it and it is good", async () => {
    await sent(closes);
    seller.paid = settled;
    await withAgent().pay(seller.url());
    assert.deepEqual(net.updates, []);
    assert.equal(seller.nonces().size, 1);
  });

  for (const [name, options] of [
    ["speaks for another network", () => ({ agent: Object.assign(new FakeNetwork(), { rootKey: new Uint8Array(133).fill(8) }).agent() })],
    ["is not there", () => ({ agent: false as const })],
  ] as const) {
    it(`stays when the agent ${name}`, async () => {
      const id = await sent(refuses);
      const { scheme, pay } = withAgent(options());
      assert.equal((await scheme.resolve(id)).state, "unresolved");
      seller.paid = settled;
      await pay(seller.url());
      assert.equal(seller.nonces().size, 1);
    });
  }
});

describe("a payment that is past gets its last word whatever HTTP says", () => {
  const end =
    (status: number, headers = {}) =>
    (_: unknown, response: ServerResponse) =>
      void response.writeHead(status, headers).end();
  for (const [name, method, unpaid] of [
    ["404", "GET", end(404)],
    ["503", "GET", end(503)],
    ["HEAD", "HEAD", undefined],
    ["an unreadable 402", "GET", end(402, { "PAYMENT-REQUIRED": "?" })],
    ["a 402 of fresh offers", "GET", undefined],
  ] as const) {
    it(name, async () => {
      await sent(closes);
      net.seconds = past();
      net.cancel = () => ({ Err: { Expired: { now_seconds: 1n } } });
      seller.unpaid = unpaid;
      const { pay, scheme } = withAgent({ now: past });
      await pay(seller.url(), { method }).catch(() => undefined);
      assert.ok(net.updates.includes("cancel_authorization"));
      assert.ok(!(await scheme.unresolved()).some(({ validBefore }) => validBefore < past()));
    });
  }
});

describe("before signing, the ledger", () => {
  for (const [name, set, reason] of [
    ["another fee", () => (net.fee = 9_999n), /the ledger's fee is 9999/],
    ["too small a balance", () => (net.balance = 19_999n), /the balance is 19999, and 20000 is needed/],
    ["too small an allowance", () => (net.allowance = { allowance: 19_999n, expires_at: [] }), /the allowance .* is 19999/],
    [
      "an allowance that ends too early",
      () => (net.allowance = { allowance: 20_000n, expires_at: [BigInt(Date.now() + 200_000) * 1_000_000n] }),
      /ends before the payment/,
    ],
  ] as const) {
    it(`refuses a purchase with ${name}`, async () => {
      set();
      seller.reset([await offer({ network: await net.id() })]);
      await assert.rejects(withAgent().pay(seller.url()), (error: Error) => error instanceof OfferRefused && reason.test(error.message));
      assert.equal(seller.seen.length, 0);
      // The seller is told of the fee, and of nothing else.
      assert.deepEqual(net.updates, name === "another fee" ? ["ledger_refresh"] : []);
    });
  }

  it("stops no purchase if it does not answer", async () => {
    for (const method of ["icrc1_fee", "icrc1_balance_of", "icrc2_allowance"]) net.broken.add(method);
    seller.reset([await offer({ network: await net.id() })]);
    assert.equal((await withAgent().pay(seller.url())).status, 200);
    net.broken.add("icrc1_supported_standards");
    assert.equal((await withAgent().pay(seller.url())).status, 200);
  });

  for (const network of ["icp:1", "icp:0123456789abcdef", "icp:local"]) {
    it(`is not asked, and nothing is paid, on network ${network}, which is not the agent's`, async () => {
      seller.reset([await offer({ network })]);
      for (const preflight of [true, false]) {
        const call = withAgent({ preflight }).pay(seller.url());
        await assert.rejects(call, (error: Error) => error instanceof OfferRefused && /speaks for network/.test(error.message));
      }
      assert.equal(seller.seen.length, 0);
    });
  }
});

describe("the gateway's word about the canister", () => {
  for (const [name, origin, header, pays] of [
    ["the canister confirms its origin", true, SPENDER, true],
    ["it confirms none", undefined, SPENDER, false],
    ["it confirms another", "https://shop.example", SPENDER, false],
    ["the gateway names another canister", true, OTHER_SPENDER, false],
    ["the gateway names nonsense", true, "x", false],
  ] as const) {
    it(`${pays ? "counts" : "does not count"} when ${name}`, async () => {
      seller.reset([await offer({ network: await net.id() })]);
      net.origin = origin === true ? seller.base : origin;
      const required = encode({ x402Version: 2, accepts: seller.offers });
      seller.unpaid = (_, response) => response.writeHead(402, { "PAYMENT-REQUIRED": required, "x-ic-canister-id": header }).end();
      const call = withAgent().pay(`${seller.base}/report`);
      if (pays) assert.equal((await call).status, 200);
      else await assert.rejects(call, OfferRefused);
      assert.equal(seller.seen.length, pays ? 1 : 0);
    });
  }
});

describe("another transport with an agent", () => {
  for (const [status, moved, nonces, late] of [
    ["Delivered", true, 2, false],
    ["Delivered", false, 1, false],
    ["Settled", true, 1, false],
    ["Failed", false, 2, false],
    // It may be under way: it is not cancelled.
    [null, false, 1, false],
    [null, false, 2, true],
    [null, true, 1, true],
  ] as const) {
    const when = `the first payment is ${status}${late ? " and past" : ""}, ${moved ? "with" : "without"} a transfer`;
    it(`${nonces === 2 ? "buys again" : "waits"} when ${when}`, async () => {
      seller.reset([await offer({ network: await net.id() })]);
      const scheme = new ExactIcpScheme(identity, { store, agent: net.agent(), spenders: [SPENDER] });
      const pay = wrapFetchWithPayment(fetch, new x402Client().register("icp:*", scheme));
      await pay(seller.url());
      if (status === "Failed") net.status = () => STATUSES.Failed!;
      else if (status !== null) used(status);
      if (late) expired(null);
      if (moved) net.blocks.push(transfer((await scheme.unresolved())[0]!.paymentId));
      await pay(seller.url()).catch(() => undefined);
      assert.equal(seller.nonces().size, nonces);
      if (status === null && !late) assert.ok(!net.updates.includes("cancel_authorization"));
    });
  }
});

describe("cancelPayment", () => {
  for (const [answer, said] of [
    [{ Ok: null }, "cancelled"],
    [{ Err: { AlreadyUsed: { payment_id: new Uint8Array(32) } } }, "used"],
    [{ Err: { TooFarAhead: { limit_seconds: 5n } } }, "too_far_ahead"],
    [{ Err: { Expired: { now_seconds: 5n } } }, "expired"],
    [{ Err: { TooManyCancellations: { limit: 5 } } }, /TooManyCancellations/],
  ] as const) {
    it(`says ${said} for ${Object.keys("Err" in answer ? answer.Err : answer)}`, async () => {
      await sent(closes);
      net.cancel = () => answer;
      net.seconds = past();
      const call = cancelPayment(net.agent(), seller.seen[0]!.header);
      if (typeof said === "string") assert.equal(await call, said);
      else await assert.rejects(call, said);
    });
  }

  it("believes no network but the payment's, no clock but the certificate's, and no other payer", async () => {
    await sent(closes);
    const { header } = seller.seen[0]!;
    net.cancel = () => ({ Err: { Expired: { now_seconds: 5n } } });
    await assert.rejects(cancelPayment(net.agent(), header), /by its own time it did not/);
    net.principal = stranger;
    await assert.rejects(cancelPayment(net.agent(), header), /signed this payment/);
    net.rootKey = new Uint8Array(133).fill(1);
    await assert.rejects(cancelPayment(net.agent(), header), /speaks for network/);
    await assert.rejects(cancelPayment(net.agent(), "?"), SyntaxError);
  });
});
