// A local Internet Computer for the demo: starts `local-ic serve`, creates canisters, installs wasm.
import { spawn } from "node:child_process";
import { createHash, createPrivateKey, generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import * as idl from "./idl.mjs";

/** Starts the server; resolves with its first line (URLs and root key) and the process. */
export async function startReplica(binary, { port, canister }) {
  const child = spawn(binary, ["serve", "--port", String(port), "--canister", canister, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  // Ends with this process, also while it is not listening yet.
  process.once("exit", () => child.kill("SIGTERM"));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`local-ic ended with code ${code} before it was listening`)));
  });
  return { process: child, ...JSON.parse(line) };
}

/** A new Ed25519 key, written as PEM for the command line, as an identity for this process. Replaces no file. */
export function newIdentity(pemFile) {
  const { privateKey } = generateKeyPairSync("ed25519");
  writeFileSync(pemFile, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx" });
  return Ed25519KeyIdentity.fromSecretKey(new Uint8Array(Buffer.from(privateKey.export({ format: "jwk" }).d, "base64url")));
}

/** The identity of an Ed25519 key in a PEM file. */
export function keyIn(pemFile) {
  const { d } = createPrivateKey(readFileSync(pemFile)).export({ format: "jwk" });
  return Ed25519KeyIdentity.fromSecretKey(new Uint8Array(Buffer.from(d, "base64url")));
}

/** An agent that trusts this network's root key and nothing it fetched over the wire. */
export function agentFor(network, identity) {
  return HttpAgent.create({ host: network.replica, identity, rootKey: new Uint8Array(Buffer.from(network.root_key, "hex")) });
}

export function actor(agent, canisterId, factory) {
  return Actor.createActor(factory, { agent, canisterId });
}

/** Creates an empty canister under `id` with 100 T cycles; resolves with the management canister that is in charge of it. */
export async function createCanister(agent, id) {
  const canister = Principal.fromText(id);
  const management = Actor.createActor(idl.management, {
    agent,
    canisterId: Principal.managementCanister(),
    callTransform: () => ({ effectiveCanisterId: canister }),
  });
  await management.provisional_create_canister_with_cycles({ amount: [100_000_000_000_000n], specified_id: [canister] });
  return management;
}

/** Creates a canister as above and installs `wasmFile`. */
export async function install(agent, id, wasmFile, argType, arg) {
  await installModule(agent, id, readFileSync(wasmFile), IDL.encode([argType], [arg]));
}

/** The largest piece of a module. */
const CHUNK_BYTES = 1 << 20;

/** The same with the bytes of the module and of its argument. */
export async function installModule(agent, id, wasm, arg) {
  const management = await createCanister(agent, id);
  // Without optimisation the canister is too large for one message.
  if (wasm.length > CHUNK_BYTES) {
    const target_canister = Principal.fromText(id);
    const chunk_hashes_list = [];
    for (let at = 0; at < wasm.length; at += CHUNK_BYTES) {
      const chunk = new Uint8Array(wasm.subarray(at, at + CHUNK_BYTES));
      chunk_hashes_list.push(await management.upload_chunk({ canister_id: target_canister, chunk }));
    }
    const wasm_module_hash = new Uint8Array(createHash("sha256").update(wasm).digest());
    const mode = { install: null };
    await management.install_chunked_code({ mode, target_canister, chunk_hashes_list, wasm_module_hash, arg: new Uint8Array(arg) });
    return;
  }
  await management.install_code({
    mode: { install: null },
    canister_id: Principal.fromText(id),
    wasm_module: new Uint8Array(wasm),
    arg: new Uint8Array(arg),
  });
}

/** Unwraps `variant { Ok; Err }`. */
export function ok(what, result) {
  if ("Err" in result) {
    const shown = JSON.stringify(result.Err, (_, value) => (typeof value === "bigint" ? value.toString() : value));
    throw new Error(`${what}: ${shown}`);
  }
  return result.Ok;
}
