"""Handlers that splice data into XPath."""

from support.guard_corpus import Program, b64, body, query, sns, sqs

D = """
#### doc.py
from lxml import etree
import xml.etree.ElementTree as ET
XML = "<users><user id='1' role='admin'><name>ada</name><pw>x</pw></user><user id='2' role='user'><name>bob</name><pw>y</pw></user></users>"
tree = etree.fromstring(XML)
plain = ET.fromstring(XML)
"""
OR = "' or '1'='1"
PROGRAMS = {
    "f-string": Program(
        """
from doc import tree
def handler(event, context): return len(tree.xpath(f"//user[name='{event['name']}']"))
"""
        + D,
        [{"name": OR}, {"name": "x'] | //pw | //a['"}],
        [{"name": "ada"}, {"name": 'say "hi"'}],
    ),
    "log in": Program(
        """
import json
from doc import tree
def handler(event, context):
    c = json.loads(event["body"])
    q = "//user[name/text()='%s' and pw/text()='%s']" % (c["user"], c["password"])
    return bool(tree.xpath(q))
"""
        + D,
        [body(user="ada' or '1'='1", password="x"), body(user="ada", password=OR)],
        [body(user="ada", password="x")],
    ),
    "number": Program(
        """
from doc import tree
def handler(event, context): return [str(e.tag) for e in tree.xpath("//user[@id=" + event["id"] + "]")]
"""
        + D,
        [{"id": "1 or 1=1"}, {"id": "1]|//pw[1"}],
        [{"id": "1"}],
    ),
    "class, double quotes": Program(
        """
from doc import tree
class Users:
    PATH = '//user[@role="{role}"]/name/text()'
    def __init__(self, root): self.root = root
    def by_role(self, role): return list(map(str, self.root.xpath(self.PATH.format(role=role))))
def handler(event, context): return Users(tree).by_role(event["role"].strip().lower())
"""
        + D,
        [{"role": ' " or "1"="1 '}],
        [{"role": "Admin"}, {"role": "it's"}],
    ),
    "whole": Program(
        """
from doc import tree
def handler(event, context): return len(tree.xpath(event["queryStringParameters"]["path"]))
"""
        + D,
        [query(path="//pw"), query(path="//*")],
    ),
    "compiled": Program(
        """
from lxml import etree
from doc import tree
def handler(event, context):
    find = etree.XPath("//user[name='" + event["n"] + "']")
    return len(find(tree))
"""
        + D,
        [{"n": OR}],
        [{"n": "bob"}],
    ),
    "element of the event": Program(
        """
from doc import tree
def handler(event, context): return [e.text for e in tree.xpath("//user/" + event["field"])]
"""
        + D,
        [{"field": "pw"}, {"field": "../user/pw"}, {"field": "*"}],
    ),
    "ElementTree": Program(
        """
from doc import plain
def handler(event, context): return plain.find(".//user[name='" + event["n"] + "']/name").text
"""
        + D,
        [{"n": "ada']/../user[name='bob"}],
        [{"n": "ada"}],
    ),
    "findall": Program(
        """
from doc import plain
def handler(event, context):
    return [u.tag for u in plain.findall("./user[@role='%s']" % event["role"])]
"""
        + D,
        [{"role": "user']/pw[.='y"}],
        [{"role": "user"}],
    ),
    "base64": Program(
        """
import base64
from doc import tree
def handler(event, context): return len(tree.xpath("//user[name='%s']" % base64.b64decode(event["n"]).decode()))
"""
        + D,
        [{"n": b64(OR)}],
        [{"n": b64("ada")}],
    ),
    "quotes stripped": Program(
        """
from doc import tree
def handler(event, context):
    v = event["v"].replace("'", "").replace('"', "")
    return len(tree.xpath("//user[@id=" + v + "]"))
"""
        + D,
        [{"v": "1 or true()"}, {"v": "'1' or '1'"}],
        [{"v": "'1'"}],
    ),
    "queue, conditions joined": Program(
        """
import json
from doc import tree
def handler(event, context):
    out = []
    for r in event["Records"]:
        conds = [f"{k}='{v}'" for k, v in json.loads(r["body"]).items()]
        out.append(len(tree.xpath("//user[" + " and ".join(conds) + "]")))
    return out
"""
        + D,
        [sqs({"name": "x' or 'a'='a"}), sqs({"1=1 or name": "x"})],
        [],
    ),
    "evaluator": Program(
        """
from lxml import etree
from doc import tree
def handler(event, context):
    return len(etree.XPathEvaluator(tree)("//user[contains(name, '" + event["q"] + "')]"))
"""
        + D,
        [{"q": "')] | //pw[contains(., '"}],
        [{"q": "a"}],
    ),
    "axis": Program(
        """
from doc import tree
def handler(event, context): return len(tree.xpath("//user[1]/" + event["axis"] + "::*"))
"""
        + D,
        [{"axis": "following-sibling"}, {"axis": "ancestor-or-self"}],
    ),
    "topic, replace": Program(
        """
from doc import tree
Q = "//user[name = 'NAME'][@role != 'admin']"
def handler(event, context):
    return len(tree.xpath(Q.replace("NAME", event["Records"][0]["Sns"]["Message"])))
"""
        + D,
        [sns("x'] | //user['1")],
        [sns("bob")],
    ),
    "tree, not element": Program(
        """
import io
from lxml import etree
from doc import XML
def handler(event, context):
    t = etree.parse(io.StringIO(XML))
    return len(t.xpath("/users/user[position()=" + event["n"] + "]"))
"""
        + D,
        [{"n": "1 or 2"}, {"n": "last()"}],
        [{"n": "2"}],
    ),
}
