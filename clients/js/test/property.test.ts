/**
 * Random sellers, callers and processes: never two authorizations for one request without a delivery between them,
 * never above the cap, never to another origin or for another request, and every call ends.
 *
 * TOLLKEEPER_PROPERTY_SECONDS (default 15) says how long; TOLLKEEPER_PROPERTY_SEED runs one history again.
 */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ExactIcrc2Payload, MemoryStore, paymentId, type PaymentStore, signedMessage, termsOf } from "../src/index.js";
import { fileStore } from "../src/file-store.js";
import { buyer, CKUSDT, encode, type Entry, ICP, NETWORK, offer, OTHER_SPENDER, receipt, Seller, type Seen, SPENDER } from "./support.js";
import { FakeNetwork, STATUSES, transfer } from "./network.js";

const seconds = Number(process.env.TOLLKEEPER_PROPERTY_SECONDS ?? 15);
const CAP = 1_000_000n;
/** A call that takes longer has not ended. */
const BOUND_MS = 10_000;

type Random = <T>(choices: readonly T[]) => T;

/** Mulberry32: the same seed makes the same choices. */
function choose(seed: number): Random {
  return (choices) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return choices[((mixed ^ (mixed >>> 14)) >>> 0) % choices.length]!;
  };
}

const CODES = [200, 200, 200, 201, 204, 302, 307, 400, 402, 402, 404, 408, 409, 410, 413, 425, 429, 500, 502, 503, 504];
const RECEIPTS = [
  "good",
  "good",
  "none",
  "unreadable",
  "pending",
  "refusal",
  "fresh offers",
  "payer",
  "amount",
  "network",
  "transaction",
  "paymentId",
] as const;
const ENDINGS = ["whole", "whole", "whole", "cut", "closed", "silent", "silent after the headers", "slow"] as const;

/** What reached the sellers, checked as it comes. */
class Witness {
  readonly headers = new Map<string, string>();
  readonly purchases = new Map<string, string>();
  /** Nonces of a request in the order in which they came. */
  readonly nonces = new Map<string, string[]>();
  readonly delivered = new Set<string>();
  /** Nonces that can never be charged any more, and were not. */
  readonly dead = new Set<string>();
  problem: string | undefined;

  see(seen: Seen): void {
    const purchase = `${seen.method} ${seen.url} ${seen.body}`;
    if ((this.headers.get(seen.nonce) ?? seen.header) !== seen.header) this.problem ??= "one nonce with two headers";
    if ((this.purchases.get(seen.nonce) ?? purchase) !== purchase) this.problem ??= "one nonce with two requests";
    if (BigInt(seen.payment.accepted.amount) > CAP || seen.payment.accepted.asset === ICP) this.problem ??= "above the cap";
    if (seen.payment.accepted.extra.spender !== SPENDER) this.problem ??= "to another canister";
    if (JSON.stringify(seen.payment).includes("tollkeeper-x402/call")) this.problem ??= "the call's id left the process";
    this.headers.set(seen.nonce, seen.header);
    this.purchases.set(seen.nonce, purchase);
    const before = this.nonces.get(purchase) ?? [];
    if (before.includes(seen.nonce)) return;
    const open = before.filter((nonce) => !this.delivered.has(nonce) && !this.dead.has(nonce));
    if (open.length > 0) this.problem ??= `a second authorization for ${purchase}`;
    this.nonces.set(purchase, [...before, seen.nonce]);
  }
}

/** A canister and its ledger, honest or not: it says "cancelled" of what it has charged. */
class Collector {
  readonly net = new FakeNetwork();
  readonly charged = new Map<string, string>();
  readonly #cancelled = new Set<string>();

  constructor(honest: boolean, witness: Witness) {
    this.net.cancel = (nonce) => {
      this.net.seconds = Math.floor(Date.now() / 1000);
      if (!this.charged.has(nonce)) {
        this.#cancelled.add(nonce);
        witness.dead.add(nonce);
      } else if (honest) return { Err: { AlreadyUsed: { payment_id: new Uint8Array(32) } } };
      return { Ok: null };
    };
    this.net.status = (id) => ([...this.charged.values()].includes(id) && honest ? STATUSES.Settled! : null);
  }

  /** Takes the money of a payment, unless it is cancelled or past; whether it has it. */
  async charge(seen: Seen): Promise<boolean> {
    const payload = seen.payment.payload as unknown as ExactIcrc2Payload;
    const id = await paymentId(signedMessage(termsOf(seen.payment.accepted), payload));
    if (this.charged.has(seen.nonce)) return true;
    if (this.#cancelled.has(seen.nonce) || Number(payload.validBefore) <= Date.now() / 1000) return false;
    this.charged.set(seen.nonce, id);
    this.net.blocks.push(transfer(id));
    return true;
  }
}

function answer(random: Random, paid: boolean, response: ServerResponse, seen: Seen, witness: Witness, offers: unknown[]): void {
  const [status, ending] = [random(CODES), random(ENDINGS)];
  const receipts = random(RECEIPTS);
  const kind = receipts === "good" && !paid ? "none" : receipts;
  const headers: Record<string, string> = {};
  const change = {
    payer: { payer: "2vxsx-fae" },
    amount: { amount: `${seen.payment.accepted.amount}0` },
    network: { network: "icp:1" },
    transaction: { transaction: "x" },
    paymentId: { extra: { paymentId: "00" } },
  };
  if (kind === "good") headers["PAYMENT-RESPONSE"] = receipt(seen);
  else if (kind === "unreadable") headers["PAYMENT-RESPONSE"] = "?";
  else if (kind === "pending")
    headers["PAYMENT-RESPONSE"] = encode({ success: false, errorReason: "settlement_pending", transaction: "a", network: NETWORK });
  else if (kind === "refusal")
    headers["PAYMENT-RESPONSE"] = encode({ success: false, errorReason: "insufficient_funds", transaction: "", network: NETWORK });
  else if (kind === "fresh offers")
    headers["PAYMENT-REQUIRED"] = encode({ x402Version: 2, accepts: offers, error: "invalid_exact_icp_expired" });
  else if (kind !== "none") headers["PAYMENT-RESPONSE"] = receipt(seen, change[kind]);
  if (status === 302 || status === 307) headers.location = "/elsewhere";
  if (random([true, false, false])) headers["retry-after"] = random(["0", "1", "60", "x", new Date().toUTCString()]);
  const proves = status >= 200 && status < 300 && kind === "good";
  if (ending === "closed") return void response.destroy();
  if (ending === "silent") return;
  const bodiless = status === 204;
  const finish = () => {
    // From here on the buyer may know that it was delivered.
    if (proves && (ending === "whole" || ending === "slow" || bodiless)) witness.delivered.add(seen.nonce);
    response.writeHead(status, { ...headers, ...(ending === "cut" && !bodiless ? { "content-length": "100" } : {}) });
    if (ending === "cut" && !bodiless) response.write("half", () => setTimeout(() => response.destroy(), 5));
    else if (ending === "silent after the headers" && !bodiless) response.write("half");
    else response.end(bodiless ? undefined : "content");
  };
  if (ending === "slow") setTimeout(finish, random([5, 20, 45]));
  else finish();
}

async function offersOf(random: Random, method: string, network: string): Promise<unknown[]> {
  const of = { method, route: "/data/{id}" };
  const good: Entry = await offer(
    { network, maxTimeoutSeconds: random([1, 10, 60, 300]), amount: random(["1", "10000", "1000000"]) },
    {},
    of,
  );
  const others: unknown[] = [
    null,
    await offer({ network, amount: "1000001" }, {}, of),
    await offer({ network, asset: ICP }, {}, of),
    await offer({ network, asset: CKUSDT }, {}, of),
    await offer({ network }, {}, { ...of, spender: OTHER_SPENDER }),
    { ...good, maxTimeoutSeconds: 60.5 },
    { ...good, extra: null },
    await offer({ network }, {}, { ...of, revision: 2 }),
  ];
  return random([[good], [good], [random(others), good], [good, random(others)], [random(others)]]);
}

/** One history: a seller with a mood, several processes, a dozen purchases. */
async function history(seed: number, folder: string): Promise<string | undefined> {
  const random = choose(seed);
  const witness = new Witness();
  const [seller, elsewhere] = await Promise.all([new Seller().start(), new Seller().start()]);
  elsewhere.reset([await offer()]);
  // Half of the buyers can ask the canister and the ledger, which lie at times.
  const collector = random([undefined, new Collector(true, witness), new Collector(true, witness), new Collector(false, witness)]);
  const agent = collector?.net.agent() ?? (false as const);
  const network = (await collector?.net.id()) ?? NETWORK;
  const offers = { GET: await offersOf(random, "GET", network), POST: await offersOf(random, "POST", network) };
  const mood = random([0, 1, 2, 3]);
  seller.unpaid = (request: IncomingMessage, response: ServerResponse) => {
    const what =
      mood === 0
        ? "offers"
        : random(["offers", "offers", "offers", "404", "503", "closed", "other offers", "redirect", "hop", "unreadable"] as const);
    const method = request.method === "POST" ? "POST" : "GET";
    if (what === "404" || what === "503") return response.writeHead(Number(what)).end();
    if (what === "closed") return response.destroy();
    if (what === "redirect") return response.writeHead(302, { location: elsewhere.url("/data/1") }).end();
    if (what === "hop" && !request.url!.includes("hop")) return response.writeHead(307, { location: `${request.url}&hop=1` }).end();
    if (what === "unreadable") return response.writeHead(402, { "PAYMENT-REQUIRED": "?" }).end();
    seller.offers = what === "other offers" ? offers[method === "GET" ? "POST" : "GET"] : offers[method];
    seller.refuse(response);
  };
  seller.paid = async (_attempt, response, seen) => {
    witness.see(seen);
    const paid = collector === undefined || (random([true, true, false]) && (await collector.charge(seen)));
    if (mood === 3 && paid) {
      witness.delivered.add(seen.nonce);
      return void response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen) }).end("content");
    }
    answer(random, paid, response, seen, witness, offers[seen.method as "GET" | "POST"]);
  };
  const memory = new MemoryStore();
  const store: () => PaymentStore = random([() => memory, () => fileStore(folder)]);
  let process_ = buyer({ store: store(), agent }, { idleMs: 50, attempts: 2, patienceMs: 300 });
  const purchase = async () => {
    if (random([true, false])) process_ = buyer({ store: store(), agent }, { idleMs: 50, attempts: random([1, 2, 3]), patienceMs: 300 });
    const { pay, client, scheme } = process_;
    if (random([false, false, false, true]))
      client.onPaymentResponse(random([async () => ({ recovered: true as const }), async () => Promise.reject(new Error("hook"))]));
    if (random([false, false, false, false, true])) client.setSpendControls(false).registerPolicy(scheme.policy);
    const method = random(["GET", "GET", "POST"]);
    const aborted = random([undefined, undefined, undefined, 1, 10, 40]);
    const signal = aborted === undefined ? {} : { signal: AbortSignal.timeout(aborted) };
    const body = method === "POST" ? { body: random(["a", "b"]) } : {};
    const began = Date.now();
    try {
      const response = await pay(seller.url(`/data/${random([1, 1, 2])}`), { method, ...body, ...signal });
      await response.text();
    } catch {
      // Errors are answers, too.
    }
    if (Date.now() - began > BOUND_MS) witness.problem ??= "a call did not end";
  };
  for (let step = 0; step < 12 && witness.problem === undefined; step++) {
    await Promise.all(Array.from({ length: random([1, 1, 2, 3]) }, purchase));
  }
  if (elsewhere.seen.length > 0) witness.problem ??= "a payment reached another origin";
  [seller, elsewhere].forEach((server) => server.stop());
  return witness.problem;
}

describe("a payer among random sellers", { timeout: (seconds + 120) * 1000 }, () => {
  it(`pays once, within its cap, to whom it meant, and ends (${seconds} s)`, async (context) => {
    const root = mkdtempSync(join(tmpdir(), "tollkeeper-property-"));
    const given = process.env.TOLLKEEPER_PROPERTY_SEED;
    const end = Date.now() + seconds * 1000;
    let histories = 0;
    try {
      for (let seed = given === undefined ? Date.now() % 1_000_000_000 : Number(given); ; seed++) {
        const problem = await history(seed, join(root, String(seed)));
        assert.equal(problem, undefined, `TOLLKEEPER_PROPERTY_SEED=${seed}`);
        histories++;
        if (given !== undefined || Date.now() > end) break;
      }
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
    context.diagnostic(`${histories} histories`);
  });
});
