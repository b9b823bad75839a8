"""Whether outside data does harm where it stands in what a sink is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from casemate.audit.flow.characters import PLAIN
from casemate.audit.flow.library.safe import NORMAL
from casemate.audit.flow.state import Instance, State
from casemate.audit.flow.texts import parts_of
from casemate.audit.flow.values import (
    EVERY,
    Const,
    Ref,
    Taint,
    Taints,
    Unknown,
    Value,
    few,
    options,
)

Known = frozenset[str]
Judge = Callable[[str, str, Known, Known], bool]
"""Takes the text before the data and after it (`\\0` where data is), the characters that are not in
the data, and what it is safe for. Returns whether it does harm."""
DATA = "\0"
_QUOTES = "'\"`"
RANDOM = "random"
STORED = "stored"
"""Of data that was stored: by whom is not known, so only what runs where it comes is told."""
_OF_STORED = frozenset(("code", "command", "deserialisation", "markup", "template", "sql"))


def harmful(weakness: str, value: Value, state: State, kinds: list[str]) -> Taints:
    """Return the data in a value that does harm at a sink."""
    judge = _JUDGES.get(weakness, _any)
    found: set[Taint] = set()
    wanted = weakness == RANDOM
    for option in options(value):
        if isinstance(option, Const) or (weakness == "path" and _is_file(option, state)):
            continue
        parts = parts_of(option, state)
        for number, part in enumerate(parts):
            if isinstance(part, str) or not part:
                continue
            before, after = _around(parts, number)
            for taint in part:
                kind = kinds[taint.source]
                if (kind == RANDOM) is not wanted:
                    continue
                if kind == STORED and (weakness not in _OF_STORED or _is_page(weakness, parts)):
                    continue
                without, safe = state.known_of(taint)
                if EVERY in safe or weakness in safe:
                    continue
                if not (without >= PLAIN and weakness in _SYNTAX) and judge(
                    before, after, without, safe
                ):
                    found.add(taint)
    return few(found)


def is_checked(value: Value, state: State, kinds: list[str]) -> bool:
    """Tell whether all in a text is written out or comes from outside for certain, some of it so.

    If nothing in it does harm, it was checked: nothing else is in it.
    """
    parts = [part for option in options(value) for part in parts_of(option, state)]
    taints = [taint for part in parts if not isinstance(part, str) for taint in part]
    sure = all(not t.doubt and kinds[t.source] not in (RANDOM, STORED) for t in taints)
    return bool(taints) and sure and all(isinstance(part, str) or part for part in parts)


class Looking(Protocol):
    """What reads code of a language."""

    kinds: list[str]

    def looked(self, node: Any, *, checked: bool) -> None:
        """Tell of a command line, and whether all in it is written out or was checked."""


def look(
    reader: Looking, weakness: str, value: Value, taints: Taints, state: State, node: Any
) -> None:
    """Tell of what a sink is given, if that is a command line; `taints` is what does harm in it."""
    if weakness == "command":
        whole = not taints and is_checked(value, state, reader.kinds)
        reader.looked(node, checked=whole)


_UPLOAD = ".files["


def _is_file(value: Value, state: State) -> bool:
    """Return whether something is an open file or the like: its content chooses no path."""
    if isinstance(value, Unknown) and _UPLOAD in value.path and value.path.endswith("]"):
        return True  # the file itself; its name is an attribute of it
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    return isinstance(thing, Instance) and not thing.type.startswith("pathlib.")


def _is_page(weakness: str, parts: tuple[str | Taints, ...]) -> bool:
    """Return whether a whole answer was stored: a page, not a text that comes into one."""
    return weakness == "markup" and not any(isinstance(part, str) and part for part in parts)


def _around(parts: tuple[str | Taints, ...], number: int) -> tuple[str, str]:
    before = "".join(p if isinstance(p, str) else DATA for p in parts[:number])
    after = "".join(p if isinstance(p, str) else DATA for p in parts[number + 1 :])
    return before, after


_SYNTAX = frozenset(
    (
        *("sql", "command", "path", "markup", "xpath", "ldap", "header", "log", "template"),
        *("regex", "argument", "archive", "format", "url", "redirect", "xml", "nosql", "object"),
    )
)
"""Weaknesses that need a sign which letters and digits are not."""


def _any(before: str, after: str, without: Known, safe: Known) -> bool:
    return True


def open_quote(before: str) -> str:
    """Return the quote that is open at the end of a text, or nothing."""
    quote = ""
    for sign in before:
        if quote:
            if sign == quote:
                quote = ""
        elif sign in _QUOTES:
            quote = sign
    return quote


def _sql(before: str, after: str, without: Known, safe: Known) -> bool:
    if _prepared(before):
        return False
    quote = open_quote(before)
    if quote:
        return quote not in without
    return not {" ", "(", "'", ";"} <= without


def _prepared(before: str) -> bool:
    """Tell whether a text is a parameter of a statement of Athena that was prepared before.

    `EXECUTE orders USING 'x'`: it takes values alone, one statement at a time.
    """
    words = before.upper().split(None, 3)
    return words[:1] == ["EXECUTE"] and words[2:3] == ["USING"]


def _regex(before: str, after: str, without: Known, safe: Known) -> bool:
    """Tell whether a text may repeat anything, by itself or behind what is written after it."""
    return not {"*", "+", "{"} <= without


def _ldap(before: str, after: str, without: Known, safe: Known) -> bool:
    return not {"(", ")"} <= without


_META = frozenset(";|&$`\n")


def _command(before: str, after: str, without: Known, safe: Known) -> bool:
    if open_quote(before) == "'" and "'" in without:
        return False
    return not without >= _META


def _code(before: str, after: str, without: Known, safe: Known) -> bool:
    return not any({f"inside {q}", f"startswith {q}", f"endswith {q}"} <= safe for q in ("'", '"'))


_OWN_FOLDER = "/tmp/"  # noqa: S108 - it is what is looked for
_DATA_FILES = frozenset(
    (
        *("csv", "tsv", "log", "pdf", "png", "jpg", "jpeg", "gif", "webp", "tif", "tiff", "mp3"),
        *("mp4", "wav", "ogg", "webm", "srt", "xlsx"),
    )
)


def _ends_as_data(after: str) -> bool:
    """Tell whether a name ends in a word that is written out, as a file of data: `-log.csv`."""
    word, _, kind = after.rpartition("/")[2].rpartition(".")
    return kind.lower() in _DATA_FILES and sum(map(str.isalpha, word)) >= _SHORTEST_WORD


_SHORTEST_WORD = 3


def _continues_a_name(before: str, after: str) -> bool:
    """Tell whether data is in the middle or at the end of a file's own name: `/tmp/qr_{data}.png`.

    A name with `..` behind leads elsewhere only where the path is made shorter before it is opened.
    """
    _, slash, name = before.rpartition("/")
    written = bool(name.strip(".")) and DATA not in name
    return bool(slash) and written and "/" not in after and "\\" not in before


def _path(before: str, after: str, without: Known, safe: Known) -> bool:
    if "/" in without:
        return False
    if before.startswith(_OWN_FOLDER) and DATA not in after and _ends_as_data(after):
        return False  # whatever is before, it is one of the function's own files of that name
    if _continues_a_name(before, after) and NORMAL not in safe:
        return False  # `/tmp/qr_x/../../a`: the kernel finds no folder `qr_x` to go up from
    anchored = before.endswith(("/", "-", "_", ".")) or (before and before[-1] not in DATA)
    return not (anchored and ("../" in without or ".." in without))


def _url(before: str, after: str, without: Known, safe: Known) -> bool:
    _, found, rest = before.partition("://")
    if found:
        return "/" not in rest and "?" not in rest and "#" not in rest
    # Behind a part that is not known and not from outside, the host is decided already.
    clean_before = DATA in before
    return not clean_before and not before.startswith(("/", "?", "#"))


def _redirect(before: str, after: str, without: Known, safe: Known) -> bool:
    if before in ("/", "//", "\\"):
        return not {"/", "\\"} & without
    if not before and "startswith /" in safe and "not //" in safe:
        return "\\" not in without and "not /\\" not in safe
    if not before and "://" not in before:
        return not {"/", ":"} <= without
    return _url(before, after, without, safe)


def _markup(before: str, after: str, without: Known, safe: Known) -> bool:
    opened, closed = before.rfind("<"), before.rfind(">")
    lower = before.lower()
    if lower.rfind("<script") > lower.rfind("</script"):
        return not {"<", "'", '"'} <= without
    if opened > closed:
        quote = open_quote(before[opened:])
        if quote:
            return quote not in without
        return not {" ", ">"} <= without
    return "<" not in without


def _object(before: str, after: str, without: Known, safe: Known) -> bool:
    return not before


def _line(before: str, after: str, without: Known, safe: Known) -> bool:
    return "\n" not in without


_JUDGES: dict[str, Judge] = {
    "sql": _sql,
    "xpath": _sql,
    "ldap": _ldap,
    "command": _command,
    "code": _code,
    "path": _path,
    "url": _url,
    "redirect": _redirect,
    "markup": _markup,
    "regex": _regex,
    "object": _object,
    "header": _line,
    "log": _line,
}
