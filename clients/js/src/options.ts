/** Limits of waiting and reading; all can be set. */
import { USD_PEGGED } from "./assets.js";

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
  /** Where warnings go, such as a payment whose outcome is not proven; default `console.warn`. */
  warn?: (message: string) => void;
}

export type Limits = Required<ResendOptions>;

export function limitsOf(options: ResendOptions): Limits {
  return {
    attempts: options.attempts ?? 5,
    delayMs: options.delayMs ?? 1_000,
    patienceMs: options.patienceMs ?? 120_000,
    idleMs: options.idleMs ?? 60_000,
    totalMs: options.totalMs ?? 900_000,
    maxBodyBytes: options.maxBodyBytes ?? 64 << 20,
    maxRequestBytes: options.maxRequestBytes ?? 64 << 20,
    assets: options.assets ?? USD_PEGGED.map(({ asset }) => asset),
    warn: options.warn ?? ((message) => console.warn(`tollkeeper-x402: ${message}`)),
  };
}
