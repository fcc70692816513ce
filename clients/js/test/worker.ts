/** Another process that buys one thing: `worker.js FOLDER URL`; prints the status or the error as JSON. */
import { fileStore } from "../src/file-store.js";
import { buyer } from "./support.js";

const [folder = "", url = ""] = process.argv.slice(2);
try {
  const response = await buyer({ store: fileStore(folder) }, { idleMs: 60_000 }).pay(url);
  console.log(JSON.stringify({ status: response.status }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }));
}
