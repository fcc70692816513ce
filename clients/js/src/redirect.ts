/** Following redirects of unpaid requests as far as something may be paid for at their end. */
import { isStream } from "./body.js";
import { Exchange } from "./answer.js";
import type { RequestFacts } from "./request.js";
import { isLoopback } from "./serving.js";

/** Redirects within one origin after which something may be paid for. */
const MAX_REDIRECTS = 5;
/** Redirects that are followed at all. */
const MAX_HOPS = 20;
const REDIRECTS = [301, 302, 303, 307, 308];
/** Never handed to another origin. */
const CREDENTIALS = ["authorization", "cookie", "proxy-authorization"];

export interface Followed {
  response: Response;
  exchange: Exchange;
  /** The URL that gave the answer, without fragment. */
  url: string;
  /** Why the answer may not be paid for. */
  unpayable: string | undefined;
}

/**
 * Makes an unpaid request. Redirects of GET and HEAD are followed here. Where they lead to another origin, or are more
 * than five, the request goes on as any other, without the caller's credentials, and nothing is paid at its end. A
 * redirect from https to http, or from elsewhere to this machine, is an error wherever it comes.
 */
export async function follow(inner: typeof fetch, facts: RequestFacts, redirect: RequestRedirect, idleMs: number): Promise<Followed> {
  const ownHops = redirect === "follow" && ["GET", "HEAD"].includes(facts.method);
  let { url, headers } = facts;
  let unpayable: string | undefined;
  for (let hops = 0; ; hops++) {
    const exchange = new Exchange(facts.signal);
    const request = { url, headers, body: facts.body, redirect: ownHops ? ("manual" as const) : redirect };
    const response = await exchange.ask(inner, facts, request, idleMs);
    if (!ownHops) return { response, exchange, url: whereFrom(response, url), unpayable: afterRedirect(response, facts) };
    if (response.type === "opaqueredirect") {
      // A browser shows neither the status nor the target, so it has to follow by itself; the end tells what can be
      // told.
      const again = await exchange.ask(inner, facts, { ...request, redirect: "follow" }, idleMs);
      return { response: again, exchange, url: whereFrom(again, url), unpayable: unpayable ?? afterRedirect(again, facts) };
    }
    const target = targetOf(response, url);
    if (target === undefined) return { response, exchange, url, unpayable };
    if (isStream(response.body)) void response.body.cancel().catch(() => undefined);
    exchange.end();
    refuseDowngrade(url, target);
    if (hops >= MAX_HOPS) throw new TypeError(`more than ${MAX_HOPS} redirects were not followed`);
    if (hops >= MAX_REDIRECTS) unpayable ??= `the offer is after more than ${MAX_REDIRECTS} redirects`;
    if (new URL(target).origin !== new URL(url).origin) {
      unpayable ??= "the offer is of another origin, after a redirect";
      headers = new Headers(headers);
      for (const name of CREDENTIALS) headers.delete(name);
    }
    url = target;
  }
}

function targetOf(response: Response, base: string): string | undefined {
  const location = REDIRECTS.includes(response.status) ? response.headers.get("location") : null;
  if (location === null) return undefined;
  try {
    const target = new URL(location, base);
    target.hash = "";
    return target.href;
  } catch {
    return undefined;
  }
}

function refuseDowngrade(from: string, to: string): void {
  const [a, b] = [new URL(from), new URL(to)];
  if (!["http:", "https:"].includes(b.protocol)) throw new TypeError("a redirect that does not lead to http or https was not followed");
  if (b.username !== "" || b.password !== "") throw new TypeError("a redirect to a URL with a user name or password was not followed");
  if (a.protocol === "https:" && b.protocol === "http:") throw new TypeError("a redirect from https to http was not followed");
  if (!isLoopback(a.hostname) && isLoopback(b.hostname)) throw new TypeError("a redirect from elsewhere to this machine was not followed");
}

function whereFrom(response: Response, asked: string): string {
  if (response.url === "") return asked;
  const url = new URL(response.url);
  url.hash = "";
  return url.href;
}

/** Where the system followed redirects, the end alone is seen. */
function afterRedirect(response: Response, facts: RequestFacts): string | undefined {
  const url = whereFrom(response, facts.url);
  if (!response.redirected && url === facts.url) return undefined;
  if (new URL(url).origin !== new URL(facts.url).origin) return "the offer is of another origin, after a redirect";
  return ["GET", "HEAD"].includes(facts.method) ? undefined : `a ${facts.method} request was redirected to the offer`;
}
