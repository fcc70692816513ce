/** C12 and E: bounded bodies, silent sellers, Retry-After. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { buyer, encode, offer, receipt, Seller, settled } from "./support.js";

let seller: Seller;
before(async () => {
  seller = await new Seller().start();
});
after(() => seller.stop());

describe("manners", () => {
  for (const [name, value, least, most] of [
    ["seconds", "1", 950, 20_000],
    ["a date", () => new Date(Date.now() + 2_000).toUTCString(), 900, 20_000],
    ["nonsense", "soon", 0, 4_900],
    ["a negative number", "-5", 0, 4_900],
  ] as const) {
    it(`Retry-After with ${name} is honoured as it can be`, async () => {
      const header = typeof value === "function" ? value() : value;
      seller.reset([await offer()], (attempt, response, seen) =>
        attempt === 1 ? response.writeHead(503, { "retry-after": header }).end() : settled(attempt, response, seen),
      );
      const began = Date.now();
      assert.equal((await buyer().pay(seller.url())).status, 200);
      const took = Date.now() - began;
      assert.ok(took >= least && took < most, `${took} ms`);
    });
  }

  it("Retry-After beyond the patience ends the call with the answer", async () => {
    seller.reset([await offer()], (_, response) => response.writeHead(429, { "retry-after": "3600" }).end("later"));
    const response = await buyer({}, { patienceMs: 500 }).pay(seller.url());
    assert.deepEqual([response.status, await response.text(), seller.seen.length], [429, "later", 1]);
  });

  it("a body larger than the limit is handed over as it comes, and believed at its end", async () => {
    const big = "x".repeat(50_000);
    seller.reset([await offer()], (_, response, seen) => {
      response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen) }).write(big);
      setTimeout(() => response.end(big), 50);
    });
    const { pay, scheme } = buyer({}, { maxBodyBytes: 1_000 });
    const response = await pay(seller.url());
    assert.equal((await scheme.unresolved()).length, 1);
    assert.equal((await response.text()).length, 100_000);
    assert.deepEqual(await scheme.unresolved(), []);
  });

  it("a body that never ends is bounded, in a 402 too", async () => {
    const endless = (response: { write(text: string): boolean; destroyed: boolean }) => {
      const more = setInterval(() => (response.destroyed ? clearInterval(more) : response.write("y".repeat(1 << 16))), 1);
    };
    seller.reset([await offer()], (_, response, seen) => endless(response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen) })));
    const response = await buyer({}, { maxBodyBytes: 1 << 20 }).pay(seller.url());
    await response.body?.cancel();
    const header = encode({ x402Version: 2, accepts: [await offer()] });
    seller.paid = settled;
    seller.unpaid = (_, unpaid) => endless(unpaid.writeHead(402, { "PAYMENT-REQUIRED": header }));
    assert.equal((await buyer().pay(seller.url())).status, 200);
  });

  it("a seller who accepts the connection and says nothing is given up", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    await assert.rejects(buyer({}, { idleMs: 100 }).pay(`http://127.0.0.1:${port}/`), /no answer within 100 ms/);
    silent.close();
  });
});
