import type {
  PaymentPayloadContext,
  PaymentPayloadResult,
  PaymentRequirements,
  SchemeClientHooks,
  SchemeNetworkClient,
} from "@x402/core/types";
import type { SignIdentity } from "@icp-sdk/core/agent";
import { type ExactIcrc2Payload, hex, signAuthorization, type Terms } from "./authorization.js";
import { accountText } from "./account.js";
import { type DefaultAsset, findDefaultAsset } from "./assets.js";

/** `extra` of an `icrc2` offer, as far as the payer needs it. */
interface Icrc2Extra {
  spender: string;
  offer: string;
}

/** Choices of the payer; each has a default. */
export interface ExactIcpOptions {
  /** Subaccount that pays, 32 bytes; default: the default subaccount. */
  subaccount?: Uint8Array;
  /** Canisters that may be named as spender; default: any (an allowance limits each of them anyway). */
  spenders?: readonly string[];
  /** Clock in Unix seconds. */
  now?: () => number;
}

/** A refusal to sign: the offer is not one this scheme can pay, or the payer's options rule it out. */
export class OfferRefused extends Error {
  override readonly name = "OfferRefused";
}

/** How far the authorization reaches back, so that a clock slightly ahead of the subnet's does no harm. */
const CLOCK_SKEW_SECONDS = 30;
/** Unresolved payments at the most; beyond that nothing is signed, since none may be forgotten unasked. */
const MAX_UNRESOLVED = 1000;

/**
 * The `exact` scheme on `icp:*` for stock `@x402/core` clients:
 * `new x402Client().register("icp:*", new ExactIcpScheme(identity))`.
 *
 * A payment answered `settlement_pending` may still move money. Until its fate is known, paying the
 * same offer again sends the same authorization, which the canister settles at most once; when that
 * authorization has expired, the offer is refused until {@link ExactIcpScheme.forgetUnresolved}.
 */
export class ExactIcpScheme implements SchemeNetworkClient {
  readonly scheme = "exact";
  readonly schemeHooks: SchemeClientHooks;
  readonly #identity: SignIdentity;
  readonly #options: ExactIcpOptions;
  readonly #unresolved = new Map<string, ExactIcrc2Payload>();

  constructor(identity: SignIdentity, options: ExactIcpOptions = {}) {
    this.#identity = identity;
    this.#options = options;
    this.schemeHooks = {
      onPaymentResponse: async ({ requirements, paymentPayload, settleResponse }) => {
        const key = keyOf(requirements);
        if (settleResponse?.success !== false || settleResponse.errorReason !== "settlement_pending") {
          if (settleResponse) this.#unresolved.delete(key);
          return;
        }
        this.#unresolved.set(key, paymentPayload.payload as unknown as ExactIcrc2Payload);
        return { recovered: true };
      },
    };
  }

  /** Feeds the dollar cap of stock clients; see {@link findDefaultAsset}. */
  findDefaultAsset(asset: string, network: string): DefaultAsset | undefined {
    return findDefaultAsset(asset, network);
  }

  /**
   * Forgets payments whose outcome never became known, so that their offers can be paid anew. Whoever
   * calls this has looked at the ledger or at the receipts, or accepts to pay twice.
   */
  forgetUnresolved(): void {
    this.#unresolved.clear();
  }

  /** Signs an authorization for one offer; throws {@link OfferRefused} before anything is signed. */
  async createPaymentPayload(
    x402Version: number,
    requirements: PaymentRequirements,
    context?: PaymentPayloadContext,
  ): Promise<PaymentPayloadResult> {
    const terms = this.#check(x402Version, requirements, context);
    const now = Math.floor(this.#options.now?.() ?? Date.now() / 1000);
    const unresolved = this.#unresolved.get(keyOf(requirements));
    if (unresolved) {
      if (Number(unresolved.validBefore) > now) return { x402Version, payload: { ...unresolved } };
      throw new OfferRefused(
        `nonce ${unresolved.nonce}: this payment expired without a known outcome and may have moved money; look at its receipt, then call forgetUnresolved()`,
      );
    }
    if (this.#unresolved.size >= MAX_UNRESOLVED) {
      throw new OfferRefused(`${MAX_UNRESOLVED} payments have no known outcome; call forgetUnresolved() when they are looked at`);
    }
    const validAfter = now - CLOCK_SKEW_SECONDS;
    const payload = await signAuthorization(this.#identity, terms, {
      from: accountText(this.#identity.getPrincipal(), this.#options.subaccount),
      nonce: hex(crypto.getRandomValues(new Uint8Array(32))),
      validAfter: validAfter.toString(),
      validBefore: (validAfter + requirements.maxTimeoutSeconds).toString(),
    });
    return { x402Version, payload: { ...payload } };
  }

  #check(x402Version: number, offer: PaymentRequirements, context?: PaymentPayloadContext): Terms {
    const extra = offer.extra as Partial<Icrc2Extra> & { assetTransferMethod?: unknown };
    if (x402Version !== 2) throw new OfferRefused(`x402 version ${x402Version}: this scheme speaks version 2`);
    if (offer.scheme !== "exact") throw new OfferRefused(`scheme ${offer.scheme}: this is the exact scheme`);
    if (!offer.network.startsWith("icp:")) throw new OfferRefused(`network ${offer.network}: not the Internet Computer`);
    if (extra.assetTransferMethod !== "icrc2") {
      throw new OfferRefused(`extra.assetTransferMethod ${String(extra.assetTransferMethod)}: only icrc2 is supported`);
    }
    if (typeof extra.spender !== "string" || typeof extra.offer !== "string") {
      throw new OfferRefused("extra.spender and extra.offer must be texts");
    }
    if (!/^(0|[1-9][0-9]*)$/.test(offer.amount)) throw new OfferRefused(`amount ${offer.amount}: not atomic units`);
    if (offer.maxTimeoutSeconds <= CLOCK_SKEW_SECONDS) {
      throw new OfferRefused(`maxTimeoutSeconds ${offer.maxTimeoutSeconds}: must be more than ${CLOCK_SKEW_SECONDS}`);
    }
    if (this.#options.spenders && !this.#options.spenders.includes(extra.spender)) {
      throw new OfferRefused(`extra.spender ${extra.spender}: not among the spenders allowed by this payer`);
    }
    const cap = context?.maxAmountPerPayment;
    if (cap !== undefined && BigInt(offer.amount) > BigInt(cap)) {
      throw new OfferRefused(`amount ${offer.amount}: above the cap of ${cap}`);
    }
    return {
      scheme: offer.scheme,
      network: offer.network,
      asset: offer.asset,
      amount: offer.amount,
      payTo: offer.payTo,
      spender: extra.spender,
      offer: extra.offer,
    };
  }
}

/** The offer a pending payment belongs to; a later 402 with other terms is another payment. */
function keyOf(offer: PaymentRequirements): string {
  return JSON.stringify([offer.network, offer.asset, offer.amount, offer.payTo, offer.extra.spender, offer.extra.offer]);
}
