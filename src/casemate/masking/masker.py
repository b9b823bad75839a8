"""Puts marks in the place of what is masked.

A mark tells the kind and, by a few digits, whether two values are the same within one invocation:
`[redacted:email#1f2e3d4c]`. The digits are a hash with a key that only this process has ever had,
and with the invocation in it: nobody can find out a value by trying, and nobody can follow one from
one invocation to another.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence

from casemate.masking.search import Search, search_of
from casemate.masking.shapes import Found
from casemate.model.function import Logs

REACH = 8192
"""Characters looked at beyond those that are kept, so that nothing is cut before it is known."""
_KEY_MARK = "[redacted:private-key]"
_KEY_LINE = re.compile(r"(?:[A-Za-z0-9+/=]++|[A-Za-z-]{1,40}+: [^\n]*+)?")
_KEY_LINE_LOOKED_AT = 512
_KEY_END = "-----END "
_GROUPS = re.compile(r"[ -]")
_SAME: dict[str, Callable[[str], str]] = {
    "email": str.lower,
    "card": lambda value: _GROUPS.sub("", value),
    "iban": lambda value: _GROUPS.sub("", value),
}
"""How values of a kind are written that mean the same."""


class Masker:
    """Masks texts; what it knows of values is a key that ends with it."""

    def __init__(self) -> None:
        """Make a key."""
        self._key = secrets.token_bytes(32)

    def of(self, invocation: str, logs: Logs) -> InvocationMasker:
        """Return what masks the texts of one invocation."""
        return InvocationMasker(self._key, invocation, search_of(logs))


class InvocationMasker:
    """Masks the texts of one invocation."""

    __slots__ = ("_find", "_in_key", "_invocation", "_key")

    def __init__(self, key: bytes, invocation: str, search: Search) -> None:
        """Use `Masker.of`."""
        self._key = key
        self._invocation = invocation
        self._find = search.find
        self._in_key = False

    def text(self, text: str, limit: int) -> str:
        """Return a text masked; of one longer than `limit` the first characters, and how many
        are left out."""
        if len(text) <= limit:
            found = self._find(text)
            return self._marked(text, found) if found else text
        head = text[: limit + REACH]
        return (
            f"{self._marked(head, self._find(head))[:limit]} [{len(text) - limit} characters cut]"
        )

    def end_of(self, text: str, limit: int) -> str:
        """Do the same, and keep the last characters."""
        if len(text) <= limit:
            return self._marked(text, self._find(text))
        tail = text[-limit - REACH :]
        found, start = self._find(tail), max(0, len(tail) - limit)
        for one in found:
            if one.start < start < one.end:
                start = one.end
        kept = [Found(f.start - start, f.end - start, f.kind) for f in found if f.start >= start]
        return f"[{len(text) - limit} characters cut]\n{self._marked(tail[start:], kept)}"

    def lines(self, texts: Sequence[str], limit: int) -> list[str]:
        """Return the texts of lines that follow each other, each as `text` does.

        A private key is many lines, of which only the first and the last have a sign of it.
        """
        return [self._line(text, limit) for text in texts]

    def _line(self, text: str, limit: int) -> str:
        if self._in_key:
            self._in_key = _KEY_END not in text
            if not self._in_key or _KEY_LINE.fullmatch(text[:_KEY_LINE_LOOKED_AT].strip()):
                return _KEY_MARK
            self._in_key = False
        masked = self.text(text, limit)
        if "PRIVATE KEY" in text and text is not masked:
            self._in_key = text.rfind("-----BEGIN ") > text.rfind(_KEY_END)
        return masked

    def _marked(self, text: str, found: Sequence[Found]) -> str:
        if not found:
            return text
        parts: list[str] = []
        done = 0
        for start, end, kind in found:
            parts += (text[done:start], self._mark(kind, text[start:end]))
            done = end
        return "".join((*parts, text[done:]))

    def _mark(self, kind: str, value: str) -> str:
        same = _SAME.get(kind)
        told = f"{self._invocation}\0{kind}\0{same(value) if same else value}"
        hashed = hashlib.blake2b(
            told.encode("utf-8", "surrogatepass"), key=self._key, digest_size=4
        )
        return f"[redacted:{kind}#{hashed.hexdigest()}]"
