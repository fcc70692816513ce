/** A ledger that the payer transfers with: it finds repetitions, and answers by a script. */
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { transferArgs, transferResult, type Value } from "../src/icrc.js";
import type { FakeNetwork } from "./network.js";

/** What becomes of one call; `silent`: it is made, and no answer ever comes. */
export type Answer = "made" | "lost after" | "lost before" | "silent" | { Err: object };

interface Account {
  owner: Principal;
  subaccount: [] | [Uint8Array];
}

export interface Transfer {
  from_subaccount: [] | [Uint8Array];
  to: Account;
  amount: bigint;
  fee: [bigint];
  memo: [Uint8Array];
  created_at_time: [bigint];
}

export class Bank {
  /** What becomes of the n-th call, from 0. */
  script: (call: number) => Answer = () => "made";
  /** Runs before a transfer is looked at, and after it was made. */
  watch: (when: "before the transfer" | "after the transfer", sent: Transfer) => Promise<void> | void = () => undefined;
  /** Every call. */
  sent: Transfer[] = [];
  /** Those that moved money, by what makes a transfer the same, with their blocks. */
  readonly made = new Map<string, bigint>();
  readonly #net: FakeNetwork;

  constructor(net: FakeNetwork) {
    this.#net = net;
  }

  /** Different transfers that were asked for. */
  different(): number {
    return new Set(this.sent.map(key)).size;
  }

  async transfer(arg: Uint8Array): Promise<Uint8Array> {
    const sent = IDL.decode([transferArgs], arg)[0] as unknown as Transfer;
    const answer = this.script(this.sent.length);
    this.sent.push(sent);
    await this.watch("before the transfer", sent);
    if (answer === "lost before") throw new Error("the connection broke");
    if (typeof answer === "object") return IDL.encode([transferResult], [answer]);
    const known = this.made.get(key(sent));
    const block = known ?? BigInt(this.#net.blocks.push(own(this.#net.principal, sent))) - 1n;
    this.made.set(key(sent), block);
    await this.watch("after the transfer", sent);
    if (answer === "lost after") throw new Error("the connection broke");
    if (answer === "silent") return new Promise(() => undefined);
    return IDL.encode([transferResult], [known === undefined ? { Ok: block } : { Err: { Duplicate: { duplicate_of: known } } }]);
  }
}

function key(sent: Transfer): string {
  const shown = (_: string, value: unknown) => {
    if (typeof value === "bigint") return value.toString();
    return value instanceof Principal ? value.toText() : value;
  };
  return JSON.stringify(sent, shown);
}

/** The block of a transfer of the payer's own. */
export function own(from: Principal, { to, amount, memo, created_at_time }: Pick<Transfer, "to" | "amount" | "memo" | "created_at_time">): Value {
  const account = (owner: Principal): Value => ({ Array: [{ Blob: owner.toUint8Array() }] });
  return {
    Map: [
      ["btype", { Text: "1xfer" }],
      [
        "tx",
        {
          Map: [
            ["from", account(from)],
            ["to", account(to.owner)],
            ["amt", { Nat: amount }],
            ["memo", { Blob: Uint8Array.from(memo[0]) }],
          ],
        },
      ],
      ["ts", { Nat: created_at_time[0] }],
    ],
  };
}
