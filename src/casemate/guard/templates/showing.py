"""Tags of the event that only show what a template is given by name, as `{{ day|date }}` does.

A template that people write is there to have such tags. One that stands in the code's own templates
as well shows nothing that these do not show. In a template that is all of the event's, others show
a plain value that the code gives by this name, as it is or through a filter that only changes it.
Whether it is plain is found out when the template is rendered.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..core import Guard
from ..origin import Origin, Span
from ..plain_names import is_field
from ..spans import neutral
from ..verdict import Verdict
from ..written.lines import is_whole
from .judgement import FIX, JINJA, NEEDED, Syntax, judge
from .reaching import Reach
from .reading import Filters, Path, Reader

_MAX_FILTERS = 4
_MAX_FRAMES = 500
_MAX_TAGS = 500
"""Tags of one text that may only show what is offered: a further one is code of the event's."""
_LITERAL = r"(?:\d{1,4}|'[^'\\{}%\n]{0,60}'|\"[^\"\\{}%\n]{0,60}\"|true|false)"
_GIVEN = rf"\(\s{{0,9}}(?:{_LITERAL}(?:,\s{{0,9}}{_LITERAL}){{0,3}})?\)"
_FILTER = rf"\s{{0,9}}\|\s{{0,9}}\w{{1,40}}(?:{_GIVEN})?"
_SHOWN = re.compile(
    rf"[-+]?\s{{0,9}}([A-Za-z]\w{{0,63}})((?:{_FILTER}){{0,{_MAX_FILTERS}}})\s{{0,9}}[-+]?"
)
_FILTERS = re.compile(r"\|\s{0,9}(\w{1,40})")
_CHANGING = frozenset(
    [
        *("abs", "capitalize", "count", "d", "default", "e", "escape", "filesizeformat", "first"),
        *("float", "forceescape", "int", "last", "length", "lower", "round", "string", "striptags"),
        *("title", "trim", "truncate", "upper", "urlencode", "wordcount"),
    ]
)
"""Filters of jinja2 that only change what they are given, and do not make it grow much."""
_WIDENING = frozenset(("join", "center", "replace", "indent"))
"""Others that do: at most one of them in a tag."""
_OF_LISTS = frozenset(("sort", "reverse", "unique", "sum", "max", "min", "list", "tojson"))
"""Filters that put in order or sum up."""
_OF_JINJA = frozenset(("self", "super", "caller", "loop", "varargs", "kwargs"))
_OF_TEMPLATES = frozenset(("environment", "debug_info"))
"""Variables of a template's code."""


class _Tag(NamedTuple):
    start: int
    end: int
    body: str


def judge_shown(
    guard: Guard, text: str, spans: Sequence[Span], how: Syntax, environment: Any = None
) -> Verdict | None:
    """Return a verdict if `spans` add more to a template than tags that show what is offered.

    `environment` is that of jinja2, if it is one of its templates.
    """
    verdict = judge(text, spans, how)
    if verdict is None or how.shows is None:
        return verdict
    whole = is_whole(text, spans)
    if whole and environment is not None and _is_broken(environment, text):
        return None
    code_alone = neutral(text, spans)
    own = {_plain(tag) for one in (*guard.constants.texts, code_alone) for tag in _tags(one, how)}
    code = how.tags.find(code_alone)
    needed: dict[Path, Origin] = {}
    places: list[tuple[int, int]] = []
    for span in spans:
        # Within a tag of the code's it is no tag of its own.
        if any(start < span.end and span.start < end for start, end in code):
            continue
        for tag in _tags(text[span.start : span.end], how):
            name = _name(guard, tag.body, environment) if whole and environment else ""
            known = _plain(tag) in own
            if known or name:
                places.append((span.start + tag.start, span.start + tag.end))
                needed.update({} if known else {(name,): span.origin})
    if whole and how is JINJA and environment is not None:
        read = _read(guard, text, how, environment)
        places = list({*places, *read})
        needed.update(dict.fromkeys((n for found in read.values() for n in found), spans[0].origin))
    if not places or (needed and _is_rendering()):
        return verdict
    covered = [spans[0]._replace(start=start, end=end) for start, end in sorted(places)]
    verdict = judge(neutral(text, covered), spans, how)
    if verdict is None and needed:
        guard.provenance.kept.setdefault(NEEDED, {}).update(needed)
    return verdict


def _read(
    guard: Guard, text: str, how: Syntax, environment: Any
) -> dict[tuple[int, int], set[Path]]:
    """Return the tags of a template of the event's that only show, repeat and ask, by places."""

    def passes(name: str) -> bool:
        known = name in _CHANGING or name in _WIDENING or name in _OF_LISTS
        return known or _is_own(guard, name, environment)

    reader = Reader(Filters(passes, _WIDENING))
    found: dict[tuple[int, int], set[Path]] = {}
    for start, end in itertools.islice(how.tags.find(text), _MAX_TAGS):
        needed = reader.read(text[start:end])
        if needed is not None:
            found[start, end] = {path for path in needed if path}
    return found


def judge_given(guard: Guard, scopes: Iterable[Any]) -> Verdict | None:
    """Return a verdict if what templates of the event show is more than a plain value."""
    needed: dict[Path, Origin] = guard.provenance.kept.get(NEEDED, {})
    reach = Reach(guard)
    for scope in scopes:
        if not isinstance(scope, Mapping):
            continue
        for (name, *steps), origin in needed.items():
            if name in scope and not reach.is_plain(scope[name], tuple(steps)):
                return Verdict(origin, "shows more than a plain value of the code's", FIX)
    return None


def _tags(text: str, how: Syntax) -> list[_Tag]:
    if how.shows is None:
        return []
    found = itertools.islice(how.shows.finditer(text), _MAX_TAGS)
    return [_Tag(m.start(), m.end(), m["body"]) for m in found]


def _plain(tag: _Tag) -> str:
    return "".join(tag.body.split())


def _is_broken(environment: Any, text: str) -> bool:
    """Tell whether jinja2 does not read a template: it raises the same for the code."""
    try:
        environment.parse(text)
    except Exception as error:
        # By its name: the package is the function's, and none of ours.
        if type(error).__name__ == "TemplateSyntaxError":
            return True
        raise
    return False


def _name(guard: Guard, body: str, environment: Any) -> str:
    """Return the name that a tag shows; empty if it does more."""
    shown = _SHOWN.fullmatch(body)
    if shown is None or not is_field(shown[1]) or shown[1] in _OF_JINJA:
        return ""
    filters = _FILTERS.findall(shown[2])
    widening = sum(name in _WIDENING for name in filters)
    plain = all(
        name in _CHANGING or name in _WIDENING or _is_own(guard, name, environment)
        for name in filters
    )
    return shown[1] if plain and widening <= 1 else ""


def _is_own(guard: Guard, name: str, environment: Any) -> bool:
    """Tell whether a filter is a function of the code's, or a method of texts that it took."""
    function = getattr(environment, "filters", {}).get(name)
    code = getattr(function, "__code__", None)
    own = code is not None and str(code.co_filename).startswith(guard.root)
    return is_field(name) and (own or getattr(function, "__objclass__", None) is str)


def _is_rendering() -> bool:
    """Tell whether a template is being rendered: what it takes in has no values of its own."""
    frame = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame.f_globals.keys() >= _OF_TEMPLATES:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return True
