/** The three ledger calls a payer needs, on any ICRC-1 and ICRC-2 ledger. */
import { Actor, type Agent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

interface Account {
  owner: Principal;
  subaccount: [] | [Uint8Array];
}

interface LedgerActor {
  icrc1_balance_of(account: Account): Promise<bigint>;
  icrc2_allowance(args: { account: Account; spender: Account }): Promise<{ allowance: bigint; expires_at: [] | [bigint] }>;
  icrc2_approve(args: Record<string, unknown>): Promise<{ Ok: bigint } | { Err: Record<string, unknown> }>;
}

const account = IDL.Record({ owner: IDL.Principal, subaccount: IDL.Opt(IDL.Vec(IDL.Nat8)) });
const approveError = IDL.Variant({
  BadFee: IDL.Record({ expected_fee: IDL.Nat }),
  InsufficientFunds: IDL.Record({ balance: IDL.Nat }),
  AllowanceChanged: IDL.Record({ current_allowance: IDL.Nat }),
  Expired: IDL.Record({ ledger_time: IDL.Nat64 }),
  TooOld: IDL.Null,
  CreatedInFuture: IDL.Record({ ledger_time: IDL.Nat64 }),
  Duplicate: IDL.Record({ duplicate_of: IDL.Nat }),
  TemporarilyUnavailable: IDL.Null,
  GenericError: IDL.Record({ error_code: IDL.Nat, message: IDL.Text }),
});
const ledgerIdl: IDL.InterfaceFactory = () =>
  IDL.Service({
    icrc1_balance_of: IDL.Func([account], [IDL.Nat], ["query"]),
    icrc2_allowance: IDL.Func(
      [IDL.Record({ account, spender: account })],
      [IDL.Record({ allowance: IDL.Nat, expires_at: IDL.Opt(IDL.Nat64) })],
      ["query"],
    ),
    icrc2_approve: IDL.Func(
      [
        IDL.Record({
          from_subaccount: IDL.Opt(IDL.Vec(IDL.Nat8)),
          spender: account,
          amount: IDL.Nat,
          expected_allowance: IDL.Opt(IDL.Nat),
          expires_at: IDL.Opt(IDL.Nat64),
          fee: IDL.Opt(IDL.Nat),
          memo: IDL.Opt(IDL.Vec(IDL.Nat8)),
          created_at_time: IDL.Opt(IDL.Nat64),
        }),
      ],
      [IDL.Variant({ Ok: IDL.Nat, Err: approveError })],
      [],
    ),
  });

/** A ledger seen by one payer; amounts are atomic token units. */
export class PayerLedger {
  readonly #actor: LedgerActor;
  readonly #agent: Agent;
  readonly #subaccount: [] | [Uint8Array];

  /** `agent` carries the payer's identity. */
  constructor(agent: Agent, ledger: string, subaccount?: Uint8Array) {
    this.#agent = agent;
    this.#subaccount = subaccount ? [subaccount] : [];
    this.#actor = Actor.createActor<LedgerActor>(ledgerIdl, { agent, canisterId: ledger });
  }

  async #account(): Promise<Account> {
    return { owner: await this.#agent.getPrincipal(), subaccount: this.#subaccount };
  }

  /** Balance of the payer's account. */
  async balance(): Promise<bigint> {
    return this.#actor.icrc1_balance_of(await this.#account());
  }

  /** What `spender` may still take, fees included. */
  async allowance(spender: string): Promise<bigint> {
    const { allowance } = await this.#actor.icrc2_allowance({
      account: await this.#account(),
      spender: { owner: Principal.fromText(spender), subaccount: [] },
    });
    return allowance;
  }

  /**
   * Sets (does not add to) what `spender` may take, fees included; returns the ledger's block index.
   * `expectedAllowance` makes the ledger refuse if the allowance changed meanwhile.
   */
  async approve(spender: string, amount: bigint, expectedAllowance?: bigint): Promise<bigint> {
    const result = await this.#actor.icrc2_approve({
      from_subaccount: this.#subaccount,
      spender: { owner: Principal.fromText(spender), subaccount: [] },
      amount,
      expected_allowance: expectedAllowance === undefined ? [] : [expectedAllowance],
      expires_at: [],
      fee: [],
      memo: [],
      created_at_time: [],
    });
    if ("Ok" in result) return result.Ok;
    throw new Error(`icrc2_approve: ${describe(result.Err)}`);
  }
}

function describe(error: Record<string, unknown>): string {
  return JSON.stringify(error, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}
