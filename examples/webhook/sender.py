"""The other side of the webhook: makes a key pair, signs events and sends them.

`python sender.py keygen`                  make a pair, trust its public key
`python sender.py send URL FILE`           send a file as an event
`python sender.py headers FILE`            print the headers that would be sent with it

It needs `cryptography`. The private key is in `sender.key`, beside this file; the function never
sees it.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PROJECT = Path(__file__).resolve().parent
PRIVATE_KEY = PROJECT / "sender.key"
TRUSTED_KEYS = PROJECT / "src" / "trusted_keys.txt"


def keygen() -> str:
    """Make a key pair, keep the private key for its owner alone, and return the public one."""
    key = Ed25519PrivateKey.generate()
    # O_EXCL: a key that is in use somewhere is never overwritten.
    descriptor = os.open(PRIVATE_KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("whsk_" + base64.b64encode(key.private_bytes_raw()).decode() + "\n")
    public = "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()
    with TRUSTED_KEYS.open("a", encoding="utf-8") as file:
        file.write(public + "\n")
    return public


def load_key() -> Ed25519PrivateKey:
    """Return the private key that `keygen` made."""
    text = PRIVATE_KEY.read_text(encoding="ascii").strip()
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.removeprefix("whsk_")))


def headers_of(
    payload: bytes, key: Ed25519PrivateKey, message_id: str, sent_at: int
) -> dict[str, str]:
    """Return the headers that go with an event."""
    signature = key.sign(f"{message_id}.{sent_at}.".encode() + payload)
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": "v1a," + base64.b64encode(signature).decode(),
    }


def new_id() -> str:
    """Return the id of a new event. A repeated delivery of it keeps the id."""
    return "msg_" + secrets.token_hex(12)


def send(url: str, payload: bytes, headers: dict[str, str]) -> int:
    """Send an event, print the answer, and return 0 if it was accepted."""
    if not url.startswith(("http://", "https://")):
        sys.exit(f"{url!r} is no address: expected http:// or https://")
    request = urllib.request.Request(url, payload, headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            print(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
        return 1
    return 0


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description="The sending side of the webhook example.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keygen", help="make a key pair and trust its public key")
    for name, text in (("send", "send a file as an event"), ("headers", "print its headers")):
        command = commands.add_parser(name, help=text)
        if name == "send":
            command.add_argument("url")
        command.add_argument("file", type=Path)
    chosen = parser.parse_args()
    if chosen.command == "keygen":
        print(keygen())
        return 0
    payload = chosen.file.read_bytes()
    headers = headers_of(payload, load_key(), new_id(), int(time.time()))
    if chosen.command == "send":
        return send(chosen.url, payload, headers)
    for name, value in headers.items():
        print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
