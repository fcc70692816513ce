/** Scripted sellers: real HTTP servers that offer with real offer ids and count what reaches them. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentSignatureHeader, encodePaymentResponseHeader } from "@x402/core/http";
import type { PaymentPayload } from "@x402/core/types";
import { ExactIcpScheme, type ExactIcpOptions, MemoryStore, offerId, type ResendOptions, resendingFetch } from "../src/index.js";

export const CKUSDC = "xevnm-gaaaa-aaaar-qafnq-cai";
export const CKUSDT = "cngnf-vqaaa-aaaar-qag4q-cai";
export const ICP = "ryjl3-tyaaa-aaaaa-aaaba-cai";
export const SPENDER = "lqy7q-dh777-77777-aaaaq-cai";
export const OTHER_SPENDER = "mxqf3-4h777-77775-qaaaa-cai";
export const NETWORK = "icp:0123456789abcdef";
export const identity = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(7));
export const payer = identity.getPrincipal().toText();

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Entry = Record<string, any>;

/** An offer with a true id; `change` and `extra` override afterwards. */
export async function offer(
  change: Entry = {},
  extra: Entry = {},
  of: { method?: string; route?: string; revision?: number; spender?: string } = {},
): Promise<Entry> {
  const { method = "GET", route = "/report", revision = 1, spender = SPENDER } = of;
  return {
    scheme: "exact",
    network: NETWORK,
    amount: "10000",
    asset: CKUSDC,
    payTo: "2vxsx-fae",
    maxTimeoutSeconds: 300,
    ...change,
    extra: {
      assetTransferMethod: "icrc2",
      symbol: "ckUSDC",
      decimals: 6,
      fee: "10000",
      spender,
      offer: await offerId(Principal.fromText(spender), method, route, BigInt(revision)),
      method,
      route,
      revision,
      ...extra,
    },
  };
}

export interface Seen {
  method: string;
  url: string;
  header: string;
  payment: PaymentPayload;
  nonce: string;
  headers: IncomingMessage["headers"];
  body: string;
}

export type Paid = (attempt: number, response: ServerResponse, seen: Seen) => void;

/** A server that asks for `offers` and answers paid requests by `paid`. */
export class Seller {
  offers: unknown[] = [];
  /** Other members of PAYMENT-REQUIRED. */
  required: Entry = { resource: { url: "/report" } };
  /** Instead of a 402 made of `offers`. */
  unpaid: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  paid: Paid = settled;
  seen: Seen[] = [];
  /** Every request without a payment. */
  asked: IncomingMessage[] = [];
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response));
  base = "";

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.base = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** A URL under which a bare gateway would serve the spender. */
  url(path = "/report", spender = SPENDER): string {
    return `${this.base}${path}${path.includes("?") ? "&" : "?"}canisterId=${spender}`;
  }

  reset(offers: unknown[], paid: Paid = settled): void {
    this.offers = offers;
    this.paid = paid;
    this.seen = [];
    this.asked = [];
    this.unpaid = undefined;
    this.required = { resource: { url: "/report" } };
  }

  nonces(): Set<string> {
    return new Set(this.seen.map(({ nonce }) => nonce));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const header = request.headers["payment-signature"];
    if (typeof header === "string") {
      const payment = decodePaymentSignatureHeader(header);
      const nonce = String(payment.payload.nonce);
      const seen = {
        method: request.method ?? "",
        url: request.url ?? "",
        header,
        payment,
        nonce,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      this.seen.push(seen);
      this.paid(this.seen.length, response, seen);
      return;
    }
    this.asked.push(request);
    if (this.unpaid) this.unpaid(request, response);
    else this.refuse(response);
  }

  /** The 402 with the offers. */
  refuse(response: ServerResponse, more: Entry = {}): void {
    const header = encode({ x402Version: 2, ...this.required, accepts: this.offers, ...more });
    response.writeHead(402, { "PAYMENT-REQUIRED": header }).end("{}");
  }
}

export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64");
}

/** The receipt that an honest seller gives for a payment. */
export function receipt(seen: Seen, change: Entry = {}): string {
  const { amount, network } = seen.payment.accepted;
  return encodePaymentResponseHeader({
    success: true,
    transaction: "17",
    network,
    amount,
    payer: String(seen.payment.payload.from),
    ...change,
  } as never);
}

export function settled(_attempt: number, response: ServerResponse, seen: Seen): void {
  response.writeHead(200, { "PAYMENT-RESPONSE": receipt(seen) }).end("the report");
}

export function pending(response: ServerResponse): void {
  const header = encode({ success: false, errorReason: "settlement_pending", transaction: "ab", network: NETWORK });
  response.writeHead(402, { "PAYMENT-RESPONSE": header }).end("{}");
}

/** Limits that keep tests short. */
export const QUICK: ResendOptions = { attempts: 3, delayMs: 1, idleMs: 10_000, warn: () => undefined };

export interface Buyer {
  pay: typeof fetch;
  scheme: ExactIcpScheme;
  client: x402Client;
}

/** A stock client with the scheme; by default with a store of its own. */
export function buyer(options: ExactIcpOptions = {}, resend: ResendOptions = {}, inner: typeof fetch = fetch): Buyer {
  const scheme = new ExactIcpScheme(identity, { store: new MemoryStore(), ...options });
  const client = new x402Client().register("icp:*", scheme);
  return { pay: wrapFetchWithPayment(resendingFetch(inner, { ...QUICK, ...resend }), client) as typeof fetch, scheme, client };
}
