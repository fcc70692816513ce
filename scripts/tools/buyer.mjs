// Another process that buys one thing: `buyer.mjs STORE BARRIER URL`, the Ed25519 secret in BUYER_SECRET; prints status and content.
// It pays when two files stand in BARRIER, of which it makes one when it asks.
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { ExactIcpScheme, resendingFetch } from "tollkeeper-x402";
import { fileStore } from "tollkeeper-x402/file-store";

const [store, barrier, url] = process.argv.slice(2);
const inner = async (request) => {
  if (!request.headers.has("PAYMENT-SIGNATURE")) writeFileSync(join(barrier, String(process.pid)), "");
  else while (readdirSync(barrier).length < 2) await sleep(20);
  return fetch(request);
};
const identity = Ed25519KeyIdentity.fromSecretKey(Uint8Array.from(Buffer.from(process.env.BUYER_SECRET, "hex")));
const client = new x402Client().register("icp:*", new ExactIcpScheme(identity, { store: fileStore(store) }));
const response = await wrapFetchWithPayment(resendingFetch(inner), client)(url);
console.log(response.status, await response.text());
