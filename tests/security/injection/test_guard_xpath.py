"""XPath of lxml and ElementTree: hostile events, and the same queries made as they should be."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.origin import Origin, Span
from casemate.guard.quoted import judge, tokenize
from casemate.guard.sinks.xpath import XPATH
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("lxml.etree", "lxml.html", "lxml.objectify", "xml.etree.ElementTree")
USERS = (
    "<users><user name='ada'><password>x</password><role id='1'>admin</role></user>"
    "<user name='bob'><password>y</password></user></users>"
)
L = f'from lxml import etree\nTREE = etree.fromstring("""{USERS}""")\n'
E = f'import xml.etree.ElementTree as ET\nTREE = ET.fromstring("""{USERS}""")\n'


def lxml(code: str, more: str = "") -> str:
    """Return a handler that has the users as a tree of lxml."""
    body = "\n".join(f"    {line}" for line in code.split("\n"))
    return f"{more}{L}def handler(event, context):\n{body}"


def etree(code: str, more: str = "") -> str:
    """Return a handler that has the users as a tree of ElementTree."""
    body = "\n".join(f"    {line}" for line in code.split("\n"))
    return f"{more}{E}def handler(event, context):\n{body}"


OR = "' or '1'='1"
VULNERABLE: Cases = {
    "f-string": (
        lxml("return TREE.xpath(f\"//user[@name='{event['n']}']/password/text()\")"),
        {"n": OR},
    ),
    "double quotes": (
        lxml("return TREE.xpath('//user[@name=\"' + event['n'] + '\"]')"),
        {"n": '" or "1"="1'},
    ),
    "percent": (lxml("return TREE.xpath(\"//user[@name='%s']\" % event['n'])"), {"n": OR}),
    "format": (
        lxml(
            "q = \"//user[@name='{}' and password='{}']\".format(event['n'], event['p'])\n"
            "return TREE.xpath(q)"
        ),
        {"n": "ada' or '", "p": "x"},
    ),
    "union": (
        lxml("return TREE.xpath(\"//user[@name='\" + event['n'] + \"']\")"),
        {"n": "x'] | //password | //a['"},
    ),
    "comment does not exist, node test": (
        lxml("return TREE.xpath('/users/user[' + event['i'] + ']')"),
        {"i": "position()>0"},
    ),
    "number that is none": (
        lxml("return TREE.xpath(f\"//role[@id={event['id']}]\")"),
        {"id": "1 or 1=1"},
    ),
    "whole": (lxml("return TREE.xpath(event['q'])"), {"q": "//password/text()"}),
    "step": (lxml("return TREE.xpath('//user/' + event['field'])"), {"field": "password/text()"}),
    "name": (lxml("return TREE.xpath('//user/' + event['field'])"), {"field": "salary"}),
    "axis": (lxml("return TREE.xpath('//role/' + event['a'])"), {"a": "parent::user/password"}),
    "asterisk": (lxml("return TREE.xpath('//user/' + event['a'])"), {"a": "*"}),
    "find": (lxml("return TREE.find(f\"user[@name='{event['n']}']\")"), {"n": "x']/../user['"}),
    "findall": (lxml("return TREE.findall(\".//user[@name='%s']\" % event['n'])"), {"n": "a'][1"}),
    "tree": (
        lxml("return TREE.getroottree().xpath(f\"//user[@name='{event['n']}']\")"),
        {"n": OR},
    ),
    "XPath class": (
        lxml("return etree.XPath(f\"//user[@name='{event['n']}']\")(TREE)"),
        {"n": OR},
    ),
    "evaluator": (
        lxml("return etree.XPathEvaluator(TREE)(\"//user[@name='\" + event['n'] + \"']\")"),
        {"n": OR},
    ),
    "html": (
        "from lxml import html\n"
        "d = html.fromstring('<p id=\"a\">x</p>')\n"
        "return d.xpath(f\"//p[@id='{event['id']}']\")",
        {"id": OR},
    ),
    "helper": (
        lxml(
            "return find('name', event['n'])",
            "def find(a, v):\n    return TREE.xpath('//user[@%s=\"%s\"]' % (a, v))\n",
        ),
        {"n": '"] | //*["'},
    ),
    "join": (
        lxml("return TREE.xpath(''.join(['//user[@name=\"', event['n'], '\"]']))"),
        {"n": '"or"'},
    ),
    "contains": (
        lxml("return TREE.xpath(f\"//user[contains(@name, '{event['n']}')]\")"),
        {"n": "') or true() or contains('"},
    ),
    "JSON in a string": (
        lxml(
            "n = json.loads(event['body'])['n']\nreturn TREE.xpath(f\"//user[@name='{n}']\")",
            "import json\n",
        ),
        {"body": json.dumps({"n": OR})},
    ),
    "base64": (
        lxml(
            "n = base64.b64decode(event['n']).decode()\n"
            "return TREE.xpath(f\"//user[@name='{n}']\")",
            "import base64\n",
        ),
        {"n": base64.b64encode(OR.encode()).decode()},
    ),
    "URL": (
        lxml(
            "return TREE.xpath(\"//user[@name='%s']\" % unquote(event['n']))",
            "from urllib.parse import unquote\n",
        ),
        {"n": quote(OR)},
    ),
    "lower and stripped": (
        lxml("return TREE.xpath(f\"//user[@name='{event['n'].strip().lower()}']\")"),
        {"n": " ADA' OR '1'='1 "},
    ),
    "one quote": (lxml("return TREE.xpath(f\"//user[@name='{event['n']}']\")"), {"n": "'"}),
    "ElementTree": (
        etree("return TREE.findall(f\".//user[@name='{event['n']}']\")"),
        {"n": "ada']/../user[@name='bob"},
    ),
    "ElementTree, findtext": (
        etree("return TREE.findtext('./user[@name=\"' + event['n'] + '\"]/role')"),
        {"n": 'x"]/../user/password["'},
    ),
    "ElementTree, iterfind": (
        etree("return list(TREE.iterfind(event['q']))"),
        {"q": ".//password"},
    ),
    "ElementTree, tree": (
        etree("return ET.ElementTree(TREE).findall('.//%s' % event['q'])"),
        {"q": "user/password"},
    ),
}

SAFE: Cases = {
    "plain": (lxml("return TREE.xpath(f\"//user[@name='{event['n']}']\")"), {"n": "ada"}),
    "plain, words": (
        lxml("return TREE.xpath(f\"//user[@name='{event['n']}']\")"),
        {"n": "Ada King or Bob"},
    ),
    "variable": (lxml("return TREE.xpath('//user[@name=$n]', n=event['n'])"), {"n": OR}),
    "variable, class": (
        lxml(
            "return FIND(TREE, n=event['n'])",
            "from lxml import etree\nFIND = etree.XPath('//user[@name=$n]')\n",
        ),
        {"n": OR},
    ),
    "variable, evaluator": (
        lxml("return etree.XPathEvaluator(TREE)('//user[@name=$n]', n=event['n'])"),
        {"n": OR},
    ),
    "compared in Python": (
        etree("return [u.tag for u in TREE.iter('user') if u.get('name') == event['n']]"),
        {"n": OR},
    ),
    "checked": (
        lxml(
            "if not re.fullmatch(r'\\w+', event['n']):\n    raise ValueError\n"
            "return TREE.xpath('//user[@name=\"' + event['n'] + '\"]')",
            "import re\n",
        ),
        {"n": "ada"},
    ),
    "checked, refused": (
        lxml(
            "if not event['n'].isalnum():\n    return 'refused'\n"
            "return TREE.xpath('//user[@name=\"' + event['n'] + '\"]')"
        ),
        {"n": OR},
    ),
    "name checked": (
        lxml(
            "if event['f'] not in {'role', 'name'}:\n    raise ValueError\n"
            "return TREE.xpath('//user/' + event['f'])"
        ),
        {"f": "role"},
    ),
    "quotes taken out": (
        lxml("return TREE.xpath(\"//user[@name='%s']\" % event['n'].replace(\"'\", ''))"),
        {"n": OR},
    ),
    "other quotes": (
        lxml(
            'return TREE.xpath(f\'//user[@name="{event["n"]}"]\')'.replace(
                '{event["n"]}', "{name}"
            ).replace("return", "name = event['n']\nreturn")
        ),
        {"n": "O'Neill"},
    ),
    "number": (lxml("return TREE.xpath(f\"//role[@id={int(event['id'])}]\")"), {"id": "1"}),
    "position": (lxml("return TREE.xpath('/users/user[%d]' % event['i'])"), {"i": 2}),
    "number as text": (lxml("return TREE.xpath('/users/user[' + event['i'] + ']')"), {"i": "2"}),
    "concat": (
        lxml(
            "parts = event['n'].split(\"'\")\n"
            "lit = 'concat(' + ', \"\\'\", '.join(\"'%s'\" % p for p in parts) + \", '')\"\n"
            "return TREE.xpath('//user[@name=' + lit + ']')"
        ),
        {"n": "O'Neill"},
    ),
    "constant": (lxml("return TREE.xpath('//user/role')"), {"q": "//user/role"}),
    "tag": (etree("return TREE.find(event['tag'])"), {"tag": "user"}),
    "text is searched": (etree("return 'a text'.find(event['q'])"), {"q": "' or '1'='1"}),
    "ElementTree": (
        etree("return TREE.findall(f\".//user[@name='{event['n']}']\")"),
        {"n": "Ada King"},
    ),
    "document of the event": (
        "import xml.etree.ElementTree as ET\nreturn ET.fromstring(event['xml']).findtext('./a/b')",
        {"xml": "<r><a><b>' or 1</b></a></r>"},
    ),
    "document of the event, namespaces": (
        "from lxml import etree\n"
        "return etree.fromstring(event['xml']).xpath('//n:b/text()', namespaces={'n': 'urn:x'})",
        {"xml": "<r xmlns='urn:x'><b>1</b></r>"},
    ),
    "dispatch of a table": (
        lxml("return TREE.xpath({'roles': '//role', 'names': '//@name'}[event['what']])"),
        {"what": "roles"},
    ),
    "UUID": (
        lxml("return TREE.xpath(f\"//user[@id='{uuid.UUID(event['id'])}']\")", "import uuid\n"),
        {"id": "12345678-1234-5678-1234-567812345678"},
    ),
    "date": (lxml("return TREE.xpath(f\"//user[@d='{event['d']}']\")"), {"d": "2026-01-31"}),
    "mail": (lxml("return TREE.xpath('//user[@m=\"%s\"]' % event['m'])"), {"m": "a.b@x.com"}),
}


def test_expressions_that_the_event_changes_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"xpath"}, PRELOAD)


def test_literals_variables_and_checked_names_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)


@given(st.text(max_size=80))
def test_tokens_cover_any_text_but_white_space(text: str) -> None:
    place = 0
    for _, start, end in tokenize(text, XPATH):
        assert not text[place:start].strip()
        assert start < end
        place = end
    assert not text[place:].strip()


@given(st.text(min_size=1, max_size=30))
def test_what_holds_a_quote_is_blocked_and_what_holds_none_passes(value: str) -> None:
    text = f"//a[@b='{value}']"
    span = Span(8, 8 + len(value), Origin("event", ()), exact=True)
    assert (judge(text, [span], XPATH) is not None) == ("'" in value)
