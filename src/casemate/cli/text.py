"""Text for people: control characters made visible, sizes and times in their usual form."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from functools import cache

from casemate.shown_text import UNSAFE, on_one_line

_EARLIEST, _LATEST = -62_000_000_000.0, 253_000_000_000.0
"""Unix times between which every zone has a year that calendars write."""
_AT_START = re.compile(r"\A(\s*):(?=:[A-Za-z])")
_ANYWHERE = re.compile(r"(?<=#)#(?=(?:vso|teamcity)?\[)")
"""What the runners of GitHub, Azure and TeamCity take out of a line of a job's output and obey: the
first where it begins, even if it ends in another column, the others wherever they stand."""
_FORMULA = re.compile(r"(\A|[;\t])(?=[=+\-@\t\uff1d\uff0b\uff0d\uff20])")
"""Where one may begin; its signs count in their full width as well."""


@cache
def _is_obeyed() -> bool:
    """Tell whether what is printed is read by a runner that obeys lines."""
    return any(map(os.environ.get, ("GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")))


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def one_line(text: str) -> str:
    """Return `text` as one line that cannot do anything to a terminal.

    Each control character, line feeds included, is shown as an escape such as `\\x1b`. Where a
    runner of pipelines obeys lines, so is a sign of each of its commands.
    """
    safe = on_one_line(text)
    if not _is_obeyed():
        return safe
    return _ANYWHERE.sub(r"\\x23", _AT_START.sub(r"\1\\x3a", safe))


def inert_cell(text: str) -> str:
    """Return `text` like `one_line` does, as a cell that no spreadsheet takes for a formula.

    Where a comma is for decimals, cells are split at semicolons, whatever the file is called.
    """
    return _FORMULA.sub(r"\1'", one_line(text))


def many_lines(text: str) -> str:
    """Return `text` like `one_line` does, its line ends kept."""
    return "\n".join(one_line(line) for line in re.split("\r\n|\n", text))


def json_text(text: str) -> str:
    """Return a JSON text with the characters that steer a terminal as `\\u` escapes.

    They can only stand inside strings of a JSON text, except for the line ends, which are kept. So
    are those of a runner's commands where one obeys lines.
    """
    safe = "\n".join(UNSAFE.sub(_escaped, line) for line in text.split("\n"))
    return _ANYWHERE.sub(r"\\u0023", safe) if _is_obeyed() else safe


def size(count: float) -> str:
    """Return a number of bytes as `312 B` or `1.5 MB` (powers of 1024, as in the manifest)."""
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if count == int(count) else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.0f} GB" if count == int(count) else f"{count:.1f} GB"


def seconds(count: float) -> str:
    """Return a duration as a manifest says it: `0.5s`, `90s`, `5m`, `336h`."""
    for unit, letter in ((3600, "h"), (60, "m")):
        if count >= unit and count % unit == 0:
            return f"{count / unit:.0f}{letter}"
    return f"{count:.10g}s"


def span(count: float) -> str:
    """Return a duration as options take it: `90s`, `10m`, `2h`, `7d`."""
    for unit, letter in ((86_400, "d"), (3600, "h"), (60, "m")):
        if count >= unit and count % unit == 0:
            return f"{count / unit:.0f}{letter}"
    return f"{count:.10g}s"


def quantity(count: int, thing: str) -> str:
    """Return how many there are of something whose plural ends in `s`: `1 event`, `2 events`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def version_name(project: str, function: str, version: int) -> str:
    """Return `shop/cart@3`; without the version where none was reached, `-` where no function."""
    if not function:
        return "-"
    return f"{project}/{function}@{version}" if version else f"{project}/{function}"


def moment(unix_time: float) -> str:
    """Return a time in the local zone, to the second."""
    return _local(unix_time).strftime("%Y-%m-%d %H:%M:%S")


def moment_with_zone(unix_time: float) -> str:
    """Return the same with the zone's name: where another zone is spoken of beside it."""
    return _local(unix_time).strftime("%Y-%m-%d %H:%M:%S %Z")


def clock(unix_time: float) -> str:
    """Return the time of day in the local zone, to the millisecond."""
    return _local(unix_time).strftime("%H:%M:%S.%f")[:-3]


def _local(unix_time: float) -> datetime:
    """Return a time in the local zone; one that no calendar has, but a node may tell, the nearest.

    One record of that kind would keep a whole list from being shown.
    """
    return datetime.fromtimestamp(min(_LATEST, max(_EARLIEST, unix_time))).astimezone()
