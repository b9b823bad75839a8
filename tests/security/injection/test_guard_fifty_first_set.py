"""What small everyday programs of our own, and a fifty-first set by others, showed, with twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

# -- dictionaries that are put over a key of the code's ---------------------------------------------

VIEWS = """
import json
def handler(event, context):
    given = {"tag": "x", "user": "y"}
    asked = {
        "page": 1, "tenant": event.get("tenant", "t1"), "role": "guest", **given,
        "size": 5, **json.loads(event.get("view") or "{}"),
    }
    return asked["tenant"]
"""
UNITED = """
import json
class Notes:
    def find(self, asked):
        return [n for n in ({"owner_id": 1}, {"owner_id": 2}) if n.items() >= asked.items()]
def mine(event):
    return {"owner_id": int(event["me"])}
def handler(event, context):
    notes, saved = Notes(), json.loads(event.get("saved", "{}"))
    wide = mine(event)
    wide.update(event.get("filter") or {})
    return notes.find({"owner_id": int(event["me"])} | saved), notes.find(wide)
"""
RECORDS = """
def handler(event, context):
    ticket = {"id": 1, "owner": event["me"].title(), "state": "open"}
    ticket.update(event["changes"])
    settings = {"owner": "nobody", "size": 10, **event["changes"]}
    last = {**event["changes"], "owner": event["me"]}
    return ticket, settings, last
"""


def test_a_dictionary_of_the_event_replaces_no_tenant_of_the_codes(tmp_path: Path) -> None:
    for view in ('{"tenant": "t2"}', '{"tag": "x", "tenant": ""}'):
        assert_blocked(tmp_path, {view: (VIEWS, {"view": view})}, {"attributes"}, ())
    for view in (
        "",
        '{"tag": "tenant"}',
        '{"role": "editor", "user": "z"}',
        '{"tenant": "t1"}',
        '{"page": 2}',
    ):
        assert_passes(tmp_path, {view: (VIEWS, {"view": view})}, ())
    for event in ({"saved": '{"owner_id": 2}'}, {"filter": {"owner_id": 2}}):
        event = {"me": "1", **event}
        assert_blocked(tmp_path, {str(event): (UNITED, event)}, {"attributes"}, ())
    for event in ({"saved": '{"owner_id": 1}'}, {"filter": {"title": "owner_id"}}):
        event = {"me": "1", **event}
        assert_passes(tmp_path, {str(event): (UNITED, event)}, ())


def test_defaults_and_records_may_be_changed(tmp_path: Path) -> None:
    for changes in ({"owner": "bo"}, {"state": "closed"}, {}):
        event = {"me": "ann", "changes": changes}
        assert_passes(tmp_path, {str(changes): (RECORDS, event)}, ())


# -- signs of LIKE in what is compared with a secret ------------------------------------------------

LIKES = """
import re, sqlite3
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE session(token, who)")
    db.execute("CREATE TABLE reset(code, email)")
    db.execute("CREATE TABLE product(code, title)")
    token, code = event.get("token", ""), re.sub(r"[\\\\s-]+", "%", event.get("code", "").strip())
    db.execute("SELECT who FROM session WHERE token LIKE ?", (token,))
    db.execute("SELECT email FROM reset WHERE email = :m AND lower(code) LIKE :c", {"m": "a", "c": code})
    q = event.get("q", "")
    found = "SELECT code FROM product WHERE title LIKE ? OR code LIKE ?"
    return db.execute(found, (q, f"%{q}%")).fetchall()
"""


def test_signs_of_like_find_no_secret(tmp_path: Path) -> None:
    for event in (
        {"token": "%"},
        {"token": "____"},
        {"token": "9f%"},
        {"code": "%"},
        {"code": "___"},
        {"code": "8%"},
    ):
        assert_blocked(tmp_path, {str(event): (LIKES, event)}, {"sql"}, ())
    for event in (
        {"token": "ab_c9"},
        {"code": "220 917"},
        {"code": "22-09-17"},
        {"q": "50%"},
        {"q": "%"},
        {"q": "snake_case"},
        {"q": "B_"},
    ):
        assert_passes(tmp_path, {str(event): (LIKES, event)}, ())


# -- elements as the code writes them ---------------------------------------------------------------

ASSERTION = """
import base64
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape
def handler(event, context):
    roles = "".join(f"<Role>{r}</Role>" for r in event.get("roles", []) if r in ("staff", "guest"))
    shown = event["shown"].replace("&", "&amp;")
    text = f'<User><Name kind="shown">{shown}</Name><Note>{escape(event.get("note", ""))}</Note>{roles}</User>'
    root = ET.fromstring(base64.b64decode(base64.b64encode(text.encode())))
    return [r.text for r in root.iter("Role")]
"""


def test_no_value_is_an_element_that_the_code_writes(tmp_path: Path) -> None:
    for shown in ("<Role>admin</Role>", "Eve <Role>admin</Role>", '<Name kind="role">x</Name>'):
        assert_blocked(tmp_path, {shown: (ASSERTION, {"shown": shown})}, {"xml"}, ())
    for event in (
        {"shown": "Ann & Bo", "roles": ["staff", "root"]},
        {"shown": "<b>Ann</b>"},
        {"shown": "Ann", "note": "<Role>admin</Role>"},
        {"shown": "&lt;Role&gt;"},
    ):
        assert_passes(tmp_path, {str(event): (ASSERTION, event)}, ())


# -- texts for an object of the code's own ----------------------------------------------------------

ASKED = """
class Client:
    def __init__(self):
        self.asked = []
    def ask(self, text, most=10):
        self.asked.append(text)
        return len(text)
def jql(text):
    return 'project = SHOP AND security IS EMPTY AND summary ~ "' + text + '"'
def handler(event, context):
    client, text = Client(), event["text"]
    client.ask(jql(text))
    client.ask(f"fields @message | filter tenant = 't1' and level = '{text}' | limit 20", most=1)
    client.ask("AND({Owner}='ann', {Status}='%s')" % text)
    client.ask(f"Sorry, '{text}' was not found: try again")
    return len(client.asked)
"""
FIELDS = """
class Mailbox:
    def list_messages(self, text):
        return [text]
def handler(event, context):
    box = Mailbox()
    box.list_messages(f"label:support from:{event['sender']}")
    return box.list_messages("tenant=t1,app=" + event.get("app", "web"))
"""
COMMANDS = """
class Server:
    def line(self, text):
        return text.encode()
def handler(event, context):
    return Server().line("RCPT TO:<" + event["to"] + ">")
"""


def test_data_ends_no_quotes_in_a_query_for_an_object_of_the_codes(tmp_path: Path) -> None:
    for text in (
        'x" OR project = HR AND summary ~ "',
        "x' or tenant = 't2",
        "x'), {Owner}='bo', OR('1'='1",
    ):
        assert_blocked(tmp_path, {text: (ASKED, {"text": text})}, {"nosql"}, ())
    for text in ("login fails", "O'Hara", 'a 6" pipe', "rock and roll or not", "''", "a = b, c"):
        assert_passes(tmp_path, {text: (ASKED, {"text": text})}, ())


def test_data_adds_no_condition_and_no_command(tmp_path: Path) -> None:
    for event in (
        {"sender": "a@x OR label:private"},
        {"sender": "a@x", "app": "web,tenant!=t1"},
    ):
        assert_blocked(tmp_path, {str(event): (FIELDS, event)}, {"nosql"}, ())
    for event in ({"sender": "a@x.example"}, {"sender": "Ann, or Bo", "app": "api-v2"}):
        assert_passes(tmp_path, {str(event): (FIELDS, event)}, ())
    event = {"to": "a@x>\r\nRCPT TO:<b@x"}
    assert_blocked(tmp_path, {"command": (COMMANDS, event)}, {"nosql"}, ())
    for to in ("a@x.example", "two\nlines"):
        assert_passes(tmp_path, {to: (COMMANDS, {"to": to})}, ())


SENT = """
import json, urllib.request
class Engine:
    def search(self, index, body):
        return [index, body]
def handler(event, context):
    text = "tenant:%s AND text:(%s)" % ("t1", event["text"])
    Engine().search(index="docs", body={"query": {"query_string": {"query": text}}})
    query = 'query { product(id: "%s") { title } }' % event.get("id", "1")
    body = json.dumps({"query": query}).encode()
    try:
        return urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:9/", body), timeout=1)
    except OSError as error:
        return type(error).__name__
"""


def test_a_query_is_judged_in_what_it_is_sent_in(tmp_path: Path) -> None:
    for event in (
        {"text": "x) OR tenant:(t2"},
        {"text": "x", "id": '1") { title } secrets { key } x: product(id: "2'},
    ):
        assert_blocked(tmp_path, {str(event): (SENT, event)}, {"nosql"}, ())
    for event in ({"text": "red shoes"}, {"text": "it's", "id": "a-b c"}):
        assert_passes(tmp_path, {str(event): (SENT, event)}, ())


# -- templates --------------------------------------------------------------------------------------

FILLED = """
import os, string
SETTINGS = {"shop": "Pens", "smtp_password": "pw", "city": "Rome"}
MAIL = "Hi [name],\\n[text]\\nYour code: [code]\\n"
def handler(event, context):
    out = MAIL
    for key, value in {"name": event["name"], "text": event.get("text", ""), "code": "47"}.items():
        out = out.replace(f"[{key}]", value)
    line = string.Template(event.get("line", "")).safe_substitute(os.environ, user="ann")
    return out, line, event.get("footer", "") % SETTINGS
"""


def test_fields_and_marks_of_an_event_are_judged_however_they_are_filled(tmp_path: Path) -> None:
    for event in (
        {"name": "x", "footer": "%(shop)s %(smtp_password)s"},
        {"name": "x [code]"},
        {"name": "x", "line": "$user $HOME"},
    ):
        assert_blocked(tmp_path, {str(event): (FILLED, event)}, {"template"}, ())
    for event in (
        {"name": "Ann", "footer": "by %(shop)s, %(city)s 100%%"},
        {"name": "[you]", "text": "a [b] c"},
        {"name": "x", "line": "hi $user, it costs 5$"},
    ):
        assert_passes(tmp_path, {str(event): (FILLED, event)}, ())


# -- records, settings, links -----------------------------------------------------------------------

PRINTED = """
import sys
def handler(event, context):
    sys.stdout.write('{"level":"info","user":"' + event["user"] + '","admin":false}\\n')
"""
COMPOSED = """
def handler(event, context):
    text = f"services:\\n  app:\\n    image: r.example/{event['image']}\\n    read_only: true\\n"
    open("/tmp/fifty-first-compose.yaml", "w").write(text)
"""
MAILED = """
class Relay:
    def sendmail(self, sender, to, text):
        return len(text)
def handler(event, context):
    link = f"https://{event['shop']}.shops.example/confirm?t=abc"
    text = "From: s@x.example\\r\\nTo: a@x.example\\r\\nSubject: Hi\\r\\n\\r\\nPlease open " + link
    return Relay().sendmail("s@x.example", ["a@x.example"], text)
"""
LINKED = """
from html import escape
def handler(event, context):
    link = f"https://stats.example/p.gif?campaign={event['campaign']}&secret=0"
    mail = "mailto:sales@shop.example?subject=" + event["campaign"]
    page = f'<img src="{escape(link)}"><a href="{escape(mail)}">mail</a>'
    return {"statusCode": 200, "headers": {"Content-Type": "text/html"}, "body": page}
"""
WORDS = """
import shlex
def handler(event, context):
    return shlex.split('deploy --app "%s" --env staging' % event["app"])
"""


def test_an_object_that_the_code_prints_has_the_fields_of_the_code(tmp_path: Path) -> None:
    event = {"user": 'x","admin":true,"y":"'}
    assert_blocked(tmp_path, {"printed": (PRINTED, event)}, {"log"}, ())
    for user in ("ann", "o'hara & {co}", 'a\\\\"b'.replace('"', "")):
        assert_passes(tmp_path, {user: (PRINTED, {"user": user})}, ())


def test_data_begins_no_key_of_a_file_that_is_indented(tmp_path: Path) -> None:
    for image in ("x\n    privileged: true", "x\n  other: y\n    #"):
        assert_blocked(tmp_path, {image: (COMPOSED, {"image": image})}, {"file"}, ())
    for image in ("web:1.2", "x\n      a: text that goes on"):
        assert_passes(tmp_path, {image: (COMPOSED, {"image": image})}, ())


def test_a_link_in_a_mail_to_a_relay_of_the_codes_keeps_its_host(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {"mail": (MAILED, {"shop": "evil.example/?"})}, {"header"}, ())
    for shop in ("pens", "my-shop"):
        assert_passes(tmp_path, {shop: (MAILED, {"shop": shop})}, ())


def test_data_adds_no_parameter_to_a_link_that_is_escaped(tmp_path: Path) -> None:
    for campaign in ("x&secret=1#", "x&bcc=a@evil.example"):
        case = (LINKED, {"campaign": campaign})
        assert_blocked(tmp_path, {campaign: case}, {"response"}, ())
    for campaign in ("spring", "Smith & Sons", "a=b", "x&y=2"):
        assert_passes(tmp_path, {campaign: (LINKED, {"campaign": campaign})}, ())


def test_quotes_that_shlex_reads_again_are_the_codes(tmp_path: Path) -> None:
    event = {"app": 'x" --env production "'}
    assert_blocked(tmp_path, {"words": (WORDS, event)}, {"deserialisation"}, ())
    for app in ("web", "my app; id", "o'hara"):
        assert_passes(tmp_path, {app: (WORDS, {"app": app})}, ())


# -- paths ------------------------------------------------------------------------------------------

TENANT = """
from pathlib import Path
BASE = Path("/tmp/fifty-first")
def handler(event, context):
    (BASE / "t1").mkdir(parents=True, exist_ok=True)
    (BASE / "img").mkdir(exist_ok=True)
    page = BASE / "t1" / "page.md"
    for target in (BASE / event["tenant"] / event["file"], page.parent / event.get("link", "x")):
        if not target.resolve().is_relative_to(BASE):
            return "refused"
        target.resolve().exists()
    (BASE / "t1" / event["file"]).resolve().open("w").close()
"""
CUT = """
import os
from flask import Flask, abort
app = Flask(__name__)
@app.get("/docs/<customer>/<path:name>")
def download(customer, name):
    if customer != "c1":
        abort(403)
    path = os.path.join("/tmp/fifty-first-docs", "docs", customer, name.lstrip("/"))
    return str(os.path.isfile(path))
def handler(event, context):
    return app.test_client().get(event["path"]).status_code
"""
MATCHED = """
from fnmatch import fnmatch
def handler(event, context):
    return [f for f in ("ann/a", "bo/b") if fnmatch(f, f"{event['user']}/*") or fnmatch(f, f"*{event.get('q', 'x')}*")]
"""


def test_a_value_leaves_no_folder_that_another_value_names(tmp_path: Path) -> None:
    event = {"tenant": "t1", "file": "../t2/key"}
    assert_blocked(tmp_path, {"tenant": (TENANT, event)}, {"path"}, ())
    for event in (
        {"tenant": "t1", "file": "a.txt", "link": "../img/a.png"},
        {"tenant": "t1", "file": "x/../a..txt"},
    ):
        assert_passes(tmp_path, {str(event): (TENANT, event)}, ())


def test_a_path_that_a_framework_cuts_out_of_a_url_is_followed(tmp_path: Path) -> None:
    event = {"path": "/docs/c1/..%2Fc2%2Fkey.txt"}
    assert_blocked(tmp_path, {"cut": (CUT, event)}, {"path"}, ("flask",))
    for path in ("/docs/c1/a%20b.txt", "/docs/c1/a..b", "/docs/c2/x"):
        assert_passes(tmp_path, {path: (CUT, {"path": path})}, ("flask",))


def test_a_star_stands_for_no_users_folder(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {"star": (MATCHED, {"user": "*"})}, {"path"}, ())
    for event in ({"user": "ann"}, {"user": "o'hara", "q": "*"}):
        assert_passes(tmp_path, {str(event): (MATCHED, event)}, ())


# -- a set by others --------------------------------------------------------------------------------

PROFILE = """
import json, re
CALL = re.compile(r'(?:(\\w+)\\s*:\\s*)?(user)\\s*\\(([^)]*)\\)\\s*\\{([^}]*)\\}')
def service(query):
    return CALL.findall(query)
def handler(event, context):
    query = 'query { user(id: "' + event["id"].strip() + '") { name } }'
    return len(service(query))
"""
PHONES = """
def parse(text):
    return text.count("(")
def handler(event, context):
    name = " ".join(event["name"].split())
    asked = f"(&(hidden=0)(|(cn={name})(uid={name.lower()})))"
    return parse(asked.replace(f"(cn={name})", f"(cn={name}*)"))
"""
ORDERS = """
from urllib.parse import parse_qs, urlencode
class Provider:
    def post(self, body):
        return {k: v[-1] for k, v in parse_qs(body, keep_blank_values=True).items()}
def compose(name):
    return f"Hi {name.strip()}, your order is on its way".replace(" ", "+")[:300]
def handler(event, context):
    body = f"from=Shop&to=49170&text={compose(event['name'])}"
    body += "&" + urlencode({"note": event.get("note", "")})
    return Provider().post(body)
"""
RETURNS = """
HOME = "https://app.shop.example"
def response(status, headers):
    raw = f"HTTP/1.1 {status}\\r\\n" + "".join(f"{k}: {v}\\r\\n" for k, v in headers.items()) + "\\r\\n"
    return [line.split(":")[0] for line in raw.split("\\r\\n\\r\\n")[0].split("\\r\\n")[1:]]
def handler(event, context):
    target = event["to"]
    if not (target.startswith(HOME) or (target.startswith("/") and not target.startswith("//"))):
        target = "/"
    return response("302 Found", {"Location": target, "Set-Cookie": "sid=1; Secure"})
"""
EXPORTS = """
import store
from pathlib import Path
def handler(event, context):
    key, bucket = event["key"], store.Folder(Path("/tmp/fifty-second"))
    for name in ("exports/acme/a.csv", "exports/other/b.csv"):
        bucket.put(name)
    return bucket.get(key) if key.startswith(f"exports/{event['tenant']}/") else 403
"""
STORE = """
class Folder:
    def __init__(self, root):
        self.root = root
    def put(self, key):
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_text(key)
    def get(self, key):
        return (self.root / key).read_text() if (self.root / key).is_file() else 404
"""


def test_functions_of_the_codes_own_are_given_what_it_has_put_together(tmp_path: Path) -> None:
    attack = '1") { name } x: user(id: "2") { apiKey } y: user(id:"1'
    assert_blocked(tmp_path, {"profile": (PROFILE, {"id": attack})}, {"nosql"}, ())
    for name in ("1", "5f0c8a34-11aa", " 2 "):
        assert_passes(tmp_path, {name: (PROFILE, {"id": name})}, ())
    for name in ("*", "x)(pin=44*", "x)(ou=*)(cn=x"):
        assert_blocked(tmp_path, {name: (PHONES, {"name": name})}, {"ldap"}, ())
    for name in ("Ann  Lee", "O'Neil", "Zoë"):
        assert_passes(tmp_path, {name: (PHONES, {"name": name})}, ())


def test_a_parameter_is_known_behind_replaced_blanks(tmp_path: Path) -> None:
    for name in ("Al&from=Bank&text=Call 0900", "Cy&class=flash&y"):
        assert_blocked(tmp_path, {name: (ORDERS, {"name": name})}, {"deserialisation"}, ())
    for event in ({"name": "Ann Lee", "note": "a&from=Bank"}, {"name": "O'Hara = Bo"}):
        assert_passes(tmp_path, {str(event): (ORDERS, event)}, ())


def test_a_head_that_the_code_writes_leads_to_no_other_host(tmp_path: Path) -> None:
    for to in ("https://app.shop.example.evil.test/x", "https://app.shop.example@evil.test/"):
        assert_blocked(tmp_path, {to: (RETURNS, {"to": to})}, {"response"}, ())
    for to in ("/boards/12", "https://app.shop.example/boards/12?tab=2", "//evil.test", "/"):
        assert_passes(tmp_path, {to: (RETURNS, {"to": to})}, ())


def test_a_key_stays_below_what_the_code_has_asked_it_for(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"case{number}").mkdir(exist_ok=True)
        (tmp_path / f"case{number}" / "store.py").write_text(STORE)
    key = "exports/acme/../other/b.csv"
    assert_blocked(tmp_path, {"key": (EXPORTS, {"tenant": "acme", "key": key})}, {"path"}, ())
    for key in ("exports/acme/a.csv", "exports/acme/x/../a.csv", "../x", "exports/other/b.csv"):
        assert_passes(tmp_path, {key: (EXPORTS, {"tenant": "acme", "key": key})}, ())
