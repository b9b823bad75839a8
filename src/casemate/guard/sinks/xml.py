"""Entities in XML of the event. By wrappers of each parser: audit events carry no document.

A document with declarations of entities, or whose type is read from elsewhere, is stopped before a
parser that would follow them. defusedxml, and lxml with `resolve_entities=False`, are left alone.
"""

from __future__ import annotations

from ..markup import documents, insertions, lxml, parsers
from ..names import READS_LINES
from ..sink import Sink

SINK = Sink(
    name=documents.NAME,
    summary="XML of the event: no declarations of entities before a parser that follows them.",
    patches={
        "xml.etree.ElementTree": parsers.patch_element_tree,
        "xml.etree.ElementInclude": parsers.patch_include,
        "xml.dom.minidom": parsers.patch_dom,
        "xml.dom.expatbuilder": parsers.patch_dom,
        "xml.sax": parsers.patch_texts,
        "xml.dom.pulldom": parsers.patch_texts,
        "html.parser": parsers.patch_html,
        "xml.sax.expatreader": parsers.patch_expat_reader,
        "xmlrpc.client": parsers.patch_xmlrpc,
        "plistlib": parsers.patch_plistlib,
        "xmltodict": parsers.patch_xmltodict,
        "lxml.etree": lxml.patch_lxml,
        "lxml.objectify": lxml.patch_functions,
    },
    calls={
        "Parse": parsers.on_expat,
        "ParseFile": parsers.on_expat,
        "xinclude": lxml.on_include,
        READS_LINES: insertions.on_reading,
    },
)
