/** What the ledger says of a payment: its block log, or the allowance where it keeps none. */
import type { Principal } from "@icp-sdk/core/principal";
import { type Account, parseAccount, parseCanisterId } from "./account.js";
import type { Certified, Network } from "./agents.js";
import { hex, sameBytes } from "./bytes.js";
import {
  type Allowance,
  allowanceArgs,
  allowanceType,
  type Blocks,
  blocksArgs,
  blocksType,
  candidAccount,
  standardsType,
  type Value,
} from "./icrc.js";
import type { PaymentRecord } from "./record.js";

/** Blocks that are looked at for one payment. */
export const MAX_BLOCKS = 10_000n;
/** Blocks asked for in one call. */
export const PAGE = 500n;
/** How much older than the authorization's beginning a block is when the search ends, in seconds. */
const SLACK_SECONDS = 120;

/**
 * What the ledger shows:
 * - `moved`: a transfer from the payer by the spender with the payment's memo;
 * - `suspect`: a transfer from the payer by the spender that is for no payment that is known;
 * - `none`: neither, since the authorization began;
 * - `unknown`: it cannot be told.
 */
export type LedgerWord = "moved" | "suspect" | "none" | "unknown";

/**
 * Asks the asset of a payment by update calls. `others`: ids of the payer's other payments. Throws if it does not
 * answer.
 */
export async function askLedger(network: Network, record: PaymentRecord, others: Set<string>): Promise<LedgerWord> {
  const [ledger, payer] = [parseCanisterId(record.asset), parseAccount(record.payer)];
  const spender = parseCanisterId(record.spender);
  if (!ledger || !payer || !spender) return "unknown";
  const { value: standards } = await network.update<{ name: string }[]>(ledger, "icrc1_supported_standards", [], standardsType);
  if (standards.some(({ name }) => name === "ICRC-3")) return searchLog(network, ledger, record, { payer, spender, others });
  if (record.allowance === undefined) return "unknown";
  const args = { account: candidAccount(payer), spender: { owner: spender, subaccount: [] } };
  const { value } = await network.update<Allowance>(ledger, "icrc2_allowance", [[allowanceArgs, args]], allowanceType);
  // A larger allowance, or one with another end, was approved since, and hides what was taken before.
  const same = value.allowance === BigInt(record.allowance) && value.expires_at[0]?.toString() === record.allowanceEnds;
  return same ? "none" : "unknown";
}

interface Parties {
  payer: Account;
  spender: Principal;
  others: Set<string>;
}

/** Walks the log back from its end to blocks that are older than the authorization. */
async function searchLog(network: Network, ledger: Principal, record: PaymentRecord, parties: Parties): Promise<LedgerWord> {
  const oldest = BigInt(record.validAfter - SLACK_SECONDS) * 1_000_000_000n;
  let end = (await getBlocks(network, ledger, 0n, 0n)).log_length;
  const lowest = end > MAX_BLOCKS ? end - MAX_BLOCKS : 0n;
  let suspect = false;
  for (let start: bigint; end > lowest; end = start) {
    start = end - lowest > PAGE ? end - PAGE : lowest;
    const page = await fetchAll(network, ledger, start, end);
    if (!page) return "unknown";
    for (const block of page.reverse()) {
      const time = timeOf(block);
      if (time !== undefined && time < oldest) return suspect ? "suspect" : "none";
      const word = judge(block, record.paymentId, parties);
      if (word === "moved") return "moved";
      suspect ||= word === "suspect";
    }
  }
  if (lowest > 0n) return "unknown";
  return suspect ? "suspect" : "none";
}

/** All blocks of a range in order, however few the ledger gives at a time; undefined if some are missing. */
export async function fetchAll(network: Network, ledger: Principal, from: bigint, to: bigint): Promise<Value[] | undefined> {
  const blocks: Value[] = [];
  for (let next = from; next < to;) {
    const found = await fetchRange(network, ledger, next, to - next);
    const first = next;
    for (let block = found.get(next); block && next < to; block = found.get(++next)) blocks.push(block);
    if (next === first) return undefined;
  }
  return blocks;
}

/** Blocks by id, those in archives included. */
async function fetchRange(network: Network, ledger: Principal, start: bigint, length: bigint): Promise<Map<bigint, Value>> {
  const found = new Map<bigint, Value>();
  const answer = await getBlocks(network, ledger, start, length);
  for (const { id, block } of answer.blocks) found.set(id, block);
  for (const { args, callback } of answer.archived_blocks) {
    const [archive, method] = callback;
    const { value } = await network.update<Blocks>(archive, method, [[blocksArgs, args]], blocksType);
    for (const { id, block } of value.blocks) found.set(id, block);
  }
  return found;
}

async function getBlocks(network: Network, ledger: Principal, start: bigint, length: bigint): Promise<Blocks> {
  return (await askBlocks(network, ledger, start, length)).value;
}

/** Blocks, and the time at which the subnet signed them. */
export async function askBlocks(network: Network, ledger: Principal, start: bigint, length: bigint): Promise<Certified<Blocks>> {
  return network.update<Blocks>(ledger, "icrc3_get_blocks", [[blocksArgs, [{ start, length }]]], blocksType);
}

/**
 * What one block says. A block of an unknown shape counts if it has the payment's memo, or both parties, anywhere
 * in it.
 */
function judge(block: Value, paymentId: string, { payer, spender, others }: Parties): LedgerWord {
  const tx = member(block, "tx");
  const from = accountOf(tx && member(tx, "from"));
  const by = accountOf(tx && member(tx, "spender"));
  const memo = tx && member(tx, "memo");
  const memoText = memo && "Blob" in memo ? hex(bytesOf(memo.Blob)) : undefined;
  const kind = (tx && member(tx, "op")) ?? member(block, "btype");
  const readable = tx !== undefined && kind !== undefined;
  if (readable) {
    // An approval names both parties, too, and moves nothing between them. A burn does: a spender can be the minter.
    const name = "Text" in kind ? kind.Text : "";
    if (["approve", "2approve", "mint", "1mint"].includes(name)) return "none";
    if (from && by) {
      if (!sameAccount(from, payer) || !sameAccount(by, { owner: spender, subaccount: undefined })) return "none";
      if (memoText === paymentId) return "moved";
      return memoText !== undefined && others.has(memoText) ? "none" : "suspect";
    }
    // A transfer without a spender is the payer's own.
    if (from && by === undefined && member(tx, "spender") === undefined) return "none";
  }
  const blobs = blobsOf(block);
  if (blobs.includes(paymentId)) return "moved";
  const parties = [payer.owner, spender].map((principal) => hex(principal.toUint8Array()));
  if (!parties.every((party) => blobs.includes(party))) return "none";
  return blobs.some((blob) => others.has(blob)) ? "none" : "suspect";
}

interface RawAccount {
  owner: Uint8Array;
  subaccount: Uint8Array | undefined;
}

export function accountOf(value: Value | undefined): RawAccount | undefined {
  if (!value || !("Array" in value)) return undefined;
  const [owner, subaccount] = value.Array;
  if (!owner || !("Blob" in owner)) return undefined;
  return { owner: bytesOf(owner.Blob), subaccount: subaccount && "Blob" in subaccount ? bytesOf(subaccount.Blob) : undefined };
}

export function sameAccount(raw: RawAccount, account: Account): boolean {
  const subaccount = (bytes: Uint8Array | undefined) => bytes ?? new Uint8Array(32);
  return sameBytes(raw.owner, account.owner.toUint8Array()) && sameBytes(subaccount(raw.subaccount), subaccount(account.subaccount));
}

export function member(value: Value, name: string): Value | undefined {
  return "Map" in value ? value.Map.find(([key]) => key === name)?.[1] : undefined;
}

export function timeOf(block: Value | undefined): bigint | undefined {
  const time = block && member(block, "ts");
  return time && "Nat" in time ? time.Nat : undefined;
}

/** Every blob in a block, hex. */
export function blobsOf(value: Value): string[] {
  if ("Blob" in value) return [hex(bytesOf(value.Blob))];
  if ("Array" in value) return value.Array.flatMap(blobsOf);
  return "Map" in value ? value.Map.flatMap(([, inner]) => blobsOf(inner)) : [];
}

export function bytesOf(blob: Uint8Array | number[]): Uint8Array {
  return blob instanceof Uint8Array ? blob : Uint8Array.from(blob);
}
