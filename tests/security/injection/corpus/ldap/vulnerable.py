"""Handlers that splice data into filters and names. The libraries are stand-ins."""

from support.guard_corpus import Program, b64, body, query, sns, sqs

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
STAR, OR = "*", "x)(|(objectClass=*)"
PROGRAMS = {
    "f-string": Program(
        """
from directory import search
def handler(event, context): return search(f"(uid={event['user']})")
"""
        + D,
        [{"user": STAR}, {"user": OR}],
        [{"user": "ada"}, {"user": "ada.lovelace-1"}],
    ),
    "log in": Program(
        """
import json
from directory import search
def handler(event, context):
    c = json.loads(event["body"])
    flt = "(&(uid=%s)(userPassword=%s))" % (c["user"], c["password"])
    return bool(search(flt))
"""
        + D,
        [body(user="admin)(&)", password="x"), body(user="ada", password=STAR)],
        [body(user="ada", password="s3cret!")],
    ),
    "class": Program(
        """
from directory import search
class Directory:
    TEMPLATE = "(&(objectClass=person)({attr}={value}))"
    def find(self, attr, value): return search(self.TEMPLATE.format(attr=attr, value=value))
def handler(event, context): return Directory().find("mail", event["mail"].strip().lower())
"""
        + D,
        [{"mail": " *)(uid=* "}, {"mail": "a*"}],
        [{"mail": "Ada@Example.com"}],
    ),
    "attribute": Program(
        """
from directory import search
def handler(event, context):
    p = event["queryStringParameters"]
    return search("(" + p["by"] + "=" + p["q"] + ")")
"""
        + D,
        [query(by="userPassword", q="a"), query(by="uid=*)(cn", q="x"), query(by="cn", q="*")],
        [],
    ),
    "parts joined": Program(
        """
from directory import search
def handler(event, context):
    terms = [f"({k}={v})" for k, v in event["terms"].items()]
    return search("(&" + "".join(terms) + ")")
"""
        + D,
        [{"terms": {"cn": "a", "sn": OR}}],
        [],
    ),
    "groups of a queue": Program(
        """
import json
from directory import search
def handler(event, context):
    out = []
    for r in event["Records"]:
        groups = json.loads(r["body"])["groups"]
        out.append(search("(|" + "".join("(cn=" + g + ")" for g in groups) + ")"))
    return out
"""
        + D,
        [sqs({"groups": ["a", "b)(uid=*"]})],
        [sqs({"groups": ["staff", "it dept"]})],
    ),
    "base64": Program(
        """
import base64
from directory import search
def handler(event, context):
    user, _, pw = base64.b64decode(event["headers"]["authorization"].split(" ")[1]).decode().partition(":")
    return search("(sAMAccountName=" + user + ")")
"""
        + D,
        [{"headers": {"authorization": "Basic " + b64("*)(x=*:pw")}}],
        [{"headers": {"authorization": "Basic " + b64("ada:pw")}}],
    ),
    "stars removed": Program(
        """
from directory import search
def handler(event, context): return search("(cn=%s)" % event["cn"].replace("*", ""))
"""
        + D,
        [{"cn": "x)(|(uid=a)"}, {"cn": "\\2a)(cn=\\2a"}],
        [{"cn": "Ada Lovelace"}],
    ),
    "whole": Program(
        """
from directory import search
def handler(event, context): return search(event["filter"])
"""
        + D,
        [{"filter": "(objectClass=*)"}, {"filter": "(&(uid=a)(userPassword=*))"}],
    ),
    "name": Program(
        """
from directory import connect
def handler(event, context):
    c = connect()
    c.delete("uid=" + event["uid"] + ",ou=people,dc=example,dc=com")
"""
        + D,
        [{"uid": "a,ou=admins"}, {"uid": "x+cn=y"}],
        [{"uid": "ada"}],
    ),
    "base of the search": Program(
        """
import ldap3
from directory import connect
def handler(event, context):
    return connect().search(f"ou={event['ou']},dc=example,dc=com", "(objectClass=person)", attributes=["cn"])
"""
        + D,
        [{"ou": "x,dc=example,dc=com,ou=admin"}],
        [{"ou": "sales"}],
    ),
    "python-ldap": Program(
        """
import ldap
def handler(event, context):
    c = ldap.initialize("ldap://127.0.0.1")
    return c.search_s("dc=example,dc=com", ldap.SCOPE_SUBTREE, "(uid=" + event["u"] + ")")
""",
        [{"u": STAR}, {"u": "a)(b=c"}],
        [{"u": "ada"}],
    ),
    "bind": Program(
        """
import ldap
def handler(event, context):
    c = ldap.initialize("ldap://127.0.0.1")
    return c.simple_bind_s("cn=%s,dc=example,dc=com" % event["u"], event["p"])
""",
        [{"u": "admin,ou=x", "p": "a"}],
        [{"u": "ada", "p": "x,y=*"}],
    ),
    "half escaped": Program(
        """
import ldap3
from ldap3.utils.conv import escape_filter_chars
from directory import search
def handler(event, context): return search(f"(&(uid={escape_filter_chars(event['u'])})(ou={event['ou']}))")
"""
        + D,
        [{"u": "ada", "ou": "*)(x=y"}],
        [{"u": "*", "ou": "sales"}],
    ),
    "data class": Program(
        """
from dataclasses import dataclass
from directory import search
@dataclass
class Query:
    user: str
    def __str__(self): return "(|(uid={0})(mail={0}@example.com))".format(self.user)
def handler(event, context): return search(str(Query(**event)))
"""
        + D,
        [{"user": "*"}, {"user": OR}],
        [{"user": "ada"}],
    ),
    "topic": Program(
        """
import json
from directory import search
def handler(event, context):
    m = json.loads(event["Records"][0]["Sns"]["Message"])
    flt = "(&(objectClass=user)"
    if m.get("name"): flt += "(displayName=*" + m["name"] + "*)"
    return search(flt + ")")
"""
        + D,
        [sns({"name": "x)(memberOf=y"}), sns({"name": "a*b"})],
        [sns({"name": "Ada L"})],
    ),
}
