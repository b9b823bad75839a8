"""What is decided once more where something was waited for between a decision and its effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

Still = Callable[[], None]
"""Raises an error unless who asks may do even now what it was let do as it asked."""


def whatever_changes() -> None:
    """Hold to what was decided before: for what the node itself does."""


class _Asked:
    """What is asked while a request is served, or a part of what is done for it."""

    def __init__(self, still: Still, outer: _Asked | None) -> None:
        self.still = still
        self._outer = outer

    def ask(self) -> None:
        """Raise what is refused by, of the whole request first."""
        if self._outer is not None:
            self._outer.ask()
        self.still()


_asked = ContextVar[_Asked | None]("_asked", default=None)


def asked_again(still: Still) -> AbstractContextManager[None]:
    """Have `require_still` ask this, within the block and what is called there.

    A task that was begun there and goes on afterwards is the node's own.
    """
    return _asking(_Asked(still, None))


def asked_besides(still: Still) -> AbstractContextManager[None]:
    """Have `require_still` ask this within the block, after what it asks outside of it."""
    return _asking(_Asked(still, _asked.get()))


@contextmanager
def _asking(asked: _Asked) -> Iterator[None]:
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)
        asked.still = whatever_changes


def require_still() -> None:
    """Decide once more, if this is done for a request; to be called once a change has its turn.

    Changes that wait for each other are decided as they come and made much later: hundreds are in
    line when a token is revoked. Raises what who asks is refused by.
    """
    asked = _asked.get()
    if asked is not None:
        asked.ask()
