// Another process that buys one thing: `buyer.mjs FOLDER URL`, the Ed25519 secret in BUYER_SECRET; prints status and content.
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { ExactIcpScheme, resendingFetch } from "tollkeeper-x402";
import { fileStore } from "tollkeeper-x402/file-store";

const [folder, url] = process.argv.slice(2);
const identity = Ed25519KeyIdentity.fromSecretKey(Uint8Array.from(Buffer.from(process.env.BUYER_SECRET, "hex")));
const client = new x402Client().register("icp:*", new ExactIcpScheme(identity, { store: fileStore(folder) }));
const response = await wrapFetchWithPayment(resendingFetch(fetch), client)(url);
console.log(response.status, await response.text());
