/** Odd input that a hostile review tried: answers of other systems, caps, depth and names of members. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ExactIcpScheme, OfferRefused, resendingFetch, type ResendOptions } from "../src/index.js";
import { buyer, CKUSDC, identity, offer, Seller, SPENDER } from "./support.js";

let seller: Seller;
before(async () => {
  seller = await new Seller().start();
});
after(() => seller.stop());

describe("a fetch of another system", () => {
  for (const [name, body] of [
    ["has no body", undefined],
    ["has a stream of its own", { pipe: () => undefined }],
  ] as const) {
    it(`whose response ${name} that can be read piece by piece is good enough`, async () => {
      const inner: typeof fetch = async (input, init) => {
        const response = await fetch(input, init);
        return new Proxy(response, {
          get(target, name) {
            if (name === "body") return body;
            const value: unknown = Reflect.get(target, name, target);
            return typeof value === "function" ? (value.bind(target) as unknown) : value;
          },
        });
      };
      seller.reset([await offer()]);
      seller.unpaid = (request, response) =>
        request.url!.startsWith("/start") ? void response.writeHead(302, { location: seller.url() }).end() : seller.refuse(response);
      const { pay, scheme } = buyer({}, {}, inner);
      assert.equal(await (await pay(seller.url("/start"))).text(), "the report");
      assert.deepEqual(await scheme.unresolved(), []);
    });
  }
});

describe("what a page sees of a compressed answer from another origin", () => {
  it("(no Content-Encoding, the length as compressed) is not taken for a cut body", async () => {
    const inner: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (response.status !== 200) return response;
      const headers = new Headers(response.headers);
      headers.set("content-length", String((await response.clone().text()).length + 18));
      headers.delete("transfer-encoding");
      return Object.defineProperty(new Response(response.body, { headers }), "type", { value: "cors" });
    };
    seller.reset([await offer()]);
    const { pay, scheme } = buyer({}, {}, inner);
    assert.equal(await (await pay(seller.url())).text(), "the report");
    assert.equal(seller.seen.length, 1);
    assert.deepEqual(await scheme.unresolved(), []);
  });
});

it("caps that are no whole numbers are an error of the program, told at once", () => {
  for (const cap of [0.5, "1.5", "$1", NaN, -1, "", null, {}])
    assert.throws(() => buyer({ maxAmounts: { [CKUSDC]: cap as never } }), { name: "RangeError", message: /maxAmounts/ }, String(cap));
  for (const cap of [0, 1, 5n, "5000000"]) buyer({ maxAmounts: { [CKUSDC]: cap } });
});

it("a 402 that nests thousands of levels is refused in plain words", async () => {
  const entry = JSON.stringify(await offer({}, { deep: 0 }));
  for (const depth of [40, 2_500]) {
    const deep = entry.replace('"deep":0', `"deep":${"[".repeat(depth)}${"]".repeat(depth)}`);
    const header = Buffer.from(`{"x402Version":2,"accepts":[${deep}]}`).toString("base64");
    seller.reset([]);
    seller.unpaid = (_, response) => void response.writeHead(402, { "PAYMENT-REQUIRED": header }).end();
    await assert.rejects(buyer().pay(seller.url()), OfferRefused);
  }
  // Headers of browsers may be longer than those of Node.
  const inner: typeof fetch = async () => {
    const deep = entry.replace('"deep":0', `"deep":${"[".repeat(60_000)}${"]".repeat(60_000)}`);
    const header = Buffer.from(`{"x402Version":2,"accepts":[${deep}]}`).toString("base64");
    return new Response("{}", { status: 402, headers: { "PAYMENT-REQUIRED": header } });
  };
  await assert.rejects(buyer({ spenders: [SPENDER] }, {}, inner).pay("https://shop.example/report"), OfferRefused);
});

it("an asset named after a member of every object is refused by the policy, and crashes nothing", async () => {
  const { scheme } = buyer({ maxAmounts: { [CKUSDC]: 1n } });
  for (const asset of ["constructor", "__proto__", "toString", "hasOwnProperty"])
    assert.deepEqual(scheme.policy(2, [await offer({ asset })] as never), []);
});

describe("an option that makes no sense", () => {
  for (const [field, options] of [
    ["spenders", { spenders: SPENDER }],
    ["spenders", { spenders: ["nobody"] }],
    ["maxAmounts", { maxAmounts: { foo: 1n } }],
    ["maxAmounts", { maxAmounts: { [CKUSDC]: -1n } }],
    ["maxUnresolved", { maxUnresolved: 0.5 }],
    ["maxUnresolved", { maxUnresolved: 0 }],
  ] as [string, object][]) {
    it(`is named: ${JSON.stringify(options, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value))}`, () => {
      assert.throws(() => new ExactIcpScheme(identity, options), (error: Error) => error instanceof RangeError && error.message.startsWith(field));
    });
  }

  for (const options of [
    { attempts: 0 },
    { attempts: NaN },
    { delayMs: -1 },
    { patienceMs: Infinity },
    { idleMs: 2 ** 31 },
    { idleMs: 0 },
    { totalMs: NaN },
    { maxBodyBytes: NaN },
    { maxRequestBytes: 0.5 },
    { maxRequestBytes: "64" as never },
  ] as ResendOptions[]) {
    const [[name, value]] = Object.entries(options) as [[string, unknown]];
    it(`is the limit ${name}: ${String(value)}`, () => {
      const named = (error: Error) => error instanceof RangeError && error.message.startsWith(name);
      assert.throws(() => resendingFetch(fetch, options), named);
      assert.throws(() => new ExactIcpScheme(identity, { resend: options }), named);
    });
  }

  it("is an identity that cannot sign", () => {
    assert.throws(() => new ExactIcpScheme(undefined as never), /identity/);
  });
});
