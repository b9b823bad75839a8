"""Passwords: which are accepted, and their hashing off the event loop.

argon2id with the second recommended option of RFC 9106 (section 4: 64 MiB, 3 passes, 4 lanes).
Two run at once and a few may wait: a flood of logins costs bounded memory and processor time.
"""

from __future__ import annotations

import asyncio
import base64
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, profiles
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

from casemate.accounts.common_passwords import COMMON_WORDS, LEET
from casemate.accounts.errors import PasswordRefusedError, TooManyAttemptsError

MIN_CHARACTERS = 12
MAX_BYTES = 1024
MIN_DIFFERENT = 5
AT_ONCE = 2
MAX_WAITING = 16

_ADVICE = "Take four or more words that have nothing to do with each other."

T = TypeVar("T")


def prepared(password: str) -> bytes:
    """Return a password's bytes: NFC and UTF-8 (RFC 8265, section 4.2), at most MAX_BYTES.

    Raises PasswordRefusedError; the message never holds the password.
    """
    try:
        encoded = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError as error:
        raise PasswordRefusedError("The password is not valid Unicode.") from error
    if len(encoded) > MAX_BYTES:
        raise PasswordRefusedError(
            f"The password has {len(encoded)} bytes, expected at most {MAX_BYTES}."
        )
    return encoded


def require_acceptable(password: str, name: str) -> bytes:
    """Return the bytes of a new password. Raises PasswordRefusedError if it is easily guessed."""
    encoded = prepared(password)
    text = encoded.decode()
    if len(text) < MIN_CHARACTERS:
        raise PasswordRefusedError(
            f"The password has {len(text)} characters, expected at least {MIN_CHARACTERS}.",
            next_step=_ADVICE,
        )
    if len(set(text)) < MIN_DIFFERENT:
        raise PasswordRefusedError(
            f"The password has {len(set(text))} different characters, "
            f"expected at least {MIN_DIFFERENT}.",
            next_step=_ADVICE,
        )
    if _is_common(text.casefold(), name):
        raise PasswordRefusedError(
            "The password is one of the commonest, a row of keys, the account's name, or has no "
            "letters.",
            next_step=_ADVICE,
        )
    return encoded


def _is_common(text: str, name: str) -> bool:
    inner = text.strip("".join(c for c in set(text) if not c.isalpha()))
    for spelling in (text, inner.translate(LEET)):
        letters = "".join(c for c in spelling if c.isalpha())
        plain_name = "".join(c for c in name if c.isalpha())
        for word in {_period(letters), letters}:
            if not word or word in COMMON_WORDS or word == plain_name:
                return True
        if plain_name and len(spelling.replace(name, "").replace(plain_name, "")) < 8:
            return True
    return False


def _period(text: str) -> str:
    """Return the shortest text of which `text` is a repetition: `abab` gives `ab`."""
    return text[: (text + text).find(text, 1)] if text else text


def _hash_of_no_password(hasher: PasswordHasher) -> str:
    """Return what a hash looks like, of the same cost, that no password is known for.

    Verified where there is no hash, so that an unknown name takes as long as a known one. Written
    rather than computed, which would cost every start of a node as much as a login.
    """
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, tag = (
        base64.b64encode(bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${tag}"


class PasswordHashing:
    """Hashes and verifies passwords in two threads of its own."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Hash with `hasher`; without one as RFC 9106 recommends."""
        self._hasher = hasher or PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")
        self._running = 0
        self._nobody = _hash_of_no_password(self._hasher)

    async def hash(self, encoded: bytes) -> str:
        """Return the hash of a password in PHC form. Raises TooManyAttemptsError when busy."""
        return await self._run(lambda: self._hasher.hash(encoded))

    async def verify(self, stored: str | None, encoded: bytes) -> bool:
        """Tell whether a password is the one that was hashed; without a hash it never is.

        Takes as long in both cases. Raises TooManyAttemptsError when busy.
        """
        return await self._run(lambda: self._verify(stored or self._nobody, encoded)) and bool(
            stored
        )

    def _verify(self, stored: str, encoded: bytes) -> bool:
        try:
            return self._hasher.verify(stored, encoded)
        except (Argon2Error, InvalidHashError):
            return False

    def outdated(self, stored: str) -> bool:
        """Tell whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._running >= AT_ONCE + MAX_WAITING:
            raise TooManyAttemptsError(
                "Too many people log in at the same time.",
                retry_after=2.0,
                next_step="Try again in a moment.",
            )
        self._running += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # Counted until the thread is free, even if whoever waits for it gives up before.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: asyncio.Future[T]) -> None:
        self._running -= 1
        if not future.cancelled():
            future.exception()  # whoever waited has it; unretrieved ones must not be printed

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
