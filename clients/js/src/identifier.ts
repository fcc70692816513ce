/** The x402 extension `payment-identifier`: a name under which a seller sells one purchase. */
import { isObject, type JsonObject } from "./bytes.js";

export const IDENTIFIER_EXTENSION = "payment-identifier";

/** The extension that names a payment. */
export function identifierExtension(id: string): JsonObject {
  return { [IDENTIFIER_EXTENSION]: { info: { id } } };
}

/** The payment identifier that a payment's extensions carry. */
export function identifierIn(extensions: unknown): string | undefined {
  const extension = isObject(extensions) ? extensions[IDENTIFIER_EXTENSION] : undefined;
  const info = isObject(extension) ? extension.info : undefined;
  return isObject(info) && typeof info.id === "string" ? info.id : undefined;
}
