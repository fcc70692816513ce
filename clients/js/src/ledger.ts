/** The ledger calls that a payer needs, on any ICRC-1 and ICRC-2 ledger. */
import { Actor, type Agent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { parseCanisterId } from "./account.js";
import { defaultCap } from "./assets.js";
import { OfferRefused } from "./errors.js";
import { accountType, type Allowance, allowanceArgs, allowanceType, approveArgs, approveResult, type CandidAccount } from "./icrc.js";
import { plain } from "./text.js";

interface LedgerActor {
  icrc1_balance_of(account: CandidAccount): Promise<bigint>;
  icrc1_fee(): Promise<bigint>;
  icrc2_allowance(args: { account: CandidAccount; spender: CandidAccount }): Promise<Allowance>;
  icrc2_approve(args: Record<string, unknown>): Promise<{ Ok: bigint } | { Err: Record<string, unknown> }>;
}

const ledgerIdl: IDL.InterfaceFactory = () =>
  IDL.Service({
    icrc1_balance_of: IDL.Func([accountType], [IDL.Nat], ["query"]),
    icrc1_fee: IDL.Func([], [IDL.Nat], ["query"]),
    icrc2_allowance: IDL.Func([allowanceArgs], [allowanceType], ["query"]),
    icrc2_approve: IDL.Func([approveArgs], [approveResult], []),
  });

export interface ApproveOptions {
  /** How long the allowance is good, in seconds; default 3,600. One that stands for longer is not shortened. */
  expiresInSeconds?: number;
}

export interface EnsureOptions extends ApproveOptions {
  /** What to approve when an approval is needed; default: what is needed. */
  amount?: bigint;
  /**
   * The most that may be approved; default: one dollar and the ledger's fee in ckUSDC and ckUSDT, nothing in other
   * ledgers.
   */
  maxAmount?: bigint;
}

/** The longest allowance: 100 years, well within the nanoseconds of a `nat64`. */
const MAX_SECONDS = 3_155_760_000;
/** Approvals that change at the same time are read again and repeated so often. */
const TRIES = 5;

/** A ledger seen by one payer; amounts are atomic token units. */
export class PayerLedger {
  readonly #actor: LedgerActor;
  readonly #agent: Agent;
  readonly #ledger: string;
  readonly #subaccount: [] | [Uint8Array];

  /** `agent` carries the payer's identity. */
  constructor(agent: Agent, ledger: string, subaccount?: Uint8Array) {
    this.#agent = agent;
    this.#ledger = ledger;
    this.#subaccount = subaccount ? [subaccount] : [];
    this.#actor = Actor.createActor<LedgerActor>(ledgerIdl, { agent, canisterId: ledger });
  }

  async #account(): Promise<CandidAccount> {
    return { owner: await this.#agent.getPrincipal(), subaccount: this.#subaccount };
  }

  /** Balance of the payer's account. */
  async balance(): Promise<bigint> {
    return this.#actor.icrc1_balance_of(await this.#account());
  }

  /** The ledger's fee for a transfer or an approval. */
  async fee(): Promise<bigint> {
    return this.#actor.icrc1_fee();
  }

  /** What `spender` may still take, fees included; nothing if its allowance has expired. */
  async allowance(spender: string): Promise<bigint> {
    const { allowance, expires_at } = await this.#standing(canister(spender));
    return expires_at[0] !== undefined && expires_at[0] <= BigInt(Date.now()) * 1_000_000n ? 0n : allowance;
  }

  /**
   * Lets the canister `spender` take up to `amount`, fees included; returns the ledger's block index. What stands
   * is not lowered or shortened, and an approval that changes meanwhile is read again. {@link PayerLedger.revoke}
   * takes it away.
   */
  async approve(spender: string, amount: bigint, options: ApproveOptions = {}): Promise<bigint> {
    const owner = canister(spender);
    units("amount", amount);
    const lasts = options.expiresInSeconds ?? 3_600;
    if (!Number.isSafeInteger(lasts) || lasts < 1 || lasts > MAX_SECONDS) {
      throw new RangeError(`expiresInSeconds: ${plain(lasts)} is no whole number of 1 to ${MAX_SECONDS}`);
    }
    // What the ledger said when it refused: it knows better than its query which allowance has expired.
    let told: bigint | undefined;
    for (let attempt = 1; ; attempt++) {
      const { allowance: asked, expires_at } = await this.#standing(owner);
      const allowance = told ?? asked;
      const ends = BigInt(Math.floor(Date.now() / 1000 + lasts)) * 1_000_000_000n;
      const result = await this.#actor.icrc2_approve({
        ...this.#terms(owner),
        amount: allowance > amount ? allowance : amount,
        expected_allowance: [allowance],
        expires_at: later({ allowance, expires_at }, ends),
      });
      if ("Ok" in result) return result.Ok;
      if (!("AllowanceChanged" in result.Err) || attempt >= TRIES) throw new Error(`icrc2_approve: ${plain(result.Err)}`);
      told = (result.Err.AllowanceChanged as { current_allowance: bigint }).current_allowance;
    }
  }

  /**
   * Makes sure that `spender` may take `need`, fees included; returns the block of the approval, or undefined if
   * none was needed. Throws {@link OfferRefused} before anything is approved if it would be more than `maxAmount`.
   */
  async ensureAllowance(spender: string, need: bigint, options: EnsureOptions = {}): Promise<bigint | undefined> {
    const owner = canister(spender);
    units("need", need);
    const standing = await this.#standing(owner);
    // An allowance that ends within a minute may end before the payment is made.
    const soon = BigInt(Date.now() + 60_000) * 1_000_000n;
    if (standing.allowance >= need && (standing.expires_at[0] ?? soon) >= soon) return undefined;
    const amount = options.amount !== undefined && options.amount > need ? options.amount : need;
    const dollar = defaultCap(this.#ledger);
    const max = options.maxAmount ?? (dollar === undefined ? 0n : dollar + (await this.fee()));
    if (amount > max)
      throw new OfferRefused(`an allowance of ${amount} for canister ${spender} is more than the ${max} that may be approved (maxAmount)`);
    return this.approve(spender, amount, options);
  }

  /** Takes the allowance of `spender` away; returns the ledger's block index. */
  async revoke(spender: string): Promise<bigint> {
    const result = await this.#actor.icrc2_approve({
      ...this.#terms(canister(spender)),
      amount: 0n,
      expected_allowance: [],
      expires_at: [],
    });
    if ("Ok" in result) return result.Ok;
    throw new Error(`icrc2_approve: ${plain(result.Err)}`);
  }

  #terms(owner: Principal): Record<string, unknown> {
    return { from_subaccount: this.#subaccount, spender: { owner, subaccount: [] }, fee: [], memo: [], created_at_time: [] };
  }

  async #standing(owner: Principal): Promise<Allowance> {
    return this.#actor.icrc2_allowance({ account: await this.#account(), spender: { owner, subaccount: [] } });
  }
}

/** The later of two ends; an allowance that stands without end stays so. */
function later({ allowance, expires_at: [standing] }: Allowance, ends: bigint): [] | [bigint] {
  if (allowance === 0n) return [ends];
  if (standing === undefined) return [];
  return [standing > ends ? standing : ends];
}

/** An approval is a power of attorney: it goes to canisters only, not to a key or to everybody. */
function canister(spender: string): Principal {
  const id = parseCanisterId(spender);
  if (!id) throw new OfferRefused(`${plain(spender)} is not a canister id, and only canisters are approved`);
  return id;
}

/** Amounts fit 128 bits, as those of the canister do. */
function units(name: string, amount: bigint): void {
  if (typeof amount !== "bigint" || amount < 0n || amount >= 1n << 128n) {
    throw new RangeError(`${name}: ${plain(amount)} is no bigint of 0 to 2^128 - 1`);
  }
}
