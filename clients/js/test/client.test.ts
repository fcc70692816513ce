import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { SignIdentity } from "@icp-sdk/core/agent";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import {
  ExactIcpScheme,
  MemoryStore,
  OfferRefused,
  resendingFetch,
  signedMessage,
  termsOf,
  type Accepted,
  type ExactIcrc2Payload,
  withPaymentIdentifier,
} from "../src/index.js";
import { decodePaymentRequiredHeader } from "@x402/core/http";
import { buyer, CKUSDC, CKUSDT, encode, ICP, identity, NETWORK, offer, payer, QUICK, receipt, Seller, SPENDER } from "./support.js";

describe("a stock @x402/fetch client with the ICP scheme", () => {
  let seller: Seller;
  before(async () => {
    seller = await new Seller().start();
  });
  after(() => seller.stop());

  it("pays with a signature over the terms it was offered", async () => {
    const accepted = await offer();
    seller.reset([accepted]);
    const { pay, scheme } = buyer();
    const response = await pay(seller.url());
    assert.equal(await response.text(), "the report");
    assert.equal(response.url, seller.url());
    assert.equal(seller.seen.length, 1);
    const { payment } = seller.seen[0]!;
    assert.deepEqual(payment.accepted, accepted);
    assert.deepEqual(payment.resource, { url: "/report" });
    const payload = payment.payload as unknown as ExactIcrc2Payload;
    const terms = termsOf(accepted as Accepted);
    const signature = Buffer.from(payload.signature, "base64");
    assert.equal(Ed25519KeyIdentity.verify(signature, signedMessage(terms, payload), identity.getPublicKey().toRaw()), true);
    assert.equal(payload.from, payer);
    assert.equal(Number(payload.validBefore) - Number(payload.validAfter), 330);
    assert.deepEqual(await scheme.unresolved(), []);
  });

  it("signs another nonce for another purchase", async () => {
    seller.reset([await offer()]);
    const { pay } = buyer();
    await pay(seller.url());
    await pay(seller.url());
    assert.equal(seller.nonces().size, 2);
  });

  it("shows the stock client no proof that it could send elsewhere", async () => {
    seller.reset([await offer()]);
    const { pay, client } = buyer();
    const shown: unknown[] = [];
    client.onAfterPaymentCreation(async ({ paymentPayload }) => void shown.push(paymentPayload.payload));
    assert.equal((await pay(seller.url())).status, 200);
    assert.deepEqual(Object.keys(shown[0] as object), ["from", "nonce", "validAfter", "validBefore"]);
  });

  for (const seconds of [1, 10, 30]) {
    it(`buys a route of ${seconds} seconds, from the moment of signing`, async () => {
      seller.reset([await offer({ maxTimeoutSeconds: seconds })]);
      const before = Math.floor(Date.now() / 1000);
      assert.equal((await buyer().pay(seller.url())).status, 200);
      const { validBefore } = seller.seen[0]!.payment.payload;
      assert.ok(Number(validBefore) >= before + seconds && Number(validBefore) <= before + seconds + 1);
    });
  }

  it("signs once more when signing took half of the time, and refuses when it does again", async () => {
    seller.reset([await offer({ maxTimeoutSeconds: 10 })]);
    for (const [delays, nonces] of [
      [[6, 0], 1],
      [[6, 6], 0],
    ] as const) {
      let [now, signed] = [1_700_000_000, 0];
      const sign = async (bytes: Uint8Array) => {
        now += delays[signed++] ?? 0;
        return identity.sign(bytes);
      };
      const slow = {
        sign,
        getPublicKey: () => identity.getPublicKey(),
        getPrincipal: () => identity.getPrincipal(),
      } as unknown as SignIdentity;
      const scheme = new ExactIcpScheme(slow, { store: new MemoryStore(), now: () => now });
      const pay = wrapFetchWithPayment(resendingFetch(fetch, QUICK), new x402Client().register("icp:*", scheme));
      seller.seen = [];
      if (nonces === 0) await assert.rejects(pay(seller.url()), /signing took longer/);
      else assert.equal((await pay(seller.url())).status, 200);
      assert.equal(signed, 2);
      assert.equal(seller.nonces().size, nonces);
      assert.deepEqual(await scheme.unresolved(), []);
      if (nonces === 1) assert.equal(seller.seen[0]!.payment.payload.validBefore, "1700000016");
    }
  });

  it("takes the cheapest of the ledgers in the user's order", async () => {
    const offers = [await offer({ asset: CKUSDT, amount: "5" }), await offer({ amount: "300" }), await offer({ amount: "200" })];
    for (const [assets, asset, amount] of [
      [undefined, CKUSDC, "200"],
      [[CKUSDT, CKUSDC], CKUSDT, "5"],
      [[CKUSDC], CKUSDC, "200"],
    ] as const) {
      seller.reset(offers);
      await buyer({}, assets ? { assets } : {}).pay(seller.url());
      assert.deepEqual([seller.seen[0]!.payment.accepted.asset, seller.seen[0]!.payment.accepted.amount], [asset, amount]);
    }
  });

  it("has a policy that leaves out what is above its caps", async () => {
    seller.reset([
      await offer({ amount: "2000000" }),
      await offer({ asset: CKUSDT, amount: "900000" }),
      await offer({ asset: ICP, amount: "1" }),
    ]);
    const { pay, client, scheme } = buyer();
    client.setSpendControls(false).registerPolicy(scheme.policy);
    assert.equal((await pay(seller.url())).status, 200);
    assert.equal(seller.seen[0]!.payment.accepted.asset, CKUSDT);
  });

  it("names a purchase as the caller says, for this one request", async () => {
    seller.reset([await offer()]);
    const info = { required: false };
    seller.required = {
      resource: { url: "/report" },
      extensions: { "payment-identifier": { info, schema: { type: "object" } }, other: { info: { a: 1 } } },
    };
    const { pay } = buyer();
    const mine = "order-0123456789abcdef";
    await pay(seller.url(), withPaymentIdentifier(mine, { headers: { accept: "text/plain" } }));
    await pay(seller.url());
    const [first, second] = seller.seen.map(({ payment }) => payment.extensions as Record<string, { info: { id: string } }>);
    assert.deepEqual(first, {
      "payment-identifier": { info: { required: false, id: mine }, schema: { type: "object" } },
      other: { info: { a: 1 } },
    });
    assert.match(second!["payment-identifier"]!.info.id, /^pay_[0-9a-f]{32}$/);
    assert.equal(seller.seen[0]!.headers.accept, "text/plain");
    for (const request of [...seller.asked.map(({ headers }) => headers), ...seller.seen.map(({ headers }) => headers)]) {
      assert.equal(request["tollkeeper-payment-identifier"], undefined);
    }
    assert.throws(() => withPaymentIdentifier("short"), RangeError);
  });

  for (const id of ["gateway-0123456789", "", 7]) {
    it(`lets no identifier of a gateway (${JSON.stringify(id)}) replace its own`, async () => {
      seller.reset([await offer()]);
      seller.required = { extensions: { "payment-identifier": { info: { required: true, id } } } };
      const mine = "order-0123456789abcdef";
      await buyer().pay(seller.url(), withPaymentIdentifier(mine));
      assert.deepEqual(seller.seen[0]!.payment.extensions, { "payment-identifier": { info: { required: true, id: mine } } });
    });
  }

  it("keeps what extensions of the client add", async () => {
    seller.reset([await offer()]);
    seller.required = { extensions: { note: { info: { max: 3 } } } };
    const { pay, client } = buyer();
    client.registerExtension({
      key: "note",
      enrichPaymentPayload: async (payload) => ({
        ...payload,
        extensions: { note: { info: { text: "hi" } } },
        accepted: { ...payload.accepted, amount: "1" },
      }),
    });
    await pay(seller.url());
    assert.deepEqual(seller.seen[0]!.payment.extensions, { note: { info: { max: 3, text: "hi" } } });
    assert.equal(seller.seen[0]!.payment.accepted.amount, "10000");
  });

  it("leaves offers of other networks to their schemes", async () => {
    const evm = {
      scheme: "exact",
      network: "eip155:8453",
      amount: "1",
      asset: "0x00",
      payTo: "0x01",
      maxTimeoutSeconds: 60,
      extra: { name: "USDC", version: "2" },
    };
    seller.reset([evm, await offer()], (_attempt, response) => response.writeHead(200).end("by another chain"));
    const { pay, client } = buyer();
    client
      .setSpendControls(false)
      .register("eip155:*", { scheme: "exact", createPaymentPayload: async (x402Version) => ({ x402Version, payload: { nonce: "evm" } }) });
    assert.equal(await (await pay(seller.url())).text(), "by another chain");
    assert.deepEqual(seller.seen[0]!.payment.accepted, evm);
  });

  it("pays POST with its body, for a stream and a Request too", async () => {
    seller.reset([await offer({}, {}, { method: "POST" })]);
    const { pay } = buyer();
    const stream = () => new Blob(["a", "b"]).stream();
    for (const init of [{ body: "ab" }, { body: stream(), duplex: "half" }, { body: new URLSearchParams({ a: "b" }) }] as RequestInit[]) {
      assert.equal((await pay(new Request(seller.url(), { method: "POST", ...init }))).status, 200);
    }
    assert.deepEqual(
      seller.seen.map(({ body }) => body),
      ["ab", "ab", "a=b"],
    );
    assert.equal(seller.nonces().size, 3);
  });

  it("reads bodies where requests have no streams, as in Firefox", async () => {
    seller.reset([await offer({}, {}, { method: "POST" })], (_, response) => response.destroy());
    const body = Object.getOwnPropertyDescriptor(Request.prototype, "body")!;
    Object.defineProperty(Request.prototype, "body", { get: () => undefined, configurable: true });
    try {
      const { pay } = buyer();
      await pay(seller.url(), { method: "POST", body: "a" }).catch(() => undefined);
      await pay(seller.url(), { method: "POST", body: "b" }).catch(() => undefined);
    } finally {
      Object.defineProperty(Request.prototype, "body", body);
    }
    assert.deepEqual([...new Set(seller.seen.map((seen) => seen.body))], ["a", "b"]);
    assert.equal(seller.nonces().size, 2);
  });

  it("works with a second resendingFetch below, and by hand", async () => {
    seller.reset([await offer()]);
    const scheme = new ExactIcpScheme(identity, { store: new MemoryStore() });
    const client = new x402Client().register("icp:*", scheme);
    const below = resendingFetch(fetch, QUICK);
    assert.equal((await wrapFetchWithPayment(resendingFetch(below, QUICK), client)(seller.url())).status, 200);
    const unpaid = await below(seller.url());
    const payload = await client.createPaymentPayload(decodePaymentRequiredHeader(unpaid.headers.get("PAYMENT-REQUIRED") ?? ""));
    const headers = { "PAYMENT-SIGNATURE": encode(payload) };
    assert.equal((await below(seller.url(), { headers })).status, 200);
    assert.equal(seller.nonces().size, 2);
  });

  it("hands over what is free untouched", async () => {
    seller.reset([]);
    seller.unpaid = (_request, response) => response.writeHead(200, { etag: "x" }).end("free");
    const response = await buyer().pay(seller.url());
    assert.deepEqual([await response.text(), response.headers.get("etag"), seller.seen.length], ["free", "x", 0]);
  });

  for (const method of ["HEAD", "OPTIONS", "DELETE"]) {
    it(`pays nothing for ${method} of a route that is sold by GET`, async () => {
      seller.reset([await offer()]);
      await assert.rejects(
        buyer().pay(seller.url(), { method }),
        (error: Error) => error instanceof OfferRefused && /GET requests/.test(error.message),
      );
      assert.equal(seller.seen.length, 0);
    });
  }

  it("says that an answer came from where it came", async () => {
    seller.reset([await offer()], (_attempt, response, seen) => {
      response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen), "set-cookie": ["a=1", "b=2"], "x-network": NETWORK }).end("x");
    });
    const response = await buyer().pay(seller.url());
    assert.equal(response.clone().url, seller.url());
    assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
  });
});
