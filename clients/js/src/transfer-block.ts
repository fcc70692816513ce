/** A transfer of the payer's own in a ledger's block log. */
import type { Principal } from "@icp-sdk/core/principal";
import type { Account } from "./account.js";
import type { Network } from "./agents.js";
import { accountOf, askBlocks, blobsOf, bytesOf, fetchAll, MAX_BLOCKS, member, PAGE, sameAccount, timeOf } from "./blocks.js";
import { hex } from "./bytes.js";
import type { Value } from "./icrc.js";
import { messageOf } from "./text.js";

/** A transfer that is looked for. */
export interface Wanted {
  from: Account;
  to: Account;
  amount: bigint;
  /** 64 hexadecimal digits. */
  memo: string;
  /** Nanoseconds since 1970-01-01 from which it may have been made. */
  since: bigint;
}

/**
 * What the log shows: the block; that there is none at a time (Unix seconds) which the subnet signed; or why neither is
 * proven.
 */
export type Found = { block: bigint } | { asOf: bigint } | { problem: string };

/** Looks for a transfer from the end of the log back to blocks that are older. Never throws. */
export async function findTransfer(network: Network, ledger: Principal, wanted: Wanted): Promise<Found> {
  try {
    const { value, seconds } = await askBlocks(network, ledger, 0n, 0n);
    let end = value.log_length;
    const lowest = end > MAX_BLOCKS ? end - MAX_BLOCKS : 0n;
    // The transfer itself may stand before it: memos are public, and anybody can write one again.
    let doubt: string | undefined;
    const none = (): Found => (doubt === undefined ? { asOf: seconds } : { problem: doubt });
    for (let start: bigint; end > lowest; end = start) {
      start = end - lowest > PAGE ? end - PAGE : lowest;
      const page = await fetchAll(network, ledger, start, end);
      if (!page) return { problem: `ledger ${ledger.toText()} does not give all of its blocks` };
      for (const [back, block] of page.reverse().entries()) {
        const time = timeOf(block);
        if (time !== undefined && time < wanted.since) return none();
        if (isTransfer(block, wanted)) return { block: end - 1n - BigInt(back) };
        // A block of an unknown shape with this memo could be the transfer, unless it names another payer.
        if (blobsOf(block).includes(wanted.memo) && !isOfAnother(block, wanted.from)) {
          doubt ??= `block ${end - 1n - BigInt(back)} has its memo and cannot be read`;
        }
      }
    }
    return lowest === 0n ? none() : { problem: `the ledger has more than ${MAX_BLOCKS} blocks since then` };
  } catch (error) {
    return { problem: `the ledger did not answer: ${messageOf(error)}` };
  }
}

/** Whether a block of the ledger is the transfer; throws if the ledger does not give it. */
export async function holds(network: Network, ledger: Principal, block: bigint, wanted: Wanted): Promise<boolean> {
  const [found] = (await fetchAll(network, ledger, block, block + 1n)) ?? [];
  if (found === undefined) throw new Error(`ledger ${ledger.toText()} does not give block ${block}`);
  return isTransfer(found, wanted);
}

/** Whether a block takes money from somebody else: anybody can copy a memo from the log. */
function isOfAnother(block: Value, payer: Account): boolean {
  const tx = member(block, "tx");
  const from = accountOf(tx && member(tx, "from"));
  return from !== undefined && !sameAccount(from, payer);
}

function isTransfer(block: Value, { from, to, amount, memo }: Wanted): boolean {
  const tx = member(block, "tx");
  // Newer ledgers name the kind in `btype`, older ones only in `tx.op`.
  const kind = member(block, "btype") ?? (tx && member(tx, "op"));
  if (!tx || !kind || !("Text" in kind) || !["1xfer", "2xfer", "xfer"].includes(kind.Text)) return false;
  const [payer, recipient] = [accountOf(member(tx, "from")), accountOf(member(tx, "to"))];
  const [moved, said] = [member(tx, "amt"), member(tx, "memo")];
  return (
    member(tx, "spender") === undefined &&
    payer !== undefined &&
    recipient !== undefined &&
    sameAccount(payer, from) &&
    sameAccount(recipient, to) &&
    moved !== undefined &&
    "Nat" in moved &&
    moved.Nat === amount &&
    said !== undefined &&
    "Blob" in said &&
    hex(bytesOf(said.Blob)) === memo
  );
}
