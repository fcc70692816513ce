/** Payments by transfer among crashes, silent ledgers, random sellers and several processes: money moves once. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import { MemoryStore, type PaymentRecord, type PaymentStore } from "../src/index.js";
import { Mutexes } from "../src/store.js";
import type { Answer } from "./bank.js";
import { FakeNetwork } from "./network.js";
import { buyer, CKUSDC, encode, offer, Seller } from "./support.js";
import { proven, transferOffer } from "./transfers.js";

const seconds = Number(process.env.TOLLKEEPER_PROPERTY_SECONDS ?? 15) / 3;
const seller = await new Seller().start();
after(() => seller.stop());

/** A network with an offer by transfer, which the seller makes, too. */
async function shop(): Promise<FakeNetwork> {
  const net = new FakeNetwork();
  const terms = transferOffer(await offer({ network: await net.id() }));
  net.offers = [{ ledger: Principal.fromText(CKUSDC), amount: 10_000n, pay_to: { owner: Principal.anonymous(), subaccount: [] }, offer: terms.extra.offer }];
  seller.reset([terms], proven);
  return net;
}

/** Ends a process at one of the points that it passes: whatever it awaits then never comes. */
class Process implements PaymentStore {
  readonly #shared: MemoryStore;
  /** The locks of a process that ended are released; the tests begin no other one before. */
  readonly #locks = new Mutexes();
  readonly #crashAt: number;
  passed = 0;
  crashed: string | undefined;
  readonly end: Promise<void>;
  #die: () => void = () => undefined;

  constructor(shared: MemoryStore, crashAt = Infinity) {
    this.#shared = shared;
    this.#crashAt = crashAt;
    this.end = new Promise((resolve) => (this.#die = resolve));
  }

  async pass(point: string): Promise<void> {
    if (this.crashed === undefined && this.passed++ === this.#crashAt) {
      this.crashed = point;
      this.#die();
    }
    if (this.crashed !== undefined) await new Promise(() => undefined);
  }

  async #around<T>(what: string, change: () => Promise<T>): Promise<T> {
    await this.pass(`before ${what}`);
    const changed = await change();
    await this.pass(`after ${what}`);
    return changed;
  }

  get(id: string): Promise<PaymentRecord | undefined> {
    return this.#shared.get(id);
  }

  list(): Promise<PaymentRecord[]> {
    return this.#shared.list();
  }

  put(record: PaymentRecord): Promise<void> {
    const { transfer, header, state } = record;
    const what = state !== "unresolved" ? "the end" : header !== null ? "the block" : transfer?.sent ? "the note" : "the record";
    return this.#around(what, () => this.#shared.put(record));
  }

  delete(id: string): Promise<void> {
    return this.#around("the deletion", () => this.#shared.delete(id));
  }

  withLock<T>(key: string, fn: () => Promise<T>): Promise<T> {
    return this.#locks.run(key, fn);
  }
}

const WAYS = { ways: ["icrc2", "icrc1"] } as const;

it("a crash at any step loses nothing and pays once", async () => {
  const met = new Set<string>();
  for (let crashAt = 0; ; crashAt++) {
    const net = await shop();
    const shared = new MemoryStore();
    const first = new Process(shared, crashAt);
    net.bank.watch = (when) => first.pass(when);
    seller.paid = async (attempt, response, seen) => {
      await first.pass("before the proof");
      await proven(attempt, response, seen);
    };
    const call = buyer({ agent: net.agent(), agentCallMs: 300, store: first, ...WAYS }, WAYS).pay(seller.url());
    await Promise.race([call.then((response) => response.text()).catch(() => undefined), first.end]);
    if (first.crashed !== undefined) met.add(first.crashed);
    const open = (await shared.list()).filter(({ state }) => state === "unresolved");
    const over = open.length === 0 && net.bank.made.size === 1;
    assert.ok(over || net.bank.made.size <= open.length, `money moved, and no record of it is left: ${first.crashed}`);
    net.bank.watch = () => undefined;
    seller.paid = proven;
    const second = buyer({ agent: net.agent(), store: new Process(shared), ...WAYS }, WAYS);
    if (!over) assert.equal((await second.pay(seller.url())).status, 200, first.crashed);
    assert.equal(net.bank.made.size, 1, first.crashed);
    assert.deepEqual(await second.scheme.unresolved(), [], first.crashed);
    if (first.crashed === undefined) break;
  }
  for (const step of ["the record", "the note", "the transfer", "the block", "the end"]) {
    for (const when of ["before", "after"]) assert.ok(met.has(`${when} ${step}`), `${when} ${step}: ${[...met].join()}`);
  }
});

/** Mulberry32: the same seed makes the same choices. */
function choose(seed: number): <T>(choices: readonly T[]) => T {
  return (choices) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return choices[((mixed ^ (mixed >>> 14)) >>> 0) % choices.length]!;
  };
}

/** One history: a ledger and a seller with moods, processes that share a store and crash, a few purchases of one thing. */
async function history(seed: number): Promise<string | undefined> {
  const random = choose(seed);
  const net = await shop();
  const shared = new MemoryStore();
  let problem: string | undefined;
  /** Proofs that were answered with the content and a receipt. */
  const delivered = new Set<string>();
  const answers: Answer[] = ["made", "made", "lost after", "lost before", "silent"];
  const refusals: Answer[] = [{ Err: { TemporarilyUnavailable: null } }, { Err: { InsufficientFunds: { balance: 1n } } }];
  net.bank.script = () => random([...answers, ...refusals]);
  seller.paid = (attempt, response, seen) => {
    const what = random(["good", "good", "503", "402", "closed", "no receipt"] as const);
    if (what === "closed") return void response.destroy();
    if (what === "503" || what === "402") return void response.writeHead(Number(what)).end(encode({}));
    if (what === "no receipt") return void response.writeHead(200).end("the report");
    delivered.add(seen.header);
    void proven(attempt, response, seen);
  };
  let live: Process[] = [];
  for (let step = 0; step < 8 && problem === undefined; step++) {
    if (live.length === 0 || random([true, false])) {
      // A store of its own would not exclude a process that is alive: the others end first.
      for (const process of live) process.crashed ??= "replaced";
      live = [new Process(shared, random([Infinity, Infinity, 2, 5, 9, 14]))];
    }
    const store = live[0]!;
    const signal = random([undefined, undefined, 5, 20]);
    const purchases = Array.from({ length: random([1, 1, 2]) }, async () => {
      const { pay } = buyer({ agent: net.agent(), agentCallMs: 20, store, ...WAYS }, { attempts: random([1, 2]), idleMs: 50, patienceMs: 200, ...WAYS });
      try {
        const response = await pay(seller.url(), signal === undefined ? {} : { signal: AbortSignal.timeout(signal) });
        await response.text();
      } catch {
        // Errors are answers, too.
      }
    });
    await Promise.race([Promise.all(purchases), store.end]);
    if (store.crashed !== undefined) live = [];
    // Two transfers of one thing are made only if what the first one bought was delivered.
    if (net.bank.made.size > delivered.size + 1) problem = `${net.bank.made.size} transfers for ${delivered.size} deliveries`;
    const open = (await shared.list()).filter(({ state, transfer }) => state === "unresolved" && transfer?.sent);
    if (open.length > 1) problem ??= `${open.length} open transfers of one request`;
    if (net.bank.made.size - delivered.size > open.length) problem ??= "money moved, and no record of it is left";
  }
  return problem;
}

describe("a payer by transfer among random ledgers and sellers", { timeout: (seconds + 60) * 1000 }, () => {
  it(`never has two open transfers for one request (${seconds} s)`, async (context) => {
    const given = process.env.TOLLKEEPER_PROPERTY_SEED;
    const end = Date.now() + seconds * 1000;
    let histories = 0;
    for (let seed = given === undefined ? Date.now() % 1_000_000_000 : Number(given); ; seed++) {
      assert.equal(await history(seed), undefined, `TOLLKEEPER_PROPERTY_SEED=${seed}`);
      histories++;
      if (given !== undefined || Date.now() > end) break;
    }
    context.diagnostic(`${histories} histories`);
  });
});
