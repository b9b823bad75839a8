"""Careful code passes, whatever string it is given: at most one in a thousand is stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_CHILD = Path(__file__).parents[2] / "support" / "guard_idioms_child.py"
_SECONDS = 300

STRINGS = [
    *("", "'", '"', "''", "O'Brien", "it's", "x' OR '1'='1", "'; DROP TABLE users; --", "1 OR 1=1"),
    *("NULL", "null", "None", "true", "select", "SELECT * FROM users", "name", "id", "users", "-1"),
    *(
        "$(id)",
        "`id`",
        "; ls",
        "| cat",
        "&& true",
        "a b",
        "a\tb",
        "-rf",
        "--help",
        "*",
        "~",
        "$HOME",
    ),
    *("../../etc/passwd", "/etc/passwd", "/etc/mime.types", "/usr/share/zoneinfo/UTC", "UTC", ".."),
    *("{{7*7}}", "{% if x %}", "${7*7}", "#{x}", "<%= x %>", "{x}", "%s", "%(x)s", "{0.__class__}"),
    *(
        "<script>alert(1)</script>",
        "&lt;b&gt;",
        "<a href='x'>",
        "]]>",
        "<!-- -->",
        "&amp;",
        "&#39;",
    ),
    *(
        "*)(uid=*",
        "cn=Ada,ou=x",
        "Ada, Countess",
        "a+b=c",
        "\\2a",
        "#x",
        " lead",
        "trail ",
        "a;b<c>",
    ),
    *(
        "http://127.0.0.1/",
        "//evil.test",
        "javascript:1",
        "a@b.example",
        "a/b?c=d&e=f#g",
        "%2e%2e%2f",
    ),
    *("(a+)+$", "[a-z", "a|b", "\\d+", "^$", "1e5", "0x10", "1_000", "[1, 2]", "{'a': 1}", "1+1"),
    *(
        "\u00e9t\u00e9",
        "\U0001f600",
        "\u202etxt",
        "\ufb01",
        "\u0130stanbul",
        "a\u0301",
        "\r\n",
        "a\0b",
    ),
    *(
        "__class__",
        "__import__('os')",
        "lambda: 0",
        "import os",
        "os.system",
        "eval(x)",
        "print(1)",
    ),
    *("eyJhIjoiYiJ9", "YWJjZGVm", "deadbeef", "a=b&c=d", '{"a": "b"}', '["x"]', "a,b,c", "a|b|c"),
    *("application/json", "text/html", "2024-01-01T00:00:00Z", "3.14", "12345678901234567890"),
]

CODE = '''
"""A module of careful code."""
import ast, html, io, json, mimetypes, os, re, shlex, sqlite3, string, subprocess, urllib.parse
import urllib.request, zoneinfo
import jinja2, ldap3, lxml.etree, yaml
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

DB = sqlite3.connect(":memory:")
DB.execute("CREATE TABLE users (id INTEGER, name TEXT)")
TREE = lxml.etree.fromstring('<users><user name="Ada"/></users>')
PAGE = jinja2.Environment(autoescape=True).from_string("<b>{{ v }}</b>")
FOLDER = "/tmp/guard-idioms"


def idiom_parameter(v):
    return DB.execute("SELECT * FROM users WHERE name = ?", (v,)).fetchall()


def idiom_literal(v):
    return DB.execute("SELECT * FROM users WHERE name = '" + v.replace("'", "''") + "'").fetchall()


def idiom_literal_by_helper(v):
    def quoted(text):
        return "'" + text.replace("'", "''") + "'"

    return DB.execute(f"SELECT * FROM users WHERE name = {quoted(v)} ORDER BY id").fetchall()


def idiom_marks(v):
    words = v.split()
    marks = ", ".join("?" for _ in words)
    return DB.execute(f"SELECT * FROM users WHERE name IN ({marks})", words).fetchall()


def idiom_like(v):
    escaped = re.sub(r"([%_!])", r"!\\\\1", v)
    return DB.execute("SELECT * FROM users WHERE name LIKE ? ESCAPE '!'", (escaped,)).fetchall()


def idiom_shell(v):
    return subprocess.run("echo " + shlex.quote(v) + " | wc -c", shell=True)


def idiom_shell_join(v):
    return subprocess.run(f"echo {shlex.join(['--', v, 'x'])}", shell=True)


def idiom_arguments(v):
    return subprocess.run(["grep", "-e", v, "--", "file"])


def idiom_url(v):
    url = "https://api.example.com/users/" + urllib.parse.quote(v, safe="")
    return urllib.request.urlopen(url, timeout=1)


def idiom_query(v):
    url = "https://api.example.com/s?" + urllib.parse.urlencode({"q": v, "n": 5})
    return urllib.request.urlopen(url, timeout=1)


def idiom_path(v):
    name = re.sub(r"[^A-Za-z0-9_-]", "_", v)[:50] or "none"
    return open(os.path.join(FOLDER, name + ".txt"))


def idiom_resolved(v):
    path = os.path.realpath(os.path.join(FOLDER, v))
    if not path.startswith(FOLDER + "/"):
        raise ValueError
    return open(path)


def idiom_template(v):
    return PAGE.render(v=v)


def idiom_formatted(v):
    return "Hello {}, {name:>10}".format(v, name=v) + string.Template("$v").substitute(v=v)


def idiom_literal_eval(v):
    return ast.literal_eval(v)


def idiom_checked_eval(v):
    if not re.fullmatch(r"[0-9+*/(). -]{1,40}", v):
        raise ValueError
    return eval(v)


def idiom_repr_eval(v):
    return eval("len(" + repr(v) + ")")


def idiom_regex(v):
    return re.search("^" + re.escape(v) + "$", "text")


def idiom_ldap_filter(v):
    return ldap3.Connection(None).search("o=x", f"(uid={escape_filter_chars(v)})")


def idiom_ldap_name(v):
    return ldap3.Connection(None).search("cn=" + escape_rdn(v) + ",o=x", "(uid=*)")


def idiom_xpath(v):
    return TREE.xpath("//user[@name=$v]", v=v)


def idiom_yaml(v):
    return yaml.safe_load(yaml.safe_dump({"v": v}))


def idiom_json(v):
    return json.loads(json.dumps({"v": v}))


def idiom_mime(v):
    mimetypes.init()
    return mimetypes.guess_type(v)


def idiom_zone(v):
    return zoneinfo.ZoneInfo("Europe/Oslo")


def idiom_listing(v):
    return os.listdir(os.getcwd()), html.escape(v)
'''


def _run(folder: Path, number: int, seed: int) -> None:
    (folder / "app.py").write_text(CODE)
    (folder / "strings.json").write_text(json.dumps(STRINGS))
    done = subprocess.run(
        [sys.executable, str(_CHILD), str(folder), str(number), str(seed)],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    stopped = json.loads((folder / "answers.json").read_text())
    assert len(stopped) * 1000 <= number, "\n".join(map(str, stopped[:20]))


def test_careful_code_is_not_stopped(tmp_path: Path) -> None:
    _run(tmp_path, 4000, seed=20261126)


@pytest.mark.storm
@pytest.mark.parametrize("seed", range(4))
def test_careful_code_is_hardly_ever_stopped(tmp_path: Path, seed: int) -> None:
    _run(tmp_path, 50_000, seed)
