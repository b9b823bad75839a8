"""XPath of lxml and the standard library.

lxml's elements are of C types, which cannot be wrapped, so their methods are watched where the
function's own code calls them; its XPath classes and ElementTree's functions by wrappers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..markup import predicates
from ..markup.trees import is_of_tree
from ..origin import Span
from ..plain_names import is_shown
from ..quoted import Language, judge, language
from ..sink import CallHook, Sink
from ..verdict import Verdict
from ..written.lines import is_whole

NAME = "xpath"
_FIX = (
    "pass the value as a variable: tree.xpath('//user[@name=$name]', name=value); with "
    "xml.etree, compare in Python: `for e in root.iter('user'): if e.get('name') == value`"
)
_LITERAL = r"(?:'[^']*'|\"[^\"]*\")"
# The text of a value with both quotes in it is a `concat` of literals, and is one value as well.
_STRINGS = rf"{_LITERAL}|concat\(\s*{_LITERAL}(?:\s*,\s*{_LITERAL})*\s*\)"
_WORDS = r"[^\W\d][\w.-]*(?::[^\W\d][\w.-]*)?"
"""A name with its prefix; of `axis::name` the axis is a word of its own."""
XPATH: Language = language(
    "XPath expression",
    _FIX,
    strings=_STRINGS,
    opened=r"['\"]",
    words=_WORDS,
    chosen=r"[@\[(]\s*(?P<name>\w+)\s*(?:(?:=|!=|<=?|>=?)\s*(?:['\"$]|\d)|,\s*['\"$])",
)
_LONE_NAME = re.compile(r"[^\W\d][\w.-]*")
_OF_ONE = re.compile(r"(?:\]\s{0,9}/|[\w\]]\s{0,9}/\s{0,9}@)\s{0,9}\Z")
"""Ends before a field of what the code has chosen, `ship[@a=$a]/`, or an attribute, `ship/@`."""
_AT_THE_END = re.compile(r"\s*(?:/\s*text\(\s*\)\s*)?\Z")
_MOST_BEFORE = 32
"""Characters that are looked at before a field."""
_PATHS = ("path", "match", "_path")


def check_expression(guard: Guard, expression: Any, node: Any = None) -> None:
    """Block an expression (BlockedError) that data has changed.

    `node` is what it is evaluated for, if that is known.
    """

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        verdict = _judge(text, spans)
        if verdict is None:
            return None
        left = predicates.without_predicates(text, spans, XPATH)
        if len(left) < len(spans):
            verdict = _judge(text, left) if left else None
        if verdict is None or not (is_whole(text, spans) and _is_part(node)):
            return verdict
        return None if predicates.goes_down(text, XPATH) else verdict

    if isinstance(expression, (str, bytes)):
        guard.check(NAME, expression, judged)


def _judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    if _LONE_NAME.fullmatch(text):
        return None  # a child by its name, as the key of a dict
    left = [span for span in spans if not _is_field(text, span)]
    return judge(text, left, XPATH) if left else None


def _is_field(text: str, span: Span) -> bool:
    """Tell whether a span is the name of a field that is answered, of what the code has chosen.

    As a column is that SQL answers: one name that speaks of nothing that is kept back.
    """
    if not is_shown(text[span.start : span.end].replace("-", "_")):
        return False
    before = text[max(span.start - _MOST_BEFORE, 0) : span.start]
    return _OF_ONE.search(before) is not None and _AT_THE_END.match(text, span.end) is not None


def _is_part(node: Any) -> bool:
    """Tell whether an element of lxml is one that the code has found in a document."""
    parent = getattr(node, "getparent", None)
    return parent is not None and is_of_tree(type(node)) and parent() is not None


def _method(*names: str) -> CallHook:
    def on_call(
        guard: Guard,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> None:
        owner = getattr(function, "__self__", None)
        if owner is not None and type(owner) is not str and is_of_tree(type(owner)):
            check_expression(guard, argument(arguments, named, 0, *names), owner)

    return on_call


def _patch_lxml(guard: Guard, module: ModuleType) -> None:
    """Put subclasses in the place of the classes that hold an expression."""
    library: Any = module
    for name in ("XPath", "ETXPath"):
        setattr(library, name, _held(guard, getattr(library, name)))

    stylesheet = library.XSLT

    def __call__(self: Any, document: Any, /, **parameters: Any) -> Any:  # noqa: N807
        for value in parameters.values():  # each is an expression; `strparam` makes a text of one
            check_expression(guard, value)
        return stylesheet.__call__(self, document, **parameters)

    members = {"__call__": __call__, "__module__": stylesheet.__module__}
    library.XSLT = type(stylesheet.__name__, (stylesheet,), members)

    def evaluator(original: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **named: Any) -> Any:
            evaluate = original(*arguments, **named)

            def watched(path: Any, /, **variables: Any) -> Any:
                check_expression(guard, path)
                return evaluate(path, **variables)

            return watched

        return made

    library.XPathEvaluator = evaluator(library.XPathEvaluator)


def _held(guard: Guard, base: Any) -> type:
    def __init__(self: Any, path: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
        check_expression(guard, path)
        base.__init__(self, path, *arguments, **named)

    return type(base.__name__, (base,), {"__init__": __init__, "__module__": base.__module__})


def _patch_parsel(guard: Guard, module: ModuleType) -> None:
    selector = vars(module)["Selector"]
    wrap(selector, "xpath", lambda a, n: check_expression(guard, argument(a, n, 1, "query")))


def _patch_elementpath(guard: Guard, module: ModuleType) -> None:
    """Watch the parser that all of elementpath's versions of XPath are made from."""
    parser = vars(module)["Parser"]
    wrap(parser, "parse", lambda a, n: check_expression(guard, argument(a, n, 1, "source")))


def _patch_element_path(guard: Guard, module: ModuleType) -> None:
    """Watch ElementTree's evaluation, which its elements of C types call for all but a name."""
    for name in ("iterfind", "find", "findall", "findtext"):
        wrap(module, name, lambda a, n: check_expression(guard, argument(a, n, 1, "path")))


SINK = Sink(
    name=NAME,
    summary="XPath expressions: data must stay inside one literal, or come as a variable.",
    patches={
        "lxml.etree": _patch_lxml,
        "xml.etree.ElementPath": _patch_element_path,
        "parsel.selector": _patch_parsel,
        "elementpath.tdop": _patch_elementpath,
    },
    calls={
        "xpath": _method(*_PATHS),
        "find": _method(*_PATHS),
        "findall": _method(*_PATHS),
        "findtext": _method(*_PATHS),
        "iterfind": _method(*_PATHS),
    },
)
