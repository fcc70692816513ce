/** Attacks of a hostile review: each test is named after what was tried, with others of its family. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { after, before, describe, it } from "node:test";
import type { SignIdentity } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import {
  canisterOfUrl,
  ExactIcpScheme,
  type ExactIcpOptions,
  MemoryStore,
  OfferRefused,
  type PaymentRecord,
  type PaymentStore,
  resendingFetch,
} from "../src/index.js";
import { FakeNetwork, transfer } from "./network.js";
import { buyer, CKUSDC, encode, identity, offer, OTHER_SPENDER, type Paid, QUICK, receipt, Seller, settled, SPENDER } from "./support.js";

let seller: Seller;
before(async () => {
  seller = await new Seller().start();
});
after(() => seller.stop());
const closes: Paid = (_, response) => response.destroy();
const refused = (pattern: RegExp) => (error: Error) => error instanceof OfferRefused && pattern.test(error.message);

describe("an odd status line", () => {
  const raw = (response: ServerResponse, line: string, headers: string) => {
    const socket = response.socket;
    socket?.write(`HTTP/1.1 ${line}\r\n${headers}Content-Length: 2\r\n\r\nok`);
    socket?.end();
  };
  for (const line of ["200 \u6210\u529f", "200 \u{1f4b8}", "201 caf\u00e9", "999 odd", "600 "]) {
    it(`(${line}) loses neither a paid answer nor the record of it`, async () => {
      seller.reset([await offer()], (_, response, seen) => raw(response, line, `PAYMENT-RESPONSE: ${receipt(seen)}\r\n`));
      const { pay, scheme } = buyer({}, { attempts: 1 });
      const response = await pay(seller.url());
      assert.equal(`${response.status} ${response.clone().statusText}`, line);
      assert.equal(response.clone().ok, line.startsWith("2"));
      assert.equal(await response.text(), "ok");
      assert.equal((await scheme.unresolved()).length, line.startsWith("2") ? 0 : 1);
    });
  }

  it("of a 402 stops no purchase", async () => {
    const entry = await offer();
    seller.reset([]);
    seller.unpaid = (_, response) =>
      raw(response, "402 \u4ed8\u6b3e", `PAYMENT-REQUIRED: ${encode({ x402Version: 2, accepts: [entry] })}\r\n`);
    assert.equal((await buyer().pay(seller.url())).status, 200);
  });
});

describe("a redirect that leads elsewhere each time", () => {
  for (const [name, path] of [
    ["path", (n: number) => `/report/${n}`],
    ["query", (n: number) => `/report/x?session=${n}`],
  ] as const) {
    it(`(${name}) does not make one request two purchases`, async () => {
      let redirects = 0;
      seller.reset([await offer({}, {}, { route: "/report/{id}" })], closes);
      seller.unpaid = (request, response) =>
        request.url!.startsWith("/start")
          ? void response.writeHead(302, { location: seller.url(path(++redirects)) }).end()
          : seller.refuse(response);
      const store = new MemoryStore();
      for (let call = 0; call < 3; call++) await assert.rejects(buyer({ store }, { attempts: 1 }).pay(seller.url("/start")));
      // The place itself is the same purchase, too.
      await assert.rejects(buyer({ store }, { attempts: 1 }).pay(seller.url(path(1))));
      await Promise.allSettled(Array.from({ length: 4 }, () => buyer({ store }, { attempts: 1 }).pay(seller.url("/start"))));
      assert.equal(seller.nonces().size, 1);
      assert.equal(new Set(seller.seen.map(({ url }) => url)).size, 1);
      seller.paid = settled;
      assert.equal((await buyer({ store }).pay(seller.url("/start"))).status, 200);
      assert.equal(seller.nonces().size, 1);
    });
  }

  it("keeps two requests apart that lead to places of their own, at the same time", async () => {
    seller.reset([await offer({}, {}, { route: "/report/{id}" })]);
    seller.unpaid = (request, response) => {
      const start = /^\/start(\d)/.exec(request.url!);
      if (start) response.writeHead(302, { location: seller.url(`/report/${start[1]}`) }).end();
      else seller.refuse(response);
    };
    const { pay } = buyer();
    await Promise.all([1, 2, 3].map((n) => pay(seller.url(`/start${n}`))));
    assert.equal(seller.nonces().size, 3);
  });
});

describe("a payment that was signed and never sent", () => {
  async function stranded(terms: Awaited<ReturnType<typeof offer>>, options: ExactIcpOptions = {}): Promise<PaymentStore> {
    const store = new MemoryStore();
    const { pay, client } = buyer({ store, ...options });
    client.onAfterPaymentCreation(async () => {
      throw new Error("the page was closed");
    });
    seller.reset([terms]);
    await assert.rejects(pay(seller.url()));
    return store;
  }
  for (const [name, before, now] of [
    ["dearer", { amount: "900000" }, { amount: "10000" }],
    ["to another account", { payTo: SPENDER }, {}],
    ["good for longer", { maxTimeoutSeconds: 86_400 }, {}],
  ] as const) {
    it(`on other terms (${name}) does not go out for the offer that is chosen now`, async () => {
      const store = await stranded(await offer(before));
      const entry = await offer(now);
      seller.offers = [entry];
      assert.equal((await buyer({ store }).pay(seller.url())).status, 200);
      const { amount, payTo, maxTimeoutSeconds } = seller.seen[0]!.payment.accepted;
      assert.deepEqual([amount, payTo, maxTimeoutSeconds], [entry.amount, entry.payTo, entry.maxTimeoutSeconds]);
      assert.equal((await store.list()).length, 1);
    });
  }

  it("does not go out above the caps of today, nor to whom the user names no more", async () => {
    const store = await stranded(await offer({ amount: "900000" }));
    await assert.rejects(buyer({ store, maxAmounts: { [CKUSDC]: 20_000n } }).pay(seller.url()), refused(/above the cap of 20000/));
    await assert.rejects(buyer({ store, spenders: [OTHER_SPENDER] }).pay(seller.url()), refused(/not among the spenders/));
    assert.equal(seller.seen.length, 0);
  });

  it("on the same terms is the one that goes out", async () => {
    const store = await stranded(await offer());
    const [first] = await store.list();
    assert.equal((await buyer({ store }).pay(seller.url())).status, 200);
    assert.deepEqual({ ...seller.seen[0]!.payment.payload }, first!.payload);
  });
});

describe("a clock that is put right", () => {
  it("does not leave a delivery in the future, after which nothing could be bought", async () => {
    const store = new MemoryStore();
    seller.reset([await offer()]);
    await buyer({ store }).pay(seller.url());
    const [delivered] = await store.list();
    for (const ahead of [60_000, 86_400_000, 4 * 365 * 86_400_000]) {
      await store.put({ ...delivered!, endedAt: Date.now() + ahead });
      const before = seller.nonces().size;
      await buyer({ store }).pay(seller.url());
      assert.equal(seller.nonces().size, before + 1);
      for (const { paymentId } of await store.list()) if (paymentId !== delivered!.paymentId) await store.delete(paymentId);
    }
  });
});

describe("an abort", () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  for (const when of ["before the 402", "after the payment"]) {
    it(`${when} ends the call at once, although Node collected the request that carried the signal`, async () => {
      seller.reset([await offer()]);
      const reached = new Promise<void>((resolve) => {
        if (when === "before the 402") seller.unpaid = () => resolve();
        else seller.paid = () => resolve();
      });
      const abort = new AbortController();
      const call = buyer({}, { idleMs: 20_000, attempts: 1 }).pay(seller.url(), { signal: abort.signal });
      const ended = assert.rejects(call, { name: "AbortError" });
      await reached;
      for (let round = 0; round < 5; round++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const began = Date.now();
      abort.abort();
      await ended;
      assert.ok(Date.now() - began < 5_000);
    });
  }

  const hung = (): SignIdentity => ({
    getPrincipal: () => identity.getPrincipal(),
    getPublicKey: () => identity.getPublicKey(),
    sign: () => new Promise<never>(() => undefined),
    transformRequest: (request: unknown) => Promise.resolve(request),
  }) as unknown as SignIdentity;
  const payerWith = (who: SignIdentity, store: PaymentStore) =>
    wrapFetchWithPayment(resendingFetch(fetch, QUICK), new x402Client().register("icp:*", new ExactIcpScheme(who, { store })));

  it("of a call whose signer never answers lets others buy the same thing", async () => {
    const store = new MemoryStore();
    seller.reset([await offer()]);
    await assert.rejects(payerWith(hung(), store)(seller.url(), { signal: AbortSignal.timeout(200) }), { name: "TimeoutError" });
    assert.equal((await payerWith(identity, store)(seller.url(), { signal: AbortSignal.timeout(5_000) })).status, 200);
  });

  it("is not needed where a signer never answers: the offer's own time ends the call", async () => {
    seller.reset([await offer({ maxTimeoutSeconds: 1 })]);
    await assert.rejects(payerWith(hung(), new MemoryStore())(seller.url()), /the signer/);
    assert.equal(seller.seen.length, 0);
  });

  it("ends a call that waits for the lock of its payment", async () => {
    class Held extends MemoryStore {
      held = false;
      override withLock<T>(key: string, fn: () => Promise<T>): Promise<T> {
        return this.held ? new Promise<never>(() => undefined) : super.withLock(key, fn);
      }
    }
    const store = new Held();
    const { pay, client } = buyer({ store });
    client.onAfterPaymentCreation(async () => void (store.held = true));
    seller.reset([await offer()]);
    await assert.rejects(pay(seller.url(), { signal: AbortSignal.timeout(200) }), { name: "TimeoutError" });
  });
});

it("an identity that speaks for somebody else by now signs nothing", async () => {
  let who = identity;
  const changing = {
    getPrincipal: () => who.getPrincipal(),
    getPublicKey: () => who.getPublicKey(),
    sign: (blob: Uint8Array) => who.sign(blob),
  } as unknown as SignIdentity;
  const client = new x402Client().register("icp:*", new ExactIcpScheme(changing, { store: new MemoryStore() }));
  who = Ed25519KeyIdentity.generate();
  seller.reset([await offer()]);
  await assert.rejects(wrapFetchWithPayment(resendingFetch(fetch, QUICK), client)(seller.url()), refused(/speaks for/));
});

describe("the limit of open payments", () => {
  it("holds for purchases at the same time, with a signer that takes its time", async () => {
    const slow = Ed25519KeyIdentity.generate();
    const sign = slow.sign.bind(slow);
    slow.sign = async (blob) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return sign(blob);
    };
    const client = new x402Client().register("icp:*", new ExactIcpScheme(slow, { store: new MemoryStore(), maxUnresolved: 2 }));
    const pay = wrapFetchWithPayment(resendingFetch(fetch, { ...QUICK, attempts: 1 }), client);
    seller.reset([await offer({}, {}, { route: "/data/{id}" })], closes);
    await Promise.allSettled(Array.from({ length: 8 }, (_, n) => pay(seller.url(`/data/${n}`))));
    assert.equal(seller.nonces().size, 2);
  });
});

describe("many payments", () => {
  it("in files are read where few files may be open", () => {
    const folder = mkdtempSync(join(tmpdir(), "tollkeeper-"));
    mkdirSync(folder, { recursive: true });
    for (let n = 0; n < 600; n++) {
      const paymentId = randomBytes(32).toString("hex");
      writeFileSync(join(folder, `${paymentId}.json`), JSON.stringify({ format: "tollkeeper-x402/1", paymentId, padding: "x".repeat(50_000) }));
    }
    const script = `import { fileStore } from ${JSON.stringify(new URL("../src/file-store.js", import.meta.url).href)};
      console.log((await fileStore(${JSON.stringify(folder)}).list()).length)`;
    const limited = `ulimit -n 128; exec "$0" --input-type=module -e "$1"`;
    assert.equal(execFileSync("sh", ["-c", limited, process.execPath, script], { encoding: "utf8" }).trim(), "600");
    rmSync(folder, { recursive: true });
  });

  for (const [name, change, count] of [
    ["more than a day ago", { endedAt: Date.now() - 90_000_000 }, 1],
    ["in great numbers", {}, 600],
  ] as const) {
    it(`that ended ${name} do not keep an older one open for ever`, async () => {
      const net = new FakeNetwork();
      const store = new MemoryStore();
      const options = { store, agent: net.agent(), preflight: false };
      seller.reset([await offer({ network: await net.id() })], closes);
      const { pay, scheme } = buyer(options, { attempts: 1 });
      await assert.rejects(pay(seller.url()));
      const [open] = await store.list();
      const old = { ...open!, validAfter: open!.validAfter - 200_000 };
      await store.put(old);
      for (let n = 0; n < count; n++) {
        const paymentId = n.toString(16).padStart(64, "0");
        await store.put({ ...old, paymentId, requestKey: paymentId, state: "delivered", endedAt: Date.now(), ...change } as PaymentRecord);
        net.blocks.push(transfer(paymentId));
      }
      // Additions of a new process look through what has ended.
      seller.paid = settled;
      await buyer(options).pay(seller.url("/report?other"));
      assert.equal((await scheme.resolve(old.paymentId)).state, "dead");
      assert.equal((await store.list()).filter(({ state, header }) => state === "delivered" && header === "").length, name === "in great numbers" ? 100 : 1);
    });
  }
});

describe("a redirect to this machine", () => {
  const first = "https://shop.example/a";
  for (const target of [
    "https://localhost./a",
    "https://x.localhost./a",
    "https://0.0.0.0/a",
    "https://0/a",
    "https://127.1/a",
    "https://[::]/a",
    "https://[::1]/a",
    "https://[::ffff:127.0.0.1]/a",
    "https://[::127.0.0.1]/a",
    "https://[::ffff:0.0.0.0]/a",
  ]) {
    for (const via of [[], ["https://other.example/b"]]) {
      it(`(${[...via, target].join(", ")}) is not followed`, async () => {
        const way = [...via, target];
        const asked: string[] = [];
        const inner: typeof fetch = async (input) => {
          asked.push(new Request(input).url);
          return new Response(null, { status: 302, headers: { location: way[asked.length - 1]! } });
        };
        await assert.rejects(buyer({}, {}, inner).pay(first), /this machine/);
        assert.deepEqual(asked, [first, ...via]);
      });
    }
  }

  it("that has no end, or a password in it, is an error", async () => {
    let asked = 0;
    const endless: typeof fetch = async () => new Response(null, { status: 302, headers: { location: `https://shop.example/${asked++}` } });
    await assert.rejects(buyer({}, {}, endless).pay(first), /redirects/);
    assert.ok(asked < 30);
    const named: typeof fetch = async () => new Response(null, { status: 302, headers: { location: "https://u:secret@shop.example/" } });
    await assert.rejects(buyer({}, {}, named).pay(first), (error: Error) => /password/.test(error.message) && !/secret/.test(error.message));
  });
});

it("two canisters in a URL name none, and a dot at the end of a host changes nothing", () => {
  const both = `canisterId=${SPENDER}&canisterId=${OTHER_SPENDER}`;
  assert.equal(canisterOfUrl(`http://localhost/a?${both}`), undefined);
  assert.equal(canisterOfUrl(`http://localhost/a?canisterId=${SPENDER}&canisterId=${SPENDER}`), SPENDER);
  assert.equal(canisterOfUrl(`https://${SPENDER}.icp0.io./a?canisterId=${OTHER_SPENDER}`), SPENDER);
  assert.equal(canisterOfUrl(`https://${SPENDER}.icp0.io.shop.example/a`), undefined);
});

describe("a payment that is past gets its last word when the seller", () => {
  const past = () => Math.floor(Date.now() / 1000) + 100_000;
  for (const [name, unpaid] of [
    ["sends a 402 without offers", (response: ServerResponse) => void response.writeHead(402).end("{}")],
    ["speaks version 1", (response: ServerResponse) => seller.refuse(response, { x402Version: 1 })],
    [
      "takes other money only",
      (response: ServerResponse) =>
        seller.refuse(response, { accepts: [{ scheme: "exact", network: "eip155:1", asset: "0x1", amount: "1", payTo: "0x2" }] }),
    ],
    ["is not there", (response: ServerResponse) => void response.destroy()],
    ["redirects to a 404", (response: ServerResponse, url: string) => {
      if (url.includes("gone")) response.writeHead(404).end();
      else response.writeHead(302, { location: "/gone" }).end();
    }],
  ] as [string, (response: ServerResponse, url: string) => void][]) {
    it(name, async () => {
      const net = new FakeNetwork();
      const options = { store: new MemoryStore(), agent: net.agent() };
      seller.reset([await offer({ network: await net.id() })], closes);
      await assert.rejects(buyer(options, { attempts: 1 }).pay(seller.url()));
      net.seconds = past();
      net.cancel = () => ({ Err: { Expired: { now_seconds: 1n } } });
      seller.unpaid = (request, response) => unpaid(response, request.url!);
      const { pay, scheme } = buyer({ ...options, now: past });
      await pay(seller.url()).catch(() => undefined);
      assert.deepEqual(await scheme.unresolved(), []);
    });
  }
});
