"""What is decided once more where something was waited for between a decision and its effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Still = Callable[[], None]
"""Raises an error unless who asks may do even now what it was let do as it asked."""


def whatever_changes() -> None:
    """Hold to what was decided before: for what the node itself does."""


class _Request:
    """What is asked while a request is served."""

    def __init__(self, still: Still) -> None:
        self.still = still


_served = ContextVar[_Request | None]("_served", default=None)


@contextmanager
def asked_again(still: Still) -> Iterator[None]:
    """Have `require_still` ask this, within the block and what is called there.

    A task that was begun there and goes on afterwards is the node's own.
    """
    request = _Request(still)
    token = _served.set(request)
    try:
        yield
    finally:
        _served.reset(token)
        request.still = whatever_changes


def require_still() -> None:
    """Decide once more, if this is done for a request; to be called once a change has its turn.

    Changes that wait for each other are decided as they come and made much later: hundreds are in
    line when a token is revoked. Raises what who asks is refused by.
    """
    request = _served.get()
    if request is not None:
        request.still()
