// Two demos from one clone at the same time: each has keys, files and money of its own, and leaves nothing behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const DEMO = join(dirname(fileURLToPath(import.meta.url)), "..", "demo");

/** Starts a demo; resolves with its process and what it says about itself. */
async function start() {
  const child = spawn(DEMO, ["--serve", "--json"], { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return { child, ...JSON.parse(line) };
}

const digest = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

describe("two demos from one clone", () => {
  let demos;
  let keys;
  before(async () => {
    demos = await Promise.all([start(), start()]);
    keys = demos.map((demo) => [demo.payer_pem, demo.operator_pem]);
  });
  after(() => demos?.forEach(({ child }) => child.kill("SIGKILL")));

  it("have keys of their own, for their owner alone", () => {
    assert.equal(new Set(keys.flat()).size, 4);
    assert.equal(new Set(keys.flat().map(digest)).size, 4);
    for (const file of keys.flat()) assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it("are two networks that both sell", async () => {
    assert.notEqual(demos[0].gateway, demos[1].gateway);
    for (const demo of demos) assert.equal((await fetch(demo.routes[0].url)).status, 402);
  });

  it("say how to pay with the command line", () => {
    for (const demo of demos) {
      for (const part of [demo.routes[0].url, demo.replica, demo.payer_pem, demo.canister]) assert.ok(demo.pay.includes(part), part);
    }
  });

  it("end by themselves, and remove their own files only", async () => {
    for (const [index, signal] of ["SIGTERM", "SIGINT"].entries()) {
      const { child } = demos[index];
      child.kill(signal);
      await once(child, "exit");
      assert.ok(!existsSync(dirname(keys[index][0])), "its folder is gone");
      for (const file of keys.slice(index + 1).flat()) assert.ok(existsSync(file), "the other's stay");
    }
  });
});
