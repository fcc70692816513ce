import type { SignIdentity } from "@icp-sdk/core/agent";
import { parseCanisterId } from "./account.js";
import { type AgentOptions, Network } from "./agents.js";
import { originOf } from "./canister.js";
import type { Way } from "./offer.js";
import type { ResendOptions } from "./options.js";
import type { PaymentStore } from "./store.js";
import { plain } from "./text.js";

/** Choices of the payer; each has a default. */
export interface ExactIcpOptions extends AgentOptions {
  /** Subaccount that pays, 32 bytes; default: the default subaccount. */
  subaccount?: Uint8Array;
  /**
   * The canisters that may be paid, whatever serves the resource; nothing else is paid then. Default: the canister
   * that serves the resource, where that can be told.
   */
  spenders?: readonly string[];
  /**
   * The most that is paid at a time, in atomic units, by ledger canister id, in the order in which ledgers are
   * preferred. What is not named keeps its default: one dollar in ckUSDC and ckUSDT, nothing in any other ledger.
   */
  maxAmounts?: Readonly<Record<string, bigint | number | string>>;
  /**
   * Ways of paying; default `["icrc2"]`. With `"icrc1"`, too, the payer transfers where a seller takes nothing else. The
   * money moves before anybody has checked anything, and an agent is needed. `resendingFetch` needs the same option.
   */
  ways?: readonly Way[];
  /** Where payments are recorded; default: `defaultStore()`. */
  store?: PaymentStore;
  /** Payments to one spender that may be unresolved at a time; default 100. */
  maxUnresolved?: number;
  /** Whether fee, balance and allowance are asked before signing, where there is an agent; default true. */
  preflight?: boolean;
  /** Limits of `refetch`. */
  resend?: ResendOptions;
  /** Clock in Unix seconds. */
  now?: () => number;
}

/** The payments to one spender that may be unresolved at a time, unless the options say otherwise. */
export const MAX_UNRESOLVED = 100;

/** Throws a RangeError that names the option at fault. */
export function checkOptions(options: ExactIcpOptions): void {
  if (options.spenders !== undefined && !Array.isArray(options.spenders)) throw new RangeError("spenders: it is no list of canister ids");
  const { maxUnresolved = MAX_UNRESOLVED } = options;
  if (!Number.isSafeInteger(maxUnresolved) || maxUnresolved < 1) {
    throw new RangeError(`maxUnresolved: ${plain(maxUnresolved)} is no whole number above 0`);
  }
  for (const spender of options.spenders ?? []) {
    if (!parseCanisterId(spender)) throw new RangeError(`spenders: ${plain(spender)} is not a canister id`);
  }
  for (const [ledger, cap] of Object.entries(options.maxAmounts ?? {})) {
    if (!parseCanisterId(ledger)) throw new RangeError(`maxAmounts: ${plain(ledger)} is no ledger's canister id`);
    if (cap !== undefined && !/^\d+$/.test(typeof cap === "number" && Number.isInteger(cap) ? BigInt(cap).toString() : String(cap)))
      throw new RangeError(`maxAmounts: ${plain(cap)} for ledger ${plain(ledger)} is no whole number of atomic units`);
  }
}

/** How long a canister's word about its origin is believed. */
const ORIGIN_MS = 3_600_000;

/** The networks that a payer can ask, each connected once. */
export class Networks {
  readonly #identity: SignIdentity;
  readonly #options: AgentOptions;
  readonly #known = new Map<string, Promise<Network | undefined>>();
  readonly #origins = new Map<string, { origin: string | undefined; at: number }>();

  constructor(identity: SignIdentity, options: AgentOptions) {
    this.#identity = identity;
    this.#options = options;
  }

  /** Undefined if the options name none; throws if it does not answer or is another one. */
  async of(network: string): Promise<Network | undefined> {
    const known = this.#known.get(network);
    if (known) return known;
    const connecting = Network.connect(network, this.#identity, this.#options);
    this.#known.set(network, connecting);
    try {
      return await connecting;
    } catch (error) {
      this.#known.delete(network);
      throw error;
    }
  }

  /**
   * The canister that a gateway named for an origin, if the canister itself says by update call that it serves that
   * origin.
   */
  async confirmed(network: string, canister: string | undefined, origin: string): Promise<string | undefined> {
    const id = canister === undefined ? undefined : parseCanisterId(canister);
    if (!id) return undefined;
    const key = `${network} ${id.toText()}`;
    const cached = this.#origins.get(key);
    if (cached && Date.now() - cached.at < ORIGIN_MS) return cached.origin === origin ? id.toText() : undefined;
    try {
      const connected = await this.of(network);
      if (!connected) return undefined;
      const said = await originOf(connected, id);
      this.#origins.set(key, { origin: said, at: Date.now() });
      return said === origin ? id.toText() : undefined;
    } catch {
      return undefined;
    }
  }
}
