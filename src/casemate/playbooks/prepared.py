"""What is found out before an action of a playbook is done."""

from __future__ import annotations

from typing import NamedTuple


class Prepared(NamedTuple):
    """How an action is taken back."""

    before: str
    """What there was, as JSON."""
    undo: str
    """A command."""
