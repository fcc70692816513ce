import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentSignatureHeader, encodePaymentRequiredHeader, encodePaymentResponseHeader } from "@x402/core/http";
import type { PaymentRequirements } from "@x402/core/types";
import { ExactIcpScheme, resendingFetch, signedMessage, type ExactIcrc2Payload } from "../src/index.js";

const CKUSDC = "xevnm-gaaaa-aaaar-qafnq-cai";
const ICP = "ryjl3-tyaaa-aaaaa-aaaba-cai";
const SPENDER = "lqy7q-dh777-77777-aaaaq-cai";
const identity = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(7));

function offer(change: Partial<PaymentRequirements> = {}): PaymentRequirements {
  return {
    scheme: "exact",
    network: "icp:0123456789abcdef",
    amount: "10000",
    asset: CKUSDC,
    payTo: "2vxsx-fae",
    maxTimeoutSeconds: 300,
    extra: { assetTransferMethod: "icrc2", symbol: "ckUSDC", decimals: 6, fee: "10000", spender: SPENDER, offer: "00".repeat(16) },
    ...change,
  };
}

/** A server that asks for `offers` and answers paid requests by `paid`. */
class Seller {
  offers: PaymentRequirements[] = [offer()];
  seen: string[] = [];
  paid: (attempt: number, response: ServerResponse) => void = settled;
  readonly #server: Server = createServer((request, response) => this.#answer(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/report`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  payload(index: number): ExactIcrc2Payload {
    return decodePaymentSignatureHeader(this.seen[index] ?? "").payload as unknown as ExactIcrc2Payload;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const header = request.headers["payment-signature"];
    if (typeof header === "string") {
      this.seen.push(header);
      this.paid(this.seen.length, response);
      return;
    }
    const required = { x402Version: 2, resource: { url: "/report" }, accepts: this.offers };
    response.writeHead(402, { "PAYMENT-REQUIRED": encodePaymentRequiredHeader(required) }).end("{}");
  }
}

function settled(_attempt: number, response: ServerResponse): void {
  const receipt = { success: true, transaction: "1", network: "icp:0123456789abcdef" as const };
  response.writeHead(200, { "PAYMENT-RESPONSE": encodePaymentResponseHeader(receipt) }).end("the report");
}

function pending(response: ServerResponse): void {
  const receipt = { success: false, errorReason: "settlement_pending", transaction: "ab", network: "icp:0123456789abcdef" as const };
  response.writeHead(402, { "PAYMENT-RESPONSE": encodePaymentResponseHeader(receipt) }).end("{}");
}

describe("a stock @x402/fetch client with the ICP scheme", () => {
  let seller: Seller;
  let url: string;
  before(async () => {
    seller = new Seller();
    url = await seller.start();
  });
  after(() => seller.stop());

  function reset(offers: PaymentRequirements[], paid: Seller["paid"] = settled): x402Client {
    seller.offers = offers;
    seller.seen = [];
    seller.paid = paid;
    return new x402Client().register("icp:*", new ExactIcpScheme(identity));
  }

  it("pays with a signature over the terms it was offered", async () => {
    const response = await wrapFetchWithPayment(fetch, reset([offer()]))(url);
    assert.equal(await response.text(), "the report");
    assert.equal(seller.seen.length, 1);
    const payload = seller.payload(0);
    const terms = { ...offer(), spender: SPENDER, offer: "00".repeat(16) };
    const signature = Buffer.from(payload.signature, "base64");
    assert.equal(Ed25519KeyIdentity.verify(signature, signedMessage(terms, payload), identity.getPublicKey().toRaw()), true);
    assert.equal(payload.from, identity.getPrincipal().toText());
    assert.equal(Number(payload.validBefore) - Number(payload.validAfter), 300);
  });

  it("never signs the same nonce twice", async () => {
    const pay = wrapFetchWithPayment(fetch, reset([offer()]));
    await pay(url);
    await pay(url);
    assert.notEqual(seller.payload(0).nonce, seller.payload(1).nonce);
  });

  it("refuses more than a dollar of ckUSDC by default", async () => {
    const pay = wrapFetchWithPayment(fetch, reset([offer({ amount: "1000001" })]));
    await assert.rejects(pay(url), /spendControls\.maxAmountPerPayment/);
    assert.equal(seller.seen.length, 0);
  });

  it("refuses a ledger without a dollar peg unless the payer opts in", async () => {
    const icp = offer({ asset: ICP });
    await assert.rejects(wrapFetchWithPayment(fetch, reset([icp]))(url), /spendControls/);
    const client = reset([icp]).setSpendControls({ allowedAssets: [{ network: "icp:*", asset: ICP, maxAmountPerPayment: "10000" }] });
    assert.equal((await wrapFetchWithPayment(fetch, client)(url)).status, 200);
    const dear = reset([offer({ asset: ICP, amount: "10001" })]).setSpendControls({
      allowedAssets: [{ network: "icp:*", asset: ICP, maxAmountPerPayment: "10000" }],
    });
    await assert.rejects(wrapFetchWithPayment(fetch, dear)(url), /maxAmountPerPayment/);
  });

  for (const [name, change] of [
    ["another transfer method", { extra: { ...offer().extra, assetTransferMethod: "icrc1" } }],
    ["a missing spender", { extra: { assetTransferMethod: "icrc2", offer: "00" } }],
    ["an amount that is not atomic units", { amount: "01" }],
    ["a window shorter than the clock skew", { maxTimeoutSeconds: 30 }],
  ] as const) {
    it(`refuses ${name} before it signs`, async () => {
      await assert.rejects(wrapFetchWithPayment(fetch, reset([offer(change)]))(url), /Failed to create payment payload/);
      assert.equal(seller.seen.length, 0);
    });
  }

  it("refuses a spender the payer did not allow", async () => {
    reset([offer()]);
    const client = new x402Client().register("icp:*", new ExactIcpScheme(identity, { spenders: [ICP] }));
    await assert.rejects(wrapFetchWithPayment(fetch, client)(url), /not among the spenders/);
  });

  it("sends the same authorization again after settlement_pending, never a second one", async () => {
    const client = reset([offer()], (attempt, response) => (attempt === 1 ? pending(response) : settled(attempt, response)));
    const response = await wrapFetchWithPayment(fetch, client)(url);
    assert.equal(response.status, 200);
    assert.deepEqual(seller.payload(1), seller.payload(0));
    await wrapFetchWithPayment(fetch, client)(url);
    assert.notEqual(seller.payload(2).nonce, seller.payload(0).nonce);
  });

  it("keeps an unresolved authorization for the next attempt of the application", async () => {
    const client = reset([offer()], (attempt, response) => (attempt <= 2 ? pending(response) : settled(attempt, response)));
    const pay = wrapFetchWithPayment(fetch, client);
    assert.equal((await pay(url)).status, 402);
    assert.equal((await pay(url)).status, 200);
    assert.equal(new Set([0, 1, 2].map((index) => seller.payload(index).nonce)).size, 1);
  });

  it("resends a paid request to the byte when the connection breaks", async () => {
    const client = reset([offer()], (attempt, response) => (attempt < 3 ? response.destroy() : settled(attempt, response)));
    const pay = wrapFetchWithPayment(resendingFetch(fetch, { delayMs: 1 }), client);
    assert.equal((await pay(url)).status, 200);
    assert.equal(new Set(seller.seen).size, 1);
    assert.equal(seller.seen.length, 3);
  });

  it("resends after an answer that says nothing about the money", async () => {
    const client = reset([offer()], (attempt, response) => (attempt === 1 ? response.writeHead(503).end() : settled(attempt, response)));
    assert.equal((await wrapFetchWithPayment(resendingFetch(fetch, { delayMs: 1 }), client)(url)).status, 200);
    assert.equal(new Set(seller.seen).size, 1);
  });

  it("signs no second authorization when one expired without a known outcome", async () => {
    reset([offer()], (_, response) => pending(response));
    let now = Date.now() / 1000;
    const scheme = new ExactIcpScheme(identity, { now: () => now });
    const pay = wrapFetchWithPayment(fetch, new x402Client().register("icp:*", scheme));
    assert.equal((await pay(url)).status, 402);
    now += 301;
    await assert.rejects(pay(url), /may have moved money/);
    assert.equal(new Set(seller.seen.map((_, index) => seller.payload(index).nonce)).size, 1);
    scheme.forgetUnresolved();
    assert.equal((await pay(url)).status, 402);
    assert.equal(new Set(seller.seen.map((_, index) => seller.payload(index).nonce)).size, 2);
  });

  it("gives up after the attempts it was allowed", async () => {
    const client = reset([offer()], (_, response) => response.destroy());
    await assert.rejects(wrapFetchWithPayment(resendingFetch(fetch, { attempts: 2, delayMs: 1 }), client)(url));
    assert.equal(seller.seen.length, 2);
  });
});
