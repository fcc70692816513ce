"""The stock Python client (PyPI x402) pays the demo, with a scheme plug-in of the few lines that a third party would write.

Usage: stock_python.py URL KEY.pem
Prints one JSON object: what the 402 offered, and what came for the payment.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import sys
import time
import zlib

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from x402 import x402Client
from x402.http.clients import x402HttpxClient
from x402.http.utils import decode_payment_required_header, decode_payment_response_header

DOMAIN = b"\x10x402-icp-exact-2"


def principal_text(der: bytes) -> str:
    """The self-authenticating principal of a public key (Interface Specification)."""
    raw = hashlib.sha224(der).digest() + b"\x02"
    text = base64.b32encode(zlib.crc32(raw).to_bytes(4, "big") + raw).decode().lower().rstrip("=")
    return "-".join(text[i : i + 5] for i in range(0, len(text), 5))


def message(texts: dict[str, str]) -> bytes:
    """What is signed: docs/scheme_exact_icp.md, section 5."""
    digest = lambda text: hashlib.sha256(text.encode()).digest()
    return DOMAIN + hashlib.sha256(b"".join(sorted(digest(k) + digest(v) for k, v in texts.items()))).digest()


class ExactIcpScheme:
    """`exact` on the Internet Computer, method `icrc2`, for an Ed25519 key."""

    scheme = "exact"

    def __init__(self, pem: bytes):
        self.key = load_pem_private_key(pem, password=None)
        self.der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def create_payment_payload(self, requirements):
        now, extra = int(time.time()), requirements.extra
        signed = {
            "from": principal_text(self.der),
            "nonce": secrets.token_hex(32),
            "validAfter": str(now - 30),
            "validBefore": str(now + requirements.max_timeout_seconds),
        }
        terms = {
            "scheme": requirements.scheme,
            "network": requirements.network,
            "asset": requirements.asset,
            "amount": requirements.amount,
            "payTo": requirements.pay_to,
            "maxTimeoutSeconds": str(requirements.max_timeout_seconds),
            "assetTransferMethod": extra["assetTransferMethod"],
            "symbol": extra["symbol"],
            "decimals": str(extra["decimals"]),
            "fee": extra["fee"],
            "spender": extra["spender"],
            "offer": extra["offer"],
            "paymentFlow": extra.get("paymentFlow") or "authorization",
        }
        signature = self.key.sign(message({**terms, **signed}))
        encode = lambda data: base64.b64encode(data).decode()
        return {**signed, "publicKey": encode(self.der), "signature": encode(signature)}


async def main(url: str, pem: str) -> None:
    async with httpx.AsyncClient() as plain:
        unpaid = await plain.get(url)
    required = decode_payment_required_header(unpaid.headers["PAYMENT-REQUIRED"])
    client = x402Client().register("icp:*", ExactIcpScheme(open(pem, "rb").read()))
    # The demo's network is no default of the plug-in's: say which token may be spent, as a user would.
    client.set_spend_controls({"allowed_assets": True})
    async with x402HttpxClient(client, timeout=60) as paying:
        response = await paying.get(url)
    settled = decode_payment_response_header(response.headers["PAYMENT-RESPONSE"])
    print(
        json.dumps(
            {
                "unpaid": unpaid.status_code,
                "offers": len(required.accepts),
                "status": response.status_code,
                "success": settled.success,
                "transaction": settled.transaction,
                "payer": settled.payer,
                "content": response.text,
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
