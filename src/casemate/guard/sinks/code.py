"""Code: Python that is compiled from texts, names that are imported or looked up, formats.

`eval`, `exec`, `compile`, `__import__`, `getattr` and `str.format` are announced by the rewritten
code of the function, which keeps the text's identity and the caller's variables; what others
compile is seen by the audit event `compile`; modules that hide `eval` are wrapped.
"""

from __future__ import annotations

import ast
import operator
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal

from ..core import Guard
from ..evaluation import (
    checked_trees,
    choosing,
    engines,
    expressions,
    formats,
    formulas,
    hidden_names,
    left_out,
    looked_up,
    namespaces,
    symbolic,
)
from ..evaluation.calculating import calculates
from ..evaluation.hidden_names import FIX_ATTRIBUTE
from ..evaluation.judgement import FIX, judge
from ..hooks import argument, wrap
from ..names import EVAL_ALONE, EVAL_IN, EVAL_OF_NAMES
from ..origin import Origin, Span
from ..pieces import as_text
from ..provenance import Watcher
from ..sink import Patch, Sink
from ..standing import is_direct, is_import, is_importing, wrap_after
from ..templates import listed_fields
from ..verdict import Judge, Verdict
from ..written.files import pieces_of
from ..written.judgement import spans_of

NAME = "code"
_BRACED = re.compile(r"(?<!\{)\{(\w{1,64})[^{}]{0,200}\}")
_SEEN = ("code", "judged")
_PARSED = ("code", "parsed")
_CHANGING = frozenset(
    name
    for kind in (dict, list, set, bytearray)
    for name in vars(kind)
    if not name.startswith("_") and name not in vars(frozenset) and name not in vars(bytes)
    if name not in ("get", "items", "keys", "values")
)
"""Methods by which a value that an attribute holds is changed."""
_WRITTEN = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108 - where an instance can write
_WITHOUT_BUILTINS = "__builtins__"
_PARSING = frozenset(("parse", "literal_eval"))
_OF_NAMES = frozenset(
    [("collections", "namedtuple"), ("dataclasses", "_create_fn"), ("gettext", "c2py")]
)
"""Functions that make code of names or numbers alone, each of which they check to be one."""
_TWO_WORDS = re.compile(r" ?(not|is) (in|not) ?")
_REACHES = re.compile(r"__|import|open|exec|eval|compile|system|popen|subprocess", re.IGNORECASE)
_OF_NUMBERS = ("numexpr.necompiler", "stringToExpression")
"""The function that makes code of an expression over numbers and arrays of them."""
_OF_TEMPLATES = frozenset(
    [
        ("jinja2.environment", "_compile"),
        *(("mako.template", "_compile_text"), ("mako._ast_util", "parse")),
    ]
)
"""Functions that make code of templates, which are judged where they are taken."""


def _judging(guard: Guard, *, columns: bool = False) -> Judge:
    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        if formulas.is_whole(text, spans) and (
            formulas.is_of_values(text) or _is_choice(guard, text)
        ):
            return None
        return judge(text, _without_operators(guard, text, spans), guard.texts, columns=columns)

    return judged


def _without_operators(guard: Guard, text: str, spans: Sequence[Span]) -> list[Span]:
    """Leave out operators of two words, of which the code holds each as it holds the others."""
    holds = guard.constants.holds
    return [
        span
        for span in spans
        if (words := _TWO_WORDS.fullmatch(text, span.start, span.end)) is None
        or not (holds(words[1]) and holds(words[2]))
    ]


def _is_choice(guard: Guard, text: str) -> bool:
    """Tell whether an expression stands beside others in a list of the code's."""
    return text in guard.constants.choices and _REACHES.search(text) is None


def check_source(guard: Guard, source: object, mode: Literal["eval", "exec", ""] = "") -> None:
    """Block code (BlockedError) that the event has changed.

    `mode`: what it is run as, where that is known. What is no code then is the code's to refuse.
    """
    if not guard.active:
        return
    if isinstance(source, (bytearray, memoryview)):
        source = bytes(source)
    if isinstance(source, (str, bytes)):
        usual = _judging_source(guard)

        def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
            verdict = usual(text, spans)
            # Of bytes a comment in them says how they are read.
            told = mode if isinstance(source, str) and verdict is not None else ""
            broken = told and namespaces.is_broken(text, spans, told)
            return None if broken else verdict

        guard.check(NAME, source, judged)
        guard.provenance.kept[_SEEN] = as_text(source)
    elif isinstance(source, ast.AST):
        parsed = guard.provenance.kept.get(_PARSED)
        if parsed is not None:
            checked = checked_trees.is_checked(guard.root)
            guard.decide(NAME, lambda: None if checked else _of_tree(source, parsed))
    elif type(source).__name__ == "code":
        return


def _judging_numbers(guard: Guard) -> Judge:
    """Return the judgement of an expression in a language that has numbers alone."""
    usual = _judging(guard)

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        return None if formulas.is_formula(text, spans, columns=True) else usual(text, spans)

    return judged


def _judging_source(guard: Guard) -> Judge:
    """Return the judgement of code in which literals of the event may be arguments of a value.

    Or a formula of the event all that a function returns.
    """
    usual = _judging(guard)

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        if formulas.is_literal_call(text, spans) or formulas.is_body(text, spans):
            return None
        return usual(text, spans)

    return judged


def check_given(
    guard: Guard,
    source: object,
    given: Sequence[object],
    *,
    alone: bool = False,
    named: bool = False,
) -> None:
    """Block code (BlockedError) that the event has changed, where a formula of its may stand.

    `given` are the variables that it is evaluated with. `alone`: without built-in functions.
    `named`: the code has written their names in the place of all others.
    """
    if not guard.active or not isinstance(source, str):
        check_source(guard, source)
        return
    usual = _judging_source(guard)

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        if alone and formulas.is_whole(text, spans):
            sent = hidden_names.sent(guard, given[1:])
            if formulas.is_formula(text, spans, sent=sent) or _is_choice(guard, text):
                return None
        verdict = judge(text, spans, guard.texts) if alone else usual(text, spans)
        if verdict is None:
            return None
        own = (
            [name for name in given[0] if isinstance(name, str)]
            if isinstance(given[0], dict)
            else []
        )
        if named and formulas.is_of_names(text, spans, own):
            return None
        passes = namespaces.is_offered(text, spans, given) or namespaces.is_broken(
            text, spans, "eval"
        )
        return None if passes else verdict

    guard.check(NAME, source, judged)
    guard.provenance.kept[_SEEN] = source


def _check_compiled(guard: Guard, source: object) -> None:
    """Block code (BlockedError) that is compiled to be evaluated later, as `check_given` does.

    That is without built-in functions, if the code says so anywhere.
    """
    if not guard.active or not isinstance(source, str):
        check_source(guard, source)
        return
    alone = guard.constants.holds(_WITHOUT_BUILTINS)
    usual = _judging_source(guard)

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        whole = alone and formulas.is_whole(text, spans)
        if whole and (formulas.is_formula(text, spans) or _is_choice(guard, text)):
            return None
        verdict = judge(text, spans, guard.texts) if alone else usual(text, spans)
        if verdict is None:
            return None
        passes = namespaces.is_known(guard, text, spans) or namespaces.is_broken(
            text, spans, "exec"
        )
        return None if passes else verdict

    guard.check(NAME, source, judged)
    guard.provenance.kept[_SEEN] = source


def _of_tree(tree: ast.AST, parsed: tuple[Verdict, frozenset[str]]) -> Verdict | None:
    """Code was parsed from the event, and compiled: has the function looked at its nodes?"""
    verdict, dumped = parsed
    return verdict if ast.dump(tree) in dumped else None


# -- announced by rewritten code -------------------------------------------------------------------


def _format(guard: Guard, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    function, *given = arguments
    template = getattr(function, "__self__", None)
    if function in (str.format, str.format_map) and given:
        template, *given = given
    if not isinstance(template, str) or "{" not in template:
        return
    if getattr(function, "__name__", "") == "format_map" and given:
        named, given = given[0], []

    def offers(owner: object, name: str) -> bool:
        if not hidden_names.is_of_code(guard, owner):
            return False
        if not name or guard.constants.holds(name) or guard.constants.shows(name):
            return True
        return not leaves_out(owner, name) and calculates(guard, owner, name, called=False)

    def leaves_out(owner: object, name: str) -> bool:
        known = hidden_names.is_of_code(guard, owner) and name not in getattr(owner, "__dict__", ())
        return known and left_out.is_left_out(guard, type(owner), name)

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        verdict = formats.judge(text, spans, given, named, offers, guard.constants.shows_field)
        verdict = verdict or formats.judge_offered(text, spans, given, named, leaves_out)
        texts, sign = guard.constants.texts, listed_fields.BRACE
        return verdict or listed_fields.judge(texts, sign, text, spans, _BRACED)

    guard.check(NAME, template, judged)


def _evaluating(guard: Guard, form: str) -> Watcher:
    """Return what takes the text of a call of `eval`, and the variables that it is given."""
    alone, named = form == EVAL_ALONE, form == EVAL_OF_NAMES

    def watch(arguments: tuple[Any, ...], _: dict[str, Any]) -> None:
        source, *given = arguments[0]
        check_given(guard, source, given, alone=alone, named=named)

    return watch


def patch_builtins(guard: Guard, module: ModuleType) -> None:
    """Take what rewritten code announces."""
    watchers = guard.provenance.watchers
    watchers["eval()"] = lambda arguments, named: check_source(guard, arguments[0], "eval")
    watchers["exec()"] = lambda arguments, named: check_source(guard, arguments[0], "exec")
    watchers["compile()"] = lambda arguments, named: _check_compiled(guard, arguments[0])
    for form in (EVAL_ALONE, EVAL_OF_NAMES, EVAL_IN):
        watchers[form] = _evaluating(guard, form)
    watchers["__import__()"] = lambda arguments, named: looked_up.check_module(guard, arguments[0])
    watchers["getattr"] = lambda arguments, named: looked_up.check_attribute(guard, arguments)
    watchers["globals"] = lambda arguments, named: looked_up.check_variable(guard, arguments)
    watchers["format"] = lambda arguments, named: _format(guard, arguments, named)


# -- audit events ----------------------------------------------------------------------------------


def _compiled(guard: Guard, arguments: tuple[Any, ...]) -> None:
    source = arguments[0]
    if isinstance(source, (bytearray, memoryview)):
        source = bytes(source)
    if not isinstance(source, (str, bytes)):
        return
    if guard.provenance.kept.get(_SEEN) == as_text(source):
        return
    # A module that was written first is no module of anybody else.
    written = isinstance(arguments[1], str) and arguments[1].startswith(_WRITTEN)
    if not written and (is_import() or is_importing(guard)):
        return
    caller = sys._getframe(2)
    called = (caller.f_globals.get("__name__"), caller.f_code.co_name)
    if called[0] == "ast" and called[1] in _PARSING:
        return
    if called in _OF_NAMES or called in _OF_TEMPLATES:
        return
    if called == _OF_NUMBERS:
        guard.check(NAME, source, _judging_numbers(guard))
        return
    pieces = pieces_of(guard, arguments[1], as_text(source)) if written else ()
    if pieces:
        # Read again it is a text that nobody was seen making.
        usual = _judging(guard)
        guard.decide(NAME, lambda: usual(as_text(source), spans_of(guard, pieces)))
    else:
        guard.check(NAME, source, _judging(guard))


def _code_made(guard: Guard, arguments: tuple[Any, ...]) -> None:
    code = arguments[0]
    if isinstance(code, bytes):

        def question() -> Verdict | None:
            origin: Origin | None = guard.whole(code)
            return Verdict(origin, "is the byte code of a function", FIX) if origin else None

        guard.decide(NAME, question)


# -- wrappers --------------------------------------------------------------------------------------


def patch_ast(guard: Guard, module: ModuleType) -> None:
    """Note trees that are parsed from the event, until the code looks at their nodes."""

    def parsed(arguments: tuple[Any, ...], named: dict[str, Any], tree: Any) -> None:
        source = argument(arguments, named, 0, "source")
        if not guard.active or not isinstance(source, (str, bytes)):
            return

        def question() -> None:
            spans = guard.spans(source)
            verdict = judge(as_text(source), spans, guard.texts) if spans else None
            if verdict is not None:
                guard.provenance.kept[_PARSED] = (verdict, frozenset((ast.dump(tree),)))

        # The judgement parses literals itself: inside a decision that is not looked at.
        guard.decide(NAME, question)

    def looked_at(arguments: tuple[Any, ...], named: dict[str, Any], result: Any = None) -> None:
        if guard.active and is_direct(guard, "ast"):
            guard.provenance.kept.pop(_PARSED, None)

    wrap_after(module, "parse", parsed)
    for name in ("walk", "iter_child_nodes", "iter_fields"):
        wrap_after(module, name, looked_at)
    wrap_after(module.NodeVisitor, "visit", looked_at)


def patch_importlib(guard: Guard, module: ModuleType) -> None:
    """Watch `importlib.import_module`: modules that are imported already raise no event."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        name = argument(arguments, named, 0, "name")
        if isinstance(name, str) and name.startswith("."):
            looked_up.check_module(guard, argument(arguments, named, 1, "package"))
        looked_up.check_module(guard, name)

    wrap(module, "import_module", before)


def _watch_import(function: str, parameter: str) -> Patch:
    """Return a patch of a function that imports the module which its first argument names."""

    def patch(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            looked_up.check_module(guard, argument(arguments, named, 0, parameter))

        wrap(module, function, before)

    return patch


def _getter(guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """`attrgetter` and `methodcaller` are C types, which cannot be wrapped."""
    if function not in (operator.attrgetter, operator.methodcaller):
        return
    getter = function is operator.attrgetter

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        return _judge_getter(text, spans) or (
            left_out.judge_path(guard, text, spans) if getter else None
        )

    for name in arguments if getter else arguments[:1]:
        if isinstance(name, str):
            guard.check(NAME, name, judged)


def _static(guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """`inspect.getattr_static` and `__getattribute__` do what `getattr` does."""
    owner = getattr(function, "__self__", None)
    given = arguments[:2] if len(arguments) > 1 else (owner, *arguments)
    if len(given) > 1:
        looked_up.check_attribute(guard, (function, *given))


def _reduced(
    guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """`reduce(getattr, names, value)` calls `getattr` where no code of the function does."""

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        return _judge_getter(text, spans) or left_out.judge_path(guard, text, spans)

    called = getattr(arguments[0], "__wrapped__", arguments[0]) if arguments else None
    if len(arguments) > 1 and called is getattr and isinstance(arguments[1], (list, tuple)):
        for name in arguments[1]:
            if isinstance(name, str):
                guard.check(NAME, name, judged)


def _judge_getter(text: str, spans: Any) -> Verdict | None:
    for span in spans:
        if span.vouched or not span.exact:
            continue
        if "__" in text:
            return Verdict(span.origin, "chooses a special attribute", FIX_ATTRIBUTE)
        if span.start == 0 and any(step[:1] == "_" and step != "_id" for step in text.split(".")):
            return Verdict(span.origin, "chooses a private attribute", FIX_ATTRIBUTE)
        if "." in text and text.rpartition(".")[2] in _CHANGING:
            return Verdict(span.origin, "chooses a method of an attribute", FIX_ATTRIBUTE)
    return None


def patch_formatter(guard: Guard, module: ModuleType) -> None:
    """Watch `string.Formatter`, which does what `str.format` does."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        template = argument(arguments, named, 1, "format_string")
        given = argument(arguments, named, 2, "args") or ()
        keyed = argument(arguments, named, 3, "kwargs") or {}
        if guard.active and isinstance(template, str):
            guard.check(
                NAME, template, lambda text, spans: formats.judge(text, spans, given, keyed)
            )

    wrap(module.Formatter, "vformat", before)


def patch_logging(guard: Guard, module: ModuleType) -> None:
    """Watch logging's formats in braces: the record that their fields look into is no scalar."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        template = argument(arguments, named, 1, "fmt")
        if guard.active and isinstance(template, str):
            guard.check(NAME, template, lambda text, spans: formats.judge(text, spans, (), {}))

    wrap(module.StrFormatStyle, "__init__", before)


_TABLES = "pandas.core.frame"
_MAX_FRAMES = 8


def _is_of_table() -> bool:
    """Tell whether a table computes an expression, in which names are its columns alone.

    `pandas.eval` by itself takes them for variables of its caller.
    """
    frame = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame.f_back is None:
            return False
        frame = frame.f_back
        if frame.f_globals.get("__name__") == _TABLES:
            return True
    return False


def _watch_expression(
    *names: str, place: int = 0, columns: bool = False, numbers: bool = False
) -> Patch:
    """Return a patch of functions that take code. None that looks at its caller's frame.

    `columns`: names are those of a table, one of which the event may compare with a value.
    `numbers`: it is a language that has numbers alone.
    """

    def patch(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            expression = argument(
                arguments, named, place, "expression", "expr", "text", "stmt", "source"
            )
            if isinstance(expression, str) and guard.active:
                if numbers:
                    guard.check(NAME, expression, _judging_numbers(guard))
                    return
                usual = _judging(guard, columns=columns)
                of_table = columns and _is_of_table()

                def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
                    whole = of_table and formulas.is_whole(text, spans)
                    if whole and formulas.is_formula(text, spans, columns=True):
                        return None
                    return usual(text, spans)

                guard.check(NAME, expression, judged)

        for name in names:
            owner: Any = module
            *path, last = name.split(".")
            for step in path:
                owner = getattr(owner, step)
            wrap(owner, last, before)

    return patch


SINK = Sink(
    name=NAME,
    summary="Python code, imports, attributes and formats: data must not name or become code.",
    audit={"compile": _compiled, "code.__new__": _code_made},
    calls={
        "__getattribute__": _static,
        "getattr_static": _static,
        "attrgetter": _getter,
        "methodcaller": _getter,
        "reduce": _reduced,
    },
    patches={
        **choosing.patches(NAME),
        **symbolic.patches(NAME),
        **expressions.patches(NAME),
        **engines.patches(NAME),
        "builtins": patch_builtins,
        "ast": patch_ast,
        "importlib": patch_importlib,
        "pkgutil": choosing.resolving(NAME),
        "runpy": _watch_import("run_module", "mod_name"),  # `run_path` opens a file
        "logging": patch_logging,
        "string": patch_formatter,
        "timeit": _watch_expression("Timer.__init__", place=1),
        "code": _watch_expression("InteractiveInterpreter.runsource", place=1),
        "pandas.core.computation.eval": _watch_expression("_check_expression", columns=True),
        "numexpr.necompiler": _watch_expression("getExprNames", numbers=True),
    },
)
