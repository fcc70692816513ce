/** Network ids (section 2 of docs/scheme_exact_icp.md). */
import { hex, sha256 } from "./bytes.js";
import { IC_ROOT_KEY } from "@icp-sdk/core/agent";

/** The mainnet's id. */
export const MAINNET = "icp:1";

/**
 * The id of the network whose root public key this is (DER, 133 bytes): `icp:1`, or `icp:` and the first 16
 * hexadecimal digits of its SHA-256.
 */
export async function networkId(rootKey: Uint8Array): Promise<string> {
  if (hex(rootKey) === IC_ROOT_KEY) return MAINNET;
  return `icp:${hex(await sha256(new Uint8Array(rootKey))).slice(0, 16)}`;
}
