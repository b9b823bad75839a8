"""How long each version of Python gets security fixes, by a dated file that comes with Casemate."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from pathlib import Path

import msgspec

from casemate.decoding import decodable

SUPPORT_FILE = "support.toml"
OLD_DAYS = 365
"""After so many days what the file says may have been overtaken."""


class PythonSupport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Until when one version gets security fixes, and what says so."""

    ends: date
    source: str


class Support(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says."""

    checked: date
    python: dict[str, PythonSupport]


@cache
def python_support() -> Support:
    """Return what comes with this release."""
    data = Path(__file__).with_name(SUPPORT_FILE).read_bytes()
    return msgspec.toml.decode(data, type=decodable(Support))


def is_old(checked: date, today: date) -> bool:
    """Tell whether nobody has compared a dated file for too long."""
    return today > checked + timedelta(days=OLD_DAYS)


def old_file_warning(today: date) -> str | None:
    """Return what to say if the file is old."""
    checked = python_support().checked
    if not is_old(checked, today):
        return None
    return (
        f"How long Python versions are supported was last checked on {checked}, more than "
        f"{OLD_DAYS} days ago: update Casemate."
    )
