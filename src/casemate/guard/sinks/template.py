"""Templates whose source holds data: jinja2, Mako, Django, Tornado, Chameleon, Bottle, Cheetah.

By wrappers of the place where each engine takes its source: no audit event has it before it is
compiled to Python, where data can no longer be told from the template. `string.Template` has no
code, and gives what it is given: stopped are fields of the event where that is more than values
that the code has named, such as all of the environment, or what is likely to be hidden. So are
those of `%` with a dictionary.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..evaluation.formats import PLAIN, is_plain
from ..hooks import argument, wrap
from ..names import FILLS, FILLS_MARK
from ..notes import SCALARS
from ..origin import Span
from ..plain_names import is_hidden
from ..sink import Patch, Sink
from ..standing import is_put_together
from ..templates import listed_fields, own_marks
from ..templates.judgement import (
    BOTTLE,
    CHAMELEON,
    CHEETAH,
    DJANGO,
    FIX,
    JINJA,
    MAKO,
    MUSTACHE,
    NEEDED,
    TORNADO,
    Syntax,
    delimited,
    judge,
    judge_expression,
)
from ..templates.showing import judge_given, judge_shown
from ..verdict import Judge, Verdict

NAME = "template"
_ESCAPING = re.compile(
    r"[.\[|]\s{0,9}[\"']?_[A-Za-z_]|\|\s{0,9}attr\s{0,9}\(|(?<![\w.])(?:self|cycler|joiner|lipsum)\s{0,9}\."
)
MAX_TAKEN = 64
"""Templates from elsewhere that count as the code's in one process."""
_NAMED_FIELD = re.compile(r"\$\{?((?!\d)\w+)")
_OF_PERCENT = re.compile(r"%\((\w{1,64})\)")
_MAX_VALUES = 200
_SHOWN = ("template", "shown")
_SHOWING = re.compile(
    r"\{\{(?:\{\s{0,9}|[#^/&]?\s{0,9})"
    r"((?![_!#^/&>=])[^\s{}.=<>]{1,64}(?:\.(?!_)[^\s{}.=<>]{1,64}){0,9}|\.)\s{0,9}\}\}\}?"
)
"""A tag of Mustache's that shows a value, or what is between two of them: no partial.

A name is a key and nothing is calculated: `7*7` is one as well.
"""
_MIN_SETTINGS = 4
_FIX_FIELD = "give the values that a template may show by name: Template(t).substitute(name=name)"


def check(guard: Guard, source: object, how: Syntax) -> None:
    """Block a template (BlockedError) that the event has added code to."""
    if guard.active and isinstance(source, (str, bytes)):
        guard.check(NAME, source, _judging(guard, how))


def _judging(guard: Guard, how: Syntax, environment: Any = None) -> Judge:
    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        verdict = judge(text, spans, how)
        if verdict is None:
            return None
        return judge_shown(guard, text, spans, how, environment)

    return judged


def _syntax_of(environment: Any) -> Syntax:
    """Return the syntax that a jinja2 environment was given."""
    pairs = [
        (getattr(environment, f"{kind}_start_string"), getattr(environment, f"{kind}_end_string"))
        for kind in ("block", "variable", "comment")
    ]
    lines = [
        prefix
        for kind in ("line_statement_prefix", "line_comment_prefix")
        if (prefix := getattr(environment, kind, None))
    ]
    if pairs == [("{%", "%}"), ("{{", "}}"), ("{#", "#}")] and not lines:
        return JINJA
    return delimited(pairs, lines, shown=pairs[1])


def patch_jinja2(guard: Guard, module: ModuleType) -> None:
    """Watch where every source goes through, of `from_string`, `Template` and loaders.

    A sandboxed environment was chosen for templates of others: of theirs no tag is stopped, but
    names that begin with `_` and what gets attributes by texts, which no such template needs.
    """

    taken: set[str] = set()

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        environment = arguments[0]
        if guard.active and getattr(environment, "sandboxed", False):
            source = argument(arguments, named, 1, "source")
            if isinstance(source, str) and _ESCAPING.search(source):
                guard.check(NAME, source, _judge_sandboxed)
        elif guard.active:
            source = argument(arguments, named, 1, "source")
            if isinstance(source, (str, bytes)):
                guard.check(NAME, source, _judging(guard, _syntax_of(environment), environment))
            _take(guard, source, taken)

    environment: Any = module.Environment
    for name in ("compile", "parse"):
        wrap(environment, name, before)
    wrap(environment, "compile_expression", _expression(guard))
    wrap(module.Template, "new_context", _filled(guard))


def _filled(guard: Guard) -> Any:
    """Return what judges the values of templates, if any of the event shows some."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not guard.active or NEEDED not in guard.provenance.kept:
            return
        template, *given = arguments
        scopes = (*given, *named.values(), getattr(template, "globals", None))
        guard.decide(NAME, lambda: judge_given(guard, scopes))

    return before


def _take(guard: Guard, source: object, taken: set[str]) -> None:
    """Have a template that holds nothing of the event count as the code's, wherever it was read."""
    if not isinstance(source, str) or len(taken) >= MAX_TAKEN or guard.constants.holds(source):
        return
    if not guard.spans(source):
        taken.add(source)
        guard.constants.take(source)


def _judge_sandboxed(text: str, spans: Any) -> Verdict | None:
    for span in spans:
        found = _ESCAPING.search(text, span.start, span.end)
        if not span.vouched and found is not None:
            return Verdict(span.origin, "reaches for what the template's sandbox closes", FIX)
    return None


def _expression(guard: Guard) -> Any:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        source = argument(arguments, named, 1, "source")
        if guard.active and not getattr(arguments[0], "sandboxed", False):
            guard.check(NAME, str(source), judge_expression)

    return before


def patch_string(guard: Guard, module: ModuleType) -> None:
    """Watch `string.Template` of the event, filled from more than values that the code names."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not guard.active:
            return
        given = (arguments[1] if len(arguments) > 1 else None, named)
        # What `**environ` brings is named by nobody.
        own = named if given[0] is not None else ()
        judged = _judging_fields(guard, _NAMED_FIELD, *given, named=own)
        template = str(arguments[0].template)
        is_put_together(guard, template)  # it may come back from a file
        guard.check(NAME, template, judged)

    for name in ("substitute", "safe_substitute"):
        wrap(module.Template, name, before)


def _on_filled(guard: Guard, template: Any, arguments: tuple[Any, ...], *_: Any) -> None:
    """Judge a template of `%` that is filled from a dictionary."""
    fills = isinstance(arguments[0], Mapping) and type(template) is str
    if fills and _OF_PERCENT.search(template) is not None:
        judged = _judging_fields(guard, _OF_PERCENT, arguments[0])
        guard.check(NAME, template, judged)


def _judging_fields(
    guard: Guard, fields: re.Pattern[str], *given: Any, named: Collection[str] = ()
) -> Judge:
    """Return the judgement of a template whose fields are names, by what it is filled from.

    `named` are those that the code gives by their names, in the place of any other of that name.
    """
    wide = any(map(_is_wide, given))
    kept = {*itertools.chain.from_iterable(one for one in given if type(one) is dict)}
    other = any(type(one) is not dict for one in given if one is not None)

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        own = any(
            not any(s.start < m.end() and m.start() < s.end for s in spans)
            for m in fields.finditer(text)
        )
        for span in spans:
            if own and not span.vouched and fields.search(text, span.start, span.end):
                words = "adds a field among those of the code's template"
                return Verdict(span.origin, words, _FIX_FIELD)
            for field in fields.finditer(text, span.start, span.end):
                # What is not there stays as it is, or raises for the code as well.
                there = other or field[1] in kept
                if not span.vouched and there and is_hidden(field[1]):
                    return Verdict(span.origin, "adds a field of what is hidden", _FIX_FIELD)
                unknown = not field[1].isdigit() and field[1] not in named
                unknown = unknown and not _shows(guard, fields, field[1])
                if wide and unknown and not span.vouched:
                    words = "adds a field that looks into what is kept"
                    return Verdict(span.origin, words, _FIX_FIELD)
        sign = listed_fields.PERCENT if fields is _OF_PERCENT else listed_fields.DOLLAR
        return listed_fields.judge(guard.constants.texts, sign, text, spans, fields)

    return judged


def _shows(guard: Guard, fields: re.Pattern[str], name: str) -> bool:
    """Tell whether a template of the code's own has a field, as it is then one of any other."""
    return any(name in fields.findall(text) for text in guard.constants.texts if name in text)


def patch_chevron(guard: Guard, module: ModuleType) -> None:
    """Watch Mustache's sources, whose tags only show values and repeat what is between them.

    A template of the event may have them where it is given nothing but plain values.
    """

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        source = argument(arguments, named, 0, "template")
        values = argument(arguments, named, 1, "data")
        if guard.active and isinstance(source, str):
            guard.provenance.kept[_SHOWN] = source if _are_plain(values) else None

    def before_tokenize(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        source = argument(arguments, named, 0, "template")
        if guard.active and source is not None and guard.provenance.kept.get(_SHOWN) == source:
            guard.check(NAME, source, _judge_shown)
        else:
            check(guard, source, MUSTACHE)

    wrap(module, "render", before)
    wrap(module, "tokenize", before_tokenize)


def _judge_shown(text: str, spans: Any) -> Verdict | None:
    """Judge Mustache that is filled with plain values: a whole tag of the event may show one."""
    neutral = text
    for span in spans:
        part = text[span.start : span.end]
        names = [name for tag in _SHOWING.finditer(part) for name in tag[1].split(".")]
        if not any(is_hidden(name) for name in names):
            neutral = neutral[: span.start] + _SHOWING.sub(_covered, part) + neutral[span.end :]
    return judge(neutral, spans, MUSTACHE)


def _covered(tag: re.Match[str]) -> str:
    return "q" * len(tag[0])


def _are_plain(values: Any) -> bool:
    """Tell whether values are texts, numbers, lists and dictionaries: nothing to look into."""
    return is_plain(values, SCALARS, (list, tuple), most=_MAX_VALUES)


def _is_wide(mapping: Any) -> bool:
    """Tell whether a mapping has more than plain values: the environment, variables, objects."""
    if mapping is None:
        return False
    if type(mapping) is ChainMap:
        return any(map(_is_wide, mapping.maps))
    if not isinstance(mapping, dict) or len(mapping) > _MAX_VALUES:
        return True
    if len(mapping) >= _MIN_SETTINGS and mapping.items() <= os.environ.items():
        return True
    return any(not isinstance(value, PLAIN) for value in mapping.values())


def _watch(how: Syntax, *places: tuple[str, int, str]) -> Patch:
    """Return a patch of methods: name, place of the source, and its name."""

    def patch(guard: Guard, module: ModuleType) -> None:
        for path, place, name in places:
            owner: Any = module
            *steps, last = path.split(".")
            for step in steps:
                owner = getattr(owner, step)
            wrap(owner, last, _checking(guard, how, place, name))

    return patch


def _checking(guard: Guard, how: Syntax, place: int, name: str) -> Any:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check(guard, argument(arguments, named, place, name), how)

    return before


SINK = Sink(
    name=NAME,
    summary="Template engines: data belongs into the context, not into the template.",
    calls={FILLS: _on_filled, FILLS_MARK: own_marks.filled},
    patches={
        "string": patch_string,
        "jinja2.environment": patch_jinja2,
        "mako.template": _watch(MAKO, ("Template.__init__", 1, "text")),
        "mako.lexer": _watch(MAKO, ("Lexer.__init__", 1, "text")),
        "django.template.base": _watch(DJANGO, ("Template.__init__", 1, "template_string")),
        "tornado.template": _watch(TORNADO, ("Template.__init__", 1, "template_string")),
        "chameleon.template": _watch(CHAMELEON, ("BaseTemplate.__init__", 1, "body")),
        "bottle": _watch(BOTTLE, ("BaseTemplate.__init__", 1, "source")),
        "chevron.renderer": patch_chevron,
        "Cheetah.Template": _watch(CHEETAH, ("Template.__init__", 1, "source")),
    },
)
