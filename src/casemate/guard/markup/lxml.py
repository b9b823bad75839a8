"""lxml: its functions are wrapped, its parsers are of C types and get subclasses in their place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..verdict import Judge
from .documents import (
    NAME,
    READING,
    STYLESHEET,
    check_content,
    check_document,
    check_piece,
    check_source,
    is_safe,
    judging,
)
from .entities import Reading
from .including import check_includes, reads_others
from .insertions import check_file, check_insertions, check_pieces
from .trees import is_of_tree

_EXTERNAL_BY_DEFAULT = 5
"""The version from which on `resolve_entities` is `internal` by default: nothing from elsewhere."""


def patch_lxml(guard: Guard, module: ModuleType) -> None:
    """Watch functions, parsers, `iterparse` and stylesheets."""
    library: Any = module
    patch_functions(guard, library)

    def parser(base: Any) -> type:
        def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
            base.__init__(self, *arguments, **named)
            setattr(self, READING, _reading(library, named))

        def feed(self: Any, data: Any) -> Any:
            check_insertions(guard, data)
            if not is_safe(self):
                check_piece(guard, self, data, _of_parser(library, self))
            return base.feed(self, data)

        members = {"__init__": __init__, "feed": feed, "__module__": base.__module__}
        return type(base.__name__, (base,), members)

    for name in ("XMLParser", "XMLPullParser", "ETCompatXMLParser"):
        setattr(library, name, parser(getattr(library, name)))
    base = library.iterparse

    def iterparse(source: Any, *arguments: Any, **named: Any) -> Any:
        if not named.get("html"):
            check_file(guard, source)
            check_source(guard, source, judging(_reading(library, named)))
        return base(source, *arguments, **named)

    library.iterparse = iterparse
    stylesheet = library.XSLT

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
        check_content(guard, STYLESHEET, "is a stylesheet, which is a program")
        if guard.active:
            guard.decide(NAME, lambda: reads_others(guard, argument(arguments, named, 0, "xslt")))
        stylesheet.__init__(self, *arguments, **named)

    members = {"__init__": __init__, "__module__": stylesheet.__module__}
    library.XSLT = type(stylesheet.__name__, (stylesheet,), members)


def patch_functions(guard: Guard, library: Any) -> None:
    """Watch the functions that read a document, of `lxml.etree` or `lxml.objectify`."""
    usual: Callable[[], Any] = getattr(library, "get_default_parser", lambda: None)

    def judged(parser: Any, *, whole: bool = True) -> Judge:
        return judging(_of_parser(library, parser), whole=whole)

    def before_text(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parser = argument(arguments, named, 1, "parser") or usual()
        if _is_html(parser):
            return
        text = argument(arguments, named, 0, "text", "xml")
        check_insertions(guard, text)
        if not is_safe(parser):
            check_document(guard, text, judged(parser))

    def before_source(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parser = argument(arguments, named, 1, "parser") or usual()
        if _is_html(parser):
            return
        source = argument(arguments, named, 0, "source", "f")
        check_file(guard, source)
        if not is_safe(parser):
            check_source(guard, source, judged(parser))

    def listed(plain: Any) -> Any:
        @functools.wraps(plain)
        def fromstringlist(strings: Any, parser: Any = None) -> Any:
            # What gives its pieces once would not be there any more for the parser.
            pieces = strings if isinstance(strings, (list, tuple)) else list(strings)
            check_pieces(guard, pieces)
            of = parser or usual()
            for piece in pieces if not is_safe(of) else ():
                check_document(guard, piece, judged(of, whole=False))
            return plain(pieces, parser)

        return fromstringlist

    for name in ("fromstring", "XML", "XMLID", "XMLDTDID"):
        if name in vars(library):
            wrap(library, name, before_text)
    wrap(library, "parse", before_source)
    if "fromstringlist" in vars(library):
        library.fromstringlist = listed(library.fromstringlist)


def _is_html(parser: Any) -> bool:
    return any(base.__name__ == "HTMLParser" for base in type(parser).__mro__)


def _of_parser(library: Any, parser: Any) -> Reading:
    """Return what a parser does; one that was made where nobody looked, or none, by default."""
    reading = getattr(parser, READING, None)
    return reading if isinstance(reading, Reading) else _reading(library, {})


def _reading(library: Any, named: dict[str, Any]) -> Reading:
    """Return what lxml does with these options: measured, as its documentation is silent.

    What is internal is expanded even by `resolve_entities=False` in attributes, but for what
    multiplies, which libxml2 bounds then.
    """
    types = any(named.get(name) for name in ("load_dtd", "dtd_validation", "attribute_defaults"))
    version = getattr(library, "LXML_VERSION", None) or (_EXTERNAL_BY_DEFAULT,)
    usual: Any = "internal" if version[0] >= _EXTERNAL_BY_DEFAULT else True
    resolved = named.get("resolve_entities", usual)
    return Reading(
        expands=bool(resolved),
        external=bool(resolved) and resolved != "internal",
        types=types,
        network=not named.get("no_network", True),
    )


def on_include(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Judge `xinclude` of a tree, where the function's own code calls it."""
    owner = getattr(function, "__self__", None)
    if owner is None or not is_of_tree(type(owner)):
        return
    check_includes(guard, owner, getattr(getattr(owner, "docinfo", None), "URL", None))
