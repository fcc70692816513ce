/** B8, C13 and C16: delegations, long payments, strangers' text, and transports that tell the scheme nothing. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { after, before, describe, it } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import type { DerEncodedPublicKey, Signature } from "@icp-sdk/core/agent";
import { Delegation, DelegationChain, DelegationIdentity, Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { ExactIcpScheme, MemoryStore, OfferRefused, resendingFetch } from "../src/index.js";
import { plain } from "../src/text.js";
import { buyer, CKUSDC, CKUSDT, encode, identity, NETWORK, offer, QUICK, Seller, settled, SPENDER } from "./support.js";

let seller: Seller;
before(async () => {
  seller = await new Seller().start();
});
after(() => seller.stop());

const refused = (pattern: RegExp) => (error: Error) => error instanceof OfferRefused && pattern.test(error.message);

describe("delegations and headers", () => {
  const pays = async (options: { targets?: Principal[]; permissions?: string }, minutes = 60) => {
    seller.reset([await offer()]);
    const key = Ed25519KeyIdentity.generate();
    const chain = await DelegationChain.create(identity, key.getPublicKey(), new Date(Date.now() + minutes * 60_000), options);
    const scheme = new ExactIcpScheme(DelegationIdentity.fromDelegation(key, chain), { store: new MemoryStore() });
    return wrapFetchWithPayment(resendingFetch(fetch, QUICK), new x402Client().register("icp:*", scheme))(seller.url());
  };

  it("a delegation that lets its holder pay this spender in time is used", async () => {
    assert.equal((await pays({ targets: [Principal.fromText(SPENDER)] })).status, 200);
  });

  for (const [name, options, minutes, reason] of [
    ["excludes the spender", { targets: [Principal.fromText(CKUSDC)] }, 60, /not for canister/],
    ["has no targets left", { targets: [] }, 60, /not for canister/],
    ["ends before the payment", {}, 4, /ends before/],
    ["has ended", {}, -1, /ends before/],
    ["is limited by permissions", { permissions: "queries" }, 60, /permissions/],
  ] as const) {
    it(`a delegation that ${name} is refused before signing`, async () => {
      await assert.rejects(pays(options as never, minutes), refused(reason));
      assert.equal(seller.seen.length, 0);
    });
  }

  it("attack 31: keys that no verifier pays for sign nothing", async () => {
    const canister = new Uint8Array(Buffer.from("301c300c060a2b0601040183b8430102030c000a00000000001000010101", "hex"));
    const frame = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
    const until = BigInt(Date.now() + 3_600_000) * 1_000_000n;
    for (const [p256Keys, good] of [
      [2, true],
      [3, false],
    ] as const) {
      seller.reset([await offer()]);
      const key = Ed25519KeyIdentity.generate();
      const p256 = Array.from({ length: p256Keys }, (_, n) => new Uint8Array(Buffer.from(frame + `0${n}`.repeat(64), "hex")));
      const links = [...p256, new Uint8Array(key.getPublicKey().toDer())].map((pubkey) => ({
        delegation: new Delegation(pubkey, until),
        signature: new Uint8Array(64) as Signature,
      }));
      const chain = DelegationChain.fromDelegations(links, canister as DerEncodedPublicKey);
      const scheme = new ExactIcpScheme(DelegationIdentity.fromDelegation(key, chain), { store: new MemoryStore() });
      const pay = wrapFetchWithPayment(resendingFetch(fetch, QUICK), new x402Client().register("icp:*", scheme));
      if (good) assert.equal((await pay(seller.url())).status, 200);
      else await assert.rejects(pay(seller.url()), refused(/million instructions/));
    }
  });

  for (const [name, required] of Object.entries({
    resource: { resource: { url: "/report", description: "d".repeat(13_000) } },
    extensions: { extensions: { big: { info: {}, schema: { text: "s".repeat(13_000) } } } },
  })) {
    it(`a 402 whose ${name} would make the payment too long is refused before signing`, async () => {
      seller.reset([await offer()]);
      seller.required = required;
      const inner: typeof fetch = async (input) => {
        if (new Request(input).headers.has("PAYMENT-SIGNATURE")) return assert.fail("sent");
        return new Response("{}", {
          status: 402,
          headers: { "PAYMENT-REQUIRED": encode({ x402Version: 2, ...required, accepts: seller.offers }) },
        });
      };
      const { pay, scheme } = buyer({}, {}, inner);
      await assert.rejects(pay(seller.url()), refused(/reads at most 16384/));
      assert.deepEqual(await scheme.unresolved(), []);
    });
  }
});

describe("a 402 that nests deeply", () => {
  // The payment is level 1, its extensions 2, the extension 3, its info 4.
  for (const [levels, pays] of [
    [28, true],
    [29, false],
    [400, false],
  ] as const) {
    it(`${levels} levels in an extension ${pays ? "are echoed" : "are refused before signing"}`, async () => {
      seller.reset([await offer()]);
      let info: unknown = 1;
      for (let level = 0; level < levels; level++) info = level % 2 ? [info] : { a: info };
      seller.required = { extensions: { deep: { info: { info } } } };
      const call = buyer().pay(seller.url());
      if (pays) assert.equal((await call).status, 200);
      else await assert.rejects(call, refused(/levels/));
      assert.equal(seller.seen.length, pays ? 1 : 0);
    });
  }
});

describe("strangers' text", () => {
  it("is one bounded line without control characters", () => {
    for (const [text, shown] of [
      ["plain ünï 漢", "plain ünï 漢"],
      ["a\u001b]52;c;aGk=\u0007b", "a\ufffd]52;c;aGk=\ufffdb"],
      ["a\nb\r\u2028c\u2029", "a\ufffdb\ufffd\ufffdc\ufffd"],
      ["\u202eabc\u2066\u200f", "\ufffdabc\ufffd\ufffd"],
      ["\u009b31m", "\ufffd31m"],
    ] as const) {
      assert.equal(plain(text), shown);
    }
    assert.equal(Array.from(plain("x".repeat(1e6))).length, 201);
    assert.equal(plain({ a: 1n }), '{"a":"1"}');
  });

  for (const [name, change, extra] of [
    ["amount", { amount: "\u001b[2J" }, {}],
    ["payTo", { payTo: "x\nPay 0.01" }, {}],
    ["network", { network: "icp:\u202e1" }, {}],
    ["route", {}, { route: "/\u001b]0;x\u0007" }],
  ] as const) {
    it(`in ${name} reaches no error raw, and no header does`, async () => {
      seller.reset([await offer(change, extra)]);
      const error = await buyer()
        .pay(seller.url())
        .catch((caught: Error) => caught);
      assert.ok(error instanceof OfferRefused);
      assert.doesNotMatch(error.message, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    });
  }

  it("errors of a payment carry neither its header nor the caller's", async () => {
    seller.reset([await offer()], (_, response) => response.destroy());
    const error = (await buyer()
      .pay(seller.url(), { headers: { authorization: "Bearer secret" } })
      .catch((caught: unknown) => caught)) as Error;
    const { inspect } = await import("node:util");
    const shown = inspect(error, { depth: 10, showHidden: true });
    for (const secret of ["secret", seller.seen[0]!.header, String(seller.seen[0]!.payment.payload.signature)])
      assert.ok(!shown.includes(secret));
  });
});

describe("another transport", () => {
  const bare = (options: object) =>
    new x402Client().register("icp:*", new ExactIcpScheme(identity, { store: new MemoryStore(), agent: false, ...options }));

  it("is paid only for spenders that the user names", async () => {
    seller.reset([await offer()]);
    await assert.rejects(wrapFetchWithPayment(fetch, bare({}))(seller.url()), /option spenders/);
    assert.equal((await wrapFetchWithPayment(fetch, bare({ spenders: [SPENDER] }))(seller.url())).status, 200);
  });

  for (const paid of [
    settled,
    (_: number, response: ServerResponse) => void response.destroy(),
    (_: number, response: ServerResponse) => void response.writeHead(404).end(),
  ]) {
    it("never has two authorizations for one offer without proof", async () => {
      seller.reset([await offer(), await offer({ asset: CKUSDT })], paid);
      const pay = wrapFetchWithPayment(fetch, bare({ spenders: [SPENDER] }));
      await Promise.all([1, 2, 3].map((n) => pay(seller.url(`/report?n=${n}`)).catch(() => undefined)));
      await assert.rejects(pay(seller.url()), /not resolved: no agent/);
      assert.equal(seller.nonces().size, 1);
    });
  }

  it("knows no call of somebody's invention", async () => {
    seller.reset([await offer({}, { "tollkeeper-x402/call": "00#0" })]);
    await assert.rejects(wrapFetchWithPayment(fetch, bare({ spenders: [SPENDER] }))(seller.url()), /not known any more/);
    assert.equal((await buyer().pay(seller.url())).status, 200);
    assert.equal(seller.seen[0]!.payment.accepted.network, NETWORK);
  });
});
