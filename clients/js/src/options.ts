/** Limits of waiting and reading; all can be set. */
import { USD_PEGGED } from "./assets.js";
import { type Way, waysOf } from "./offer.js";
import { plain } from "./text.js";

/** How often and how long a paid request is repeated, and what is read of answers. */
export interface ResendOptions {
  /** Requests sent in all, the first included; default 5. */
  attempts?: number;
  /** Pause before the first repetition, doubled each time; default 1,000 ms. `Retry-After` makes it longer. */
  delayMs?: number;
  /** Time in which repetitions may begin; default 120,000 ms. */
  patienceMs?: number;
  /** Silence that ends an attempt, before the headers and between two pieces of a body; default 60,000 ms. */
  idleMs?: number;
  /** Time for the whole body of one answer; default 900,000 ms. */
  totalMs?: number;
  /**
   * Bytes of a paid answer that are kept until its end is seen; a longer one is handed over as it comes. Default 64
   * MiB.
   */
  maxBodyBytes?: number;
  /** Bytes of a request's body, which has to be read before it is sent; default 64 MiB. */
  maxRequestBytes?: number;
  /** Ledgers in the order in which they are paid with, if a seller takes several; default ckUSDC, ckUSDT. */
  assets?: readonly string[];
  /**
   * Ways of paying that the stock client gets to see; default `["icrc2"]`. With `"icrc1"`, too, offers by transfer are
   * taken where there is none by allowance. The scheme needs the same option.
   */
  ways?: readonly Way[];
  /** Where warnings go, such as a payment whose outcome is not proven; default `console.warn`. */
  warn?: (message: string) => void;
}

export type Limits = Required<ResendOptions>;

/** The longest time that a timer can wait; a longer one would end at once. */
const MAX_MS = 2 ** 31 - 1;
const MAX_COUNT = Number.MAX_SAFE_INTEGER;

/** The numbers that apply unless others are given, and the least and the greatest that can be given. */
const NUMBERS = {
  attempts: { value: 5, least: 1, most: MAX_COUNT },
  delayMs: { value: 1_000, least: 0, most: MAX_MS },
  patienceMs: { value: 120_000, least: 0, most: MAX_MS },
  idleMs: { value: 60_000, least: 1, most: MAX_MS },
  totalMs: { value: 900_000, least: 1, most: MAX_MS },
  maxBodyBytes: { value: 64 << 20, least: 0, most: MAX_COUNT },
  maxRequestBytes: { value: 64 << 20, least: 0, most: MAX_COUNT },
};

/** A number of the options, or its default. A limit that is no number would be no limit. */
function numberOf(options: ResendOptions, name: keyof typeof NUMBERS): number {
  const { value, least, most } = NUMBERS[name];
  const given = options[name] ?? value;
  if (!Number.isSafeInteger(given) || given < least || given > most) {
    throw new RangeError(`${name}: ${plain(given)} is no whole number from ${least} to ${most}`);
  }
  return given;
}

/** The limits with their defaults; a RangeError names an option that is no limit. */
export function limitsOf(options: ResendOptions): Limits {
  return {
    attempts: numberOf(options, "attempts"),
    delayMs: numberOf(options, "delayMs"),
    patienceMs: numberOf(options, "patienceMs"),
    idleMs: numberOf(options, "idleMs"),
    totalMs: numberOf(options, "totalMs"),
    maxBodyBytes: numberOf(options, "maxBodyBytes"),
    maxRequestBytes: numberOf(options, "maxRequestBytes"),
    ways: waysOf(options.ways),
    assets: options.assets ?? USD_PEGGED.map(({ asset }) => asset),
    warn: options.warn ?? ((message) => console.warn(`tollkeeper-x402: ${message}`)),
  };
}
