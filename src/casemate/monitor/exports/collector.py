"""A collector of OTLP over HTTP: requests in Protocol Buffers, and what their answers mean.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. Redirects are not followed; of an answer no more
is read than tells how many items were not taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from casemate.monitor.errors import BusyError, RefusedError, TooLargeError, UndeliveredError
from casemate.monitor.exports import otlp
from casemate.monitor.exports.settings import Otlp, Signal
from casemate.monitor.http import Answer, Request, exchange, require_success
from casemate.monitor.messages import plain
from casemate.monitor.reaching import Reach

MAX_ANSWER_BYTES = 64 * 1024
MAX_LATER_SECONDS = 600.0
"""Longer than that nobody is waited for, whatever a collector asks."""
_TYPE = "application/x-protobuf"
_LATER = frozenset((429, 502, 503, 504))
_TOO_LARGE = 413
_REFUSED = frozenset((400, 405, 415, 422))
"""Of what is sent, not of who sends it: a wrong token or path can be mended in the settings, and
what waits for that is not lost."""

Password = Callable[[str], Awaitable[str]]
"""Returns the value of a secret."""


class Delivered(NamedTuple):
    """What became of a request that was taken."""

    refused: int = 0
    """Items of it that were not."""
    why: str = ""


class Collector:
    """Sends to one."""

    def __init__(self, settings: Otlp, reach: Reach, place: int, password: Password) -> None:
        """Connect by `reach`; values of secret headers come from `password`."""
        self._settings = settings
        self._reach = reach
        self._place = place
        self._password = password

    async def send(self, signal: Signal, body: bytes) -> Delivered:
        """Deliver a request. Raises UndeliveredError, VaultError, OSError."""
        headers = {"content-type": _TYPE} | {
            name.lower(): value for name, value in self._settings.headers.items()
        }
        for name, secret in self._settings.secret_headers.items():
            headers[name.lower()] = self._header(name, await self._password(secret))
        url = f"{self._settings.url.rstrip('/')}/v1/{signal}"
        request = Request("POST", url, headers, body)
        answer = await exchange(
            self._reach, self._place, self._settings, request, most=MAX_ANSWER_BYTES
        )
        return _judged(answer)

    def _header(self, name: str, value: str) -> str:
        value = value.strip()
        # Its value is told to nobody, not even in an error.
        if not value or not all(" " <= letter <= "~" for letter in value):
            raise UndeliveredError(
                f"The secret of the header {name} is empty or no plain text.",
                next_step="Set the secret to what the header has to say.",
            )
        return value


def _judged(answer: Answer) -> Delivered:
    """Return what an answer says. Raises UndeliveredError for all but success."""
    status = answer.status
    if status in _LATER:
        error = BusyError(f"It answers {status}.")
        error.seconds = _seconds(answer.headers.get("retry-after", ""))
        raise error
    if status == _TOO_LARGE:
        raise TooLargeError(f"It answers {status}: it takes less at once.")
    if status in _REFUSED:
        raise RefusedError(f"It answers {status}: it does not take what it is sent.")
    require_success(status)
    if not answer.headers.get("content-type", "").startswith(_TYPE):
        return Delivered()
    count, why = otlp.rejected(answer.body)
    return Delivered(count, plain(why))


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdecimal()):
        return 0.0  # a date, or nothing: by our own pauses then
    return min(float(text[:9]), MAX_LATER_SECONDS)
