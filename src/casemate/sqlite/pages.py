"""Single pages: whether they are what was written, by their authentication codes.

The engine says the same of another key and of damage. A page holds its content, an IV of 16 bytes
and an HMAC-SHA512 of content, IV and page number; the first 16 bytes of page 1 are the database's
salt (zetetic.net/sqlcipher/design). Read-only: the files are examined before the engine may touch
them.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from casemate.sqlite.engine import PAGE_BYTES

SALT_BYTES = 16
_CODE_BYTES, _IV_BYTES = 64, 16
_HEAD_BYTES = 96
"""Of the first page, up to where it says whether its count of pages is right: blocks of AES."""
_SALT_MASK = bytes([0x3A]) * SALT_BYTES
_CODE_KEY_ITERATIONS = 2
_SAMPLE = 64
"""Pages looked at beside the first before a database counts as another key's."""


def code_key(key: bytes, salt: bytes) -> bytes:
    """Return the key of the authentication codes of a database with that salt."""
    masked = bytes(a ^ b for a, b in zip(salt, _SALT_MASK, strict=False))
    return hashlib.pbkdf2_hmac("sha512", key, masked, _CODE_KEY_ITERATIONS, len(key))


def authentic(page: bytes, number: int, codes: bytes) -> bool:
    """Tell whether a page, counted from 1, is what was written; `codes` is from `code_key`."""
    if len(page) != PAGE_BYTES:
        return False
    begin = SALT_BYTES if number == 1 else 0
    covered, code = page[begin:-_CODE_BYTES], page[-_CODE_BYTES:]
    expected = hmac.digest(codes, covered + number.to_bytes(4, "little"), "sha512")
    return hmac.compare_digest(expected, code)


def pages_told(page: bytes, key: bytes) -> int:
    """Return how many pages a database has, by its authentic first one; 0 if that does not say.

    It does not where a very old engine wrote after it (sqlite.org/fileformat2.html, 1.3.7).
    """
    begin = -_CODE_BYTES - _IV_BYTES
    cipher = Cipher(algorithms.AES(key), modes.CBC(page[begin:-_CODE_BYTES])).decryptor()
    head = page[:SALT_BYTES] + cipher.update(page[SALT_BYTES:_HEAD_BYTES])
    return int.from_bytes(head[28:32], "big") if head[24:28] == head[92:96] else 0


def any_authentic(descriptor: int, codes: bytes) -> bool:
    """Tell whether any of some pages behind the first is what was written. Raises OSError."""
    pages = os.fstat(descriptor).st_size // PAGE_BYTES
    step = max(1, pages // _SAMPLE)
    return any(
        authentic(os.pread(descriptor, PAGE_BYTES, (n - 1) * PAGE_BYTES), n, codes)
        for n in range(2, pages + 1, step)
    )
