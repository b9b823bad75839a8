"""Regular expressions that take exponential time, or that data widens (`widening.py`).

Watched where the function's own code calls them.

`re`'s functions are used by every library: wrappers would cost all of them, and no event's pattern
is any library's, but of pandas, whose methods of texts take patterns. Patterns are looked at, not
run: a repetition of what repeats, with nothing between that tells one turn from the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from .. import hooks
from ..core import Guard
from ..exponential import is_exponential
from ..lone_signs import origin_of_sign
from ..names import READS_PARTS, READS_TEXT
from ..origin import Span
from ..searching import ANY_LENGTH, MIN_SUBJECT
from ..sink import CallHook, Sink
from ..spans import around
from ..verdict import Judge, Verdict
from ..written import by_look
from .widening import NAMES_PATTERN, STAND_IN, has_alternatives, has_characters, widening

NAME = "regex"
_MAX_TIMES = 64
"""Texts that are looked at by a pattern that finds quotes, or divides at `;`."""
_FINDING = frozenset(("findall", "finditer"))
_TAKING_APART = _FINDING | frozenset(("split", "sub", "subn"))
_WITH_REPLACEMENT = frozenset(("sub", "subn"))
_GROUP = re.compile(r"\\(?:g<|\d)")
_FIX_GROUP = "have a function return the value: pattern.sub(lambda match: value, text)"
_FIX_PATTERN = "escape what comes from outside: re.escape(value), or limit what may be repeated"
_WIDENS = "widens what a pattern of the code's matches"
_FIX_WIDE = "escape what comes from outside: re.escape(value)"
_FIX_SUBJECT = "rewrite the pattern without a repetition inside a repetition, or limit the length"


def _judging(guard: Guard) -> Judge:
    return lambda text, spans: _judge_pattern(guard, text, spans)


def _check_pattern(guard: Guard, pattern: str | bytes) -> None:
    """Block a pattern (BlockedError) that takes exponential time, or that data has widened."""
    guard.check(NAME, pattern, _judging(guard))
    if type(pattern) is str and "|" in pattern and guard.active and not guard.is_own(pattern):
        guard.decide(NAME, lambda: _judge_alternative(guard, pattern))


def _judge_pattern(guard: Guard, text: str, spans: Sequence[Span]) -> Verdict | None:
    own = next((s for s in spans if not s.vouched), None)
    if own is None:
        return None
    if is_exponential(text, outside=True):
        return Verdict(own.origin, "is a pattern that takes exponential time", _FIX_PATTERN)
    wide = widening(text, spans, guard.constants.holds_word)
    if wide is None:
        return None
    return Verdict(wide.origin, _WIDENS, _FIX_WIDE)


def _judge_alternative(guard: Guard, pattern: str) -> Verdict | None:
    """Judge a sign of alternatives that is all of a value: it needs nothing of what is before it.

    The interpreter has one object for the event's and the code's.
    """
    origin = origin_of_sign(guard, pattern, "|", between=False)
    if origin is None or NAMES_PATTERN.search(origin.pointer) is not None:
        return None
    if not has_alternatives(pattern):
        return None  # in a set it is a sign like others
    spans = sorted(guard.spans(pattern), key=lambda span: span.start)
    if not has_characters(STAND_IN.join(around(pattern, spans))):
        return None
    return Verdict(origin, _WIDENS, _FIX_WIDE)


def _judge_replacement(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge what is put in the place of what is found: one that is the event's is its to write."""
    for span in spans:
        found = _GROUP.search(text, span.start, span.end)
        whole = span.end - span.start == len(text)
        if found is not None and not span.vouched and not whole:
            return Verdict(span.origin, "brings back what a pattern has found", _FIX_GROUP)
    return None


def _judge_subject(text: str, spans: Sequence[Span]) -> Verdict | None:
    for span in spans:
        if span.end - span.start >= MIN_SUBJECT:
            words = "is matched by a pattern that takes exponential time"
            return Verdict(span.origin, words, _FIX_SUBJECT)
    return None


def _on_call(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    compiled = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    shift = 1 if name in _WITH_REPLACEMENT else 0
    if isinstance(compiled, re.Pattern):
        pattern = compiled.pattern
        subject = arguments[shift] if len(arguments) > shift else named.get("string")
    elif getattr(function, "__module__", "") == "re" and (arguments or "pattern" in named):
        pattern = arguments[0] if arguments else named["pattern"]
        if isinstance(pattern, re.Pattern):
            pattern = pattern.pattern
        place = 1 + shift
        subject = arguments[place] if len(arguments) > place else named.get("string")
        if isinstance(pattern, (str, bytes)) and name != "escape":
            _check_pattern(guard, pattern)
    else:
        return
    by = arguments[place] if shift and len(arguments) > (place := 0 if compiled else 1) else None
    if isinstance(by, str) and "\\" in by:
        guard.check(NAME, by, _judge_replacement)
    if name == "compile" or not isinstance(pattern, str) or not isinstance(subject, str):
        return
    # Whoever matches from a place on takes a text apart, token by token: asked at the first.
    reads_quotes = False
    begins = name == "match" and arguments[shift + 1 :] == (0,) and compiled is not None
    if name in _TAKING_APART or begins:
        reads_quotes = (begins or name in _FINDING) and by_look.reads_quotes(pattern)
        finds = begins or name in _FINDING
        guard.provenance.seen(READS_TEXT, subject, *([compiled or pattern] if finds else ()))
        if name == "split":
            guard.provenance.seen(READS_PARTS, subject, pattern)
    exponential = len(subject) >= MIN_SUBJECT and is_exponential(pattern)
    if exponential:
        guard.check(NAME, subject, _judge_subject)
    known = compiled if isinstance(compiled, re.Pattern) else arguments[0] if arguments else None
    own = type(known) is str and known is pattern and guard.constants.is_literal(known)
    again = (reads_quotes and name in _FINDING) or (name == "split" and ";" in pattern)
    again = again and guard.provenance.patterns.times(known) < _MAX_TIMES
    if (own or type(known) is re.Pattern) and not again:
        # Whether it takes exponential time is found out where a text is long enough to matter.
        seen = len(subject) >= MIN_SUBJECT and not exponential
        guard.provenance.patterns.add(known, ANY_LENGTH if seen else MIN_SUBJECT)


_PANDAS = {
    "contains": True,
    "count": True,
    "extract": True,
    "extractall": True,
    "findall": True,
    "fullmatch": True,
    "match": True,
    "replace": False,
    "split": None,
}
"""Methods of pandas' texts, and whether they take a pattern if they are not told."""


def _patch_pandas(guard: Guard, module: ModuleType) -> None:
    methods = vars(module)["StringMethods"]
    for name, usual in _PANDAS.items():

        def before(
            arguments: tuple[Any, ...], named: dict[str, Any], usual: bool | None = usual
        ) -> None:
            pattern = hooks.argument(arguments, named, 1, "pat")
            told = named.get("regex", usual)
            # `split` takes what is longer than one character for a pattern.
            if isinstance(pattern, str) and (told or (told is None and len(pattern) > 1)):
                _check_pattern(guard, pattern)

        if hasattr(methods, name):
            hooks.wrap(methods, name, before)


_CALLS: dict[str, CallHook] = dict.fromkeys(
    ("compile", "match", "search", "fullmatch", "findall", "finditer", "split", "sub", "subn"),
    _on_call,
)

SINK = Sink(
    name=NAME,
    summary="Regular expressions: none of exponential time from outside, or for long data; data "
    "in a pattern of the code's stands for itself.",
    patches={"pandas.core.strings.accessor": _patch_pandas},
    calls=_CALLS,
)
