"""LDAP filters and names, of ldap3 and python-ldap. By wrappers: no audit event has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..lone_signs import origin_of_sign
from ..names import ASKS, READS_TEXT
from ..origin import Span
from ..pieces import as_text
from ..plain_names import is_plain
from ..sink import Sink
from ..standing import is_own, is_put_together
from ..verdict import Verdict

NAME = "ldap"
_ESCAPE = re.compile(r"\\[0-9a-fA-F]{2}")
_FILTER_MARK = re.compile(r"[()*\\\x00]")
_DN_ESCAPE = re.compile(r"\\(?:[0-9a-fA-F]{2}|[ \"#+,;<=>\\])")
_DN_MARK = re.compile(r"[,+\"\\<>;\x00\r\n]")
_IS_FILTER = re.compile(r"\((?:[&|!]\(|[A-Za-z][\w;.-]{0,63}[<>~]?=)")
_BRACKETS = re.compile(r"[()]")
_SEPARATORS = re.compile(r"[,+;]")
_BEFORE_EQUALS = re.compile(r"(?<![\w.-])[\w.-]++(?=\s*=)")
_COMPARED = re.compile(r"[<>~]?=(?!\*?\))")
"""And not with anything at all."""
_ANY = re.compile(r"=\s*\*\s*\)")
"""A comparison with anything at all."""
_LETTER = re.compile(r"[A-Za-z]")
_NAME = re.compile(r"[A-Za-z][\w;.-]*")
_FIX_FILTER = (
    "escape what goes into a filter: ldap3.utils.conv.escape_filter_chars(value), "
    "ldap.filter.escape_filter_chars(value)"
)
_FIX_DN = "escape what goes into a name: ldap3.utils.dn.escape_rdn(value), ldap.dn.escape_dn_chars"


def _in_value(before: str) -> bool:
    """Tell whether what follows a filter's beginning is in a value: after `=`, `*` or `:`."""
    if before.rstrip().endswith(("=", "*")):
        return True
    # `&`, `|` and `!` are signs right after a bracket alone: in a value they are letters.
    part = _BRACKETS.split(before)[-1].lstrip("&|! ")
    return "=" in part or ":" in part


def _in_rdn_value(before: str) -> bool:
    """Tell whether what follows a name's beginning is in the value of an attribute."""
    part = _SEPARATORS.split(before)[-1]
    return any(_LETTER.search(name[0]) for name in _BEFORE_EQUALS.finditer(part))


_OPENS_FILTER = re.compile(r"\((?:([&|!])|([A-Za-z]\w{0,63})[<>~]?=([^()\x00]{0,500})\))")
MAX_COMPARISONS = 64
"""Of a filter that the event brings."""
_MAX_DEPTH = 8


def _ends_first(head: str) -> bool:
    """Tell whether the filter that a text begins with ends within it."""
    depth = 0
    for bracket in _BRACKETS.finditer(head):
        depth += 1 if bracket[0] == "(" else -1
        if depth == 0:
            return True
    return False


def _narrows(text: str, span: Span) -> bool:
    """Tell whether data is whole comparisons beside one of the code's that holds anyway.

    `(&(type=active){filter})`: what stands within `&` can only leave out entries that the code has
    chosen. No attribute is one that is likely to be hidden, which could be guessed so.
    """
    head, tail = text[: span.start].rstrip(), text[span.end :].lstrip()
    begun = head.startswith("(&(") and head.endswith(")") and not _ends_first(head)
    if not begun or head.count("(") != head.count(")") + 1:
        return False
    if tail[:1] not in ("(", ")") or tail.count("(") != tail.count(")") - 1:
        return False
    return _are_comparisons(text[span.start : span.end].strip())


def _are_comparisons(part: str) -> bool:
    """Tell whether data is one comparison after the other, or such in brackets."""
    depth = place = compared = 0
    while place < len(part) and depth <= _MAX_DEPTH and compared <= MAX_COMPARISONS:
        found = _OPENS_FILTER.match(part, place)
        if found is None:
            depth -= part[place] == ")"
            if depth < 0 or not (part[place] == ")" or part[place].isspace()):
                return False
        elif found[1]:
            depth += 1
        elif is_plain(found[2]) and "\\" not in _ESCAPE.sub("", found[3]):
            compared += 1
        else:
            return False
        place = found.end() if found is not None else place + 1
    return place == len(part) and depth == 0 and compared > 0


def judge_filter(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than the value of one comparison (RFC 4515)."""
    for span in spans:
        # A piece may end within an escape of the code's, which begins with the same sign.
        end = span.end + 2 * (span.is_piece and text[span.end - 1] == "\\")
        value = _ESCAPE.sub("", text[span.start : end])
        # That the code has a star somewhere, such as for all attributes, does not foresee this one.
        foreseen = span.checked == "constant" and not (value == "*" and span.exact)
        if foreseen or span.checked in ("member", "escape_filter_chars"):
            continue
        mark = _FILTER_MARK.search(value)
        if mark is not None and not _narrows(text, span):
            return Verdict(span.origin, f"{_words(mark[0])} of the filter", _FIX_FILTER)
        inside = _in_value(text[: span.start])
        known = mark is not None or (span.checked and _NAME.fullmatch(value))
        if not inside and span.exact and not known and not _is_attribute(text, span):
            return Verdict(span.origin, "is no value but a part of the filter", _FIX_FILTER)
    return None


def check_filter(guard: Guard, text: str | bytes) -> None:
    """Block a filter (BlockedError) in which data is more than the value of one comparison."""
    guard.check(NAME, text, judge_filter)
    # The interpreter has one object for a star that the code has written and for the event's.
    if _ANY.search(as_text(text)) is not None:
        guard.decide(NAME, lambda: _judge_star(guard, text))


def _judge_star(guard: Guard, text: str | bytes) -> Verdict | None:
    if guard.check_of("*") == "member":
        return None  # the code allows it
    origin = origin_of_sign(guard, text, "*")
    return Verdict(origin, f"{_words('*')} of the filter", _FIX_FILTER) if origin else None


def _is_attribute(text: str, span: Span) -> bool:
    """Tell whether data names an attribute that the code compares, and none that is hidden."""
    before, after = text[: span.start].rstrip(), text[span.end :].lstrip()
    named = before.endswith("(") and _COMPARED.match(after) is not None
    return named and is_plain(text[span.start : span.end])


def _words(mark: str) -> str:
    if mark == "*":
        return "holds `*`, which matches any value,"
    return "changes the structure" if mark in "()" else "holds an escape or a null byte"


def judge_name(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than one value in a distinguished name (RFC 4514)."""
    if "=" not in text:
        return None  # who binds by another kind of name
    for span in spans:
        if span.checked in ("member", "constant", "escape_rdn", "escape_dn_chars"):
            continue
        value = text[span.start : span.end]
        if _DN_MARK.search(_DN_ESCAPE.sub("", value)):
            return Verdict(span.origin, "is more than one value of the name", _FIX_DN)
        begins = not _in_rdn_value(text[: span.start])
        if begins and span.exact and ("=" in value or "=" in text[span.end : span.end + 1]):
            return Verdict(span.origin, "decides which entry is named", _FIX_DN)
    return None


def _is_below_asked(guard: Guard, name: str) -> bool:
    """Tell whether the code has asked if a name ends in one of its own: what is below was meant."""
    for question in (*guard.provenance.asked_of(name), *guard.provenance.asked_of(name.lower())):
        if question.place >= 0 or question.function.__name__ != "endswith":
            continue
        given = question.arguments[0] if question.arguments else ""
        ends = given if isinstance(given, tuple) else (given,)
        for end in ends:
            if not isinstance(end, str) or "=" not in end or guard.whole(end) is not None:
                continue
            before = name[: -len(end)]
            begun = not before or before.endswith(",") or end.startswith(",")
            if begun and name.lower().endswith(end.lower()):
                return True
    return False


def _checking(
    guard: Guard, place: int, name: str, judge: Callable[[str, Sequence[Span]], Verdict | None]
) -> Callable[[tuple[Any, ...], dict[str, Any]], None]:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        value = argument(arguments, named, place, name)
        if not isinstance(value, (str, bytes)) or not guard.active:
            return
        if judge is judge_filter:
            check_filter(guard, value)
        elif not _is_below_asked(guard, as_text(value)):
            guard.check(NAME, value, judge)

    return before


_LDAP3: tuple[tuple[str, tuple[tuple[int, str, bool], ...]], ...] = (
    ("__init__", ((2, "user", False),)),
    ("rebind", ((1, "user", False),)),
    ("search", ((1, "search_base", False), (2, "search_filter", True))),
    ("add", ((1, "dn", False),)),
    ("delete", ((1, "dn", False),)),
    ("compare", ((1, "dn", False),)),
    ("modify", ((1, "dn", False),)),
    ("modify_dn", ((1, "dn", False), (2, "relative_dn", False))),
)
"""Methods of ldap3's connection with their arguments, and whether one is a filter."""
_PYTHON_LDAP: tuple[tuple[str, tuple[tuple[int, str, bool], ...]], ...] = (
    ("search_ext", ((1, "base", False), (3, "filterstr", True))),
    ("search", ((1, "base", False), (3, "filterstr", True))),
    ("simple_bind", ((1, "who", False),)),
    ("simple_bind_s", ((1, "who", False),)),
    ("add_ext", ((1, "dn", False),)),
    ("modify_ext", ((1, "dn", False),)),
    ("delete_ext", ((1, "dn", False),)),
    ("compare_ext", ((1, "dn", False),)),
    ("passwd", ((1, "user", False),)),
    ("rename", ((1, "dn", False), (2, "newrdn", False))),
)


def _watch(guard: Guard, owner: Any, methods: Any) -> None:
    for method, arguments in methods:
        if not callable(getattr(owner, method, None)):
            continue
        checks = [
            _checking(guard, place, name, judge_filter if is_filter else judge_name)
            for place, name, is_filter in arguments
        ]

        def before(
            given: tuple[Any, ...], named: dict[str, Any], checks: Sequence[Any] = tuple(checks)
        ) -> None:
            for check in checks:
                check(given, named)

        wrap(owner, method, before)


def _on_search(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Judge a filter that the code has put together, and hands to a function of its own."""
    for one in (*arguments, *named.values()):
        # Hardly any text is one, which shows sooner than whose the function is.
        if not (isinstance(one, str) and one[:1] == "(" and _IS_FILTER.match(one)):
            continue
        if is_own(guard, function) and is_put_together(guard, one):
            check_filter(guard, one)


def _on_read(guard: Guard, text: Any, *_: Any) -> None:
    """Judge a filter that the code has put together, and takes apart by a pattern."""
    if isinstance(text, str) and _IS_FILTER.match(text) and is_put_together(guard, text):
        check_filter(guard, text)


def _patch_ldap3(guard: Guard, module: ModuleType) -> None:
    _watch(guard, vars(module)["Connection"], _LDAP3)


def _patch_python_ldap(guard: Guard, module: ModuleType) -> None:
    _watch(guard, vars(module)["SimpleLDAPObject"], _PYTHON_LDAP)


def _patch_bonsai(guard: Guard, module: ModuleType) -> None:
    connection = vars(module)["BaseLDAPConnection"]
    _watch(guard, connection, (("search", ((1, "base", False), (3, "filter_exp", True))),))


SINK = Sink(
    name=NAME,
    summary="LDAP filters and names: data must stay one value, its special characters escaped.",
    calls={"search": _on_search, ASKS: _on_search, READS_TEXT: _on_read},
    patches={
        "ldap3.core.connection": _patch_ldap3,
        "ldap.ldapobject": _patch_python_ldap,
        "bonsai.ldapconnection": _patch_bonsai,
    },
)
