/** Where payments are kept: files that are ours alone, locks between processes, one store for one process. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { hostname, tmpdir } from "node:os";
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { defaultStore, ExactIcpScheme, MemoryStore, type PaymentRecord, type PaymentStore } from "../src/index.js";
import { fileStore } from "../src/file-store.js";
import { buyer, identity, offer, Seller, settled, type Paid } from "./support.js";

const root = mkdtempSync(join(tmpdir(), "tollkeeper-"));
after(() => rmSync(root, { recursive: true }));
let folders = 0;
const folder = () => join(root, `store-${folders++}`);

let seller: Seller;
before(async () => {
  seller = await new Seller().start();
});
after(() => seller.stop());
const closes: Paid = (_, response) => response.destroy();

function record(id: string, change: Partial<PaymentRecord> = {}): PaymentRecord {
  return {
    format: "tollkeeper-x402/1",
    paymentId: id.repeat(64),
    requestKey: "k",
    state: "unresolved",
    createdAt: 1,
    ...change,
  } as PaymentRecord;
}

for (const [name, make] of [
  ["memory", () => new MemoryStore()],
  ["files", () => fileStore(folder())],
] as [string, () => PaymentStore][]) {
  describe(`a store of ${name}`, () => {
    it("keeps, replaces, lists and deletes records", async () => {
      const store = make();
      assert.equal(await store.get("a".repeat(64)), undefined);
      await store.put(record("a"));
      await store.put(record("b"));
      await store.put(record("a", { state: "paid" }));
      assert.deepEqual(await store.get("a".repeat(64)), record("a", { state: "paid" }));
      assert.deepEqual((await store.list()).map(({ paymentId }) => paymentId[0]).sort(), ["a", "b"]);
      await store.delete("a".repeat(64));
      await store.delete("c".repeat(64));
      assert.deepEqual(await store.list(), [record("b")]);
    });

    it("runs one function at a time for a key, and releases it when one throws", async () => {
      const store = make();
      const events: string[] = [];
      const run = (name: string, key: string, fails = false) =>
        store.withLock(key, async () => {
          events.push(`${name} in`);
          await new Promise((resolve) => setTimeout(resolve, 30));
          events.push(`${name} out`);
          if (fails) throw new Error(name);
        });
      const results = await Promise.allSettled([run("a", "x", true), run("b", "x"), run("c", "y")]);
      assert.deepEqual(
        results.map(({ status }) => status),
        ["rejected", "fulfilled", "fulfilled"],
      );
      assert.ok(events.indexOf("b in") > events.indexOf("a out"));
      assert.ok(events.indexOf("c in") < events.indexOf("b in"));
    });
  });
}

describe("files", () => {
  it("are for their owner alone, whatever the mode of what stood there", async () => {
    const path = folder();
    const store = fileStore(path);
    await store.put(record("a"));
    const file = join(path, `${"a".repeat(64)}.json`);
    assert.deepEqual([statSync(path).mode & 0o777, statSync(file).mode & 0o777], [0o700, 0o600]);
    chmodSync(file, 0o644);
    await store.put(record("a", { state: "paid" }));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(path), [`${"a".repeat(64)}.json`]);
  });

  for (const [name, place, content] of [
    ["an unrelated file", (file: string) => writeFileSync(file, "mine"), "mine"],
    ["a JSON file of another program", (file: string) => writeFileSync(file, "{}"), "{}"],
    ["another payment's record", (file: string) => writeFileSync(file, JSON.stringify(record("b"))), JSON.stringify(record("b"))],
    ["an empty file", (file: string) => writeFileSync(file, ""), ""],
    ["a symlink", (file: string) => (writeFileSync(`${file}.target`, "mine"), symlinkSync(`${file}.target`, file)), "mine"],
    ["a broken symlink", (file: string) => symlinkSync(join(root, "nothing"), file), undefined],
    ["a folder", (file: string) => mkdirSync(file), undefined],
  ] as const) {
    it(`neither replace nor delete nor read past ${name}`, async () => {
      const path = folder();
      mkdirSync(path);
      const file = join(path, `${"a".repeat(64)}.json`);
      place(file);
      const store = fileStore(path);
      for (const use of [
        () => store.put(record("a")),
        () => store.delete("a".repeat(64)),
        () => store.get("a".repeat(64)),
        () => store.list(),
      ]) {
        await assert.rejects(use(), /not a re/);
      }
      if (content !== undefined) assert.equal(readFileSync(file, "utf8"), content);
      assert.ok(!existsSync(join(root, "nothing")));
    });
  }

  it("of other names in the folder are left alone", async () => {
    const path = folder();
    mkdirSync(path);
    writeFileSync(join(path, "notes.txt"), "mine");
    assert.deepEqual(await fileStore(path).list(), []);
    await assert.rejects(fileStore(path).get("../notes"), RangeError);
  });

  it("that cannot be written stop a purchase before anything leaves", async () => {
    seller.reset([await offer()]);
    const path = folder();
    writeFileSync(path, "a file, no folder");
    await assert.rejects(buyer({ store: fileStore(path) }).pay(seller.url()), /EEXIST|ENOTDIR/);
    const store = new MemoryStore();
    store.put = async () => Promise.reject(new Error("the disk is full"));
    await assert.rejects(buyer({ store }).pay(seller.url()), /the disk is full/);
    assert.equal(seller.seen.length, 0);
  });

  it("hold a payment before it is sent", async () => {
    const path = folder();
    let onDisk = "";
    seller.reset([await offer()], (attempt, response, seen) => {
      onDisk = readdirSync(path)
        .filter((name) => name.endsWith(".json"))
        .map((name) => readFileSync(join(path, name), "utf8"))
        .join();
      settled(attempt, response, seen);
    });
    await buyer({ store: fileStore(path) }).pay(seller.url());
    assert.ok(onDisk.includes(seller.seen[0]!.header));
  });
});

describe("lock files", () => {
  const place = `${hostname()} ${namespace()}`;
  const lockOf = (path: string, key: string) => join(path, `${createHash("sha256").update(key).digest("hex").slice(0, 32)}.lock`);
  const gone = 0x7ffffff0;

  function namespace(): string {
    try {
      return readlinkSync("/proc/self/ns/pid");
    } catch {
      return "";
    }
  }

  for (const [name, holder, age, stale] of [
    ["of a process that is gone", { pid: gone, place, token: "t" }, 0, true],
    ["of an earlier process with our number", { pid: process.pid, place, token: "t" }, 3_600, true],
    ["of another machine, long silent", { pid: 1, place: "elsewhere ", token: "t" }, 300, true],
    ["of another machine", { pid: gone, place: "elsewhere ", token: "t" }, 0, false],
    ["of a living process", { pid: process.ppid, place, token: "t" }, 60, false],
    ["that was left half written", undefined, 60, true],
    ["that is being written", undefined, 0, false],
  ] as const) {
    it(`${name} ${stale ? "are broken" : "are waited for"}`, async () => {
      const path = folder();
      mkdirSync(path);
      const lock = lockOf(path, "k");
      writeFileSync(lock, holder ? JSON.stringify(holder) : "");
      const then = Date.now() / 1000 - age;
      utimesSync(lock, then, then);
      const entered = fileStore(path).withLock("k", async () => "in");
      const first = await Promise.race([entered, new Promise((resolve) => setTimeout(resolve, stale ? 20_000 : 400, "waits").unref())]);
      assert.equal(first, stale ? "in" : "waits");
      if (!stale) rmSync(lock);
      assert.equal(await entered, "in");
      assert.deepEqual(readdirSync(path), []);
    });
  }
});

describe("a lock whose holder lives", () => {
  for (const [name, age] of [
    ["after the machine slept for an hour", 3_600],
    ["after the clock went back by an hour", -3_600],
  ] as const) {
    it(`is not broken ${name}`, async () => {
      const path = folder();
      const script = `import { fileStore } from ${JSON.stringify(new URL("../src/file-store.js", import.meta.url).href)};
        await fileStore(${JSON.stringify(path)}).withLock("k", async () => {
          console.log("in");
          await new Promise((resolve) => setTimeout(resolve, 9_000));
          console.log("out");
        });`;
      const holder = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
      let said = "";
      await new Promise<void>((resolve) =>
        holder.stdout.on("data", (data) => {
          said += String(data);
          resolve();
        }),
      );
      const lock = join(path, readdirSync(path).find((file) => file.endsWith(".lock"))!);
      const then = Date.now() / 1000 - age;
      utimesSync(lock, then, then);
      await fileStore(path).withLock("k", async () => {
        // What it printed before it let go is on its way.
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.match(said, /out/);
      });
    });
  }
});

describe("processes that share files", () => {
  const worker = fileURLToPath(new URL("worker.js", import.meta.url));

  function run(path: string, url: string): Promise<{ status?: number; error?: string }> {
    const child = spawn(process.execPath, [worker, path, url], { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (data: Buffer) => (out += data.toString()));
    return new Promise((resolve) =>
      child.once("exit", () => resolve(out === "" ? { error: "killed" } : (JSON.parse(out) as { status?: number }))),
    );
  }

  it("buy the same thing once, at the same time", async () => {
    // Nothing is delivered before all of them have asked.
    seller.reset([await offer()], async (attempt, response, seen) => {
      while (seller.asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
      settled(attempt, response, seen);
    });
    const path = folder();
    const results = await Promise.all([run(path, seller.url()), run(path, seller.url()), run(path, seller.url())]);
    assert.deepEqual(
      results.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.equal(seller.nonces().size, 1);
    assert.deepEqual(
      readdirSync(path).filter((name) => !name.endsWith(".json")),
      [],
    );
  });

  for (const when of ["as the payment arrives", "as it answers"]) {
    it(`buy it once when one is killed ${when}`, async () => {
      const path = folder();
      let kill: () => void = () => undefined;
      seller.reset([await offer()], (attempt, response, seen) => {
        if (attempt > 1) return settled(attempt, response, seen);
        if (when === "as it answers") settled(attempt, response, seen);
        kill();
      });
      const child = spawn(process.execPath, [worker, path, seller.url()], { stdio: "ignore" });
      kill = () => child.kill("SIGKILL");
      await new Promise((resolve) => child.once("exit", resolve));
      const { pay, scheme } = buyer({ store: fileStore(path) });
      assert.equal((await pay(seller.url())).status, 200);
      // A process that had noted its delivery before it died has bought one, and this is another.
      if (when === "as the payment arrives") assert.equal(seller.nonces().size, 1);
      assert.deepEqual(await scheme.unresolved(), []);
    });
  }
});

describe("the default store", () => {
  it("is one for all schemes of the process", async () => {
    seller.reset([await offer()], closes);
    const scheme = new ExactIcpScheme(identity);
    const { pay } = buyer({ store: defaultStore() });
    await pay(seller.url(), { headers: {} }).catch(() => undefined);
    const [known] = await scheme.unresolved();
    assert.equal(known?.url, seller.url());
    await scheme.forget(known!.paymentId);
  });
});
