// A headless Chromium, and pages for it. TOLLKEEPER_BROWSER or the PATH names it (Debian: chromium-headless-shell).
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

/** Its path; undefined if there is none. */
export const browser = findBrowser();

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

/** One script of a program and all that it imports. */
export async function bundle(entry) {
  const made = await build({ ...entry, bundle: true, format: "esm", target: "es2022", write: false, logLevel: "error" });
  return made.outputFiles[0].contents;
}

/**
 * Serves `files`, by path: HTML as text, scripts as bytes, and functions of what was posted that give JSON. `told`
 * resolves with what a page posts to `/told`.
 */
export async function serve(files) {
  let tell;
  const told = new Promise((resolve) => (tell = resolve));
  const server = createServer((request, response) => {
    const file = files[new URL(request.url, "http://page").pathname];
    const send = (type, body) => response.writeHead(file === undefined && body === "" ? 404 : 200, { "content-type": type }).end(body);
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", async () => {
      if (request.url === "/told") {
        response.end();
        return tell(JSON.parse(body));
      }
      if (typeof file !== "function") return send(typeof file === "string" ? "text/html" : "text/javascript", file ?? "");
      const answer = await Promise.resolve(body === "" ? undefined : JSON.parse(body)).then(file);
      send("application/json", JSON.stringify(answer ?? null));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => (server.close(), server.closeAllConnections());
  const { port } = server.address();
  return { url: (host) => `http://${host}:${port}/`, told, close };
}

/** Opens `url` and resolves with what `told` does; with `{ error }` if the browser ends before, or after two minutes. */
export async function browse(url, told, close) {
  const profile = mkdtempSync(join(tmpdir(), "buyer-"));
  // The debugging port keeps the headless browser from ending when the page has loaded.
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-popup-blocking", "--remote-debugging-port=0", `--user-data-dir=${profile}`];
  const child = spawn(browser, [...flags, url], { stdio: "ignore" });
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
    close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
