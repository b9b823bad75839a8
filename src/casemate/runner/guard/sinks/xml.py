"""Entities in XML of the event. By wrappers of each parser: audit events carry no document.

A document with declarations of entities, or whose type is read from elsewhere, is stopped before a
parser that would follow them. defusedxml, and lxml with `resolve_entities=False`, are left alone.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..origin import Span
from ..sink import CallHook, Judge, Sink, Verdict
from .xpath import is_of_tree

NAME = "xml"
MAX_READ = 4 << 20
"""Bytes of a file that are looked at before a parser reads it."""
_ENTITY = re.compile(r"<!\s*ENTITY\b", re.IGNORECASE)
_EXTERNAL = re.compile(r"<!DOCTYPE\s+[^\s>\[]+\s+(?:SYSTEM|PUBLIC)\b", re.IGNORECASE)
_TYPED = re.compile(r"(?:[\s\ufeff]|<!--.*?-->|<\?.*?\?>)*<!DOCTYPE", re.DOTALL | re.IGNORECASE)
"""Comments and instructions may come before a document's type, elements may not."""
_INCLUDE = "http://www.w3.org/2001/XInclude"
_STYLESHEET = "http://www.w3.org/1999/XSL/Transform"
_FIX = (
    "parse with defusedxml (`from defusedxml.ElementTree import fromstring`), or with "
    "lxml.etree.XMLParser(resolve_entities=False, no_network=True)"
)
_FIX_INCLUDE = "do not process includes or stylesheets of documents that come from outside"
_SAFE_PARSERS = re.compile(r"defusedxml(?:\.|$)")
_EXPANDING = "__casemate_expanding__"
_FED = "__casemate_fed__"
_NOTHING, _PROLOG, _TYPE, _ELEMENTS = "nothing", "prolog", "type", "elements"
"""How far a document that a parser is fed with has come."""
_ELEMENT = re.compile(r"<[^!?\s]")


def judging(*, external: bool, whole: bool = True) -> Judge:
    """Return the judgement of a document by a parser that reads, or not, types from elsewhere.

    It is the `whole` document, or a piece of one.
    """

    def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
        # UTF-16 and UTF-32 read as bytes have nulls between the letters.
        wide = "\x00" in text[:64]
        plain = text.replace("\x00", "") if wide else text
        if whole and not wide and not _TYPED.match(plain):
            return None
        for pattern, words in (
            (_ENTITY, "declares entities, which the parser expands"),
            (_EXTERNAL if external else None, "has a type that the parser reads from elsewhere"),
        ):
            for match in pattern.finditer(plain) if pattern is not None else ():
                span = _touching(spans, match) if not wide else spans[0]
                if span is not None:
                    return Verdict(span.origin, words, _FIX)
        return None

    return judge


def _touching(spans: Sequence[Span], match: re.Match[str]) -> Span | None:
    return next((s for s in spans if s.start < match.end() and s.end > match.start()), None)


_INTERNAL, _ANY = judging(external=False), judging(external=True)
_ANY_PIECE = judging(external=True, whole=False)


def check_document(guard: Guard, source: Any, judge: Judge = _INTERNAL) -> None:
    """Block a document (BlockedError): a text, or a file that holds one."""
    if not guard.active:
        return
    if isinstance(source, (bytearray, memoryview)):
        source = bytes(source)
    if isinstance(source, (str, bytes)) and _declares(source):
        guard.check(NAME, source, judge)


def _check_piece(guard: Guard, parser: Any, data: Any, *, external: bool) -> None:
    """Block what a parser is fed if it declares entities before the document's first element."""
    if not guard.active or not isinstance(data, (str, bytes, bytearray, memoryview)):
        return
    content = data if isinstance(data, (str, bytes)) else bytes(data)
    text = content if isinstance(content, str) else content.decode("latin-1")
    state = getattr(parser, _FED, _NOTHING)
    if state != _ELEMENTS:
        check_document(guard, content, judging(external=external, whole=state == _NOTHING))
    if state == _TYPE or "<!" in text.replace("<!--", ""):
        after = _TYPE
    else:
        after = _ELEMENTS if _ELEMENT.search(text) else _PROLOG
    if state != _ELEMENTS:
        setattr(parser, _FED, after)


def _check_source(guard: Guard, source: Any, judge: Judge = _INTERNAL) -> None:
    if guard.active:
        guard.decide(NAME, lambda: _of_source(guard, source, judge))


def _of_source(guard: Guard, source: Any, judge: Judge) -> Verdict | None:
    content = source if isinstance(source, bytes) else _content(source)
    if not content or not (_declares(content)):
        return None
    spans = guard.spans(content)
    text = content if isinstance(content, str) else content.decode(errors="surrogateescape")
    return judge(text, spans) if spans else None


def _declares(content: str | bytes) -> bool:
    if isinstance(content, bytes):
        return b"<!" in content or b"\x00" in content[:64]
    return "<!" in content


def _content(source: Any) -> str | bytes | None:
    """Return what a file or path holds, and leave a file where it was."""
    if isinstance(source, (str, os.PathLike)) and not _is_markup(source):
        try:
            with open(source, "rb") as file:
                return file.read(MAX_READ)
        except (OSError, ValueError):
            return None  # a URL, or nothing: the parser will tell
    if isinstance(source, (io.StringIO, io.BytesIO)):
        return source.getvalue()
    try:
        if source.seekable():
            place = source.tell()
            content = source.read(MAX_READ)
            source.seek(place)
            return content if isinstance(content, (str, bytes)) else None
    except (AttributeError, OSError, ValueError):
        pass
    return None


def _is_markup(source: Any) -> bool:
    return isinstance(source, str) and source.lstrip()[:1] == "<"


def _is_safe(parser: Any) -> bool:
    """Tell whether a parser that was given refuses or keeps entities by itself."""
    if parser is None:
        return False
    kinds = type(parser).__mro__
    if any(_SAFE_PARSERS.match(str(base.__module__)) for base in kinds):
        return True
    return getattr(parser, _EXPANDING, True) is False


# -- the standard library --------------------------------------------------------------------------


def _patch_element_tree(guard: Guard, module: ModuleType) -> None:
    def before_text(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not _is_safe(argument(arguments, named, 1, "parser")):
            check_document(guard, argument(arguments, named, 0, "text"))

    def before_list(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not _is_safe(argument(arguments, named, 1, "parser")):
            for piece in argument(arguments, named, 0, "sequence") or ():
                check_document(guard, piece, judging(external=False, whole=False))

    def before_source(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not _is_safe(argument(arguments, named, 2, "parser")):
            _check_source(guard, argument(arguments, named, 0, "source"))

    def before_parse(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not _is_safe(argument(arguments, named, 1, "parser")):
            _check_source(guard, argument(arguments, named, 0, "source"))

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
        if not _is_safe(getattr(arguments[0], "_parser", None)):
            _check_piece(guard, arguments[0], argument(arguments, named, 1, "data"), external=False)

    wrap(pull, "feed", before_feed)
    parser: Any = library.XMLParser
    if "feed" in vars(parser) and not hasattr(vars(parser)["feed"], "__code__"):
        library.XMLParser = _feeding(guard, parser)


def _feeding(guard: Guard, base: Any) -> type:
    """Return a subclass of a parser of a C type whose `feed` is watched."""

    def feed(self: Any, data: Any) -> Any:
        _check_piece(guard, self, data, external=False)
        return base.feed(self, data)

    return type(base.__name__, (base,), {"feed": feed, "__module__": base.__module__})


def _patch_dom(guard: Guard, module: ModuleType) -> None:
    library: Any = module
    text_name = "string"
    if "parseString" in vars(library):
        wrap(
            library,
            "parseString",
            lambda a, n: check_document(guard, argument(a, n, 0, text_name)),
        )
    wrap(library, "parse", lambda a, n: _check_source(guard, argument(a, n, 0, "file")))


def _patch_expat_reader(guard: Guard, module: ModuleType) -> None:
    """Watch sax, and pulldom by it. What reads types from elsewhere has to be told to."""

    def before_feed(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        reader = arguments[0]
        if not _is_safe(reader):
            external = getattr(reader, "_external_ges", 0)
            data = argument(arguments, named, 1, "data")
            _check_piece(guard, reader, data, external=bool(external))

    wrap(vars(module)["ExpatParser"], "feed", before_feed)


def _on_expat(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Watch expat itself, whose parsers are of a C type, where the function's own code calls it."""
    if type(getattr(function, "__self__", None)).__module__ == "pyexpat" and arguments:
        if function.__name__ == "ParseFile":
            _check_source(guard, arguments[0], _ANY)
        else:
            final = argument(arguments, named, 1, "isfinal")
            check_document(guard, arguments[0], _ANY if final else _ANY_PIECE)


# -- lxml ------------------------------------------------------------------------------------------


def _patch_lxml(guard: Guard, module: ModuleType) -> None:
    library: Any = module
    _patch_functions(guard, library)

    def parser(base: Any) -> type:
        def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
            base.__init__(self, *arguments, **named)
            setattr(self, _EXPANDING, _expands(named))

        def feed(self: Any, data: Any) -> Any:
            if not _is_safe(self):
                _check_piece(guard, self, data, external=True)
            return base.feed(self, data)

        members = {"__init__": __init__, "feed": feed, "__module__": base.__module__}
        return type(base.__name__, (base,), members)

    for name in ("XMLParser", "XMLPullParser", "ETCompatXMLParser"):
        setattr(library, name, parser(getattr(library, name)))
    base = library.iterparse

    def iterparse(source: Any, *arguments: Any, **named: Any) -> Any:
        if _expands(named) and not named.get("html"):
            _check_source(guard, source, _ANY)
        return base(source, *arguments, **named)

    library.iterparse = iterparse
    stylesheet = library.XSLT

    def transform(document: Any, *arguments: Any, **named: Any) -> Any:
        _check_content(guard, _STYLESHEET, "is a stylesheet, which is a program")
        return stylesheet(document, *arguments, **named)

    for name, value in vars(stylesheet).items():
        if isinstance(value, staticmethod):
            setattr(transform, name, getattr(stylesheet, name))
    library.XSLT = transform


def _patch_functions(guard: Guard, library: Any) -> None:
    usual: Callable[[], Any] = getattr(library, "get_default_parser", lambda: None)

    def before_text(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parser = argument(arguments, named, 1, "parser") or usual()
        if not _is_safe(parser) and not _is_html(parser):
            check_document(guard, argument(arguments, named, 0, "text", "xml"), _ANY)

    def before_source(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parser = argument(arguments, named, 1, "parser") or usual()
        if not _is_safe(parser) and not _is_html(parser):
            _check_source(guard, argument(arguments, named, 0, "source", "f"), _ANY)

    def before_list(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        parser = argument(arguments, named, 1, "parser") or usual()
        for piece in argument(arguments, named, 0, "strings") or ():
            if not _is_safe(parser):
                check_document(guard, piece, _ANY_PIECE)

    for name in ("fromstring", "XML", "XMLID", "XMLDTDID"):
        if name in vars(library):
            wrap(library, name, before_text)
    wrap(library, "parse", before_source)
    if "fromstringlist" in vars(library):
        wrap(library, "fromstringlist", before_list)


def _is_html(parser: Any) -> bool:
    return "HTML" in type(parser).__name__


def _expands(named: dict[str, Any]) -> bool:
    reads = any(
        named.get(option) for option in ("load_dtd", "dtd_validation", "attribute_defaults")
    )
    return reads or bool(named.get("resolve_entities", True))


def _check_content(guard: Guard, mark: str, words: str) -> None:
    """Block if any text of the event holds a mark: trees do not tell where they are from."""
    if guard.active:
        guard.decide(NAME, lambda: _holding(guard, mark, words))


def _holding(guard: Guard, mark: str, words: str) -> Verdict | None:
    if guard.taint is None:
        return None
    for text, origin in guard.taint.texts(MAX_READ):
        if mark in text:
            return Verdict(origin, words, _FIX_INCLUDE)
    return None


def _on_include(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    owner = getattr(function, "__self__", None)
    if owner is not None and is_of_tree(type(owner)):
        _check_content(guard, _INCLUDE, "includes other files by XInclude")


def _patch_xmltodict(guard: Guard, module: ModuleType) -> None:
    """Watch xmltodict where it is told to expand entities: it refuses them by itself."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not named.get("disable_entities", True):
            source = argument(arguments, named, 0, "xml_input")
            check_document(guard, source, _ANY)
            _check_source(guard, source, _ANY)

    wrap(module, "parse", before)


def _patch_xmlrpc(guard: Guard, module: ModuleType) -> None:
    parser = vars(module)["ExpatParser"]
    wrap(parser, "feed", lambda a, n: check_document(guard, argument(a, n, 1, "data")))


def _patch_include(guard: Guard, module: ModuleType) -> None:
    words = "includes other files by XInclude"
    wrap(module, "include", lambda a, n: _check_content(guard, _INCLUDE, words))


_CALLS: dict[str, CallHook] = {
    "Parse": _on_expat,
    "ParseFile": _on_expat,
    "xinclude": _on_include,
}

SINK = Sink(
    name=NAME,
    summary="XML of the event: no declarations of entities before a parser that follows them.",
    patches={
        "xml.etree.ElementTree": _patch_element_tree,
        "xml.etree.ElementInclude": _patch_include,
        "xml.dom.minidom": _patch_dom,
        "xml.dom.expatbuilder": _patch_dom,
        "xml.sax.expatreader": _patch_expat_reader,
        "xmlrpc.client": _patch_xmlrpc,
        "xmltodict": _patch_xmltodict,
        "lxml.etree": _patch_lxml,
        "lxml.objectify": _patch_functions,
    },
    calls=_CALLS,
)
