/** Which canister serves a URL. */
import { parseCanisterId } from "./account.js";

const GATEWAY_DOMAINS = ["icp0.io", "raw.icp0.io", "ic0.app", "raw.ic0.app", "icp.net", "localhost", "raw.localhost"];

/**
 * The canister that a URL names by itself: in its host under a gateway's domain, else by `canisterId` on a bare
 * gateway (a gateway's domain, localhost or a loopback address). A first label under any other domain proves
 * nothing.
 */
export function canisterOfUrl(url: string): string | undefined {
  const { hostname, searchParams } = new URL(url);
  const dot = hostname.indexOf(".");
  if (dot > 0 && GATEWAY_DOMAINS.includes(hostname.slice(dot + 1))) {
    const label = hostname.slice(0, dot);
    if (parseCanisterId(label)) return label;
  }
  const bare = GATEWAY_DOMAINS.includes(hostname) || isLoopback(hostname);
  const named = bare ? searchParams.get("canisterId") : null;
  return named !== null && parseCanisterId(named) ? named : undefined;
}

/** Whether a host name or address is this machine itself. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || /^127(\.\d+){3}$/.test(hostname) || hostname === "[::1]";
}
