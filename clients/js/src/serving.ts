/** Which canister serves a URL. */
import { parseCanisterId } from "./account.js";

const GATEWAY_DOMAINS = ["icp0.io", "raw.icp0.io", "ic0.app", "raw.ic0.app", "icp.net", "localhost", "raw.localhost"];

/**
 * The canister that a URL names by itself: in its host under a gateway's domain, else by `canisterId` on a bare
 * gateway (a gateway's domain, localhost or a loopback address). A first label under any other domain proves
 * nothing.
 */
export function canisterOfUrl(url: string): string | undefined {
  const { hostname: name, searchParams } = new URL(url);
  const hostname = name.replace(/\.$/, "");
  const dot = hostname.indexOf(".");
  if (dot > 0 && GATEWAY_DOMAINS.includes(hostname.slice(dot + 1))) {
    const label = hostname.slice(0, dot);
    if (parseCanisterId(label)) return label;
  }
  const bare = GATEWAY_DOMAINS.includes(hostname) || isLoopback(hostname);
  const [named, ...others] = bare ? new Set(searchParams.getAll("canisterId")) : [];
  // Of several, nobody can say which one the gateway takes.
  return named !== undefined && others.length === 0 && parseCanisterId(named) ? named : undefined;
}

/** Whether a host name or address, as a URL has it, is this machine itself. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.replace(/\.$/, "");
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  // The unspecified address connects to this machine, too, and IPv6 has forms of every address of IPv4.
  return /^(127(\.\d+){3}|0\.0\.0\.0)$/.test(name) || /^\[::(1|(ffff:(0:)?)?(7f[0-9a-f]{2}:[0-9a-f]{1,4}|0:0))?\]$/.test(name);
}
