/** Reading a 402 entry by entry, and handing up what can be paid. */
import { type Call, CALL_TAG, remember, tagOf } from "./calls.js";
import { decodeHeader, encodeHeader, isObject, type JsonObject } from "./bytes.js";
import { OfferRefused } from "./errors.js";
import { IDENTIFIER_EXTENSION } from "./identifier.js";
import { mismatch, type Offer, readOffer } from "./offer.js";
import type { Limits } from "./options.js";
import { inOrder } from "./policy.js";
import { messageOf, plain } from "./text.js";

/**
 * PAYMENT-REQUIRED as the stock client is to see it: entries that nobody can read are left out, offers of the Internet
 * Computer carry the id of the call, cheapest first; and how many these are. Throws {@link OfferRefused} with every reason if nothing is left.
 */
export async function rewrite(
  header: string,
  call: Omit<Call, "id" | "offers" | "resource" | "extensions" | "takesIdentifier">,
  { assets, ways, warn }: Pick<Limits, "assets" | "ways" | "warn">,
): Promise<{ header: string; offers: number }> {
  let required: JsonObject;
  try {
    required = decodeHeader(header);
  } catch (error) {
    throw new OfferRefused(`the seller's PAYMENT-REQUIRED cannot be read: ${messageOf(error)}`);
  }
  // Another version is the business of other schemes.
  if (typeof required.x402Version === "number" && required.x402Version !== 2) return { header, offers: 0 };
  if (required.x402Version !== 2) throw new OfferRefused(`the seller's PAYMENT-REQUIRED has x402Version ${plain(required.x402Version)}`);
  if (!Array.isArray(required.accepts)) throw new OfferRefused("the seller's PAYMENT-REQUIRED has no list of offers");
  const reasons: string[] = [];
  const offers: Offer[] = [];
  const foreign: { entry: JsonObject; position: number }[] = [];
  for (const [position, entry] of (required.accepts as unknown[]).entries()) {
    if (isObject(entry) && !(typeof entry.network === "string" && entry.network.startsWith("icp:"))) {
      const missing = ["scheme", "network", "asset", "amount", "payTo"].find((name) => typeof entry[name] !== "string");
      if (missing === undefined) foreign.push({ entry: isObject(entry.extra) ? entry : { ...entry, extra: {} }, position });
      else reasons.push(`offer ${position + 1}: ${missing} must be a text`);
      continue;
    }
    try {
      const offer = await readOffer(withoutTag(entry), ways);
      const problem = call.unpayable ?? mismatch(offer, call.request.method, call.url);
      if (problem === undefined) offers.push(offer);
      else reasons.push(`offer ${position + 1}: ${problem}`);
    } catch (error) {
      reasons.push(`offer ${position + 1}: ${messageOf(error)}`);
    }
  }
  if (offers.length === 0 && foreign.length === 0) {
    throw new OfferRefused(
      reasons.length === 0 ? "the seller offers nothing" : `no offer can be accepted: ${reasons.slice(0, 10).join("; ")}`,
    );
  }
  // The stock client says nothing of what is left out, and may know nobody who pays the rest.
  if (offers.length === 0 && reasons.length > 0)
    warn(`no offer on the Internet Computer can be accepted: ${reasons.slice(0, 10).join("; ")}`);
  // By allowance nobody takes money that he has not checked before.
  const taken = offers.filter(({ way }) => way === "icrc2");
  const sorted = inOrder(assets, taken.length > 0 ? taken : offers);
  const extensions = readExtensions(required.extensions);
  const known = remember({
    ...call,
    offers: sorted,
    resource: isObject(required.resource) ? required.resource : undefined,
    extensions,
    takesIdentifier: extensions?.[IDENTIFIER_EXTENSION] !== undefined,
  });
  const own = sorted.map((offer, position) => ({
    ...offer.entry,
    extra: { ...(offer.entry.extra as JsonObject), [CALL_TAG]: tagOf(known, position) },
  }));
  // Entries of other networks keep their place before or after ours.
  const first = foreign.filter(({ position }) => position === 0).map(({ entry }) => entry);
  const rest = foreign.filter(({ position }) => position !== 0).map(({ entry }) => entry);
  const { extensions: _, ...others } = required;
  const made = { ...others, accepts: [...first, ...own, ...rest], ...(extensions ? { extensions } : {}) };
  return { header: encodeHeader(made), offers: own.length };
}

/** Without what a seller, or a second `resendingFetch` below, put in the place of the call's id. */
function withoutTag(entry: unknown): unknown {
  if (!isObject(entry) || !isObject(entry.extra) || !(CALL_TAG in entry.extra)) return entry;
  const { [CALL_TAG]: _, ...extra } = entry.extra;
  return { ...entry, extra };
}

/**
 * Extensions as far as they have the form of extensions, without a payment identifier that somebody on the way put
 * there.
 */
function readExtensions(value: unknown): JsonObject | undefined {
  if (!isObject(value)) return undefined;
  const entries = Object.entries(value).filter(([, extension]) => isObject(extension));
  return Object.fromEntries(
    entries.map(([key, extension]) => [key, key === IDENTIFIER_EXTENSION ? withoutId(extension as JsonObject) : extension]),
  );
}

function withoutId(extension: JsonObject): JsonObject {
  const { id: _, ...info } = isObject(extension.info) ? extension.info : {};
  return { ...extension, info };
}
