/** A network whose canister and ledger say what a test wants, hostile things included. */
import type { Agent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { networkId } from "../src/index.js";
import {
  accountType,
  allowanceArgs,
  allowanceType,
  approveArgs,
  approveResult,
  blocksArgs,
  blocksType,
  standardsType,
  type Value,
} from "../src/icrc.js";
import { Bank } from "./bank.js";
import { identity, SPENDER } from "./support.js";

/** The canister's methods, as made from canister.did. */
export const canister = new Map<string, IDL.FuncClass>(await generated());
const PAYMENT = {
  id: new Uint8Array(32),
  network: "",
  amount: 1n,
  fee: 1n,
  created_at: 1n,
  sequence: [],
  payer: [],
  method: [],
  path: [],
  rail: "icrc2",
  refund_amount: 1n,
};
const SETTLED = { block_index: 1n, settled_at: 1n };

/** What `payment` answers for a status, with the fields that the canister sends. */
export const STATUSES: { [name: string]: object } = {
  Settling: { Settling: null },
  Settled: { Settled: { ...SETTLED, work: [] } },
  Failed: { Failed: { code: "insufficient_funds", message: "", failed_at: 1n } },
  Unknown: { Unknown: { reason: "", since: 1n } },
  Delivered: { Delivered: { ...SETTLED, delivered_at: 1n } },
  Refunding: { Refunding: { ...SETTLED, since: 1n, attempts: 1, problem: "", cause: "" } },
  Refunded: { Refunded: { ...SETTLED, refund_block_index: 2n, refunded_at: 1n } },
};

async function generated(): Promise<[string, IDL.FuncClass][]> {
  const { idlFactory } = await import(new URL("../../../../scripts/tools/tollkeeper.did.mjs", import.meta.url).href);
  return (idlFactory({ IDL }) as IDL.ServiceClass)._fields;
}

/** A transfer from the payer, as the ledgers of the mainnet log it. */
export function transfer(
  memo: string | undefined,
  change: { from?: Principal; spender?: Principal; ts?: bigint; op?: string } = {},
): Value {
  const account = (owner: Principal): Value => ({ Array: [{ Blob: owner.toUint8Array() }] });
  const tx: [string, Value][] = [
    ["op", { Text: change.op ?? "xfer" }],
    ["from", account(change.from ?? identity.getPrincipal())],
    ["to", account(Principal.anonymous())],
    ["spender", account(change.spender ?? Principal.fromText(SPENDER))],
    ["amt", { Nat: 10_000n }],
  ];
  if (memo !== undefined) tx.push(["memo", { Blob: Uint8Array.from(Buffer.from(memo, "hex")) }]);
  return {
    Map: [
      ["tx", { Map: tx }],
      ["ts", { Nat: change.ts ?? BigInt(Date.now()) * 1_000_000n }],
    ],
  };
}

export class FakeNetwork {
  rootKey = new Uint8Array(133).fill(9);
  principal = identity.getPrincipal();
  /** Unix seconds of the certificates. */
  seconds = Math.floor(Date.now() / 1000);
  cancel: (nonce: string) => object = () => ({ Ok: null });
  /** By payment id. */
  status: (id: string) => object | null = () => null;
  origin: string | undefined;
  standards = ["ICRC-1", "ICRC-2", "ICRC-3"];
  blocks: Value[] = [];
  /** Blocks below this one are in an archive. */
  archived = 0;
  /** The most blocks in one answer. */
  page = 1000;
  fee = 10_000n;
  balance = 1_000_000n;
  allowance: { allowance: bigint; expires_at: [] | [bigint] } = { allowance: 1_000_000n, expires_at: [] };
  /** Runs before an approval is looked at. */
  beforeApproval: () => void = () => undefined;
  approvals: { amount: bigint; expires_at: [] | [bigint]; expected_allowance: [] | [bigint] }[] = [];
  /** What `offers` answers. */
  offers: { ledger: Principal; amount: bigint; pay_to: { owner: Principal; subaccount: [] }; offer: string }[] = [];
  readonly bank = new Bank(this);
  /** Methods that fail. */
  broken = new Set<string>();
  /** Methods called through consensus. */
  updates: string[] = [];

  id(): Promise<string> {
    return networkId(this.rootKey);
  }

  agent(): Agent {
    const fake = {
      rootKey: this.rootKey,
      getPrincipal: async () => this.principal,
      update: async (_: unknown, { methodName, arg }: { methodName: string; arg: Uint8Array }) => {
        this.updates.push(methodName);
        const certificate = { lookup_path: () => ({ status: "Found", value: leb128(BigInt(this.seconds) * 1_000_000_000n) }) };
        const reply = methodName === "icrc1_transfer" ? await this.bank.transfer(arg) : this.#reply(methodName, arg);
        return { reply, certificate, callResponse: {} };
      },
      query: async (_: unknown, { methodName, arg }: { methodName: string; arg: Uint8Array }) => ({
        status: "replied",
        reply: { arg: this.#reply(methodName, arg) },
        httpDetails: {},
      }),
    };
    return fake as unknown as Agent;
  }

  #reply(method: string, arg: Uint8Array): Uint8Array {
    if (this.broken.has(method)) throw new Error(`${method}\u001b[2J is broken`);
    const out = (type: IDL.Type, value: unknown) => IDL.encode([type], [value]);
    const { argTypes, retTypes } = canister.get(method) ?? { argTypes: [], retTypes: [] };
    const said = (value: unknown) => IDL.encode(retTypes, [value]);
    switch (method) {
      case "cancel_authorization": {
        const { nonce } = IDL.decode(argTypes, arg)[0] as unknown as { nonce: Uint8Array };
        return said(this.cancel(Buffer.from(nonce).toString("hex")));
      }
      case "payment": {
        const id = Buffer.from(IDL.decode(argTypes, arg)[0] as unknown as Uint8Array);
        const status = this.status(id.toString("hex"));
        const pay_to = { owner: Principal.anonymous(), subaccount: [] };
        return said(status === null ? [] : [{ ...PAYMENT, ledger: Principal.anonymous(), pay_to, status }]);
      }
      case "origin":
        return said(this.origin === undefined ? [] : [this.origin]);
      case "offers": {
        const more = { scheme: "exact", network: "", spender: Principal.fromText(SPENDER), fee: 10_000n, symbol: "", decimals: 6, max_timeout_seconds: 60 };
        return said(this.offers.map((offer) => ({ ...more, ...offer })));
      }
      case "icrc1_supported_standards":
        return out(
          standardsType,
          this.standards.map((name) => ({ name, url: "" })),
        );
      case "icrc1_fee":
        return out(IDL.Nat, this.fee);
      case "icrc1_balance_of":
        IDL.decode([accountType], arg);
        return out(IDL.Nat, this.balance);
      case "icrc2_allowance":
        IDL.decode([allowanceArgs], arg);
        return out(allowanceType, this.allowance);
      case "icrc2_approve":
        return out(approveResult, this.#approve(IDL.decode([approveArgs], arg)[0] as never));
      case "icrc3_get_blocks":
        return out(blocksType, this.#blocks(IDL.decode([blocksArgs], arg)[0] as never, this.archived, this.page));
      case "archive_get_blocks":
        return out(blocksType, this.#blocks(IDL.decode([blocksArgs], arg)[0] as never, 0, Infinity));
      default:
        throw new Error(`no method ${method}`);
    }
  }

  #approve(args: FakeNetwork["approvals"][number]): object {
    this.beforeApproval();
    const current = this.allowance.allowance;
    if (args.expected_allowance[0] !== undefined && args.expected_allowance[0] !== current)
      return { Err: { AllowanceChanged: { current_allowance: current } } };
    this.approvals.push(args);
    this.allowance = { allowance: args.amount, expires_at: args.expires_at };
    return { Ok: BigInt(this.approvals.length) };
  }

  #blocks([range]: { start: bigint; length: bigint }[], archived: number, page: number): unknown {
    const { start, length } = range!;
    const end = Math.min(Number(start + length), this.blocks.length);
    const blocks = [];
    for (let id = Math.max(Number(start), archived); id < end && blocks.length < page; id++)
      blocks.push({ id: BigInt(id), block: this.blocks[id] });
    const old = BigInt(Math.min(archived, end)) - start;
    const archive = { args: [{ start, length: old }], callback: [Principal.fromText(SPENDER), "archive_get_blocks"] };
    return { log_length: BigInt(this.blocks.length), blocks, archived_blocks: old > 0n ? [archive] : [] };
  }
}

function leb128(value: bigint): Uint8Array {
  const bytes = [];
  for (; value >= 128n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  return Uint8Array.from([...bytes, Number(value)]);
}
