/** The ICRC-1, ICRC-2 and ICRC-3 methods of ledgers that a payer calls. */
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import type { Account } from "./account.js";

const { Record, Variant, Opt, Vec, Nat, Nat8, Nat64, Text, Null, Rec, Func } = IDL;

/** An account in Candid. */
export interface CandidAccount {
  owner: Principal;
  subaccount: [] | [Uint8Array];
}

export function candidAccount({ owner, subaccount }: Account): CandidAccount {
  return { owner, subaccount: subaccount ? [subaccount] : [] };
}

export const accountType = Record({ owner: IDL.Principal, subaccount: Opt(Vec(Nat8)) });
export const allowanceArgs = Record({ account: accountType, spender: accountType });
export const allowanceType = Record({ allowance: Nat, expires_at: Opt(Nat64) });
export const standardsType = Vec(Record({ name: Text, url: Text }));

/** What a spender may take, and until when (nanoseconds). */
export interface Allowance {
  allowance: bigint;
  expires_at: [] | [bigint];
}

export const approveArgs = Record({
  from_subaccount: Opt(Vec(Nat8)),
  spender: accountType,
  amount: Nat,
  expected_allowance: Opt(Nat),
  expires_at: Opt(Nat64),
  fee: Opt(Nat),
  memo: Opt(Vec(Nat8)),
  created_at_time: Opt(Nat64),
});
export const approveResult = Variant({
  Ok: Nat,
  Err: Variant({
    BadFee: Record({ expected_fee: Nat }),
    InsufficientFunds: Record({ balance: Nat }),
    AllowanceChanged: Record({ current_allowance: Nat }),
    Expired: Record({ ledger_time: Nat64 }),
    TooOld: Null,
    CreatedInFuture: Record({ ledger_time: Nat64 }),
    Duplicate: Record({ duplicate_of: Nat }),
    TemporarilyUnavailable: Null,
    GenericError: Record({ error_code: Nat, message: Text }),
  }),
});

export const transferArgs = Record({
  from_subaccount: Opt(Vec(Nat8)),
  to: accountType,
  amount: Nat,
  fee: Opt(Nat),
  memo: Opt(Vec(Nat8)),
  created_at_time: Opt(Nat64),
});
export const transferResult = Variant({
  Ok: Nat,
  Err: Variant({
    BadFee: Record({ expected_fee: Nat }),
    BadBurn: Record({ min_burn_amount: Nat }),
    InsufficientFunds: Record({ balance: Nat }),
    TooOld: Null,
    CreatedInFuture: Record({ ledger_time: Nat64 }),
    Duplicate: Record({ duplicate_of: Nat }),
    TemporarilyUnavailable: Null,
    GenericError: Record({ error_code: Nat, message: Text }),
  }),
});

/** A value of an ICRC-3 block. */
export type Value =
  { Blob: Uint8Array } | { Text: string } | { Nat: bigint } | { Int: bigint } | { Array: Value[] } | { Map: [string, Value][] };

const value = Rec();
value.fill(Variant({ Blob: Vec(Nat8), Text, Nat, Int: IDL.Int, Array: Vec(value), Map: Vec(IDL.Tuple(Text, value)) }));
const range = Vec(Record({ start: Nat, length: Nat }));
const blocksResult = Rec();
const archiveFunc = Func([range], [blocksResult], ["query"]);
blocksResult.fill(
  Record({
    log_length: Nat,
    blocks: Vec(Record({ id: Nat, block: value })),
    archived_blocks: Vec(Record({ args: range, callback: archiveFunc })),
  }),
);
export const blocksArgs = range;
export const blocksType = blocksResult;

export interface Blocks {
  log_length: bigint;
  blocks: { id: bigint; block: Value }[];
  archived_blocks: { args: { start: bigint; length: bigint }[]; callback: [Principal, string] }[];
}
