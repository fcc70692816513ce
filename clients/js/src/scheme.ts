import type { PaymentPayloadContext, PaymentPayloadResult, PaymentRequirements, SchemeNetworkClient } from "@x402/core/types";
import type { SignIdentity } from "@icp-sdk/core/agent";
import { accountText } from "./account.js";
import { type Network, OtherNetwork } from "./agents.js";
import { type DefaultAsset, defaultCap, findDefaultAsset, USD_PEGGED } from "./assets.js";
import { isObject } from "./bytes.js";
import { type Call, CALL_TAG, enlist, find } from "./calls.js";
import { OfferRefused } from "./errors.js";
import { type Envelope, Journal } from "./journal.js";
import { draw, lastWordOfTransfer, type Move, move, type Mover } from "./moving.js";
import { mismatch, type Offer, readOffer, sameTerms, type Way, waysOf } from "./offer.js";
import { checkOptions, type ExactIcpOptions, MAX_UNRESOLVED, Networks } from "./scheme-options.js";
import { inOrder } from "./policy.js";
import { preflight } from "./preflight.js";
import { hasLeft, keysOf, offerKey, type PaymentRecord, requestKey } from "./record.js";
import { recorded } from "./request.js";
import { identifierExtension, identifierIn } from "./identifier.js";
import { lastWord, type Outcome } from "./resolve.js";
import { type Limits, limitsOf } from "./options.js";
import { deliver } from "./send.js";
import { canisterOfUrl } from "./serving.js";
import { sign } from "./sign.js";
import { defaultStore } from "./store.js";
import { messageOf, plain } from "./text.js";
import { unlessAborted, within } from "./waits.js";
import { summary, type UnresolvedPayment } from "./summary.js";

/**
 * The `exact` scheme on `icp:*` for stock `@x402/core` clients:
 *
 *     wrapFetchWithPayment(resendingFetch(fetch), new x402Client().register("icp:*", new ExactIcpScheme(identity)))
 *
 * One request has one authorization until its end is proven. It is written to the store before it leaves, and every
 * later attempt at the same request, in whatever tab or process shares the store, sends that one.
 */
export class ExactIcpScheme implements SchemeNetworkClient {
  readonly scheme = "exact";
  readonly #identity: SignIdentity;
  readonly #options: ExactIcpOptions;
  readonly #maxUnresolved: number;
  readonly #limits: Limits;
  readonly #journal: Journal;
  readonly #networks: Networks;
  readonly #ways: readonly Way[];
  readonly #mover: Mover;
  /** ICRC-1 text of the account that pays. */
  readonly #payer: string;

  constructor(identity: SignIdentity, options: ExactIcpOptions = {}) {
    if (typeof identity?.sign !== "function") throw new RangeError("identity: it cannot sign");
    checkOptions(options);
    this.#identity = identity;
    this.#options = options;
    this.#maxUnresolved = options.maxUnresolved ?? MAX_UNRESOLVED;
    this.#ways = waysOf(options.ways);
    this.#limits = limitsOf(options.resend ?? {});
    this.#journal = new Journal(options.store ?? defaultStore());
    this.#networks = new Networks(identity, options);
    this.#payer = accountText(identity.getPrincipal(), options.subaccount);
    this.#mover = { identity, payer: this.#payer, journal: this.#journal, networks: this.#networks, now: () => this.#now() };
    enlist(this);
  }

  /** Feeds the dollar cap of stock clients; see {@link findDefaultAsset}. */
  findDefaultAsset(asset: string, network: string): DefaultAsset | undefined {
    return findDefaultAsset(asset, network);
  }

  /**
   * For `client.registerPolicy`: leaves out what is above this payer's caps and ways that it does not take, and puts the rest in the order of
   * `maxAmounts`, the cheapest of a ledger first. Offers of other networks stay behind.
   */
  readonly policy = (_version: number, offers: PaymentRequirements[]): PaymentRequirements[] => {
    const readable = offers.filter(
      ({ network, amount, extra }) => network.startsWith("icp:") && /^\d{1,39}$/.test(amount) && this.#ways.includes(extra?.assetTransferMethod as Way),
    );
    const within = readable.filter(({ asset, amount }) => BigInt(amount) <= (this.#cap(asset) ?? -1n));
    const assets = [...Object.keys(this.#options.maxAmounts ?? {}), ...USD_PEGGED.map(({ asset }) => asset)];
    return [...inOrder(assets, within), ...offers.filter(({ network }) => !network.startsWith("icp:"))];
  };

  /** Called by the stock client with the offer it chose. */
  async createPaymentPayload(
    x402Version: number,
    requirements: PaymentRequirements,
    context?: PaymentPayloadContext,
  ): Promise<PaymentPayloadResult> {
    const extra: unknown = requirements.extra;
    const tag = isObject(extra) ? extra[CALL_TAG] : undefined;
    if (tag === undefined) return this.#withoutRequest(x402Version, requirements, context);
    const found = find(tag);
    if (!found) throw new OfferRefused("the request that this offer answers is not known any more; make it again");
    const { call, offer } = found;
    try {
      sameTerms(offer, requirements);
      const record = await unlessAborted(this.#forCall(call, offer, context), call.request.signal);
      delete call.refusal;
      call.payment = { journal: this.#journal, requestKey: record.requestKey, move: (...args) => move(this.#mover, ...args) };
      const extensions =
        call.takesIdentifier && record.identifier !== undefined ? { extensions: identifierExtension(record.identifier) } : {};
      return { x402Version, payload: shown(record.payload), ...extensions };
    } catch (error) {
      // The stock client would wrap it in an error of its own; `resendingFetch` throws it as it is.
      call.refusal = error;
      return { x402Version, payload: { refused: messageOf(error) } };
    }
  }

  /** Payments of this payer whose end is not proven. */
  async unresolved(): Promise<UnresolvedPayment[]> {
    const records = await this.#journal.store.list();
    return records
      .filter((record) => record.payer === this.#payer && (record.state === "unresolved" || record.state === "paid"))
      .map(summary);
  }

  /**
   * Sends a payment again with its own request and gives the answer. The caller's headers that look like secrets
   * were not kept: `inner` adds them if the seller needs them.
   */
  async refetch(paymentId: string, inner: typeof fetch = fetch): Promise<Response> {
    const record = await this.#known(paymentId);
    if (record.state === "dead" || record.state === "forgotten") throw new OfferRefused(`payment ${paymentId} is ${record.state}`);
    if (!record.request) throw new OfferRefused(`payment ${paymentId} was sent by another transport: its request is not known`);
    const payment = {
      journal: this.#journal,
      requestKey: record.requestKey,
      which: record.paymentId,
      envelope: record.envelope,
      current: undefined,
      move: (...args: Parameters<Move>) => move(this.#mover, ...args),
    };
    return deliver(inner, payment, this.#limits);
  }

  /**
   * Asks the canister and the ledger what became of a payment, and ends its record if they prove an end. A payment
   * that is still good is cancelled, so that it cannot be charged afterwards.
   */
  async resolve(paymentId: string): Promise<Outcome> {
    const { requestKey, paymentId: id } = await this.#known(paymentId);
    return this.#journal.store.withLock(requestKey, async () => this.#ask(await this.#known(id)));
  }

  /**
   * Gives up a payment whose end was not proven: the next purchase signs another one. Whoever calls this has looked
   * at the ledger, or accepts to pay twice.
   */
  async forget(paymentId: string): Promise<void> {
    const known = await this.#known(paymentId);
    await this.#journal.settle(known.paymentId, "forgotten");
  }

  /** Called by `resendingFetch` when a request was answered with something else than an offer. */
  async lastWords({ method, url, digest }: { method: string; url: string; digest: string }): Promise<void> {
    try {
      for (const record of await this.#journal.store.list()) {
        const { paymentId, payer, network, state, request, validBefore, header, transfer } = record;
        if (payer !== this.#payer || state !== "unresolved" || !request || !hasLeft(record) || validBefore > this.#now()) continue;
        // Nothing more can be learned of a transfer whose block is known: its proof is to be presented.
        if (transfer && header !== null) continue;
        const key = await requestKey(payer, network, method === "HEAD" ? request.method : method, url, digest);
        if (keysOf(record).includes(key)) await this.resolve(paymentId);
      }
    } catch {
      // The store or the record is not there now; the next request asks again.
    }
  }

  async #known(paymentId: string): Promise<PaymentRecord> {
    const { store } = this.#journal;
    const record = (await store.get(paymentId)) ?? (await store.list()).find(({ transfer }) => transfer?.knownAs === paymentId);
    if (record?.payer !== this.#payer) throw new RangeError(`payment ${plain(paymentId)} is not known`);
    return record;
  }

  /** The payment for a request that `resendingFetch` has seen: the recorded one, or a new one that is recorded. */
  async #forCall(call: Call, offer: Offer, context?: PaymentPayloadContext): Promise<PaymentRecord> {
    const { method, digest, signal } = call.request;
    const key = await requestKey(this.#payer, offer.network, method, call.url, digest);
    // A redirect that leads elsewhere each time does not make the caller's request another one.
    const askedKey = await requestKey(this.#payer, offer.network, method, call.request.url, digest);
    return this.#journal.exclusively([key, askedKey], call.begun, async (candidates) => {
      const known = await this.#usable(candidates, offer);
      const left = known !== undefined && hasLeft(known);
      // Two identifiers are two purchases, of which the second one waits for the end of the first.
      const another = call.identifier !== undefined && known?.identifier !== call.identifier;
      const usable = known && !(another && known.state === "delivered") ? known : undefined;
      if (usable && another) {
        throw new OfferRefused(`payment ${usable.paymentId} of this request, under another payment identifier, is not resolved`);
      }
      if (usable && left) return usable;
      if (!this.#ways.includes(offer.way)) throw new OfferRefused(`the option ways of this scheme does not allow ${offer.way}`);
      if (call.unpayable !== undefined) throw new OfferRefused(call.unpayable);
      const problem = mismatch(offer, method, call.url);
      if (problem !== undefined) throw new OfferRefused(problem);
      await this.#checkSpender(offer, call);
      this.#checkAmount(offer, context);
      signal.throwIfAborted();
      if (usable) return usable;
      const identifier = call.takesIdentifier ? (call.identifier ?? `pay_${crypto.randomUUID().replaceAll("-", "")}`) : undefined;
      const envelope: Envelope = {
        resource: call.resource,
        ...(call.extensions ? { extensions: named(call.extensions, identifier) } : {}),
      };
      const keys = { requestKey: key, ...(askedKey === key ? {} : { askedKey }) };
      return this.#record(keys, offer, envelope, context, { request: recorded(call.request, call.url), header: null, signal });
    });
  }

  /** The payment for an offer of which nothing else is known: another transport sends it. */
  async #withoutRequest(
    x402Version: number,
    requirements: PaymentRequirements,
    context?: PaymentPayloadContext,
  ): Promise<PaymentPayloadResult> {
    if (x402Version !== 2) throw new OfferRefused(`x402 version ${plain(x402Version)}: this scheme speaks version 2`);
    const offer = await readOffer(requirements).catch((error: unknown) => {
      throw new OfferRefused(messageOf(error));
    });
    if (!this.#options.spenders?.includes(offer.spender)) {
      throw new OfferRefused(
        `spender ${offer.spender}: without resendingFetch below the client, only spenders that the payer names (option spenders) are paid`,
      );
    }
    const key = await offerKey(this.#payer, offer.network, offer.spender, offer.offer);
    const record = await this.#journal.store.withLock(key, async () => {
      const open = await this.#journal.current(key, Infinity);
      if (open) {
        const { state, reason, delivered } = await this.#ask(open, true);
        if (state === "paid" && delivered) await this.#journal.settleLocked(open, "delivered");
        else if (state !== "dead") throw new OfferRefused(`payment ${open.paymentId} for the same offer is not resolved: ${reason}`);
      }
      const identifier = identifierIn(context?.extensions);
      return this.#record({ requestKey: key }, offer, {}, context, { request: null, header: "", ...(identifier === undefined ? {} : { identifier }) });
    });
    return { x402Version, payload: { ...record.payload } };
  }

  /** The recorded payment that a request has to use, after its last word if it is due. Under the locks of all. */
  async #usable(candidates: PaymentRecord[], offer: Offer): Promise<PaymentRecord | undefined> {
    for (const known of candidates) {
      if (known.state !== "unresolved") return known;
      const left = (known.transfer ? known.validAfter + Number(known.accepted.maxTimeoutSeconds) : known.validBefore) - this.#now();
      if (!hasLeft(known)) {
        // It never left. A new one is better if this one is about to end, or the client has chosen other terms now.
        const same = JSON.stringify(known.accepted) === JSON.stringify(offer.entry);
        if (same && left >= Number(known.accepted.maxTimeoutSeconds) / 3) return known;
        await this.#journal.store.delete(known.paymentId);
        continue;
      }
      // A transfer has no end while its proof may be presented. Without a block it ends when the ledger cannot make it.
      if (known.transfer && (known.header !== null || known.validBefore > this.#now())) return known;
      if (!known.transfer && known.refused === undefined && left > 0) return known;
      if ((await this.#ask(known)).state !== "dead") return known;
    }
    return undefined;
  }

  /** The last word about an open payment, noted. Under the lock of its request. */
  async #ask(record: PaymentRecord, mayBeUnderWay = false): Promise<Outcome> {
    if (record.state !== "unresolved" && record.state !== "paid") {
      const state = record.state === "delivered" ? "paid" : record.state === "dead" ? "dead" : "unresolved";
      return { state, reason: `it is ${record.state}`, delivered: record.state === "delivered" };
    }
    let network: Network | undefined;
    try {
      network = await this.#networks.of(record.network);
    } catch (error) {
      return { state: "unresolved", reason: messageOf(error), delivered: false };
    }
    if (!network)
      return { state: "unresolved", reason: `no agent for network ${record.network} is known (options agent and host)`, delivered: false };
    const outcome = record.transfer
      ? await lastWordOfTransfer(this.#mover, network, record)
      : await lastWord(network, record, await this.#journal.others(record.paymentId), mayBeUnderWay);
    // The block of a transfer may be known by now.
    if (outcome.state !== "unresolved") await this.#journal.settleLocked(await this.#known(record.paymentId), outcome.state);
    return outcome;
  }

  /** Signs an offer and records it, durably, before anybody sees it. Under the lock of `key`. */
  async #record(
    keys: Pick<PaymentRecord, "requestKey" | "askedKey">,
    offer: Offer,
    envelope: Envelope,
    context: PaymentPayloadContext | undefined,
    how: { request: PaymentRecord["request"]; header: string | null; identifier?: string; signal?: AbortSignal },
  ): Promise<PaymentRecord> {
    this.#checkAmount(offer, context);
    const limit = this.#maxUnresolved;
    await this.#journal.checkRoom(offer.spender, this.#payer, limit);
    const owner = this.#identity.getPrincipal();
    if (accountText(owner, this.#options.subaccount) !== this.#payer)
      throw new OfferRefused(`the identity speaks for ${owner.toText()} now, and this scheme pays for ${this.#payer}`);
    const connected = await this.#networks.of(offer.network).catch((error: unknown) => {
      // A network that does not answer stops no purchase; a payer who is connected to another one does not pay here.
      if (error instanceof OtherNetwork) throw new OfferRefused(error.message);
      return undefined;
    });
    const network = this.#options.preflight === false ? undefined : connected;
    const payer = { owner, subaccount: this.#options.subaccount };
    const allowance = network && (await preflight(network, offer, payer, Math.floor(this.#now()) + offer.maxTimeoutSeconds));
    how.signal?.throwIfAborted();
    const made = offer.way === "icrc1" ? draw(this.#mover, offer, envelope) : this.#sign(offer, envelope, how.signal);
    const signed = await unlessAborted<Made>(made, how.signal);
    const identifier = how.identifier ?? identifierIn(envelope.extensions);
    const record: PaymentRecord = {
      ...signed,
      ...keys,
      state: "unresolved",
      network: offer.network,
      payer: this.#payer,
      spender: offer.spender,
      asset: offer.asset,
      symbol: offer.symbol,
      amount: offer.amount,
      payTo: offer.payTo,
      fee: offer.fee.toString(),
      accepted: offer.entry,
      envelope,
      ...(identifier === undefined ? {} : { identifier }),
      header: how.header,
      request: how.request,
      ...(allowance === undefined ? {} : { allowance: allowance.allowance.toString() }),
      ...(allowance?.expires_at[0] === undefined ? {} : { allowanceEnds: allowance.expires_at[0].toString() }),
      createdAt: Date.now(),
    };
    await this.#journal.add(record, limit);
    return record;
  }

  async #sign(offer: Offer, envelope: Envelope, signal?: AbortSignal): Promise<Made> {
    // A signer that never answers must not hold the request for others; what it signs afterwards is dropped.
    const signing = sign(this.#identity, this.#payer, offer, envelope, () => this.#now());
    return { format: "tollkeeper-x402/1", ...(await within(signing, "the signer", 2_000 * offer.maxTimeoutSeconds, signal)) };
  }

  /** The spender serves the resource, or the user names it. */
  async #checkSpender(offer: Offer, call: Call): Promise<void> {
    if (this.#options.spenders?.includes(offer.spender)) return;
    if (this.#options.spenders) throw new OfferRefused(`extra.spender ${offer.spender}: not among the spenders allowed by this payer`);
    const serving =
      canisterOfUrl(call.url) ?? (await this.#networks.confirmed(offer.network, call.gatewayCanister, new URL(call.url).origin));
    if (serving === offer.spender) return;
    const what = serving === undefined ? "which canister serves this URL cannot be told" : `this URL is served by canister ${serving}`;
    throw new OfferRefused(`extra.spender ${offer.spender}: ${what}; the option spenders names canisters that may be paid all the same`);
  }

  #cap(asset: string): bigint | undefined {
    const { maxAmounts = {} } = this.#options;
    const own = Object.hasOwn(maxAmounts, asset) ? maxAmounts[asset] : undefined;
    return own === undefined ? defaultCap(asset) : BigInt(own);
  }

  /** The payer's own cap, whatever the client's spend controls are, and theirs. */
  #checkAmount(offer: Offer, context?: PaymentPayloadContext): void {
    const clients = context?.maxAmountPerPayment;
    // For a ledger that is not declared, a client has a cap only if its user wrote one for this very ledger.
    const explicit = clients !== undefined && findDefaultAsset(offer.asset, offer.network) === undefined ? BigInt(clients) : undefined;
    const cap = this.#cap(offer.asset) ?? explicit;
    if (cap === undefined)
      throw new OfferRefused(`ledger ${offer.asset} is not one that this payer pays with; the option maxAmounts allows it`);
    const least = clients !== undefined && BigInt(clients) < cap ? BigInt(clients) : cap;
    if (BigInt(offer.amount) > least) {
      throw new OfferRefused(`amount ${offer.amount} of ledger ${offer.asset}: above the cap of ${least}; the option maxAmounts raises it`);
    }
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now() / 1000;
  }
}

/** What a record has of an authorization that was signed, or of a transfer that was drawn. */
type Made = Pick<PaymentRecord, "format" | "paymentId" | "payload" | "validAfter" | "validBefore" | "transfer">;

/** What the stock client gets of a payment. No proof: only `resendingFetch` below it lets a payment out. */
function shown(payload: PaymentRecord["payload"]): Record<string, unknown> {
  if ("secret" in payload) return { from: payload.from };
  const { from, nonce, validAfter, validBefore } = payload;
  return { from, nonce, validAfter, validBefore };
}

/** The seller's extensions as they are echoed, with the payment identifier. */
function named(extensions: NonNullable<Envelope["extensions"]>, identifier: string | undefined): NonNullable<Envelope["extensions"]> {
  if (identifier === undefined) return extensions;
  const [[key, own]] = Object.entries(identifierExtension(identifier)) as [[string, { info: object }]];
  const theirs = extensions[key] as { info?: unknown };
  return { ...extensions, [key]: { ...theirs, info: { ...(isObject(theirs.info) ? theirs.info : {}), ...own.info } } };
}
