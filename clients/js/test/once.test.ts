/** A1 to A3: one purchase, one authorization, whatever the seller, the caller or the application does. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { DelegationChain, DelegationIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { ExactIcpScheme, MemoryStore, OfferRefused, PaymentUnresolved, resendingFetch, withPaymentIdentifier } from "../src/index.js";
import {
  buyer,
  encode,
  identity,
  NETWORK,
  offer,
  OTHER_SPENDER,
  payer,
  pending,
  QUICK,
  receipt,
  Seller,
  settled,
  type Paid,
} from "./support.js";

/** Answers that prove nothing about the money. */
const SILENCES: Record<string, Paid> = {
  "closes the socket": (_, response) => response.destroy(),
  "answers 500": (_, response) => response.writeHead(500).end("oops"),
  "answers 503 with a good receipt": (_, response, seen) => response.writeHead(503, { "PAYMENT-RESPONSE": receipt(seen) }).end(),
  "answers 408": (_, response) => response.writeHead(408).end(),
  "answers 404": (_, response) => response.writeHead(404).end("gone"),
  "answers 409": (_, response) => response.writeHead(409).end("{}"),
  "answers 413": (_, response) => response.writeHead(413).end(),
  "redirects to another origin": (_, response) => response.writeHead(307, { location: "http://127.0.0.1:1/" }).end(),
  "redirects to itself": (_, response) => response.writeHead(302, { location: "/report" }).end(),
  "answers 200 without a receipt": (_, response) => response.writeHead(200).end("the report"),
  "answers 200 with an unreadable receipt": (_, response) => response.writeHead(200, { "PAYMENT-RESPONSE": "%%%" }).end("the report"),
  "answers 200 with a receipt that is no object": (_, response) => response.writeHead(200, { "PAYMENT-RESPONSE": encode([true]) }).end("x"),
  "cuts the body after a good receipt": (_, response, seen) => {
    response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen), "content-length": 100 }).write("half");
    setTimeout(() => response.destroy(), 20);
  },
  "cuts a chunked body after a good receipt": (_, response, seen) => {
    response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen) }).write("half");
    setTimeout(() => response.destroy(), 20);
  },
  "falls silent": () => undefined,
  "falls silent after a good receipt": (_, response, seen) => response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen) }).write("half"),
  "says settlement_pending": (_, response) => pending(response),
  "refuses with a receipt": (_, response) => {
    response
      .writeHead(402, {
        "PAYMENT-RESPONSE": encode({ success: false, errorReason: "insufficient_funds", transaction: "", network: NETWORK }),
      })
      .end("{}");
  },
  "refuses with fresh offers": (_, response) => seller.refuse(response, { error: "invalid_exact_icp_expired" }),
  "answers 402 with unreadable offers": (_, response) => response.writeHead(402, { "PAYMENT-REQUIRED": "{}" }).end(),
};
/** Receipts of somebody else's payment: each is the good one with one change. */
const FOREIGN: Record<string, object> = {
  "another payer": { payer: "2vxsx-fae" },
  "no payer": { payer: undefined },
  "another network": { network: "icp:1" },
  "another amount": { amount: "10001" },
  "an amount as number": { amount: 10000 },
  "no amount": { amount: undefined },
  "a transaction that is no number": { transaction: "0xabc" },
  "an empty transaction": { transaction: "" },
  "no transaction": { transaction: undefined },
  "a success that is no boolean": { success: "true" },
  "another payment id": { extra: { paymentId: "00".repeat(32) } },
};
for (const [name, change] of Object.entries(FOREIGN)) {
  SILENCES[`delivers with a receipt of ${name}`] = (_, response, seen) => {
    response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen, change) }).end("the report");
  };
}

let seller: Seller;
before(async () => {
  seller = await new Seller().start();
});
after(() => seller.stop());

describe("one authorization", () => {
  for (const [name, paid] of Object.entries(SILENCES)) {
    it(`is all there is when the seller ${name}`, async () => {
      seller.reset([await offer()], paid);
      const store = new MemoryStore();
      const options = { attempts: 2, idleMs: 120 };
      await buyer({ store }, options)
        .pay(seller.url())
        .catch(() => undefined);
      const [known] = await buyer({ store }).scheme.unresolved();
      assert.equal(known?.sent, true);
      // The page was reloaded: another scheme, the same store.
      seller.paid = settled;
      const { pay, scheme } = buyer({ store });
      assert.equal(await (await pay(seller.url())).text(), "the report");
      assert.equal(seller.nonces().size, 1);
      assert.equal(new Set(seller.seen.map(({ header }) => header)).size, 1);
      assert.deepEqual(await scheme.unresolved(), []);
      // It is delivered: the next purchase is another one.
      await pay(seller.url());
      assert.equal(seller.nonces().size, 2);
    });
  }

  it("is repeated to the byte while answers say nothing", async () => {
    const [closed, half] = [SILENCES["closes the socket"]!, SILENCES["cuts the body after a good receipt"]!];
    const script = [closed, (_, response) => pending(response), half, (_, response) => response.writeHead(502).end(), settled] as Paid[];
    seller.reset([await offer()], (attempt, response, seen) => script[attempt - 1]!(attempt, response, seen));
    const response = await buyer({}, { attempts: 5 }).pay(seller.url());
    assert.equal(await response.text(), "the report");
    assert.equal(seller.seen.length, 5);
    assert.equal(new Set(seller.seen.map(({ header }) => header)).size, 1);
  });

  it("ends in an error that names the payment when no answer comes", async () => {
    seller.reset([await offer()], SILENCES["closes the socket"]);
    const { pay, scheme } = buyer();
    await assert.rejects(
      pay(seller.url()),
      (error: PaymentUnresolved) => error instanceof PaymentUnresolved && /^[0-9a-f]{64}$/.test(error.paymentId),
    );
    assert.equal(seller.seen.length, 3);
    const [known] = await scheme.unresolved();
    assert.equal(known?.url, seller.url());
    assert.ok(!JSON.stringify(known).includes(String(seller.seen[0]!.payment.payload.signature)));
  });

  for (const [name, when] of [
    ["before the answer", 0],
    ["while it waits to repeat", 1],
    ["while the body comes", 2],
  ] as const) {
    it(`outlives an abort ${name}, which ends the call at once`, async () => {
      const answers: Paid[] = [
        SILENCES["falls silent"]!,
        (_, response) => response.writeHead(503, { "retry-after": "60" }).end(),
        SILENCES["falls silent after a good receipt"]!,
      ];
      seller.reset([await offer()], answers[when]);
      const store = new MemoryStore();
      const abort = new AbortController();
      const began = Date.now();
      const call = buyer({ store }, { idleMs: 60_000, delayMs: 60_000 }).pay(seller.url(), { signal: abort.signal });
      setTimeout(() => abort.abort(new Error("enough")), 150);
      await assert.rejects(call, /enough/);
      assert.ok(Date.now() - began < 20_000);
      seller.paid = settled;
      await buyer({ store }).pay(seller.url());
      assert.equal(seller.nonces().size, 1);
    });
  }

  it("outlives the caller's own timeout", async () => {
    seller.reset([await offer()], SILENCES["falls silent"]);
    const { pay } = buyer({}, { idleMs: 60_000 });
    await assert.rejects(pay(seller.url(), { signal: AbortSignal.timeout(150) }), /timeout/i);
    seller.paid = settled;
    assert.equal((await pay(seller.url())).status, 200);
    assert.equal(seller.nonces().size, 1);
  });

  for (const calls of [2, 5]) {
    it(`serves ${calls} calls at once, of one scheme or of several that share a store`, async () => {
      seller.reset([await offer()]);
      const store = new MemoryStore();
      const shared = buyer({ store });
      const each = Array.from({ length: calls }, (_, index) => (index % 2 ? shared : buyer({ store })));
      const answers = await Promise.all(each.map(({ pay }) => pay(seller.url())));
      assert.deepEqual(
        await Promise.all(answers.map((answer) => answer.text())),
        each.map(() => "the report"),
      );
      assert.equal(seller.nonces().size, 1);
    });
  }

  it("serves a call that began before another one was delivered", async () => {
    seller.reset([await offer()]);
    const store = new MemoryStore();
    const { pay, client } = buyer({ store });
    let slept = false;
    client.onBeforePaymentCreation(async () => {
      if (slept) return;
      slept = true;
      await buyer({ store }).pay(seller.url());
    });
    assert.equal((await pay(seller.url())).status, 200);
    assert.equal(seller.nonces().size, 1);
  });

  it("is found by a new session of the same principal", async () => {
    seller.reset([await offer()], SILENCES["closes the socket"]);
    const store = new MemoryStore();
    const session = async () => {
      const key = Ed25519KeyIdentity.generate();
      const chain = await DelegationChain.create(identity, key.getPublicKey(), new Date(Date.now() + 3_600_000));
      return new ExactIcpScheme(DelegationIdentity.fromDelegation(key, chain), { store });
    };
    for (const paid of [SILENCES["closes the socket"]!, settled]) {
      seller.paid = paid;
      const pay = wrapFetchWithPayment(resendingFetch(fetch, QUICK), new x402Client().register("icp:*", await session()));
      await pay(seller.url()).catch(() => undefined);
    }
    assert.equal(seller.nonces().size, 1);
    assert.equal(seller.seen[0]!.payment.payload.from, payer);
  });

  for (const [name, hook] of [
    ["throws", async () => Promise.reject(new Error("mine"))],
    ["recovers", async () => ({ recovered: true as const })],
    ["recovers twice", async () => ({ recovered: true as const })],
  ] as const) {
    for (const paid of ["closes the socket", "says settlement_pending", "refuses with a receipt", "delivers"]) {
      it(`does not hang on the user's hook, which ${name}, when the seller ${paid}`, async () => {
        seller.reset([await offer()], SILENCES[paid] ?? settled);
        const { pay, client } = buyer();
        client.onPaymentResponse(hook);
        if (name === "recovers twice") client.onPaymentCreationFailure(async () => undefined);
        await pay(seller.url()).catch(() => undefined);
        const first = seller.nonces().size;
        assert.equal(first, 1);
        seller.paid = settled;
        if (paid !== "delivers") {
          await pay(seller.url()).catch(() => undefined);
          assert.equal(seller.nonces().size, 1);
        }
      });
    }
  }

  it("is not lost when a hook throws between signing and sending", async () => {
    seller.reset([await offer()]);
    const { pay, client, scheme } = buyer();
    let throws = true;
    client.onAfterPaymentCreation(async () => {
      if (throws) throw new Error("mine");
    });
    await assert.rejects(pay(seller.url()), /mine/);
    assert.equal((await scheme.unresolved())[0]?.sent, false);
    throws = false;
    assert.equal((await pay(seller.url())).status, 200);
    assert.equal(seller.nonces().size, 1);
  });
});

describe("a payment goes out with its own request only", () => {
  beforeEach(async () => seller.reset([await offer({}, {}, { route: "/data/{id}" })], SILENCES["closes the socket"]));

  it("when /data/1 is open, then /data/2, then /data/1", async () => {
    const { pay } = buyer();
    for (const id of [1, 2, 1]) await pay(seller.url(`/data/${id}`)).catch(() => undefined);
    seller.paid = settled;
    for (const id of [2, 1]) assert.equal((await pay(seller.url(`/data/${id}`))).status, 200);
    const byPath = new Map<string, Set<string>>();
    for (const { url, nonce } of seller.seen) byPath.set(url, (byPath.get(url) ?? new Set()).add(nonce));
    assert.deepEqual(
      [...byPath.values()].map((nonces) => nonces.size),
      [1, 1],
    );
    assert.equal(seller.nonces().size, 2);
  });

  it("when two are pending at once", async () => {
    seller.paid = (attempt, response, seen) => (attempt <= 3 ? pending(response) : settled(attempt, response, seen));
    const { pay } = buyer({}, { attempts: 6 });
    await Promise.all([1, 2, 3].map((id) => pay(seller.url(`/data/${id}`))));
    assert.equal(new Set(seller.seen.map(({ url, nonce }) => `${url} ${nonce}`)).size, 3);
  });

  for (const [name, a, b] of [
    ["query", { path: "/data/1?page=1" }, { path: "/data/1?page=2" }],
    ["body", { path: "/data/1", body: "a" }, { path: "/data/1", body: "b" }],
    ["body that is empty", { path: "/data/1", body: "a" }, { path: "/data/1", body: "" }],
  ] as [string, { path: string; body?: string }, { path: string; body?: string }][]) {
    it(`when the other has another ${name}`, async () => {
      const method = a.body === undefined ? "GET" : "POST";
      seller.reset([await offer({}, {}, { method, route: "/data/{id}" })], SILENCES["closes the socket"]);
      const { pay } = buyer();
      for (const { path, body } of [a, b, a])
        await pay(seller.url(path), { method, ...(body === undefined ? {} : { body }) }).catch(() => undefined);
      assert.equal(seller.nonces().size, 2);
      assert.equal(new Set(seller.seen.map(({ url, body, nonce }) => `${url} ${body} ${nonce}`)).size, 2);
    });
  }

  it("when somebody hands the payment to another URL", async () => {
    const below = resendingFetch(fetch, QUICK);
    const swapping: typeof fetch = async (input, init) => {
      const request = new Request(input, init);
      return below(request.headers.has("PAYMENT-SIGNATURE") ? new Request(seller.url("/data/2"), request) : request);
    };
    const client = new x402Client().register("icp:*", new ExactIcpScheme(identity, { store: new MemoryStore() }));
    await assert.rejects(wrapFetchWithPayment(swapping, client)(seller.url("/data/1")), /another request/);
    assert.equal(seller.seen.length, 0);
  });

  it("and a form with another random boundary is the same request, sent as it was", async () => {
    seller.reset([await offer({}, {}, { method: "POST" })], SILENCES["closes the socket"]);
    const form = () => {
      const data = new FormData();
      data.set("a", "1");
      data.set("file", new Blob(["content"]), "a.txt");
      return data;
    };
    const { pay } = buyer();
    await pay(seller.url(), { method: "POST", body: form() }).catch(() => undefined);
    seller.paid = settled;
    assert.equal((await pay(seller.url(), { method: "POST", body: form() })).status, 200);
    assert.equal(seller.nonces().size, 1);
    assert.equal(new Set(seller.seen.map(({ body }) => body)).size, 1);
    assert.equal(new Set(seller.seen.map(({ headers }) => headers["content-type"])).size, 1);
  });
});

describe("what the user decides", () => {
  it("forget lets the next purchase sign, and no other payment", async () => {
    seller.reset([await offer({}, {}, { route: "/data/{id}" })], SILENCES["closes the socket"]);
    const { pay, scheme } = buyer();
    for (const id of [1, 2]) await pay(seller.url(`/data/${id}`)).catch(() => undefined);
    const [first] = (await scheme.unresolved()).filter(({ url }) => url?.includes("/data/1"));
    await scheme.forget(first!.paymentId);
    for (const id of [1, 2]) await pay(seller.url(`/data/${id}`)).catch(() => undefined);
    assert.equal(seller.nonces().size, 3);
    await assert.rejects(scheme.forget("00".repeat(32)), RangeError);
  });

  it("refetch sends a payment with its own request", async () => {
    seller.reset([await offer({}, {}, { method: "POST" })], SILENCES["closes the socket"]);
    const store = new MemoryStore();
    const headers = { authorization: "Bearer secret", "x-api-key": "secret", "content-type": "text/csv", "x-page": "7" };
    await buyer({ store })
      .pay(seller.url(), { method: "POST", body: "a,b", headers })
      .catch(() => undefined);
    const [record] = await store.list();
    assert.ok(!JSON.stringify(record).includes("secret"));
    const { scheme } = buyer({ store, resend: QUICK });
    seller.paid = settled;
    assert.equal(await (await scheme.refetch(record!.paymentId)).text(), "the report");
    const last = seller.seen.at(-1)!;
    assert.deepEqual([last.body, last.headers["content-type"], last.headers["x-page"]], ["a,b", "text/csv", "7"]);
    assert.equal(seller.nonces().size, 1);
    assert.deepEqual(await scheme.unresolved(), []);
  });

  it("another payment identifier for a request that is open is refused", async () => {
    seller.reset([await offer()], SILENCES["closes the socket"]);
    seller.required = { extensions: { "payment-identifier": { info: { required: true } } } };
    const { pay } = buyer();
    await pay(seller.url(), withPaymentIdentifier("order-00000000000001")).catch(() => undefined);
    await assert.rejects(pay(seller.url(), withPaymentIdentifier("order-00000000000002")), /another payment identifier/);
    await pay(seller.url(), withPaymentIdentifier("order-00000000000001")).catch(() => undefined);
    await pay(seller.url()).catch(() => undefined);
    assert.equal(seller.nonces().size, 1);
  });

  it("another payment identifier is another purchase, once the first is delivered", async () => {
    seller.reset([await offer()]);
    seller.required = { extensions: { "payment-identifier": { info: {} } } };
    const store = new MemoryStore();
    const { pay, client } = buyer({ store });
    let first = true;
    client.onBeforePaymentCreation(async () => {
      if (!first) return;
      first = false;
      await buyer({ store }).pay(seller.url(), withPaymentIdentifier("order-00000000000001"));
    });
    assert.equal((await pay(seller.url(), withPaymentIdentifier("order-00000000000002"))).status, 200);
    assert.equal(seller.nonces().size, 2);
  });

  it("unresolved payments are limited for one spender, not for all", async () => {
    const offers = [await offer({}, {}, { route: "/data/{id}" })];
    seller.reset(offers, SILENCES["closes the socket"]);
    const { pay, scheme } = buyer({ maxUnresolved: 2 });
    for (const id of [1, 2, 3]) await pay(seller.url(`/data/${id}`)).catch(() => undefined);
    assert.equal((await scheme.unresolved()).length, 2);
    await assert.rejects(
      pay(seller.url("/data/3")),
      (error: Error) => error instanceof OfferRefused && /2 payments to canister/.test(error.message),
    );
    seller.offers = [await offer({}, {}, { route: "/data/{id}", spender: OTHER_SPENDER })];
    seller.paid = settled;
    assert.equal((await pay(seller.url("/data/3", OTHER_SPENDER))).status, 200);
  });

  it("a payment that is past is sent again, and nothing else is signed without proof", async () => {
    seller.reset([await offer()], SILENCES["closes the socket"]);
    let now = Date.now() / 1000;
    const { pay } = buyer({ now: () => now });
    await pay(seller.url()).catch(() => undefined);
    now += 10_000;
    seller.paid = settled;
    assert.equal((await pay(seller.url())).status, 200);
    assert.equal(seller.nonces().size, 1);
  });
});
