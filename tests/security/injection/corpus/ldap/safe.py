"""Handlers that escape or check. The libraries are stand-ins."""

from support.guard_corpus import Program, body, sqs

D = """
#### directory.py
import ldap3
BASE = "dc=example,dc=com"
def connect(): return ldap3.Connection(ldap3.Server("ldap://127.0.0.1"))
def search(flt, attributes=("cn",)):
    c = connect()
    c.search(BASE, flt, attributes=list(attributes))
    return c.entries
"""
HOSTILE = ["*", "x)(|(uid=*)", "a\\b", "ada", "uid", "objectClass", "a(b)", "cn=x,dc=y", "O'Brien"]


def each(key):
    return [{key: h} for h in HOSTILE]


E = "from ldap3.utils.conv import escape_filter_chars\n"

PROGRAMS = {
    "escaped": Program(
        E
        + """from directory import search
def handler(event, context): return search(f"(uid={escape_filter_chars(event['u'])})")
"""
        + D,
        benign=each("u"),
    ),
    "escaped before": Program(
        E
        + """import json
from directory import search
def handler(event, context):
    user = escape_filter_chars(json.loads(event["body"])["u"].strip())
    flt = "(&(objectClass=person)(|(uid=%s)(mail=%s)))" % (user, user)
    return search(flt)
"""
        + D,
        benign=[body(u=h) for h in HOSTILE],
    ),
    "escaped in a class": Program(
        E
        + """from directory import search
class Filter:
    def __init__(self): self.parts = []
    def eq(self, attr, value): self.parts.append("(" + attr + "=" + escape_filter_chars(value) + ")"); return self
    def __str__(self): return "(&" + "".join(self.parts) + ")"
def handler(event, context): return search(str(Filter().eq("uid", event["u"]).eq("objectClass", "person")))
"""
        + D,
        benign=each("u"),
    ),
    "own escape": Program(
        """
from directory import search
TABLE = {"\\\\": r"\\5c", "*": r"\\2a", "(": r"\\28", ")": r"\\29", "\\x00": r"\\00"}
def esc(v): return "".join(TABLE.get(c, c) for c in v)
def handler(event, context): return search("(uid=" + esc(event["u"]) + ")")
"""
        + D,
        benign=each("u"),
    ),
    "own escape by replace": Program(
        """
from directory import search
def esc(v): return v.replace("\\\\", "\\\\5c").replace("*", "\\\\2a").replace("(", "\\\\28").replace(")", "\\\\29")
def handler(event, context): return search("(uid={})".format(esc(event["u"])))
"""
        + D,
        benign=each("u"),
    ),
    "filter_format": Program(
        """
import ldap
from ldap.filter import filter_format
def handler(event, context):
    return ldap.initialize("ldap://127.0.0.1").search_s("dc=example,dc=com", 2, filter_format("(&(uid=%s)(ou=%s))", [event["u"], "x"]))
""",
        benign=each("u"),
    ),
    "python-ldap, escaped": Program(
        """
import ldap, ldap.filter
def handler(event, context):
    return ldap.initialize("ldap://127.0.0.1").search_s("dc=example,dc=com", 2, "(uid=" + ldap.filter.escape_filter_chars(event["u"]) + ")")
""",
        benign=each("u"),
    ),
    "pattern": Program(
        """
import re
from directory import search
def handler(event, context):
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,32}", event["u"]): return 400
    return search("(uid=" + event["u"] + ")")
"""
        + D,
        benign=each("u"),
    ),
    "isalnum": Program(
        """
from directory import search
def handler(event, context):
    if not event["u"].isalnum(): raise ValueError("user")
    return search("(uid=%s)" % event["u"])
"""
        + D,
        benign=each("u"),
    ),
    "allowed attributes": Program(
        E
        + """from directory import search
ATTRIBUTES = {"name": "cn", "mail": "mail"}
def handler(event, context):
    attr = ATTRIBUTES.get(event["by"])
    if attr is None: return 400
    return search(f"({attr}={escape_filter_chars(event['q'])})")
"""
        + D,
        benign=[{"by": "name", "q": h} for h in HOSTILE] + [{"by": "userPassword", "q": "a"}],
    ),
    "number": Program(
        """
from directory import search
def handler(event, context): return search(f"(uidNumber={int(event['n'])})")
"""
        + D,
        benign=[{"n": "7"}, {"n": 5}, {"n": "*"}],
    ),
    "name, escaped": Program(
        """
from ldap3.utils.dn import escape_rdn
from directory import connect
def handler(event, context): return connect().delete("uid=" + escape_rdn(event["u"]) + ",dc=example,dc=com")
"""
        + D,
        benign=each("u"),
    ),
    "name, python-ldap": Program(
        """
import ldap
from ldap.dn import escape_dn_chars
def handler(event, context):
    return ldap.initialize("ldap://127.0.0.1").simple_bind_s(f"uid={escape_dn_chars(event['u'])},dc=example,dc=com", event["u"])
""",
        benign=each("u"),
    ),
    "constant": Program(
        """
from directory import search
def handler(event, context):
    return [e for e in search("(&(objectClass=person)(uid=*))") if e == event["u"]]
"""
        + D,
        benign=each("u"),
    ),
    "queue": Program(
        E
        + """import json
from directory import search
def handler(event, context):
    return search("(|" + "".join(f"(cn={escape_filter_chars(json.loads(r['body'])['g'])})" for r in event["Records"]) + ")")
"""
        + D,
        benign=[sqs({"g": "*"}, {"g": "a)(b"}, {"g": "staff"})],
    ),
    "modify": Program(
        """
import ldap3
from directory import connect
def handler(event, context):
    return connect().modify("uid=ada,dc=example,dc=com", {"mail": [("MODIFY_REPLACE", [event["u"]])]})
"""
        + D,
        benign=each("u"),
    ),
}
