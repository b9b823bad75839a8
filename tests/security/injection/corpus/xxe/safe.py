"""Handlers whose parsers expand nothing, or that refuse declarations."""

from support.guard_corpus import Program, b64, sqs

FILE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><a>&x;</a></r>'
BOMB = '<!DOCTYPE r [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><r><a>&b;</a></r>'
OK = "<r><a>ada</a></r>"
OK2 = '<?xml version="1.0" encoding="UTF-8"?>\n<r x="1"><!-- &x; <!ENTITY --><a><![CDATA[<!DOCTYPE x [<!ENTITY b "c">]> & ]]></a></r>'
DTD = "<!DOCTYPE r [<!ELEMENT r ANY>]><r><a>1</a></r>"
PUBLIC = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd"><html/>'
ALL = [{"xml": x} for x in (FILE, BOMB, OK, DTD)]

PROGRAMS = {
    "defusedxml": Program(
        """
import defusedxml.ElementTree as ET
from defusedxml.common import DefusedXmlException
def handler(event, context):
    try: return ET.fromstring(event["xml"]).findtext("a")
    except DefusedXmlException: return 400
""",
        benign=[*ALL, {"xml": OK2}],
    ),
    "defused minidom": Program(
        """
from defusedxml import minidom, DefusedXmlException
def handler(event, context):
    try: return minidom.parseString(event["xml"]).toxml()
    except DefusedXmlException: return 400
""",
        benign=ALL,
    ),
    "lxml without entities": Program(
        """
from lxml import etree
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
def handler(event, context): return etree.fromstring(event["xml"], parser=PARSER).findtext("a")
""",
        benign=ALL,
    ),
    "lxml without entities, of a function": Program(
        """
import io
from lxml import etree
def parser(): return etree.XMLParser(resolve_entities=False)
def handler(event, context): return etree.parse(io.BytesIO(event["xml"].encode()), parser()).getroot().tag
""",
        benign=ALL,
    ),
    "plain, ElementTree": Program(
        """
import xml.etree.ElementTree as ET
def handler(event, context): return [c.tag for c in ET.fromstring(event["xml"])]
""",
        benign=[{"xml": OK}, {"xml": OK2}, {"xml": DTD}, {"xml": PUBLIC}],
    ),
    "plain, lxml": Program(
        """
from lxml import etree
def handler(event, context): return etree.tostring(etree.fromstring(event["xml"].encode()))
""",
        benign=[{"xml": OK}, {"xml": OK2}, {"xml": DTD}, {"xml": PUBLIC}],
    ),
    "doctype refused": Program(
        """
import xml.etree.ElementTree as ET
def handler(event, context):
    if "<!DOCTYPE" in event["xml"].upper() or "<!ENTITY" in event["xml"].upper(): return 400
    return ET.fromstring(event["xml"]).findtext("a")
""",
        benign=ALL,
    ),
    "document built": Program(
        """
import xml.etree.ElementTree as ET
def handler(event, context):
    root = ET.Element("order"); ET.SubElement(root, "note", lang=event["xml"]).text = event["xml"]
    return ET.fromstring(ET.tostring(root)).findtext("note")
""",
        benign=[*ALL, {"xml": OK2}],
    ),
    "escaped": Program(
        """
from xml.sax.saxutils import escape, quoteattr
from lxml import etree
def handler(event, context):
    return etree.fromstring("<o n=%s>%s</o>" % (quoteattr(event["xml"]), escape(event["xml"]))).text
""",
        benign=[*ALL, {"xml": "&x;"}],
    ),
    "own document with an entity": Program(
        """
import xml.etree.ElementTree as ET
DOC = '<!DOCTYPE r [<!ENTITY co "Example Ltd">]><r><c>&co;</c></r>'
def handler(event, context): return ET.fromstring(DOC).findtext("c") + event["xml"]
""",
        benign=[*ALL, {"xml": "co"}, {"xml": "Example Ltd"}],
    ),
    "html": Program(
        """
from lxml import html
def handler(event, context): return html.fromstring(event["xml"]).text_content()
""",
        benign=[
            {"xml": OK},
            {"xml": PUBLIC.replace("<html/>", "<html><body>a&nbsp;b</body></html>")},
            {"xml": "<p>&lt;!ENTITY x&gt;</p>"},
        ],
    ),
    "sax with defused": Program(
        """
import io
from defusedxml import sax, DefusedXmlException
from xml.sax import ContentHandler
def handler(event, context):
    try: sax.parseString(event["xml"].encode(), ContentHandler())
    except DefusedXmlException: return 400
""",
        benign=ALL,
    ),
    "html.parser": Program(
        """
from html.parser import HTMLParser
from html import unescape
def handler(event, context):
    p = HTMLParser(); p.feed(event["xml"]); p.close()
    return unescape(event["xml"])
""",
        benign=ALL,
    ),
    "queue, json with xml": Program(
        """
import json, xml.etree.ElementTree as ET
def handler(event, context):
    return [ET.fromstring(json.loads(r["body"])["xml"]).get("x") for r in event["Records"]]
""",
        benign=[sqs({"xml": OK}, {"xml": OK2})],
    ),
    "minidom, plain": Program(
        """
from xml.dom.minidom import parseString
def handler(event, context): return parseString(event["xml"]).documentElement.tagName
""",
        benign=[{"xml": OK}, {"xml": OK2}, {"xml": DTD}],
    ),
    "base64, plain": Program(
        """
import base64
from lxml import etree
def handler(event, context): return etree.fromstring(base64.b64decode(event["b"])).tag
""",
        benign=[{"b": b64(OK)}, {"b": b64(OK2)}, {"b": b64(DTD)}],
    ),
}
