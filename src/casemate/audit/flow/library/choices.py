"""What is weak by itself, whatever the data: hashes, ciphers, cookies."""

from __future__ import annotations

import ast

from casemate.audit.flow.library.telling import tell
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import State
from casemate.audit.flow.values import (
    ANYTHING,
    FALSE,
    External,
    Value,
    known_text,
    options,
    truth,
)


def cookie(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    value = given.get(1, "value")
    tell(reader, "random", name, value, state, node, "medium")
    secure = given.named.get("secure")
    if given.rest is None and (secure is None or truth(secure) is False):
        reader.choice("cookie", name, node, "high" if secure is not None else "medium")
    return True


_WEAK_HASHES = frozenset(("md5", "sha1", "md4", "md2", "ripemd160", "sha", "sha-1"))


WEAK_CIPHERS = (
    "DES",
    "ARC4",
    "ARC2",
    "Blowfish",
    "TripleDES",
    "IDEA",
    "CAST",
    "XOR",
    "RC4",
    "SEED",
)


def hash_(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    if given.named.get("usedforsecurity") == FALSE:
        return False
    short = name.rpartition(".")[2].lower()
    chosen = [short]
    if short in ("new", "file_digest", "pbkdf2_hmac"):
        value = given.get(1 if short == "file_digest" else 0, "name", "digest", "hash_name")
        chosen = [(known_text(option) or "").lower() for option in options(value or ANYTHING)]
    if any(each in _WEAK_HASHES for each in chosen):
        reader.choice("hash", name, node, "medium")
    return False


def cipher(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    parts = name.split(".")
    weak = any(part in WEAK_CIPHERS for part in parts)
    mode = given.get(1, "mode")
    called = mode.name if isinstance(mode, External) else getattr(mode, "type", "")
    if weak or called.rpartition(".")[2] in ("MODE_ECB", "ECB") or parts[-1] == "ECB":
        reader.choice("cipher", name, node, "high")
    return False
