"""Records of TLS 1.3 that no library sends by itself, such as new keys again and again."""

from __future__ import annotations

import ssl
import struct
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_SUITE = "TLS_AES_256_GCM_SHA384"
_HASH = hashes.SHA384()
_HANDSHAKE, _DATA = b"\x16", b"\x17"
_KEY_UPDATE = b"\x18\0\0\1"


def _expanded(secret: bytes, label: bytes, size: int) -> bytes:
    """Return HKDF-Expand-Label (RFC 8446, 7.1) without a context."""
    named = b"tls13 " + label
    info = struct.pack(">HB", size, len(named)) + named + b"\0"
    return HKDFExpand(_HASH, size, info).derive(secret)


class ClientRecords:
    """What a client that has sent nothing since its handshake sends next, made by hand."""

    def __init__(self, keys: Path, suite: str) -> None:
        """Take the newest secret of a client from its `keylog_filename`."""
        assert suite == _SUITE
        lines = [line.split() for line in keys.read_text().splitlines()]
        (*_, newest) = [words[2] for words in lines if words[0] == "CLIENT_TRAFFIC_SECRET_0"]
        self._begin(bytes.fromhex(newest))

    def _begin(self, secret: bytes) -> None:
        self._secret, self._number = secret, 0
        self._cipher = AESGCM(_expanded(secret, b"key", 32))
        self._first = int.from_bytes(_expanded(secret, b"iv", 12), "big")

    def _record(self, kind: bytes, content: bytes) -> bytes:
        header = b"\x17\x03\x03" + struct.pack(">H", len(content) + 17)
        nonce = (self._first ^ self._number).to_bytes(12, "big")
        self._number += 1
        return header + self._cipher.encrypt(nonce, content + kind, header)

    def data(self, content: bytes) -> bytes:
        """Return a record of data."""
        return self._record(_DATA, content)

    def new_keys(self, count: int = 1, *, asked: bool = False) -> bytes:
        """Return so many KeyUpdate messages, each of which the other side is `asked` to answer."""
        records = []
        for _ in range(count):
            records.append(self._record(_HANDSHAKE, _KEY_UPDATE + bytes((asked,))))
            self._begin(_expanded(self._secret, b"traffic upd", 48))
        return b"".join(records)


def client(keys: Path) -> ssl.SSLContext:
    """Return a context for clients that trust anybody and write their secrets to `keys`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.keylog_filename = str(keys)
    return context
