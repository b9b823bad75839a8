"""How a field is given on a command line, where that does not follow from its name and its type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DURATION = "DURATION"
"""Of a number of seconds, given as `90s`, `10m`, `2h` or `7d`."""


@dataclass(frozen=True)
class Given:
    """Said beside the bounds of a field, in its annotation; the last one counts.

    Without it a field that must be given is an argument, and any other an option of its name; the
    help is the field's description, and the bounds and default are the field's.
    """

    help: str = ""
    """In place of the description."""
    flags: str = ""
    """Names of the option, which the field is then even where it must be given: `--follow -f`."""
    argument: bool = False
    """It is an argument although it need not be given."""
    metavar: str = ""
    """What stands for the value. TIME, DURATION and BINDING also say how a text is read."""
    default: Any = None
    """In place of the field's own."""
    least: int | None = None
    """The lowest number, where a lower one stands for none."""
    means: Any = None
    """The option has no value: where it is given, this is the field, else `default`."""
