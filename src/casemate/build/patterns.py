"""One pattern of gitignore(5) as an expression that is matched in linear time.

A stranger's project has patterns and names of its own, and `[^/]*` that is tried at every length,
once for each `*`, takes years for a pattern of a line. What follows a `*` has as many characters as
it has signs, so it can be taken where it is found first: if what comes next is not found from
there, it is not from any later place either. That is what atomic groups say, here and for what
follows `**`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_RUN = re.compile(r"\*+")
_SET = re.compile(r"\[[!^]?+(?:\\.|[^\\])(?:\\.|[^\]\\])*+\]", re.DOTALL)
_SIGN = "[^/]"


def expression_of(pattern: str) -> re.Pattern[str]:
    """Return what is to match at the beginning of a path, with a `/` behind that of a folder.

    What is below a folder that matches does so, too. Raises ValueError for what is no pattern.
    """
    names = pattern.split("/")
    if not any(names):
        raise ValueError("no name")
    of_folders = not names[-1]
    if of_folders:
        names.pop()
    if not names[0]:
        names.pop(0)  # from the root
    elif len(names) == 1:
        names.insert(0, "**")
    inside = names[-1] == "**" and len(names) > 1
    parts = [part for part in _between(names, "**") if part] or [[]]
    if not all(names) or not (parts[0] or names[0] == "**"):
        raise ValueError("a name is missing")
    anywhere = names[0] == "**"
    text = r"\A"
    for part in parts:
        found = "".join(f"{_name(name)}/" for name in part).removesuffix("/")
        text += f"(?>(?:{_SIGN}++/)*?{found}" if anywhere else f"(?>{found}"
        text += r"/)" if part is not parts[-1] else _end(of_folders, inside, bool(found)) + ")"
        anywhere = True
    return re.compile(text, re.DOTALL)


def _end(of_folders: bool, inside: bool, named: bool) -> str:
    """Return what follows the last name: the end, or a `/` where only folders are meant."""
    if not named:  # `**` alone
        return f"{_SIGN}++/" if of_folders else ""
    if inside:
        return f"/{_SIGN}++/" if of_folders else "/"
    return "/" if of_folders else r"(?:/|\Z)"


def _between(names: list[str], sign: str) -> Iterator[list[str]]:
    """Yield the names between each two that are `sign`, and those at both ends."""
    part: list[str] = []
    for name in names:
        if name == sign:
            yield part
            part = []
        else:
            part.append(name)
    yield part


def _name(name: str) -> str:
    """Return the expression of one name of a path."""
    pieces = [""]
    position = 0
    while position < len(name):
        run = _RUN.match(name, position)
        if run is not None:
            pieces.append("")
            position = run.end()
            continue
        sign, position = _sign(name, position)
        pieces[-1] += sign
    first, *rest = pieces
    if not rest:
        return first
    *middle, last = rest
    found = "".join(f"(?>{_SIGN}*?{piece})" for piece in middle if piece)
    # The last one is at the end, which is where it is if it is anywhere before the next `/`.
    return f"(?=[^/])(?>{first}{found}{_SIGN}*{last}(?=/|\\Z))"


def _sign(name: str, position: int) -> tuple[str, int]:
    """Return what matches one character of a name, and where the next one begins."""
    char = name[position]
    if char == "?":
        return _SIGN, position + 1
    if char == "\\":
        if position + 1 == len(name):
            raise ValueError("nothing is escaped")
        return re.escape(name[position + 1]), position + 2
    if char == "[" and (end := _end_of_set(name, position)) > 0:
        return _set(name[position + 1 : end]), end + 1
    return re.escape(char), position + 1


def _end_of_set(name: str, position: int) -> int:
    """Return where the set that begins there ends, -1 if it does not: then it is a plain `[`."""
    found = _SET.match(name, position)
    return -1 if found is None else found.end() - 1


def _set(text: str) -> str:
    """Return a set of characters, none of which is a `/`. Raises ValueError."""
    negated = text[0] in "!^"
    chars: list[tuple[str, bool]] = []
    position = int(negated)
    while position < len(text):
        escaped = text[position] == "\\" and position + 1 < len(text)
        position += escaped
        chars.append((text[position], escaped))
        position += 1
    if any(f"[{mark}" in text for mark in ":.="):
        raise ValueError("classes of characters by name are not taken")
    found, number = "", 0
    while number < len(chars):
        low = chars[number][0]
        if number + 2 < len(chars) and chars[number + 1] == ("-", False):
            high = chars[number + 2][0]
            if low > high:
                raise ValueError("a range ends before it begins")
            found += f"{re.escape(low)}-{re.escape(high)}"
            number += 3
        else:
            found += re.escape(low)
            number += 1
    return f"[^/{found}]" if negated else f"(?!/)[{found}]"
