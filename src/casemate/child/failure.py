"""An error of one process as it travels to another."""

from __future__ import annotations

import msgspec


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An error as it travels."""

    kind: str
    message: str
    next_step: str | None
