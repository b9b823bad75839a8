"""Numbers as text that Prometheus reads: its own format 0.0.4, or OpenMetrics 1.0.

Families are given one after the other, each whole: that is what both formats ask for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum

from casemate.model.metrics import SECONDS, Durations

_BOUNDS = (*map(repr, SECONDS), "+Inf")


class Format(Enum):
    """What text there is, by its media type."""

    PLAIN = "text/plain; version=0.0.4; charset=utf-8"
    OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def wanted(accept: str) -> Format:
    """Return the format that an Accept header asks for: OpenMetrics only where it says so."""
    best = {Format.PLAIN: 0.0, Format.OPEN: 0.0}
    for part in accept.lower().split(",")[:32]:
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = _weight(parameter[2:])
        if media_type == "application/openmetrics-text":
            best[Format.OPEN] = max(best[Format.OPEN], weight)
        elif media_type in ("text/plain", "text/*"):
            best[Format.PLAIN] = max(best[Format.PLAIN], weight)
    return Format.OPEN if best[Format.OPEN] > best[Format.PLAIN] else Format.PLAIN


def _weight(text: str) -> float:
    try:
        weight = float(text[:8])
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0


def labels(values: Mapping[str, str]) -> str:
    """Return labels as they stand between braces, escaped."""
    return ",".join(f'{name}="{escaped(value)}"' for name, value in values.items())


def escaped(value: str) -> str:
    """Return a label's value so that it ends where it ends. What is not Unicode is replaced."""
    value = value.encode(errors="replace").decode()
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class Exposition:
    """Text in the making."""

    def __init__(self, form: Format) -> None:
        """Begin with none."""
        self._open = form is Format.OPEN
        self._lines: list[str] = []
        self._name = ""

    def family(self, name: str, kind: str, text: str) -> None:
        """Begin a family: `counter` (its name ends in `_total`), `gauge` or `histogram`."""
        self._name = name
        shown = name.removesuffix("_total") if self._open and kind == "counter" else name
        text = text.replace("\\", r"\\").replace("\n", r"\n")
        if self._open:
            text = text.replace('"', r"\"")
        self._lines += (f"# HELP {shown} {text}", f"# TYPE {shown} {kind}")

    def sample(self, labelled: str, value: float) -> None:
        """Add one number of the family, with its labels."""
        self._add(self._name, labelled, value)

    def _add(self, name: str, labelled: str, value: float) -> None:
        braces = f"{{{labelled}}}" if labelled else ""
        self._lines.append(f"{name}{braces} {_number(value)}")

    def durations(self, labelled: str, durations: Durations) -> None:
        """Add one histogram of the family."""
        comma = "," if labelled else ""
        total, bucket = 0, f"{self._name}_bucket{{{labelled}{comma}le="
        for bound, count in zip(_BOUNDS, durations.counts, strict=True):
            total += count
            self._lines.append(f'{bucket}"{bound}"}} {total}')
        self._add(f"{self._name}_sum", labelled, durations.seconds)
        self._add(f"{self._name}_count", labelled, total)

    def text(self) -> str:
        """Return all of it."""
        end = ("# EOF", "") if self._open else ("",)
        return "\n".join((*self._lines, *end))


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(int(value))
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
