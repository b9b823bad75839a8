"""Is the text of a cell a formula? As Excel and LibreOffice read what CSV has, or what is typed.

A cell that begins with `=`, `+`, `-` or `@` is one if what comes after is an expression: operands
with operators between them, and calls a function, names a cell, a sheet or another program. So
`-5`, `+49 30 1234567`, `@name` and `-- none --` are none; `=1+1` is one that shows a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..origin import Span
from ..quoted import Language, judge, language
from ..verdict import Verdict

MAX_CELL = 32_767
"""Characters of a cell (Excel's limit)."""
SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufeff"
"""How a cell begins that may be a formula; four are wide forms, the last is before a first one."""
_NARROW = str.maketrans("\uff1d\uff0b\uff0d\uff20", "=+-@")
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<string>\"(?:[^\"]|\"\")*+\")"
    r"|(?P<call>[^\W\d][\w.]*+\()"
    r"|(?P<topic>[^\W\d]\w*+\|\s*+['\w])"
    r"|(?P<sheet>'(?:[^']|'')*+'\s*+!?|\[[^\]]*+\]|[^\W\d][\w.]*+!)"
    r"|(?P<cell>\$?[A-Za-z]{1,3}\$?\d{1,7}(?!\w)|#[A-Z/0]+[!?]?)"
    r"|(?P<number>\d[\d.]*+(?:[eE][+-]?\d+)?%?)"
    r"|(?P<name>[^\W\d][\w.]*+)"
    r"|(?P<open>[({])"
    r"|(?P<close>[)}])"
    r"|(?P<infix>[*/^&=<>!:;,|]++)"
    r"|(?P<sign>[+@-]++)"
)
_OPERANDS = frozenset(("string", "cell", "number", "name", "close"))
_LEADING = frozenset(("call", "open", "sheet", "topic"))
_GIVEN = frozenset(("string", "cell"))
_REACHES = frozenset(("call", "topic", "sheet", "cell"))
_FIX = (
    'put an apostrophe before what begins with = + - @, a tab or a line end (`"\'" + value`), or '
    "write it as text: openpyxl's data_type = 's', xlsxwriter's write_string"
)
_REACHING = re.compile(
    r"\b(?:WEBSERVICE|HYPERLINK|IMPORT[A-Z]{1,8}|IMAGE|FILTERXML|ENCODEURL|RTD|CALL|EXEC|DDE|"
    r"REGISTER(?:\.ID)?|CUBE[A-Z]{1,16}|SQL\.REQUEST|INDIRECT|GOOGLE[A-Z]{1,16}|QUERY|SCRIPT|RUN)"
    r"\s{0,3}\(|\w\|\s{0,3}['\w]|\]|!\s{0,3}A0\b|https?:",
    re.IGNORECASE,
)
FORMULA: Language = language(
    "formula",
    _FIX,
    strings=r'"(?:[^"]|"")*"',
    opened='"',
    words=r"[^\W\d][\w.]*",
    names=False,
)


def is_formula(cell: str) -> bool:
    """Tell whether a cell with this text is computed by whoever opens the table."""
    text = _begun(cell)[:MAX_CELL].translate(_NARROW)
    if text[:1] not in ("=", "+", "-", "@") or len(text) < 2:
        return False
    seen = _kinds(text[1:])
    if seen is None or not seen:
        return False
    return not _REACHES.isdisjoint(seen)


def _begun(cell: str) -> str:
    """Return a cell without what is before its first sign: blanks, and a byte order mark."""
    return cell.lstrip().removeprefix("\ufeff").lstrip()


def _kinds(text: str) -> set[str] | None:
    """Return what an expression consists of; None if it is none.

    What begins with a function that reaches out is for whoever opens the table to mend.
    """
    place = 0
    seen: set[str] = set()
    operand = reaches = False
    while place < len(text):
        match = _TOKEN.match(text, place)
        prose = seen if reaches and not _GIVEN.isdisjoint(seen) else None
        if match is None:
            return prose
        kind = str(match.lastgroup)
        place = match.end()
        if kind == "space":
            continue
        if kind == "topic":
            return {*seen, kind}  # what comes after is for another program to read
        if operand and kind in (*_LEADING, *_OPERANDS) and kind != "close":
            return prose  # two operands side by side
        if not operand and kind == "infix" and match[0][0] not in "=,;":
            return prose
        if kind == "number" and match[0].count(".") > 1:
            return prose  # a date, a version, an address
        reaches = reaches or (kind == "call" and _REACHING.match(match[0]) is not None)
        seen.add(kind)
        operand = kind in _OPERANDS
    return seen - {"infix", "sign", "close", "open"} or None


def judge_cell(cell: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data makes a cell a formula, or more of one than a value."""
    begins = len(cell) - len(_begun(cell))
    for span in spans:
        if span.vouched:
            continue
        if span.start <= begins < span.end:
            if is_formula(cell):
                return Verdict(span.origin, "is a formula in a cell", _FIX)
            return None
    if not is_formula(cell):
        return None
    return judge_formula(cell, spans)


def judge_formula(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends a literal of the code's formula, or reaches out of the book."""
    doubtful = [s for s in spans if not s.vouched]
    inside = [s for s in doubtful if text.count('"', 0, s.start) % 2 == 1]
    for span in doubtful:
        if span not in inside and _REACHING.search(text, span.start, span.end):
            return Verdict(span.origin, "reaches out of the table by a formula", _FIX)
    return judge(text, inside, FORMULA) if inside else None
