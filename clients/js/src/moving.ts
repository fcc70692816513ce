/**
 * Payments by the payer's own transfer: the transfer is made once, its block is recorded, and the proof is sent.
 *
 *     recorded: secret, memo, time
 *          │
 *          ▼
 *     transfer ──the ledger refuses the first sending──▶ the record ends, nothing moved
 *          │  ▲
 *          │  └─ no answer: the same transfer again, within the ledger's 24 hours
 *          ├─ refused later, or after the 24 hours: look for the memo in the log
 *          │      └─ it is not there, and the ledger cannot make it any more: the record ends
 *          ▼
 *     block recorded ──▶ the proof is sent as any payment is
 */
import type { SignIdentity } from "@icp-sdk/core/agent";
import type { Principal } from "@icp-sdk/core/principal";
import { type Account, parseAccount, parseCanisterId } from "./account.js";
import type { Network } from "./agents.js";
import { checkDelegations } from "./authorization.js";
import { fromHex, hex } from "./bytes.js";
import { offersOf, paymentStatus } from "./canister.js";
import { OfferRefused, PaymentUnresolved } from "./errors.js";
import { candidAccount, transferArgs, transferResult } from "./icrc.js";
import { type Envelope, headerOf, inBlock, type Journal } from "./journal.js";
import type { Offer } from "./offer.js";
import type { Limits } from "./options.js";
import { isOpen, type OwnTransfer, type PaymentRecord } from "./record.js";
import { type Outcome, unresolved } from "./resolve.js";
import type { Networks } from "./scheme-options.js";
import { checkDepth } from "./sign.js";
import { messageOf, plain } from "./text.js";
import { transferCommitment, transferPaymentId, transferTermsOf } from "./transfer.js";
import { findTransfer, holds, type Wanted } from "./transfer-block.js";
import { sleep, unlessAborted } from "./waits.js";

/** How long ledgers find a repetition of a transfer, after its `created_at_time` (ICRC-1: 24 hours). */
const WINDOW_SECONDS = 24 * 3_600;
/** How much longer than the window a ledger may take a transfer: it allows for clocks that differ. */
const DRIFT_SECONDS = 600;
/** How far before the transfer the log is read, because clocks differ. */
const CLOCK_SKEW_SECONDS = 300;
/** The time that the calls of a transfer may take, in seconds. */
const TRANSFER_SECONDS = 300;
const NANOSECONDS = 1_000_000_000n;

/** Makes the transfer of a recorded payment, if its block is not known; resolves with the record that has its header. */
export type Move = (paymentId: string, limits: Limits, signal: AbortSignal) => Promise<PaymentRecord>;

/** Who pays by transfers. */
export interface Mover {
  identity: SignIdentity;
  /** ICRC-1 text of the account that pays. */
  payer: string;
  journal: Journal;
  networks: Networks;
  /** Unix seconds. */
  now(): number;
}

/** What a new record has of its transfer. */
export type Drawn = Pick<PaymentRecord, "format" | "paymentId" | "payload" | "validAfter" | "validBefore"> & { transfer: OwnTransfer };

/**
 * Draws the secret of a transfer for an offer, after everything that can be known before the money moves: that the
 * identity may transfer, that the canister makes the offer, and that the proof will be read. Sends nothing.
 */
export async function draw(mover: Mover, offer: Offer, envelope: Envelope): Promise<Drawn> {
  const now = Math.floor(mover.now());
  checkDelegations(mover.identity, offer.asset, now + TRANSFER_SECONDS);
  await confirm(await networkOf(mover, offer.network), offer);
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const drawn: Drawn = {
    format: "tollkeeper-x402/2",
    paymentId: hex(await transferCommitment(transferTermsOf(offer.entry), secret)),
    payload: { from: mover.payer, secret: hex(secret) },
    transfer: { createdAtTime: (BigInt(now) * NANOSECONDS).toString(), sent: false },
    validAfter: now,
    validBefore: now + WINDOW_SECONDS + DRIFT_SECONDS,
  };
  checkDepth({ accepted: offer.entry, payload: drawn.payload, ...envelope });
  return drawn;
}

/** The network of a transfer, asked in the payer's name. */
async function networkOf(mover: Mover, id: string): Promise<Network> {
  const network = await mover.networks.of(id).catch((error: unknown) => {
    throw new OfferRefused(messageOf(error));
  });
  if (!network) throw new OfferRefused(`a transfer on network ${id} needs an agent (options agent and host)`);
  const [caller, owner] = [await network.caller(), parseAccount(mover.payer)?.owner];
  if (owner?.toText() !== caller.toText()) throw new OfferRefused(`the agent speaks for ${caller.toText()}, and ${mover.payer} pays`);
  return network;
}

/** Whoever forwarded an offer could have put another recipient into it, and no transfer comes back. */
async function confirm(network: Network, { entry, spender, method, route, asset, amount, payTo, offer }: Offer): Promise<void> {
  const canister = parseCanisterId(String(entry.extra.canister));
  if (!canister) throw new OfferRefused("extra.canister is not a canister id");
  const promised = await offersOf(network, canister, method, route).catch((error: unknown) => {
    throw new OfferRefused(`canister ${spender} did not confirm the offer: ${messageOf(error)}`);
  });
  const same = promised.some((one) => one.asset === asset && one.amount === amount && one.payTo === payTo && one.offer === offer);
  if (!same) throw new OfferRefused(`canister ${spender} makes no offer of ${amount} units of ${asset} to ${payTo} for this route now`);
}

/** As {@link Move}. The money of one record moves at most once, whatever is lost. */
export async function move(mover: Mover, paymentId: string, limits: Limits, signal: AbortSignal): Promise<PaymentRecord> {
  const { store } = mover.journal;
  const known = await store.get(paymentId);
  if (!known) throw new OfferRefused("the payment for this request was given up meanwhile; make the request again");
  return unlessAborted(
    store.withLock(known.requestKey, async () => {
      signal.throwIfAborted();
      const record = await store.get(paymentId);
      if (record && record.header !== null && record.header !== "") return record;
      if (!record?.transfer || !isOpen(record)) throw new OfferRefused(`payment ${paymentId} is ${record?.state ?? "given up"}; make the request again`);
      return moveLocked(mover, { ...record, transfer: record.transfer }, limits, signal);
    }),
    signal,
  );
}

type TransferRecord = PaymentRecord & { transfer: OwnTransfer };

async function moveLocked(mover: Mover, known: TransferRecord, limits: Limits, signal: AbortSignal): Promise<PaymentRecord> {
  let mayHaveArrived = known.transfer.sent;
  const network = await networkOf(mover, known.network).catch((error: unknown) => {
    throw mayHaveArrived ? new PaymentUnresolved(known.paymentId, messageOf(error), error) : error;
  });
  const record = { ...known, transfer: { ...known.transfer, sent: true } };
  // Whoever finds this record later knows that the transfer may have been made.
  if (!mayHaveArrived) await mover.journal.store.put(record);
  const end = Date.now() + limits.patienceMs;
  for (let attempt = 1; ; attempt++) {
    if (mover.now() >= madeAt(record) + WINDOW_SECONDS) return sought(mover, network, record, "its 24 hours are over", limits);
    let reason: string;
    let refused: string | undefined;
    try {
      signal.throwIfAborted();
      const answer = await unlessAborted(transferred(network, record), signal);
      if ("block" in answer) return await placed(mover, record, answer.block, limits);
      reason = answer.refusal;
      if (answer.refusal !== UNAVAILABLE) refused = answer.refusal;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      mayHaveArrived = true;
      reason = messageOf(error);
    }
    // The first answer of all says what happened; a later one may be about the repetition alone.
    if (refused !== undefined) {
      if (!mayHaveArrived) throw await notMade(mover, record, refused);
      return sought(mover, network, record, refused, limits);
    }
    const pause = limits.delayMs * 2 ** (attempt - 1);
    if (attempt >= limits.attempts || Date.now() + pause > end) {
      if (!mayHaveArrived) throw await notMade(mover, record, reason);
      const what = `the transfer of payment ${record.paymentId} was sent, and the ledger did not answer: ${reason}`;
      throw new PaymentUnresolved(record.paymentId, `${what}. The same request makes the same transfer.`);
    }
    await sleep(pause, signal);
  }
}

const UNAVAILABLE = "TemporarilyUnavailable";

/** One `icrc1_transfer`: the same whenever it is sent. Throws if what became of it is not known. */
async function transferred(network: Network, record: TransferRecord): Promise<{ block: bigint } | { refusal: string }> {
  const { ledger, from, to, memo } = parties(record);
  const args = {
    from_subaccount: from.subaccount ? [from.subaccount] : [],
    to: candidAccount(to),
    amount: BigInt(record.amount),
    fee: [BigInt(record.fee)],
    memo: [memo],
    created_at_time: [BigInt(record.transfer.createdAtTime)],
  };
  type Reply = { Ok: bigint } | { Err: { Duplicate: { duplicate_of: bigint } } | Record<string, unknown> };
  const { value } = await network.update<Reply>(ledger, "icrc1_transfer", [[transferArgs, args]], transferResult);
  if ("Ok" in value) return { block: value.Ok };
  // No other transfer has this memo.
  if ("Duplicate" in value.Err) return { block: (value.Err.Duplicate as { duplicate_of: bigint }).duplicate_of };
  return { refusal: UNAVAILABLE in value.Err ? UNAVAILABLE : plain(value.Err) };
}

/** Ledger and accounts of a transfer. What was recorded was checked. */
function parties({ asset, payer, payTo, paymentId }: PaymentRecord): { ledger: Principal; from: Account; to: Account; memo: Uint8Array } {
  const [ledger, from, to] = [parseCanisterId(asset), parseAccount(payer), parseAccount(payTo)];
  if (!ledger || !from || !to) throw new RangeError(`the record of payment ${paymentId} cannot be read`);
  return { ledger, from, to, memo: fromHex(paymentId) };
}

function wantedOf(record: TransferRecord): Wanted {
  const { from, to } = parties(record);
  const since = BigInt(record.transfer.createdAtTime) - BigInt(CLOCK_SKEW_SECONDS) * NANOSECONDS;
  return { from, to, amount: BigInt(record.amount), memo: record.paymentId, since };
}

/** Unix seconds. */
function madeAt({ transfer }: TransferRecord): number {
  return Number(BigInt(transfer.createdAtTime) / NANOSECONDS);
}

/**
 * Records the block of a transfer. The proof is presented also if that fails: the ledger answers the same transfer with
 * the same block.
 */
async function placed(mover: Mover, record: TransferRecord, block: bigint, limits?: Limits): Promise<TransferRecord> {
  const known = inBlock(record, block);
  const knownAs = await transferPaymentId(record.network, record.asset, block, fromHex(record.paymentId));
  const next = { ...known, header: headerOf(known, record.envelope), transfer: { ...record.transfer, knownAs } };
  try {
    await mover.journal.store.put(next);
  } catch (error) {
    limits?.warn(`block ${block} of payment ${record.paymentId} could not be noted: ${messageOf(error)}`);
  }
  return next;
}

/** Ends the record of a transfer that the ledger did not make. */
async function notMade(mover: Mover, record: TransferRecord, refusal: string): Promise<OfferRefused> {
  await mover.journal.settleLocked(record, "dead");
  return new OfferRefused(`ledger ${record.asset} did not make the transfer: ${refusal}`);
}

/** The payment with the block that the log shows. */
async function sought(mover: Mover, network: Network, record: TransferRecord, reason: string, limits: Limits): Promise<PaymentRecord> {
  const found = await findTransfer(network, parties(record).ledger, wantedOf(record));
  if ("block" in found) return placed(mover, record, found.block, limits);
  if (isOver(record, found)) {
    await mover.journal.settleLocked(record, "dead");
    throw new OfferRefused(`payment ${record.paymentId}: ${reason}; ${NEVER}; make the request again`);
  }
  throw new PaymentUnresolved(record.paymentId, `payment ${record.paymentId}: ${reason}; ${open(found)}`);
}

const NEVER = "the transfer is not in the log of the ledger, which can no longer make it";

function isOver(record: TransferRecord, found: { asOf: bigint } | { problem: string }): boolean {
  return "asOf" in found && Number(found.asOf) >= madeAt(record) + WINDOW_SECONDS + DRIFT_SECONDS;
}

function open(found: { asOf: bigint } | { problem: string }): string {
  return "problem" in found ? found.problem : "the ledger has not made the transfer by now, and can make it until its 24 hours are over";
}

/** The last word about a transfer, of the ledger alone. Sends nothing. Under the lock of its request; never throws. */
export async function lastWordOfTransfer(mover: Mover, network: Network, record: PaymentRecord): Promise<Outcome> {
  try {
    if (!record.transfer) return unresolved("it is no transfer");
    return await ask(mover, network, { ...record, transfer: record.transfer });
  } catch (error) {
    return unresolved(`the network did not answer: ${messageOf(error)}`);
  }
}

async function ask(mover: Mover, network: Network, record: TransferRecord): Promise<Outcome> {
  // Who has this record still, looks at it again before the first transfer.
  if (!record.transfer.sent) return { state: "dead", reason: "the transfer was never sent", delivered: false };
  const { ledger } = parties(record);
  const wanted = wantedOf(record);
  let known = record;
  if (record.header === null) {
    const found = await findTransfer(network, ledger, wanted);
    if (!("block" in found)) return isOver(record, found) ? { state: "dead", reason: NEVER, delivered: false } : unresolved(open(found));
    known = await placed(mover, record, found.block);
  }
  const { payload, transfer, spender } = known;
  const canister = parseCanisterId(spender);
  if (!("secret" in payload) || payload.blockIndex === undefined || transfer.knownAs === undefined || !canister)
    return unresolved("its block cannot be read");
  const block = BigInt(payload.blockIndex);
  if (!(await holds(network, ledger, block, wanted))) return unresolved(`block ${block} of the ledger is another transfer's`);
  const { value: status } = await paymentStatus(network, canister, fromHex(transfer.knownAs));
  const said = status === null ? "does not know the payment, whose proof is to be presented" : `says ${status}`;
  return { state: "paid", reason: `the transfer is in block ${block}, and the canister ${said}`, delivered: status === "Delivered" };
}
