"""What is decided once more where something was waited for between a decision and its effect."""

from __future__ import annotations

from collections.abc import Callable

Still = Callable[[], None]
"""Raises an error unless who asks may do even now what it was let do as it asked."""


def whatever_changes() -> None:
    """Hold to what was decided before: for what the node itself does."""
