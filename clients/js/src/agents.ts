/** Calls to a network whose root key is known to be the payment's. */
import { type Agent, HttpAgent, type SignIdentity } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { MAINNET, networkId } from "./network.js";
import { TimedOut, within } from "./waits.js";

/** An API boundary of the mainnet. */
const MAINNET_HOST = "https://icp-api.io";

export interface AgentOptions {
  /**
   * An agent with the payer's identity; its root key says for which network it speaks. `false`: none, not even the
   * mainnet's.
   */
  agent?: Agent | false;
  /**
   * Where the network of the payments answers, such as `http://127.0.0.1:8000`; default for `icp:1`:
   * https://icp-api.io.
   */
  host?: string;
  /** Time for one call; default 30,000 ms. */
  agentCallMs?: number;
}

/** A reply that the subnet signed. */
export interface Certified<T> {
  value: T;
  /** The subnet's time when it signed, Unix seconds. */
  seconds: bigint;
}

/** The agent speaks for another network than the payment's: its word counts for nothing there. */
export class OtherNetwork extends Error {
  override readonly name = "OtherNetwork";
}

/** One network, asked in the payer's name. */
export class Network {
  readonly #agent: Agent;
  readonly #callMs: number;

  private constructor(agent: Agent, callMs: number) {
    this.#agent = agent;
    this.#callMs = callMs;
  }

  /** The network of this id as the options reach it; undefined if they name none. Throws {@link OtherNetwork}. */
  static async connect(network: string, identity: SignIdentity, options: AgentOptions): Promise<Network | undefined> {
    if (options.agent === false) return undefined;
    const callMs = options.agentCallMs ?? 30_000;
    let agent = options.agent;
    if (!agent) {
      const host = options.host ?? (network === MAINNET ? MAINNET_HOST : undefined);
      if (host === undefined) return undefined;
      const timedFetch: typeof fetch = (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(callMs) });
      // A key that is fetched proves nothing by itself: it is compared with the network's id below, and the
      // mainnet's is built in.
      agent = HttpAgent.createSync({ host, identity, fetch: timedFetch, retryTimes: 1, shouldFetchRootKey: network !== MAINNET });
    }
    if (agent.rootKey === null) await within(agent.fetchRootKey(), "the network", callMs);
    if (agent.rootKey === null) throw new Error("the agent has no root key");
    const found = await networkId(agent.rootKey);
    if (found !== network) throw new OtherNetwork(`the agent speaks for network ${found}, the payment is of ${network}`);
    return new Network(agent, callMs);
  }

  /** The network of this id, if the agent speaks for it; throws if the agent speaks for another one. */
  static async of(agent: Agent, network: string): Promise<Network> {
    const connected = await Network.connect(network, undefined as never, { agent });
    if (!connected) throw new Error("there is no agent");
    return connected;
  }

  /** The principal in whose name calls are made. */
  async caller(): Promise<Principal> {
    return this.#agent.getPrincipal();
  }

  /**
   * Calls a method, query methods too, through consensus. Throws if the canister rejects or there is no reply in
   * time.
   */
  async update<T>(canister: Principal, method: string, args: [IDL.Type, unknown][], reply: IDL.Type): Promise<Certified<T>> {
    const end = Date.now() + this.#callMs;
    const strategy = async () => {
      if (Date.now() > end) throw new TimedOut(`${method}: no reply within ${this.#callMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 300));
    };
    const call = this.#agent.update(canister, { methodName: method, arg: encode(args) }, { strategy });
    const { reply: bytes, certificate } = await within(call, method, this.#callMs);
    if (bytes === undefined || certificate === undefined) throw new Error(`${method}: no certified reply`);
    const time = certificate.lookup_path(["time"]) as { value?: Uint8Array };
    if (!time.value) throw new Error(`${method}: the certificate has no time`);
    return { value: decode<T>(reply, bytes), seconds: leb128(time.value) / 1_000_000_000n };
  }

  /** Asks one node; good for what only makes a purchase more convenient. */
  async query<T>(canister: Principal, method: string, args: [IDL.Type, unknown][], reply: IDL.Type, ms: number): Promise<T> {
    const answer = await within(this.#agent.query(canister, { methodName: method, arg: encode(args) }), method, ms);
    if (!("reply" in answer)) throw new Error(`${method}: rejected`);
    return decode<T>(reply, answer.reply.arg);
  }
}

function encode(args: [IDL.Type, unknown][]): Uint8Array {
  return IDL.encode(
    args.map(([type]) => type),
    args.map(([, value]) => value),
  );
}

function decode<T>(type: IDL.Type, bytes: Uint8Array): T {
  return IDL.decode([type], bytes)[0] as T;
}

function leb128(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 7n) | BigInt(byte & 0x7f), 0n);
}
