/** B5, B7, B8 and C10 to C13: never more than agreed, never to somebody else, whatever stands in a 402. */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { after, before, describe, it } from "node:test";
import { wrapFetchWithPayment } from "@x402/fetch";
import { canisterOfUrl, OfferRefused } from "../src/index.js";
import { transferOffer } from "./transfers.js";
import { buyer, CKUSDC, CKUSDT, encode, type Entry, ICP, identity, NETWORK, offer, OTHER_SPENDER, receipt, Seller, SPENDER } from "./support.js";

let seller: Seller;
let second: Seller;
before(async () => {
  [seller, second] = await Promise.all([new Seller().start(), new Seller().start()]);
});
after(() => [seller, second].forEach((server) => server.stop()));

const refused = (pattern: RegExp) => (error: Error) => error instanceof OfferRefused && pattern.test(error.message);

describe("the payer's own caps", () => {
  for (const controls of [false, { maxAmountPerPayment: false, allowedAssets: true }] as const) {
    for (const [name, change] of Object.entries({
      "500 ICP": { asset: ICP, amount: "50000000000" },
      "more than a dollar of ckUSDC": { amount: "1000001" },
      "more than a dollar of ckUSDT": { asset: CKUSDT, amount: "1000001" },
      "one unit of an unknown ledger": { asset: OTHER_SPENDER, amount: "1" },
    })) {
      it(`refuse ${name} with ${JSON.stringify(controls)} as the client's controls`, async () => {
        seller.reset([await offer(change)]);
        const { pay, client } = buyer();
        client.setSpendControls(controls);
        await assert.rejects(pay(seller.url()), refused(/maxAmounts/));
        assert.equal(seller.seen.length, 0);
      });
    }
  }

  it("are lifted for one ledger by an explicit option, of the scheme or of the client", async () => {
    const maxAmounts = { [ICP]: 100n };
    for (const [amount, options, allowed] of [
      ["100", { maxAmounts }, undefined],
      ["101", { maxAmounts }, /above the cap of 100/],
      ["100", {}, undefined],
      ["101", {}, /maxAmountPerPayment/],
    ] as const) {
      seller.reset([await offer({ asset: ICP, amount })]);
      const { pay, client } = buyer(options);
      client.setSpendControls(
        "maxAmounts" in options ? false : { allowedAssets: [{ network: "icp:*", asset: ICP, maxAmountPerPayment: "100" }] },
      );
      if (allowed) await assert.rejects(pay(seller.url()), allowed);
      else assert.equal((await pay(seller.url())).status, 200);
    }
  });

  it("hold below the client's and above them", async () => {
    seller.reset([await offer({ amount: "4000000" })]);
    const { pay, client } = buyer();
    client.setSpendControls({ maxAmountPerPayment: "$5" });
    await assert.rejects(pay(seller.url()), refused(/above the cap of 1000000/));
    const raised = buyer({ maxAmounts: { [CKUSDC]: 5_000_000n } });
    raised.client.setSpendControls({ maxAmountPerPayment: "$5" });
    assert.equal((await raised.pay(seller.url())).status, 200);
  });
});

/** Entries that cannot be paid, each with what the reason says. */
const ODD: [string, (good: Entry) => unknown, RegExp][] = [
  ["null", () => null, /must be an object/],
  ["a text", () => "exact", /must be an object/],
  ["no extra", (good) => ({ ...good, extra: undefined }), /extra/],
  ["extra null", (good) => ({ ...good, extra: null }), /extra/],
  ["60.5 seconds", (good) => ({ ...good, maxTimeoutSeconds: 60.5 }), /maxTimeoutSeconds/],
  ['"60" seconds', (good) => ({ ...good, maxTimeoutSeconds: "60" }), /maxTimeoutSeconds/],
  ["no seconds", (good) => ({ ...good, maxTimeoutSeconds: undefined }), /maxTimeoutSeconds/],
  ["0 seconds", (good) => ({ ...good, maxTimeoutSeconds: 0 }), /maxTimeoutSeconds/],
  ["136 years", (good) => ({ ...good, maxTimeoutSeconds: 4_294_967_295 }), /maxTimeoutSeconds/],
  ["a day and a second", (good) => ({ ...good, maxTimeoutSeconds: 86_401 }), /maxTimeoutSeconds/],
  ["an amount as number", (good) => ({ ...good, amount: 10000 }), /amount/],
  ["2^128", (good) => ({ ...good, amount: (1n << 128n).toString() }), /amount/],
  ["an amount with a leading zero", (good) => ({ ...good, amount: "01" }), /amount/],
  ["a negative amount", (good) => ({ ...good, amount: "-1" }), /amount/],
  ["v1 names", ({ amount, ...good }) => ({ ...good, maxAmountRequired: amount }), /amount/],
  ["a v1 network", (good) => ({ ...good, network: "base-sepolia", amount: undefined }), /amount/],
  ["a payTo that is no account", (good) => ({ ...good, payTo: "0x01" }), /payTo/],
  ["a payTo with a wrong checksum", (good) => ({ ...good, payTo: "2vxsx-fae-aaaaaaa.1" }), /payTo/],
  ["an asset that is a key", (good) => ({ ...good, asset: identity.getPrincipal().toText() }), /asset/],
  ["an asset in upper case", (good) => ({ ...good, asset: CKUSDC.toUpperCase() }), /asset/],
  ["a network with a line break", (good) => ({ ...good, network: "icp:1\n" }), /network/],
  ["a spender that is a key", (good) => ({ ...good, extra: { ...good.extra, spender: identity.getPrincipal().toText() } }), /spender/],
  ["the management canister as spender", (good) => ({ ...good, extra: { ...good.extra, spender: "aaaaa-aa" } }), /spender/],
  ["another transfer method", (good) => ({ ...good, extra: { ...good.extra, assetTransferMethod: "icrc1" } }), /assetTransferMethod/],
  ["an offer by transfer", transferOffer, /client's own transfer/],
  ["an unknown flow", (good) => ({ ...good, extra: { ...good.extra, paymentFlow: "escrow" } }), /paymentFlow/],
  ["no route", (good) => ({ ...good, extra: { ...good.extra, route: undefined } }), /route/],
  ["another revision", (good) => ({ ...good, extra: { ...good.extra, revision: 2 } }), /extra\.offer/],
  ["another method", (good) => ({ ...good, extra: { ...good.extra, method: "POST" } }), /extra\.offer/],
  ["a fee as number", (good) => ({ ...good, extra: { ...good.extra, fee: 10000 } }), /fee/],
];

describe("one odd entry in accepts", () => {
  for (const [name, make, reason] of ODD) {
    it(`(${name}) is skipped, and alone it is refused with the reason`, async () => {
      const [good, odd] = [await offer(), make(await offer())];
      for (const offers of [
        [odd, good],
        [good, odd],
      ]) {
        seller.reset(offers);
        assert.equal((await buyer().pay(seller.url())).status, 200);
        assert.deepEqual(seller.seen[0]!.payment.accepted, good);
      }
      seller.reset([odd]);
      await assert.rejects(buyer().pay(seller.url()), refused(reason));
    });
  }

  it("(an offer by transfer) is not taken by the scheme alone either, in whatever order they come", async () => {
    const good = await offer();
    const byTransfer = transferOffer({ ...good, amount: "1" });
    const context = { network: NETWORK };
    for (const spenders of [undefined, [SPENDER]]) {
      const { scheme } = buyer(spenders ? { spenders } : {});
      await assert.rejects(scheme.createPaymentPayload(2, byTransfer as never, context as never), /client's own transfer/);
      assert.equal((await scheme.unresolved()).length, 0);
    }
    // The policy of the scheme, and the stock client without resendingFetch.
    for (const offers of [
      [byTransfer, good],
      [good, byTransfer],
    ]) {
      for (const policy of [true, false]) {
        seller.reset(offers);
        const { scheme, client } = buyer({ spenders: [SPENDER] });
        if (policy) client.registerPolicy(scheme.policy);
        assert.deepEqual(scheme.policy(2, offers as never), [good]);
        assert.equal((await wrapFetchWithPayment(fetch, client)(seller.url())).status, 200);
        assert.equal(seller.seen[0]!.payment.accepted.extra.assetTransferMethod, "icrc2");
      }
    }
  });

  it("is told although other networks remain, which the stock client may not know", async () => {
    const evm = { scheme: "exact", network: "eip155:8453", amount: "1", asset: "0x00", payTo: "0x01", maxTimeoutSeconds: 60, extra: {} };
    seller.reset([{ ...(await offer()), amount: 1 }, evm]);
    const warnings: string[] = [];
    await assert.rejects(buyer({}, { warn: (message) => warnings.push(message) }).pay(seller.url()), /No network\/scheme registered/);
    assert.match(warnings[0]!, /offer 1: amount is 1/);
  });

  it("is told with all the others", async () => {
    seller.reset([
      null,
      { ...(await offer()), amount: 1 },
      await offer({}, {}, { method: "POST" }),
      await offer({}, {}, { route: "/other" }),
    ]);
    await assert.rejects(buyer().pay(seller.url()), refused(/offer 1: .*; offer 2: amount .*; offer 3: .*POST.*; offer 4: .*\/other/));
  });

  for (const [name, required] of Object.entries({
    "resource is absent": {},
    "resource is null": { resource: null },
    "extensions is an empty list": { extensions: [] },
    "extensions is null": { extensions: null },
    "an extension is null": { extensions: { "payment-identifier": null } },
    "an extension has no info": { extensions: { "payment-identifier": {} } },
    "error is an object": { error: { code: 1 } },
  })) {
    it(`does not matter when ${name}`, async () => {
      seller.reset([await offer()]);
      seller.required = required;
      assert.equal((await buyer().pay(seller.url())).status, 200);
    });
  }

  for (const [name, header] of Object.entries({
    "no base64": "{}",
    "no JSON": encode("x").slice(2),
    "a list": encode([]),
    "a version of another type": encode({ x402Version: "2\u001b[2J", accepts: [] }),
    "no version": encode({ accepts: [] }),
    "no accepts": encode({ x402Version: 2 }),
    "accepts null": encode({ x402Version: 2, accepts: null }),
    "empty accepts": encode({ x402Version: 2, accepts: [] }),
  })) {
    it(`a PAYMENT-REQUIRED with ${name} is refused in plain words`, async () => {
      seller.reset([]);
      seller.unpaid = (_, response) => response.writeHead(402, { "PAYMENT-REQUIRED": header }).end();
      await assert.rejects(buyer().pay(seller.url()), refused(/^the seller/));
    });
  }

  it("a receipt without transaction does not keep the content back", async () => {
    seller.reset([await offer()], (_, response, seen) =>
      response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen, { transaction: undefined }) }).end("the report"),
    );
    const warnings: string[] = [];
    assert.equal(await (await buyer({}, { warn: (message) => warnings.push(message) }).pay(seller.url())).text(), "the report");
    assert.match(warnings[0]!, /transaction undefined/);
  });
});

describe("whose canister, whose resource", () => {
  it("host first, then the parameter on a bare gateway, and no other label", () => {
    for (const [url, canister] of [
      [`https://${SPENDER}.icp0.io/a`, SPENDER],
      [`https://${SPENDER}.raw.icp0.io/a?canisterId=${OTHER_SPENDER}`, SPENDER],
      [`https://${SPENDER}.icp.net/`, SPENDER],
      [`http://${SPENDER}.raw.localhost:8000/`, SPENDER],
      [`http://localhost:4943/?canisterId=${SPENDER}`, SPENDER],
      [`http://[::1]:4943/?canisterId=${SPENDER}`, SPENDER],
      [`https://icp0.io/?canisterId=${SPENDER}`, SPENDER],
      [`https://shop.example/?canisterId=${SPENDER}`, undefined],
      [`https://${SPENDER}.shop.example/`, undefined],
      [`https://www.${SPENDER}.icp0.io/`, undefined],
      [`https://${SPENDER}.icp0.io.shop.example/`, undefined],
      ["http://127.0.0.1/?canisterId=aaaaa-aa", undefined],
      [`http://127.0.0.1.shop.example/?canisterId=${SPENDER}`, undefined],
    ] as const) {
      assert.equal(canisterOfUrl(url), canister, url);
    }
  });

  for (const [name, spender] of [
    ["another canister", OTHER_SPENDER],
    ["a canister that cannot be told", undefined],
  ] as const) {
    it(`an offer of a spender is refused at ${name}, unless the user names it`, async () => {
      seller.reset([await offer()]);
      const url = spender ? seller.url("/report", spender) : `${seller.base}/report`;
      await assert.rejects(buyer().pay(url), refused(/extra\.spender/));
      assert.equal((await buyer({ spenders: [SPENDER] }).pay(url)).status, 200);
      await assert.rejects(buyer({ spenders: [OTHER_SPENDER] }).pay(seller.url()), refused(/not among the spenders/));
    });
  }

  it("the gateway's header alone proves nothing", async () => {
    seller.reset([await offer()]);
    const header = encode({ x402Version: 2, accepts: seller.offers });
    seller.unpaid = (_, response) => response.writeHead(402, { "PAYMENT-REQUIRED": header, "x-ic-canister-id": SPENDER }).end();
    await assert.rejects(buyer().pay(`${seller.base}/report`), refused(/cannot be told/));
  });

  for (const [name, relayed] of [
    ["route", { route: "/other" }],
    ["method", { method: "POST" }],
    ["template", { route: "/report/{id}" }],
  ] as const) {
    it(`a relayed offer of another ${name} buys nothing`, async () => {
      seller.reset([await offer({}, {}, relayed)]);
      await assert.rejects(buyer({ spenders: [SPENDER] }).pay(seller.url()), refused(/the offer is for/));
      assert.equal(seller.seen.length, 0);
    });
  }
});

describe("redirects", () => {
  const to =
    (location: string, status = 302) =>
    (_: IncomingMessage, response: ServerResponse) =>
      void response.writeHead(status, { location }).end();
  const secrets = { headers: { authorization: "Bearer secret", cookie: "a=secret" } };

  for (const status of [301, 302, 307, 308]) {
    it(`${status} to another origin: nothing is paid there, and no credentials arrive`, async () => {
      second.reset([await offer()]);
      seller.reset([]);
      seller.unpaid = to(second.url(), status);
      await assert.rejects(buyer({ spenders: [SPENDER] }).pay(seller.url(), secrets), refused(/another origin/));
      assert.equal(second.seen.length, 0);
      assert.equal(second.asked.length, 1);
      assert.deepEqual([second.asked[0]!.headers.authorization, second.asked[0]!.headers.cookie], [undefined, undefined]);
    });
  }

  it("through another origin and back: nothing is paid", async () => {
    seller.reset([await offer()]);
    second.reset([]);
    second.unpaid = to(seller.url("/report?back"));
    seller.unpaid = (request, response) => (request.url!.includes("back") ? seller.refuse(response) : to(second.url())(request, response));
    await assert.rejects(buyer({ spenders: [SPENDER] }).pay(seller.url()), refused(/another origin/));
  });

  it("within the origin: the request that got the 402 is the one that is paid", async () => {
    seller.reset([await offer({}, {}, { route: "/new" })]);
    seller.unpaid = (request, response) =>
      request.url!.startsWith("/new") ? seller.refuse(response) : to(seller.url("/new"))(request, response);
    assert.equal((await buyer().pay(seller.url("/old"), secrets)).status, 200);
    assert.deepEqual(
      seller.seen.map(({ url }) => url.split("?")[0]),
      ["/new"],
    );
    assert.equal(seller.seen[0]!.headers.authorization, "Bearer secret");
  });

  it("within the origin, six of them: nothing is paid", async () => {
    seller.reset([await offer()]);
    seller.unpaid = (request, response) => {
      const hop = Number(/hop=(\d)/.exec(request.url!)?.[1] ?? 0);
      return hop >= 6 ? seller.refuse(response) : to(seller.url(`/report?hop=${hop + 1}`))(request, response);
    };
    await assert.rejects(buyer().pay(seller.url()), refused(/redirects/));
  });

  for (const status of [302, 303, 307]) {
    it(`${status} of a POST that ends at a 402: nothing is paid`, async () => {
      const method = status === 307 ? "POST" : "GET";
      seller.reset([await offer({}, {}, { method, route: "/new" })]);
      seller.unpaid = (request, response) =>
        request.url!.startsWith("/new") ? seller.refuse(response) : to(seller.url("/new"), status)(request, response);
      await assert.rejects(buyer().pay(seller.url("/old"), { method: "POST", body: "x" }), OfferRefused);
      assert.equal(seller.seen.length, 0);
    });
  }

  it("of a paid request are not followed", async () => {
    for (const location of [second.url(), seller.url("/elsewhere")]) {
      second.reset([await offer()]);
      seller.reset([await offer()], (_, response) => response.writeHead(307, { location }).end());
      assert.equal((await buyer().pay(seller.url(), secrets)).status, 307);
      assert.equal(second.seen.length + second.asked.length, 0);
      assert.equal(seller.seen.length, 1);
    }
  });

  for (const [from, target, what] of [
    ["https://shop.example/a", "http://shop.example/a", /https to http/],
    ["https://shop.example/a", "https://127.0.0.1/a", /this machine/],
    ["https://shop.example/a", "https://x.localhost/a", /this machine/],
    ["https://shop.example/a", "file:///etc/passwd", /http or https/],
  ] as const) {
    it(`from ${from} to ${target} are not followed at all`, async () => {
      const asked: string[] = [];
      const inner: typeof fetch = async (input) => {
        asked.push(new Request(input).url);
        return new Response(null, { status: 302, headers: { location: target } });
      };
      await assert.rejects(buyer({}, {}, inner).pay(from), what);
      assert.deepEqual(asked, [from]);
    });
  }
});
