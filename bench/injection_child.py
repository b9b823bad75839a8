"""One family of `bench.injection`, in a process of its own: hooks cannot be taken back.

Arguments: the family. Standard input: JSON, for each payload whether it is meant for the family,
and its text. Standard output: one JSON line. Nothing is executed: the spliced programs stop at an
interpreter that is a stand-in, or fail at a file or port that is not there.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

_HANDLERS = {
    "sql": """
import sqlite3
db = sqlite3.connect(":memory:")
db.execute("CREATE TABLE users (id, name)")
db.set_authorizer(lambda *a: 0)
def spliced(event): db.execute(f"SELECT id FROM users WHERE name = '{event['v']}'")
def safe(event): db.execute("SELECT id FROM users WHERE name = ?", (event["v"],)).fetchall()
""",
    "command": """
import shlex, sys
def spliced(event): sys.audit("subprocess.Popen", "/bin/sh", ["/bin/sh", "-c", "echo " + event["v"]], None, None)
def safe(event): sys.audit("subprocess.Popen", "/bin/sh", ["/bin/sh", "-c", "echo " + shlex.quote(event["v"])], None, None)
""",
    "path": """
import os
def spliced(event): os.stat(event["v"]) if False else open("/proc/none/data/" + event["v"])
def safe(event): open(os.path.join("/proc/none/data", os.path.basename(event["v"])))
""",
    "code": """
import ast
def spliced(event): compile("f(" + event["v"] + ")", "<event>", "eval")
def safe(event): ast.literal_eval(repr(event["v"]))
""",
    "template": """
import jinja2
env = jinja2.Environment()
def spliced(event): env.from_string("Hello " + event["v"])
def safe(event): env.from_string("Hello {{ v }}").render(v=event["v"])
""",
    "ldap": """
import ldap.filter, ldap.ldapobject
c = ldap.ldapobject.SimpleLDAPObject("ldap://127.0.0.1")
def spliced(event): c.search_s("dc=x", 2, "(uid=" + event["v"] + ")")
def safe(event): c.search_s("dc=x", 2, "(uid=" + ldap.filter.escape_filter_chars(event["v"]) + ")")
""",
    "xpath": """
from lxml import etree
tree = etree.fromstring("<r><u n='a'/></r>")
def spliced(event): tree.xpath("//u[@n='" + event["v"] + "']")
def safe(event): tree.xpath("//u[@n=$n]", n=event["v"])
""",
    "nosql": """
import json
import pymongo
users = pymongo.MongoClient("127.0.0.1", 9, connect=False, serverSelectionTimeoutMS=1).a.users
def spliced(event): users.find({"$where": "this.name == '" + event["v"] + "'"})
def safe(event): users.find({"name": event["v"]})
""",
    "ssrf": """
import urllib.request
from urllib.parse import quote
opener = urllib.request.build_opener()
def spliced(event): opener.open(event["v"], timeout=0.01)
def safe(event): opener.open("http://127.0.0.1:1/" + quote(event["v"], safe=""), timeout=0.01)
""",
}
_CHANGING = {
    "sql": r"'",
    "command": r"[;&|`<>\n$*?(]|\s",
    "path": r"^\.\.?/.*\.\.|^\.\./|/\.\./\.\./\.\./",
    "code": r"[^\w\s.,+-]",
    "template": r"\{\{|\{%|\{#",
    "ldap": r"[*()\\\0]",
    "xpath": r"'",
    "nosql": r"'",
    "ssrf": r"^(?:https?|ftp|file)://\S",
}
"""What changes the structure of the spliced program, whoever judges it."""


def _stopped(guard: Any, blocked: type[BaseException], function: Any, payload: str) -> bool:
    event = {"v": payload}
    guard.begin(event)
    try:
        function(event)
    except blocked:
        return True
    except Exception:
        return guard.blocked is not None
    finally:
        guard.end()
    return False


def main(family: str) -> dict[str, int]:
    """Return the figures of a family."""
    from casemate.guard import setting_up
    from casemate.guard.core import Guard
    from casemate.guard.verdict import BlockedError

    asked = json.load(sys.stdin)
    fakes = Path(__file__).parents[1] / "tests" / "support" / "guard_fakes"
    if family == "ldap":  # python-ldap needs a C library; its stand-in has the same calls
        sys.path.insert(0, str(fakes))
    changing = re.compile(_CHANGING[family], re.DOTALL)
    figures = {"all": len(asked), "meant": 0, "changing": 0, "stopped": 0, "false": 0}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench_injection_app.py").write_text(_HANDLERS[family])
        os.chdir(folder)
        guard = Guard(folder)
        sys.path.insert(0, folder)
        setting_up.before_import(guard)
        app = importlib.import_module("bench_injection_app")
        setting_up.after_import(guard)
        for meant, payload in asked:
            figures["meant"] += meant
            if meant and changing.search(payload):
                figures["changing"] += 1
                figures["stopped"] += _stopped(guard, BlockedError, app.spliced, payload)
            figures["false"] += _stopped(guard, BlockedError, app.safe, payload)
    return figures


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
