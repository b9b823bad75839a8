"""Lines that are of the same kind as the code's own, whatever they are about.

`NAME=value` for the environment of a next step, samples of metrics (`name{job="a"} 1`).
"""

from __future__ import annotations

import re

_ASSIGNED = re.compile(r"(?:export )?[A-Z_][A-Z0-9_]{0,63}=")
_LABELLED = re.compile(r"[A-Za-z_:][\w:]{0,200}\{")
_SAMPLE = re.compile(r"[A-Za-z_:][\w:]{0,200}(?:\{[^}\n]{0,400}\})? [-+.\w]{1,30}(?=\s|$)")


def is_alike(own: str, line: str) -> bool:
    """Tell whether a line that data begins is of the kind that the code's own begins as one."""
    if _ASSIGNED.match(own) is not None:
        return _ASSIGNED.match(line) is not None
    return _LABELLED.match(own) is not None and _SAMPLE.match(line) is not None
