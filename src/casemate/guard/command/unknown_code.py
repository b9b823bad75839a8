"""Code for programs whose languages are not known here, such as sed's and awk's."""

from __future__ import annotations

import re

from ..origin import Span
from ..verdict import Verdict
from .arguments import Argument

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_PLAIN_CODE = re.compile(r"[\w .,:@%+-]*")
_SUBSTITUTION = re.compile(
    r"s(?P<sign>[/|,#@!:~])(?P<old>(?:(?!(?P=sign))[^\\\n])*+)(?P=sign)"
    r"(?P<new>(?:(?!(?P=sign))[^\\\n]|\\[^\w\n])*+)(?P=sign)[gpiI0-9]*+"
)
"""One command of sed that puts one text in the place of another, by its usual signs."""
_JQ = frozenset(("jq", "yq"))
_JQ_STEPS = re.compile(r"[A-Za-z_]\w{0,63}(?:\[\d{1,6}\]|\.[A-Za-z_]\w{0,63}){0,16}")
"""What may come after a dot of jq: keys and places, one after the other."""
_AWK = frozenset(("awk", "gawk", "mawk", "nawk"))
_ESCAPED = re.compile(r"\\.")
_WHOLE_LITERAL = re.compile(r'"[^"\n]*+"')
_ENDS_LITERAL = re.compile(r'["\\\n]')
_ESCAPED_SIGN = re.compile(r"\\[^\w\n]")
_ACTS = re.compile(r"[|>@]|\b(?:system|getline)\b")
"""In awk: what runs a text as a command, opens a file by it, or calls the function of its name."""
_FIX_CODE = (
    "hand the value over as an argument that the code reads (sys.argv, $1, --arg), not as part of "
    "the code"
)


def _is_substituted(value: str, span: Span) -> bool:
    """Tell whether data is inside the pattern or the replacement of sed's `s`, and stays there."""
    one = _SUBSTITUTION.fullmatch(value)
    if one is None or span.start < one.start("old") or span.end > one.end("new"):
        return False
    ends = span.start <= one.end("old") < span.end
    part = value[span.start : span.end]
    if span.start >= one.start("new"):
        before = value[one.start("new") : span.start]
        part = _ESCAPED_SIGN.sub("", part if _ESCAPED_SIGN.sub("", before)[-1:] != "\\" else "\\")
    return not ends and not {one["sign"], "\\", "\n"} & set(part)


def _in_literal(value: str, span: Span) -> bool:
    """Tell whether data is inside a literal of awk that is only text, and stays there."""
    if _ACTS.search(value[: span.start]) or _ACTS.search(value, span.end):
        return False
    before = _WHOLE_LITERAL.sub("", _ESCAPED.sub("", value[: span.start]))
    # What has a pattern or a comment in it is not read here.
    opened = before.count('"') == 1 and not {"/", "#"} & set(before.partition('"')[0])
    return opened and "\\" not in before and not _ENDS_LITERAL.search(value, span.start, span.end)


def _is_step(value: str, span: Span) -> bool:
    """Tell whether data is keys and places after a dot of jq's, outside of its texts."""
    before = value[: span.start]
    after_dot = before.endswith(".") and before.count('"') % 2 == 0 and "\\" not in before
    return after_dot and _JQ_STEPS.fullmatch(value, span.start, span.end) is not None


def plain(argument: Argument, name: str) -> Verdict | None:
    """Judge code in a language that is not known here: data may be words in it."""
    for span in argument.doubtful:
        if name == "sed" and _is_substituted(argument.value, span):
            continue
        if name in _AWK and _in_literal(argument.value, span):
            continue
        if name in _JQ and _is_step(argument.value, span):
            continue
        if NUMBER.fullmatch(argument.value) is not None:
            continue
        if _PLAIN_CODE.fullmatch(argument.value, span.start, span.end) is None or (
            span.start == 0 and span.end == len(argument.value) and span.exact
        ):
            return Verdict(span.origin, "is part of a program's code", _FIX_CODE)
    return None
