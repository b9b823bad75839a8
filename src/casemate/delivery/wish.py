"""What a caller asks of a call besides its event: to run later, once, in order, soon.

Headers of requests (RFC 7240 `Prefer`, `Idempotency-Key`, and our own) become a `Wish`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from casemate.model.http import HttpHead
from casemate.model.invocation import Outcome
from casemate.model.path import RefusedError

MAX_DELAY = 14 * 86_400.0
MAX_AGE = 30 * 86_400.0
MAX_PRIORITY = 9
MAX_KEY = 255

PREFER = b"prefer"
IDEMPOTENCY_KEY = b"idempotency-key"
DELAY, PRIORITY, KEY, AGE = (
    b"casemate-delay",
    b"casemate-priority",
    b"casemate-key",
    b"casemate-max-age",
)
_LATER_ONLY = (DELAY, PRIORITY, KEY, AGE)
_NAMES = frozenset((PREFER, IDEMPOTENCY_KEY, *_LATER_ONLY))
_RESPOND_ASYNC = "respond-async"
_SECONDS = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?")
_PRIORITY = re.compile(r"-?[0-9]")
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")

T = TypeVar("T")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How a call is to be handled. Times are seconds."""

    later: bool = False
    """True answers once the event is kept, and runs it afterwards."""
    preferred: bool = False
    """It was asked for by `Prefer`, not by the route: the answer says that it was honoured."""
    idempotency: str | None = None
    "Calls with the same key count as one call."
    delay: float = 0.0
    priority: int = 0
    """-9 to 9; the higher the sooner."""
    key: str = ""
    """Events with the same one are handled one after the other, in the order of their arrival."""
    max_age: float | None = None


NOTHING = Wish()
LATER = Wish(later=True)


def read_wish(head: HttpHead, *, later: bool = False) -> Wish:
    """Return what the headers of a request ask for. Raises RefusedError that says what is wrong.

    `later` is what the route says; `Prefer: respond-async` asks for the same.
    """
    if not any(name in _NAMES for name, _ in head.headers):
        return LATER if later else NOTHING
    preferred = _prefers_async(head)
    later = later or preferred
    for name in _LATER_ONLY:
        if not later and head.header(name) is not None:
            raise _wrong(name, "is given", "it with `Prefer: respond-async`: nothing waits in a "
                         "call whose answer is waited for")  # fmt: skip
    delay = _take(head, DELAY, _seconds(MAX_DELAY), 0.0)
    max_age = _take(head, AGE, _seconds(MAX_AGE), None)
    if max_age is not None and max_age <= delay:
        raise _wrong(AGE, f"is {max_age:g}", "more seconds than the delay, which are part of it")
    return Wish(
        later=later,
        preferred=preferred,
        idempotency=_take(head, IDEMPOTENCY_KEY, _token, None),
        delay=delay,
        priority=_take(head, PRIORITY, _priority, 0),
        key=_take(head, KEY, _text, ""),
        max_age=max_age,
    )


def _prefers_async(head: HttpHead) -> bool:
    """Tell whether one of the preferences is `respond-async` (RFC 7240, section 4.1)."""
    return any(
        preference.partition(";")[0].strip().lower() == _RESPOND_ASYNC
        for name, value in head.headers
        if name == PREFER
        for preference in value.decode("latin-1").split(",")
    )


def _take(head: HttpHead, name: bytes, read: Callable[[bytes, str], T], default: T) -> T:
    values = [value for key, value in head.headers if key == name]
    if not values:
        return default
    if len(values) > 1:
        raise _wrong(name, "is given more than once", "it once")
    return read(name, values[0].decode("latin-1").strip())


def _seconds(most: float) -> Callable[[bytes, str], float]:
    def read(name: bytes, text: str) -> float:
        number = float(text) if _SECONDS.fullmatch(text) else math.inf
        if number > most:
            raise _wrong(name, _shown(text), f"seconds, 0 to {most:.0f}, such as 30 or 0.5")
        return number

    return read


def _priority(name: bytes, text: str) -> int:
    if _PRIORITY.fullmatch(text) is None:
        raise _wrong(name, _shown(text), f"a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}")
    return int(text)


def _text(name: bytes, text: str) -> str:
    if _PRINTABLE.fullmatch(text) is None:
        raise _wrong(
            name, _shown(text), f"1 to {MAX_KEY} printable ASCII characters, such as order-17"
        )
    return text


def _token(name: bytes, text: str) -> str:
    """Read an idempotency key, with or without the quotes of a structured field (RFC 9651)."""
    quoted = len(text) >= 2 and text[0] == text[-1] == '"'
    return _text(name, text[1:-1] if quoted else text)


def _shown(text: str) -> str:
    return f"is {text[:40]!a}"


def _wrong(name: bytes, found: str, expected: str) -> RefusedError:
    return RefusedError(
        Outcome.INVALID, f"The header {name.decode()} {found}; expected {expected}.", status=400
    )
