"""lxml: its functions are wrapped, its parsers are of C types and get subclasses in their place."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..sink import Judge
from .documents import (
    ANY,
    ANY_PIECE,
    EXPANDING,
    INCLUDE,
    INTERNAL,
    STYLESHEET,
    check_content,
    check_document,
    check_piece,
    check_source,
    is_safe,
)
from .trees import is_of_tree

_READING = "__casemate_reading__"


def patch_lxml(guard: Guard, module: ModuleType) -> None:
    """Watch functions, parsers, `iterparse` and stylesheets."""
    library: Any = module
    patch_functions(guard, library)

    def parser(base: Any) -> type:
        def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
            base.__init__(self, *arguments, **named)
            setattr(self, EXPANDING, _expands(named))
            setattr(self, _READING, _reads(named))

        def feed(self: Any, data: Any) -> Any:
            if not is_safe(self):
                check_piece(guard, self, data, external=_is_reading(self))
            return base.feed(self, data)

        members = {"__init__": __init__, "feed": feed, "__module__": base.__module__}
        return type(base.__name__, (base,), members)

    for name in ("XMLParser", "XMLPullParser", "ETCompatXMLParser"):
        setattr(library, name, parser(getattr(library, name)))
    base = library.iterparse

    def iterparse(source: Any, *arguments: Any, **named: Any) -> Any:
        if _expands(named) and not named.get("html"):
            check_source(guard, source, ANY if _reads(named) else INTERNAL)
        return base(source, *arguments, **named)

    library.iterparse = iterparse
    stylesheet = library.XSLT

    def transform(document: Any, *arguments: Any, **named: Any) -> Any:
        check_content(guard, STYLESHEET, "is a stylesheet, which is a program")
        return stylesheet(document, *arguments, **named)

    for name, value in vars(stylesheet).items():
        if isinstance(value, staticmethod):
            setattr(transform, name, getattr(stylesheet, name))
    library.XSLT = transform


def patch_functions(guard: Guard, library: Any) -> None:
    """Watch the functions that read a document, of `lxml.etree` or `lxml.objectify`."""
    usual: Callable[[], Any] = getattr(library, "get_default_parser", lambda: None)

    def before_text(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parser = argument(arguments, named, 1, "parser") or usual()
        if not is_safe(parser) and not _is_html(parser):
            check_document(guard, argument(arguments, named, 0, "text", "xml"), _judge_of(parser))

    def before_source(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parser = argument(arguments, named, 1, "parser") or usual()
        if not is_safe(parser) and not _is_html(parser):
            source = argument(arguments, named, 0, "source", "f")
            check_source(guard, source, _judge_of(parser))

    def before_list(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parser = argument(arguments, named, 1, "parser") or usual()
        for piece in argument(arguments, named, 0, "strings") or ():
            if not is_safe(parser):
                check_document(guard, piece, ANY_PIECE)

    for name in ("fromstring", "XML", "XMLID", "XMLDTDID"):
        if name in vars(library):
            wrap(library, name, before_text)
    wrap(library, "parse", before_source)
    if "fromstringlist" in vars(library):
        wrap(library, "fromstringlist", before_list)


def _is_html(parser: Any) -> bool:
    return any(base.__name__ == "HTMLParser" for base in type(parser).__mro__)


def _is_reading(parser: Any) -> bool:
    """Tell whether a parser reads a document's type from elsewhere; by default none does."""
    return bool(getattr(parser, _READING, False))


def _judge_of(parser: Any) -> Judge:
    return ANY if _is_reading(parser) else INTERNAL


def _reads(named: dict[str, Any]) -> bool:
    return any(named.get(name) for name in ("load_dtd", "dtd_validation", "attribute_defaults"))


def _expands(named: dict[str, Any]) -> bool:
    return _reads(named) or bool(named.get("resolve_entities", True))


def on_include(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Judge `xinclude` of a tree, where the function's own code calls it."""
    owner = getattr(function, "__self__", None)
    if owner is not None and is_of_tree(type(owner)):
        check_content(guard, INCLUDE, "includes other files by XInclude")
