"""Lines of data that the code has indented, behind a line of its own that is not as deep.

Who reads settings, heads of mails, cards or blocks of YAML takes such lines for more of the value.
"""

from __future__ import annotations

import re

from ..core import Guard
from ..origin import Span
from .lines import BREAKS, before_in_line

_BEGUN = re.compile(r"\n([ \t]{0,16})")
_MAX_DATA = 16 * 1024
"""Characters of data for which it is asked whether the event has it without the blanks."""


def is_indented(guard: Guard, text: str, span: Span) -> bool:
    """Tell whether the code has put blanks before each line of data but the first.

    Blanks that the event has brought itself are none of the code's.
    """
    part = text[span.start : span.end]
    if guard.taint is None or "\n" not in part or len(part) > _MAX_DATA:
        return False
    indent = min((found[1] for found in _BEGUN.finditer(part)), key=len)
    before = before_in_line(text, span)
    outer = before[: len(before) - len(before.lstrip(" \t"))]
    if len(indent) <= len(outer) or not indent.startswith(outer):
        return False
    plain = part.replace("\n" + indent, "\n")
    if any(found != "\n" for found in BREAKS.findall(plain)):
        return False
    if guard.taint.exact(part) is not None:
        return False
    # That another value has no blanks says nothing of this one.
    origin = guard.taint.exact(plain)
    return origin is not None and origin[:2] == span.origin[:2]
