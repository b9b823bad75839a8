"""LDAP filters and names: hostile events, and the same searches made as they should be."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.origin import Origin, Span
from casemate.guard.sinks.ldap import judge_filter, judge_name
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("ldap3", "ldap", "ldap.filter", "ldap.dn")
BASE = "dc=example,dc=com"
OPEN = "import ldap3\nc = ldap3.Connection(ldap3.Server('ldap://127.0.0.1'))\n"
P_OPEN = "import ldap\nc = ldap.initialize('ldap://127.0.0.1')\n"


def ldap3(filter_code: str, before: str = "") -> str:
    """Return a handler that searches by a filter."""
    return f"{before}{OPEN}c.search('{BASE}', {filter_code}, attributes=['cn'])\nreturn c.entries"


def pldap(filter_code: str, before: str = "") -> str:
    """Return the same with python-ldap."""
    return f"{before}{P_OPEN}return c.search_s('{BASE}', ldap.SCOPE_SUBTREE, {filter_code})"


def b64(text: str) -> str:
    """Encode."""
    return base64.b64encode(text.encode()).decode()


VULNERABLE: Cases = {
    "f-string": (ldap3("f\"(uid={event['user']})\""), {"user": "*"}),
    "f-string, and": (
        ldap3("f\"(&(uid={event['user']})(userPassword={event['pw']}))\""),
        {"user": "admin)(&)", "pw": "x"},
    ),
    "second value": (
        ldap3("f\"(&(uid={event['user']})(userPassword={event['pw']}))\""),
        {"user": "admin", "pw": "*"},
    ),
    "or": (ldap3("'(cn=' + event['n'] + ')'"), {"n": "x)(|(objectClass=*"}),
    "percent": (ldap3("'(&(objectClass=person)(mail=%s))' % event['m']"), {"m": "*)(uid=*"}),
    "format": (ldap3("'(|(uid={0})(mail={0}))'.format(event['q'])"), {"q": "*))(|(uid=*"}),
    "join": (ldap3("''.join(['(uid=', event['u'], ')'])"), {"u": "a*"}),
    "replaced": (ldap3("'(uid=USER)'.replace('USER', event['u'])"), {"u": "*)(cn=*"}),
    "whole": (ldap3("event['filter']"), {"filter": "(objectClass=*)"}),
    "attribute": (ldap3("f\"({event['attr']}=ada)\""), {"attr": "userPassword"}),
    "null byte": (ldap3("f\"(uid={event['u']})\""), {"u": "admin\x00"}),
    "stripped": (ldap3("f\"(uid={event['u'].strip()})\""), {"u": "  *  "}),
    "lower": (ldap3("f\"(uid={event['u'].lower()})\""), {"u": "ADMIN)(ObjectClass=*"}),
    "half escaped": (
        ldap3("'(uid=' + event['u'].replace('*', '') + ')'"),
        {"u": "x)(uid=y"},
    ),
    "JSON in a string": (
        ldap3("'(uid=%s)' % json.loads(event['body'])['user']", "import json\n"),
        {"body": json.dumps({"user": "*)(uid=*"})},
    ),
    "base64": (
        ldap3("f\"(uid={base64.b64decode(event['u']).decode()})\"", "import base64\n"),
        {"u": b64("*)(uid=*")},
    ),
    "URL": (
        ldap3("'(uid=' + unquote(event['u']) + ')'", "from urllib.parse import unquote\n"),
        {"u": quote("*)(uid=*")},
    ),
    "basic credentials": (
        ldap3(
            "'(uid=%s)' % base64.b64decode(event['headers']['authorization'][6:])"
            ".decode().split(':')[0]",
            "import base64\n",
        ),
        {"headers": {"authorization": "Basic " + b64("*)(uid=*:x")}},
    ),
    "helper": (
        "import ldap3\ndef by(attribute, value):\n    return f'({attribute}={value})'\n"
        "def handler(event, context):\n"
        "    c = ldap3.Connection(ldap3.Server('x'))\n"
        "    c.search('dc=x', '(&' + by('uid', event['u']) + by('ou', event['o']) + ')')\n"
        "    return c.entries",
        {"u": "ada", "o": "*"},
    ),
    "quotes taken off": (ldap3("'(uid=' + event['u'].strip('\"') + ')'"), {"u": '"*"'}),
    "cut": (ldap3("'(uid=' + event['u'][5:] + ')'"), {"u": "user:*)(uid=*"}),
    "python-ldap": (pldap("'(uid=%s)' % event['u']"), {"u": "*"}),
    "python-ldap, keyword": (
        P_OPEN + f"return c.search_ext('{BASE}', 2, filterstr=f\"(cn={{event['n']}})\")",
        {"n": "x)(cn=*"},
    ),
    "python-ldap, name": (
        P_OPEN + "return c.simple_bind_s(f\"uid={event['u']},ou=people,dc=x\", event['pw'])",
        {"u": "admin,ou=admins", "pw": "x"},
    ),
    "python-ldap, delete": (
        P_OPEN + "return c.delete_s('uid=' + event['u'] + ',ou=people,dc=x')",
        {"u": "x,ou=other"},
    ),
    "name of who binds": (
        "import ldap3\nreturn str(ldap3.Connection(ldap3.Server('x'), "
        "user=f\"cn={event['u']},dc=x\", password=event['p']))",
        {"u": "admin,dc=x+cn=y", "p": ""},
    ),
    "base": (OPEN + "c.search(event['base'], '(uid=ada)')\nreturn c.entries", {"base": "dc=other"}),
    "entry of the event": (OPEN + "return c.delete(event['dn'])", {"dn": "uid=root,dc=x"}),
    "organisation": (
        OPEN + "c.search(f\"ou={event['ou']},dc=x\", '(uid=ada)')\nreturn c.entries",
        {"ou": "people,dc=y"},
    ),
}

SAFE: Cases = {
    "plain": (ldap3("f\"(uid={event['user']})\""), {"user": "ada"}),
    "with spaces": (ldap3("f\"(cn={event['name']})\""), {"name": "Ada King, Countess & Co"}),
    "escaped": (
        ldap3(
            "f\"(uid={escape_filter_chars(event['u'])})\"",
            "from ldap3.utils.conv import escape_filter_chars\n",
        ),
        {"u": "*)(uid=*"},
    ),
    "escaped, stripped before": (
        ldap3(
            "'(&(objectClass=person)(uid=%s))' % escape_filter_chars(event['u'].strip())",
            "from ldap3.utils.conv import escape_filter_chars\n",
        ),
        {"u": " (x)*\\ "},
    ),
    "escaped by hand": (
        "import ldap3\nTABLE = str.maketrans({'\\\\': '\\\\5c', '*': '\\\\2a', '(': '\\\\28', "
        "')': '\\\\29', '\\x00': '\\\\00'})\ndef handler(event, context):\n"
        "    c = ldap3.Connection(ldap3.Server('x'))\n"
        "    c.search('dc=x', '(uid=' + event['u'].translate(TABLE) + ')')\n    return c.entries",
        {"u": "*)(uid=*"},
    ),
    "escaped by replacing": (
        ldap3(
            "'(cn=' + event['n'].replace('\\\\', r'\\5c').replace('*', r'\\2a')"
            ".replace('(', r'\\28').replace(')', r'\\29') + ')'"
        ),
        {"n": "Ada (London) *"},
    ),
    "escaped, prefix search": (
        ldap3(
            "f\"(cn={escape_filter_chars(event['q'])}*)\"",
            "from ldap3.utils.conv import escape_filter_chars\n",
        ),
        {"q": "Ad*"},
    ),
    "prefix search": (ldap3("f\"(|(cn={event['q']}*)(mail=*{event['q']}*))\""), {"q": "ada"}),
    "checked": (
        ldap3(
            "'(uid=' + event['u'] + ')'",
            "import re\nif not re.fullmatch(r'[a-z0-9_-]+', event['u']):\n    raise ValueError\n",
        ),
        {"u": "ada-king_1"},
    ),
    "checked, refused": (
        ldap3(
            "'(uid=' + event['u'] + ')'",
            "import re\nif not re.fullmatch(r'[a-z0-9]+', event['u']):\n    return 'refused'\n",
        ),
        {"u": "*"},
    ),
    "attribute of a list": (
        ldap3(
            "f\"({event['attr']}=ada)\"",
            "if event['attr'] not in ('uid', 'mail'):\n    raise ValueError\n",
        ),
        {"attr": "mail"},
    ),
    "filter of a table": (
        ldap3("{'staff': '(ou=staff)', 'all': '(objectClass=*)'}[event['kind']]"),
        {"kind": "all"},
    ),
    "number": (ldap3("f\"(uidNumber={int(event['n'])})\""), {"n": "1001"}),
    "mail": (ldap3("'(mail=%s)' % event['m']"), {"m": "ada.king+x@example.com"}),
    "constant": (ldap3("'(&(objectClass=person)(!(uid=admin)))'"), {"user": "(uid=*)"}),
    "python-ldap": (pldap("'(uid=%s)' % event['u']"), {"u": "ada"}),
    "python-ldap, formatted": (
        pldap(
            "filter_format('(&(uid=%s)(ou=%s))', [event['u'], event['o']])",
            "from ldap.filter import filter_format\n",
        ),
        {"u": "*)(uid=*", "o": "x)("},
    ),
    "python-ldap, name escaped": (
        "from ldap.dn import escape_dn_chars\n"
        + P_OPEN
        + "return c.simple_bind_s(f\"uid={escape_dn_chars(event['u'])},dc=x\", event['p'])",
        {"u": "a,b=c", "p": "x"},
    ),
    "python-ldap, name": (
        P_OPEN + "return c.simple_bind_s(f\"uid={event['u']},ou=people,dc=x\", event['p'])",
        {"u": "ada", "p": "(*)"},
    ),
    "name escaped": (
        "from ldap3.utils.dn import escape_rdn\n"
        + OPEN
        + "return c.delete(f\"cn={escape_rdn(event['n'])},dc=x\")",
        {"n": 'King, "Ada"'},
    ),
    "domain and user": (
        "import ldap3\nreturn str(ldap3.Connection(ldap3.Server('x'), "
        "user=event['u'], password=event['p']))[:3]",
        {"u": "CORP\\ada", "p": "x"},
    ),
    "UUID": (
        ldap3("f\"(entryUUID={uuid.UUID(event['id'])})\"", "import uuid\n"),
        {"id": "12345678-1234-5678-1234-567812345678"},
    ),
    "attributes of the event": (
        OPEN + "return c.modify('uid=ada,dc=x', {'description': [('R', [event['text']])]})",
        {"text": "(*)\\ , = +"},
    ),
}


def test_hostile_filters_and_names_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"ldap"}, PRELOAD)


def test_plain_escaped_and_checked_ones_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)


def _span(start: int, value: str) -> Span:
    return Span(start, start + len(value), Origin("event", ()), exact=True)


@given(st.text(min_size=1, max_size=30))
def test_an_escaped_value_is_never_blocked(value: str) -> None:
    escaped = "".join(f"\\{ord(c):02x}" if c in "\\*()\x00" else c for c in value)
    text = f"(&(a=b)(uid={escaped}))"
    assert judge_filter(text, [_span(len("(&(a=b)(uid="), escaped)]) is None


@given(st.text(max_size=20), st.sampled_from("*()\x00"), st.text(max_size=20))
def test_a_special_character_is_always_blocked(before: str, mark: str, after: str) -> None:
    value = before.rstrip("\\") + mark + after
    assert judge_filter(f"(uid={value})", [_span(5, value)]) is not None


@given(st.text(alphabet="abz ÄÖ.-@", min_size=1, max_size=20))
def test_plain_values_of_names_pass(value: str) -> None:
    assert judge_name(f"cn={value},dc=x", [_span(3, value)]) is None


BELOW = (
    "from urllib.parse import unquote\n"
    f"ROOT = 'ou=people,{BASE}'\n{OPEN}"
    "base = unquote(event['url'].partition('///')[2].partition('?')[0])\n"
    "if event.get('asks', 1) and not base.lower().endswith(ROOT): return 'not ours'\n"
    "c.search(base, '(objectClass=*)', attributes=['cn'])\nreturn c.entries"
)


def test_a_base_may_be_chosen_below_the_one_that_the_code_asks_for(tmp_path: Path) -> None:
    below = f"ldap:///uid=bob,ou=people,{BASE}?mail?base"
    cases: Cases = {
        "below": (BELOW, {"url": below}),
        "the same": (BELOW, {"url": f"ldap:///ou=people,{BASE}"}),
        "elsewhere": (BELOW, {"url": "ldap:///ou=admins,dc=example,dc=com"}),
    }
    assert_passes(tmp_path, cases, PRELOAD)
    hostile: Cases = {
        "nobody asked": (BELOW, {"url": below, "asks": 0}),
        "not below": (BELOW, {"url": f"ldap:///ou=x,cn=otherou=people,{BASE}"}),
    }
    assert_blocked(tmp_path, hostile, {"ldap"}, PRELOAD)
