"""Handlers that bind, check or look at values themselves."""

from support.guard_corpus import Program

D = """
#### doc.py
from lxml import etree
import xml.etree.ElementTree as ET
XML = "<users><user id='1' role='admin'><name>ada</name><pw>x</pw></user><user id='2' role='user'><name>bob</name><pw>y</pw></user></users>"
tree = etree.fromstring(XML)
plain = ET.fromstring(XML)
"""
HOSTILE = [
    "' or '1'='1",
    "x'] | //pw | //a['",
    "ada",
    "user",
    "//user",
    "name",
    'a"b',
    "@id",
    "1 or 1=1",
]


def each(key):
    return [{key: h} for h in HOSTILE]


PROGRAMS = {
    "variable": Program(
        """
from doc import tree
def handler(event, context): return len(tree.xpath("//user[name=$n]", n=event["v"]))
"""
        + D,
        benign=each("v"),
    ),
    "compiled": Program(
        """
from lxml import etree
from doc import tree
FIND = etree.XPath("//user[name=$n and @role=$r]/name")
def handler(event, context): return len(FIND(tree, n=event["v"], r="user"))
"""
        + D,
        benign=each("v"),
    ),
    "loop": Program(
        """
from doc import plain
def handler(event, context):
    return [u.get("id") for u in plain.iter("user") if u.findtext("name") == event["v"]]
"""
        + D,
        benign=each("v"),
    ),
    "number": Program(
        """
from doc import tree
def handler(event, context): return len(tree.xpath(f"//user[@id='{int(event['v'])}']"))
"""
        + D,
        benign=[{"v": "1"}, {"v": 2}, {"v": "1 or 1"}],
    ),
    "pattern": Program(
        """
import re
from doc import tree
def handler(event, context):
    if not re.fullmatch(r"\\w+", event["v"]): return 400
    return len(tree.xpath("//user[name='" + event["v"] + "']"))
"""
        + D,
        benign=each("v"),
    ),
    "quote refused": Program(
        """
from doc import tree
def handler(event, context):
    if "'" in event["v"]: raise ValueError("quote")
    return len(tree.xpath("//user[name='%s']" % event["v"]))
"""
        + D,
        benign=each("v"),
    ),
    "quote chosen": Program(
        """
from doc import tree
def literal(s):
    if "'" not in s: return "'" + s + "'"
    if '"' not in s: return '"' + s + '"'
    return "concat('" + s.replace("'", "', \\"'\\", '") + "')"
def handler(event, context): return len(tree.xpath("//user[name=" + literal(event["v"]) + "]"))
"""
        + D,
        benign=[*each("v"), {"v": "a'b\"c"}],
    ),
    "allowed fields": Program(
        """
from doc import tree
FIELDS = {"name", "role"}
def handler(event, context):
    if event["f"] not in FIELDS: return 400
    return [e.text for e in tree.xpath("//user/" + event["f"])]
"""
        + D,
        benign=each("f"),
    ),
    "dictionary": Program(
        """
from doc import tree
PATHS = {"names": "//user/name", "admins": "//user[@role='admin']"}
def handler(event, context): return len(tree.xpath(PATHS.get(event["p"], "//none")))
"""
        + D,
        benign=[*each("p"), {"p": "names"}],
    ),
    "constant": Program(
        """
from doc import tree, plain
def handler(event, context):
    return len(tree.xpath("//user[name='ada']")), plain.find("user/name").text, event["v"]
"""
        + D,
        benign=[*each("v"), {"v": "//user[name='ada']"}, {"v": "user/name"}],
    ),
    "document of the event": Program(
        """
from lxml import etree
def handler(event, context):
    root = etree.fromstring(event["xml"])
    return [e.text for e in root.xpath("//item[@kind='a']/title")], root.findtext("item")
""",
        benign=[{"xml": "<r><item kind='a'><title>//item</title></item></r>"}, {"xml": "<item/>"}],
    ),
    "values of the document": Program(
        """
from lxml import etree
def handler(event, context):
    root = etree.fromstring(event["xml"])
    return [len(root.xpath("//ref[@id=$i]", i=x.get("id"))) for x in root.findall("ref")]
""",
        benign=[{"xml": "<r><ref id=\"' or 1\"/><ref id='b'/></r>"}],
    ),
    "enum": Program(
        """
from enum import Enum
from doc import tree
class Role(Enum):
    ADMIN = "admin"
    USER = "user"
def handler(event, context):
    return len(tree.xpath("//user[@role='%s']" % Role(event["v"]).value))
"""
        + D,
        benign=[*each("v"), {"v": "admin"}],
    ),
    "name of an element for find": Program(
        """
from doc import plain
def handler(event, context):
    user = plain.find("user")
    return {f: user.findtext(f) for f in ("name", "pw") if f in event["v"].split(",")}
"""
        + D,
        benign=[*each("v"), {"v": "name,role"}],
    ),
    "attributes": Program(
        """
from doc import plain
def handler(event, context): return [u.get(event["v"], "") for u in plain]
"""
        + D,
        benign=each("v"),
    ),
    "html": Program(
        """
from lxml import html
def handler(event, context):
    doc = html.fromstring("<div><a href='x'>" + event["v"].replace("<", "&lt;") + "</a></div>")
    return doc.xpath("//a/@href"), doc.xpath("//a/text()")
""",
        benign=each("v"),
    ),
}
