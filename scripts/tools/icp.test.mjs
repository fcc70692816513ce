// The real `icp` command deploys the canister of icp.yaml on local-ic, calls it, upgrades it and calls it again.
// TOLLKEEPER_ICP names the command, TOLLKEEPER_LOCAL_IC the server; without the command nothing is tested.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { agentFor, createCanister, newIdentity, startReplica } from "./replica.mjs";
import { CANISTER } from "./shop.mjs";

const { TOLLKEEPER_ICP: icpBinary, TOLLKEEPER_LOCAL_IC: localIc } = process.env;
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const built = readFileSync(join(ROOT, "build", "tollkeeper.wasm.gz"));
const projectFile = readFileSync(join(ROOT, "icp.yaml"), "utf8");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

describe("icp.yaml", () => {
  it("builds as dfx.json does", () => {
    const { build, wasm, init_arg } = JSON.parse(readFileSync(join(ROOT, "dfx.json"), "utf8")).canisters.tollkeeper;
    for (const line of [`- ${build[0]}\n`, `- cp ${wasm} "$ICP_WASM_OUTPUT_PATH"\n`, `init_args: ${init_arg}\n`]) {
      assert.ok(projectFile.includes(line), line);
    }
  });
});

describe("icp-cli", { skip: icpBinary ? false : "no icp command" }, () => {
  let network;
  let folder;
  // A copy of the project, without a build of its own and with this network's address.
  const install = (wasm) => {
    writeFileSync(join(folder, "module.wasm.gz"), wasm);
    const project = projectFile
      .replace("- scripts/build tollkeeper\n", "- echo built\n")
      .replace("cp build/tollkeeper.wasm.gz", "cp module.wasm.gz")
      .replace("http://127.0.0.1:4943", network.replica);
    assert.ok(project.includes(network.replica) && project.includes("cp module.wasm.gz") && project.includes("echo built"));
    writeFileSync(join(folder, "icp.yaml"), project);
    icp("deploy", "--no-create", "--yes", "-e", "local-ic", "--identity", "owner");
  };
  const icp = (...args) => {
    const env = { ...process.env, ICP_HOME: join(folder, "home"), DO_NOT_TRACK: "1" };
    return execFileSync(icpBinary, args, { cwd: folder, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  };
  const call = (method, argument, ...options) => {
    const output = icp("canister", "call", "tollkeeper", method, argument, ...options, "--json", "-e", "local-ic", "--identity", "owner");
    return JSON.parse(output).response_candid;
  };
  const status = () => JSON.parse(icp("canister", "status", "tollkeeper", "--json", "-e", "local-ic", "--identity", "owner"));

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "icp-"));
    network = await startReplica(localIc, { port: 0, canister: CANISTER });
    const key = join(folder, "owner.pem");
    await createCanister(await agentFor(network, newIdentity(key)), CANISTER);
    icp("identity", "import", "owner", "--from-pem", key, "--storage", "plaintext");
    writeFileSync(join(folder, "icp.yaml"), projectFile);
    icp("canister", "link", "tollkeeper", CANISTER, "-e", "local-ic");
  });
  after(() => {
    network?.process.kill("SIGTERM");
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  it("deploys the canister and reads its status", () => {
    install(built);
    const { status: running, module_hash } = status();
    assert.equal(running, "Running");
    assert.equal(module_hash, `0x${sha256(built)}`);
  });

  it("calls it", () => {
    assert.match(call("config", "()", "--query"), /network = "icp:[0-9a-f]{16}"/);
    const route = `(record { method = "GET"; path = "/kept"; description = "A page"; mime_type = "text/plain";
      prices = vec {}; pay_to = null; max_timeout_seconds = null; on_sale = true })`;
    assert.match(call("route_put", route), /Ok = record/);
  });

  it("upgrades it, and what it stored is there", () => {
    const other = gzipSync(gunzipSync(built), { level: 1 });
    install(other);
    assert.equal(status().module_hash, `0x${sha256(other)}`);
    assert.match(call("route", `(record { method = "GET"; path = "/kept" })`, "--query"), /description = "A page"/);
  });
});
