// A page on another origin pays with the JavaScript client in a real browser: real preflights, real CORS. Part of `clients-test`.
// TOLLKEEPER_BROWSER or the PATH names a Chromium (Debian: chromium-headless-shell).
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { build } from "esbuild";
import { PayerLedger } from "tollkeeper-x402";
import * as idl from "./idl.mjs";
import { actor, agentFor, ok } from "./replica.mjs";

const demo = JSON.parse(process.env.TOLLKEEPER_DEMO);
const browser = findBrowser();

function findBrowser() {
  if (process.env.TOLLKEEPER_BROWSER) return process.env.TOLLKEEPER_BROWSER;
  for (const name of ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      // The next one.
    }
  }
}

const PAGE = `
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentResponseHeader } from "@x402/core/http";
import { ExactIcpScheme, resendingFetch } from "tollkeeper-x402";

const { url, secret } = await (await fetch("/task")).json();
const told = { origin: location.origin };
try {
  const unpaid = await fetch(url);
  told.unpaid = unpaid.status;
  told.offersReadable = unpaid.headers.get("PAYMENT-REQUIRED") !== null;
  const identity = Ed25519KeyIdentity.fromSecretKey(Uint8Array.from(secret));
  const client = new x402Client().register("icp:*", new ExactIcpScheme(identity));
  const paid = await wrapFetchWithPayment(resendingFetch(fetch.bind(window)), client)(url);
  told.status = paid.status;
  told.text = await paid.text();
  told.settled = decodePaymentResponseHeader(paid.headers.get("PAYMENT-RESPONSE"));
} catch (error) {
  told.error = String(error && error.stack || error);
}
await fetch("/told", { method: "POST", body: JSON.stringify(told) });
`;

/** Serves the page and its script; resolves with what the page tells. */
async function visit(task) {
  const bundle = await build({
    stdin: { contents: PAGE, resolveDir: import.meta.dirname },
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    logLevel: "error",
  });
  let tell;
  const told = new Promise((resolve) => (tell = resolve));
  const server = createServer((request, response) => {
    const send = (type, body) => response.writeHead(200, { "content-type": type }).end(body);
    if (request.url === "/task") return send("application/json", JSON.stringify(task));
    if (request.url === "/page.js") return send("text/javascript", bundle.outputFiles[0].contents);
    if (request.url !== "/told") return send("text/html", '<!doctype html><title>buyer</title><script type="module" src="/page.js"></script>');
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", () => (send("text/plain", ""), tell(JSON.parse(body))));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const profile = mkdtempSync(join(tmpdir(), "buyer-"));
  const page = `http://127.0.0.1:${server.address().port}/`;
  // The debugging port keeps the headless browser from ending when the page has loaded.
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", `--user-data-dir=${profile}`];
  const child = spawn(browser, [...flags, page], { stdio: "ignore" });
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve({ error: `the browser ended with ${code}` }));
    setTimeout(() => resolve({ error: "the page told nothing in two minutes" }), 120_000).unref();
  });
  try {
    return await Promise.race([told, ended]);
  } finally {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill("SIGKILL")) await gone;
    server.close();
    server.closeAllConnections();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

describe("a page on another origin", { skip: browser ? false : "no Chromium here" }, () => {
  it("reads the offers, pays once, and reads the receipt", async () => {
    const { d } = createPrivateKey(readFileSync(demo.payer_pem)).export({ format: "jwk" });
    const payer = Ed25519KeyIdentity.fromSecretKey(new Uint8Array(Buffer.from(d, "base64url")));
    const identity = Ed25519KeyIdentity.generate();
    const network = { replica: demo.replica, root_key: demo.root_key };
    const books = actor(await agentFor(network, payer), demo.ledgers.ckUSDC, idl.transfer);
    const to = { owner: identity.getPrincipal(), subaccount: [] };
    ok("icrc1_transfer", await books.icrc1_transfer({ to, amount: 200_000n, fee: [], memo: [], from_subaccount: [], created_at_time: [] }));
    const ledger = new PayerLedger(await agentFor(network, identity), demo.ledgers.ckUSDC);
    await ledger.approve(demo.canister, 100_000n);
    const before = await ledger.balance();

    const secret = [...new Uint8Array(identity.getKeyPair().secretKey)];
    const url = new URL("/report", demo.gateway).href;
    const told = await visit({ url, secret });
    assert.equal(told.error, undefined);
    assert.notEqual(told.origin, new URL(url).origin);
    assert.deepEqual([told.unpaid, told.offersReadable], [402, true]);
    assert.equal(told.status, 200);
    assert.match(told.text, /Market report/);
    assert.equal(told.settled.payer, identity.getPrincipal().toText());
    assert.equal(before - (await ledger.balance()), 10_000n + 10_000n);
  });
});
