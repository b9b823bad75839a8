"""Handlers that expand what a document declares."""

from support.guard_corpus import Program, b64, body, sns, sqs

FILE = (
    '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><a>&x;</a></r>'
)
BOMB = '<!DOCTYPE r [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><r><a>&b;</a></r>'
PARAM = '<!DOCTYPE r [<!ENTITY % d SYSTEM "http://127.0.0.1:9/x.dtd"> %d;]><r><a>1</a></r>'
OK = "<r><a>ada</a></r>"
OK2 = '<?xml version="1.0" encoding="UTF-8"?>\n<r x="1"><!-- &x; <!ENTITY --><a><![CDATA[<b> & ]]></a></r>'
DTD = '<?xml version="1.0"?><!DOCTYPE r [<!ELEMENT r ANY>]><r><a>1</a></r>'

PROGRAMS = {
    "lxml, string": Program(
        """
from lxml import etree
def handler(event, context):
    return etree.fromstring(event["body"].encode()).findtext("a")
""",
        [{"body": BOMB}],
        [{"body": OK}, {"body": OK2}],
    ),
    "lxml, parser that loads": Program(
        """
from lxml import etree
PARSER = etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=False)
def handler(event, context):
    return etree.XML(event["xml"], PARSER).findtext("a")
""",
        [{"xml": FILE[21:]}, {"xml": PARAM}],
        [{"xml": OK}],
    ),
    "lxml, stream, base64": Program(
        """
import base64, io
from lxml import etree
class Parser:
    def __init__(self): self.options = {"huge_tree": True, "resolve_entities": True}
    def parse(self, raw): return etree.parse(io.BytesIO(raw), etree.XMLParser(**self.options)).getroot()
def handler(event, context):
    return Parser().parse(base64.b64decode(event["body"])).findtext("a")
""",
        [{"body": b64(FILE)}],
        [{"body": b64(OK)}],
    ),
    "ElementTree bomb": Program(
        """
import json
import xml.etree.ElementTree as ET
def handler(event, context):
    return ET.fromstring(json.loads(event["body"])["xml"]).findtext("a")
""",
        [body(xml=BOMB)],
        [body(xml=OK), body(xml=OK2)],
    ),
    "ElementTree, file": Program(
        """
import io, xml.etree.ElementTree as ET
def handler(event, context):
    return ET.parse(io.StringIO(event["xml"])).getroot().findtext("a")
""",
        [{"xml": BOMB}],
        [{"xml": OK}, {"xml": "<a/>"}],
    ),
    "minidom": Program(
        """
from xml.dom import minidom
def handler(event, context):
    return [minidom.parseString(r["body"]).documentElement.toxml() for r in event["Records"]]
""",
        [sqs(BOMB)],
        [sqs(OK), sqs(OK2)],
    ),
    "sax with external entities": Program(
        """
import io, xml.sax
from xml.sax.handler import ContentHandler, feature_external_ges
class H(ContentHandler):
    def __init__(self): super().__init__(); self.text = []
    def characters(self, c): self.text.append(c)
def handler(event, context):
    p, h = xml.sax.make_parser(), H()
    p.setFeature(feature_external_ges, True)
    p.setContentHandler(h)
    p.parse(io.BytesIO(event["xml"].encode()))
    return "".join(h.text)
""",
        [{"xml": FILE}, {"xml": BOMB}],
        [{"xml": OK}],
    ),
    "sax, parseString": Program(
        """
import xml.sax
def handler(event, context):
    xml.sax.parseString(event["xml"], xml.sax.ContentHandler())
""",
        [{"xml": BOMB}],
        [{"xml": OK}],
    ),
    "document put together": Program(
        """
from lxml import etree
def handler(event, context):
    doc = "%s<order><id>%s</id></order>" % (event.get("prolog", ""), event["id"])
    return etree.fromstring(doc, etree.XMLParser(resolve_entities=True)).findtext("id")
""",
        [{"prolog": '<!DOCTYPE order [<!ENTITY x SYSTEM "file:///etc/hostname">]>', "id": "&x;"}],
        [{"id": "17"}],
    ),
    "expat": Program(
        """
from xml.parsers import expat
def handler(event, context):
    out = []
    p = expat.ParserCreate()
    p.CharacterDataHandler = out.append
    p.Parse(event["xml"], True)
    return "".join(out)
""",
        [{"xml": BOMB}],
        [{"xml": OK}],
    ),
    "iterparse": Program(
        """
import io
from lxml import etree
def handler(event, context):
    return [e.text for _, e in etree.iterparse(io.BytesIO(event["xml"].encode("utf-8")), resolve_entities=True)]
""",
        [{"xml": FILE}],
        [{"xml": OK}],
    ),
    "feed": Program(
        """
from lxml import etree
def handler(event, context):
    p = etree.XMLParser(resolve_entities=True)
    for i in range(0, len(event["xml"]), 16): p.feed(event["xml"][i:i + 16])
    return p.close().findtext("a")
""",
        [{"xml": FILE[21:]}],
        [{"xml": OK}],
    ),
    "soap of a topic": Program(
        """
import xml.etree.ElementTree as ET
def handler(event, context):
    text = event["Records"][0]["Sns"]["Message"].strip()
    return ET.XML(text).tag
""",
        [sns("  " + BOMB)],
        [sns(OK)],
    ),
    "XInclude": Program(
        """
from lxml import etree
def handler(event, context):
    t = etree.ElementTree(etree.fromstring(event["xml"]))
    t.xinclude()
    return etree.tostring(t)
""",
        [
            {
                "xml": '<r xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include parse="text" href="file:///etc/hostname"/></r>'
            }
        ],
        [{"xml": OK}],
    ),
    "UTF-16": Program(
        """
import base64
from lxml import etree
def handler(event, context):
    parser = etree.XMLParser(resolve_entities=True)
    return etree.fromstring(base64.b64decode(event["b"]), parser).findtext("a")
""",
        [{"b": b64(FILE.replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"))}],
        [{"b": b64(OK.encode("utf-16"))}],
    ),
    "xmlrpc": Program(
        """
import xmlrpc.client
def handler(event, context): return xmlrpc.client.loads(event["body"])
""",
        [
            {
                "body": '<!DOCTYPE m [<!ENTITY b "x"><!ENTITY a "&b;&b;">]><methodCall><methodName>&a;</methodName><params/></methodCall>'
            }
        ],
        [
            {
                "body": "<methodCall><methodName>m</methodName><params><param><value><int>1</int></value></param></params></methodCall>"
            }
        ],
    ),
}
