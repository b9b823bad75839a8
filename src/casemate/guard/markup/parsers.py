"""Parsers of the standard library, and those of others that are made like them."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from .documents import (
    ANY,
    check_document,
    check_piece,
    check_source,
    is_safe,
    judging,
)
from .entities import EXPANDING, Reading
from .including import check_includes
from .insertions import check_file, check_insertions, check_pieces


def patch_element_tree(guard: Guard, module: ModuleType) -> None:
    """Watch ElementTree: its functions, and parsers that are fed."""

    def before_text(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_insertions(guard, argument(arguments, named, 0, "text"))
        if not is_safe(argument(arguments, named, 1, "parser")):
            check_document(guard, argument(arguments, named, 0, "text"))

    def before_list(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        pieces = argument(arguments, named, 0, "sequence")
        # What gives its pieces once is left to the parser, which is given them by `feed`.
        if not isinstance(pieces, (list, tuple)):
            return
        check_pieces(guard, pieces)
        if not is_safe(argument(arguments, named, 1, "parser")):
            for piece in pieces:
                check_document(guard, piece, judging(EXPANDING, whole=False))

    def before_source(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_file(guard, argument(arguments, named, 0, "source"))
        if not is_safe(argument(arguments, named, 2, "parser")):
            check_source(guard, argument(arguments, named, 0, "source"))

    def before_parse(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_file(guard, argument(arguments, named, 0, "source"))
        if not is_safe(argument(arguments, named, 1, "parser")):
            check_source(guard, argument(arguments, named, 0, "source"))

    library: Any = module
    same = library.XML is library.fromstring
    wrap(library, "fromstring", before_text)
    if same:
        library.XML = library.fromstring
    else:
        wrap(library, "XML", before_text)
    wrap(library, "fromstringlist", before_list)
    wrap(library, "iterparse", before_source)
    wrap(library, "parse", before_parse)
    tree = library.ElementTree

    def before_method(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        before_parse(arguments[1:], named)

    wrap(tree, "parse", before_method)
    pull: Any = library.XMLPullParser

    def before_feed(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_insertions(guard, argument(arguments, named, 1, "data"))
        if not is_safe(getattr(arguments[0], "_parser", None)):
            check_piece(guard, arguments[0], argument(arguments, named, 1, "data"), EXPANDING)

    wrap(pull, "feed", before_feed)
    parser: Any = library.XMLParser
    if "feed" in vars(parser) and not hasattr(vars(parser)["feed"], "__code__"):
        library.XMLParser = _feeding(guard, parser)


def _feeding(guard: Guard, base: Any) -> type:
    """Return a subclass of a parser of a C type whose `feed` is watched."""

    def feed(self: Any, data: Any) -> Any:
        check_insertions(guard, data)
        check_piece(guard, self, data, EXPANDING)
        return base.feed(self, data)

    return type(base.__name__, (base,), {"feed": feed, "__module__": base.__module__})


def patch_dom(guard: Guard, module: ModuleType) -> None:
    """Watch minidom, and the builder below it."""
    library: Any = module

    def before_text(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = argument(arguments, named, 0, "string")
        check_insertions(guard, text)
        check_document(guard, text)

    if "parseString" in vars(library):
        wrap(library, "parseString", before_text)

    def before_file(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        file = argument(arguments, named, 0, "file")
        check_file(guard, file)
        check_source(guard, file)

    wrap(library, "parse", before_file)


def patch_texts(guard: Guard, module: ModuleType) -> None:
    """Watch documents of the code where `xml.sax` and `pulldom` are given one as a text."""
    wrap(module, "parseString", lambda a, n: check_insertions(guard, argument(a, n, 0, "string")))
    wrap(
        module,
        "parse",
        lambda a, n: check_file(guard, argument(a, n, 0, "source", "stream_or_string")),
    )


def patch_html(guard: Guard, module: ModuleType) -> None:
    """Watch pages that the code puts together and reads again."""
    wrap(module.HTMLParser, "feed", lambda a, n: check_insertions(guard, argument(a, n, 1, "data")))


def patch_expat_reader(guard: Guard, module: ModuleType) -> None:
    """Watch sax, and pulldom by it. What reads types from elsewhere has to be told to."""

    def before_feed(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        reader = arguments[0]
        check_insertions(guard, argument(arguments, named, 1, "data"))
        if not is_safe(reader):
            # It is asked for the type and for parameters as well as for other entities.
            external = bool(getattr(reader, "_external_ges", 0))
            data = argument(arguments, named, 1, "data")
            check_piece(guard, reader, data, Reading(external=external, types=external))

    wrap(vars(module)["ExpatParser"], "feed", before_feed)


def on_expat(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Watch expat itself, whose parsers are of a C type, where the function's own code calls it."""
    if type(getattr(function, "__self__", None)).__module__ == "pyexpat" and arguments:
        parser: Any = function.__self__  # type: ignore[attr-defined]
        # Without a handler expat skips what is elsewhere; a handler that raises refuses all.
        external = getattr(parser, "ExternalEntityRefHandler", None) is not None
        refuses = getattr(parser, "EntityDeclHandler", None) is not None
        reading = Reading(expands=not refuses, external=external, types=external)
        if function.__name__ == "ParseFile":
            check_source(guard, arguments[0], judging(reading))
        else:
            final = bool(argument(arguments, named, 1, "isfinal"))
            check_insertions(guard, arguments[0])
            check_document(guard, arguments[0], judging(reading, whole=final))


def patch_xmltodict(guard: Guard, module: ModuleType) -> None:
    """Watch documents of the code, and entities where they are expanded: it refuses them itself."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_insertions(guard, argument(arguments, named, 0, "xml_input"))
        if not named.get("disable_entities", True):
            source = argument(arguments, named, 0, "xml_input")
            check_document(guard, source, ANY)
            check_source(guard, source, ANY)

    wrap(module, "parse", before)


def patch_xmlrpc(guard: Guard, module: ModuleType) -> None:
    """Watch what xmlrpc parses."""
    parser = vars(module)["ExpatParser"]
    wrap(module, "loads", lambda a, n: check_insertions(guard, argument(a, n, 0, "data")))
    wrap(parser, "feed", lambda a, n: check_document(guard, argument(a, n, 1, "data")))


def patch_plistlib(guard: Guard, module: ModuleType) -> None:
    """Watch lists of properties that the code puts together and reads again."""
    wrap(module, "loads", lambda a, n: check_insertions(guard, argument(a, n, 0, "data")))


def patch_include(guard: Guard, module: ModuleType) -> None:
    """Watch the includes of ElementTree."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        tree = argument(arguments, named, 0, "elem")
        loader = argument(arguments, named, 1, "loader")
        if isinstance(loader, FunctionType) and loader.__code__.co_filename.startswith(guard.root):
            return  # which files the code's own function opens is judged where it does
        check_includes(guard, tree, argument(arguments, named, 2, "base_url"))

    wrap(module, "include", before)
