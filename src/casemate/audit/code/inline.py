"""Code that stands in a template, with what only a deployment knows left in it as `${Name}`.

Within a text such a name stays, as values of a template have it too. Elsewhere it is no syntax:
there an unknown name of the same length takes its place, so that lines and columns stay.
"""

from __future__ import annotations

import ast
import re
import warnings

_NAME = re.compile(r"\$\{[A-Za-z0-9_:.]{1,512}\}")
_PSEUDO = re.compile(r"\$\{AWS::[A-Za-z]{1,40}\}")
_MAX_PLACES = 50
_MAX_TEXT = 64 << 10
"""Characters of a text in which places are looked for: sixteen times what Lambda takes."""


def parsable_python(text: str) -> str:
    """Return code in which names of a template that are no syntax are unknown names of Python."""
    if "${" not in text or len(text) > _MAX_TEXT:
        return text
    for _ in range(_MAX_PLACES):
        at = _no_syntax(text)
        if at is None:
            break
        found = _NAME.match(text, at)
        if found is None:
            break
        text = text[: found.start()] + "_" * len(found[0]) + text[found.end() :]
    return text


def _no_syntax(text: str) -> int | None:
    """Return where code stops being Python; None if it does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        lines = text.split("\n")
        line, column = error.lineno or 0, error.offset or 0
        if not (0 < line <= len(lines) and column > 0):
            return None
        begin = sum(len(each) + 1 for each in lines[: line - 1])
        # The parser may stop a token before or after the sign, never on another line.
        at = text.find("${", begin + max(column - 2, 0), begin + len(lines[line - 1]))
        return at if at >= 0 else None
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def parsable_script(text: str) -> str:
    """Return code with unknown names for pseudo parameters, no syntax in a template literal."""
    return _PSEUDO.sub(lambda found: "_" * len(found[0]), text)
