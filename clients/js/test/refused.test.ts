/**
 * What a refusal means (section 8.1 of the scheme): the authorization stays good until it is cancelled or past. A
 * canister that takes whatever it has to take, and somebody who saw every payment and presents it again.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { decodePaymentSignatureHeader } from "@x402/core/http";
import { type Accepted, type ExactIcrc2Payload, MemoryStore, paymentId, signedMessage, termsOf } from "../src/index.js";
import { FakeNetwork, STATUSES, transfer } from "./network.js";
import { buyer, encode, type Entry, identity, offer, receipt, Seller, type Seen } from "./support.js";

let http: Seller;
before(async () => {
  http = await new Seller().start();
});
after(() => http.stop());

/** Verifies as section 7 says, with what it offers now, and charges by nonce. */
class Canister {
  readonly net = new FakeNetwork();
  /** Payment ids by nonce. */
  readonly charged = new Map<string, string>();
  readonly cancelled = new Set<string>();
  /** Whether it takes payments at present. */
  open = true;

  constructor(public offered: Entry) {
    this.net.cancel = (nonce) => {
      if (this.charged.has(nonce)) return { Err: { AlreadyUsed: { payment_id: new Uint8Array(32) } } };
      this.cancelled.add(nonce);
      return { Ok: null };
    };
    this.net.status = (id) => ([...this.charged.values()].includes(id) ? STATUSES.Delivered! : null);
  }

  /** What it says to a payment: the code of a refusal, or undefined if it is paid. */
  async present(accepted: Entry, payload: ExactIcrc2Payload): Promise<string | undefined> {
    if (this.charged.has(payload.nonce)) return undefined;
    const own = termsOf(this.offered as Accepted);
    try {
      assert.deepEqual(termsOf(accepted as Accepted), own);
    } catch {
      return "invalid_exact_icp_offer_mismatch";
    }
    if (Number(payload.validBefore) <= this.net.seconds) return "invalid_exact_icp_expired";
    if (this.cancelled.has(payload.nonce)) return "invalid_exact_icp_cancelled";
    if (!this.open) return "ledger_unavailable";
    const message = signedMessage(own, payload);
    const signature = new Uint8Array(Buffer.from(payload.signature, "base64"));
    if (!Ed25519KeyIdentity.verify(signature, message, identity.getPublicKey().toRaw())) return "invalid_exact_icp_signature";
    const id = await paymentId(message);
    this.charged.set(payload.nonce, id);
    this.net.blocks.push(transfer(id));
    return undefined;
  }
}

/** Somebody who saw a payment presents it, with the offer of now in `accepted`. */
function edited(canister: Canister, { header }: Seen): Promise<string | undefined> {
  return canister.present(canister.offered, decodePaymentSignatureHeader(header).payload as unknown as ExactIcrc2Payload);
}

/** The same without a change. */
function replayed(canister: Canister, { header }: Seen): Promise<string | undefined> {
  const { accepted, payload } = decodePaymentSignatureHeader(header);
  return canister.present(accepted, payload as unknown as ExactIcrc2Payload);
}

let canister: Canister;
/** Happens when a payment arrives, before the canister sees it. */
let arriving: (seen: Seen) => void;
beforeEach(async () => {
  const probe = new FakeNetwork();
  canister = new Canister(await offer({ network: await probe.id() }));
  arriving = () => undefined;
  http.reset([canister.offered], (_, response, seen) => {
    arriving(seen);
    void canister.present(seen.payment.accepted, seen.payment.payload as unknown as ExactIcrc2Payload).then((error) => {
      http.offers = [canister.offered];
      if (error !== undefined) http.refuse(response, { error });
      else response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen) }).end("the report");
    });
  });
});

/** With an agent and a store of its own. */
const payer = (options = {}) => buyer({ store: new MemoryStore(), agent: canister.net.agent(), preflight: false, ...options });

describe("fee edited by who saw the first", () => {
  for (const [term, change] of [
    ["fee", { fee: "20000" }],
    ["symbol", { symbol: "ckUSDT" }],
    ["decimals", { decimals: 8 }],
    ["paymentFlow", { paymentFlow: "upfront" }],
    ["maxTimeoutSeconds", {}],
  ] as [string, Entry][]) {
    it(`charges nothing (${term})`, async () => {
      const fresh: Entry = { ...canister.offered, extra: { ...(canister.offered.extra as Entry), ...change } };
      if (term === "maxTimeoutSeconds") fresh.maxTimeoutSeconds = 299;
      arriving = () => (canister.offered = fresh);
      const { pay, scheme } = payer();
      assert.equal((await pay(http.url())).status, 402);
      const first = http.seen[0]!;
      assert.equal(await edited(canister, first), "invalid_exact_icp_signature");
      // The next purchase ends the first, and only then signs.
      assert.equal((await pay(http.url())).status, 200);
      assert.deepEqual([...canister.cancelled], [first.nonce]);
      assert.equal(http.nonces().size, 2);
      for (const present of [edited, replayed]) assert.match((await present(canister, first)) ?? "paid", /mismatch|cancelled/);
      assert.equal(canister.charged.size, 1);
      assert.deepEqual(await scheme.unresolved(), []);
    });
  }
});

describe("ledger_unavailable, bought anew, first replayed", () => {
  beforeEach(() => {
    canister.open = false;
    arriving = (seen) => {
      // The shop opens again when the first was refused.
      if (seen.nonce !== http.seen[0]!.nonce) canister.open = true;
    };
  });

  it("charges once: the first is cancelled before another is signed", async () => {
    const { pay } = payer();
    assert.equal((await pay(http.url())).status, 402);
    assert.equal((await pay(http.url())).status, 200);
    const first = http.seen[0]!;
    assert.equal(await replayed(canister, first), "invalid_exact_icp_cancelled");
    assert.deepEqual([canister.charged.size, http.nonces().size], [1, 2]);
  });

  it("charges once: presented before the payer asks again, the first is what was bought", async () => {
    const { pay } = payer();
    assert.equal((await pay(http.url())).status, 402);
    canister.open = true;
    assert.equal(await replayed(canister, http.seen[0]!), undefined);
    assert.equal((await pay(http.url())).status, 200);
    assert.deepEqual([canister.charged.size, http.nonces().size], [1, 1]);
  });

  it("charges once: a payment that breaks a rule of identifiers is cancelled, too", async () => {
    canister.open = true;
    const { paid } = http;
    http.paid = (attempt, response, seen) => {
      if (attempt > 1) paid(attempt, response, seen);
      else response.writeHead(400).end('{"error":"payment_identifier_required"}');
    };
    const { pay } = payer();
    assert.equal((await pay(http.url())).status, 400);
    assert.equal((await pay(http.url())).status, 200);
    assert.equal(await replayed(canister, http.seen[0]!), "invalid_exact_icp_cancelled");
    assert.deepEqual([canister.charged.size, http.nonces().size], [1, 2]);
  });

  for (const [name, options, broken] of [
    ["the canister does not answer", {}, true],
    ["there is no agent to cancel it with", { agent: undefined }, false],
  ] as [string, object, boolean][]) {
    it(`charges once: nothing else is signed while ${name}`, async () => {
      const { pay, scheme } = payer(options);
      if (broken) canister.net.broken.add("cancel_authorization");
      assert.equal((await pay(http.url())).status, 402);
      assert.equal((await pay(http.url())).status, 402);
      assert.equal((await scheme.unresolved()).length, 1);
      canister.open = true;
      assert.equal((await pay(http.url())).status, 200);
      for (const seen of http.seen) assert.equal(await replayed(canister, seen), undefined);
      assert.deepEqual([canister.charged.size, http.nonces().size], [1, 1]);
    });
  }

  it("charges once: past by the canister's clock, the first is dead without a cancellation", async () => {
    const store = new MemoryStore();
    assert.equal((await payer({ store }).pay(http.url())).status, 402);
    const first = http.seen[0]!;
    canister.net.seconds = Number(first.payment.payload.validBefore);
    canister.net.cancel = () => ({ Err: { Expired: { now_seconds: BigInt(canister.net.seconds) } } });
    canister.open = true;
    assert.equal((await payer({ store, now: () => canister.net.seconds }).pay(http.url())).status, 200);
    assert.equal(await replayed(canister, first), "invalid_exact_icp_expired");
    assert.deepEqual([canister.charged.size, canister.cancelled.size, http.nonces().size], [1, 0, 2]);
  });
});
