"""What was accused although the code checks, escapes or owns it; beside each, what is no such thing."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import javascript, told

from casemate.audit.flow import Entry
from casemate.audit.javascript import analyse, parse
from casemate.audit.rules.examples import service

_ALLOWED = "url_has_allowed_host_and_scheme"


def _redirecting(check: str, given: str = "target") -> int:
    code = (
        "from django.shortcuts import redirect\n"
        f"from django.utils.http import {_ALLOWED}\n"
        "from other import looks_fine\n\n\n"
        "def after(request):\n    target = request.GET.get('next', '/')\n"
        "    other = request.GET['other']\n"
        f"    {check}\n        return redirect({given})\n    return redirect('/')\n"
    )
    urls = (
        "from django.urls import path\n\nimport views\n\nurlpatterns = [path('a/', views.after)]\n"
    )
    return told({**service(), "views.py": code, "urls.py": urls}, "DF-012")


@pytest.mark.parametrize(
    ("check", "given", "found"),
    [
        (f"if {_ALLOWED}(target, allowed_hosts={{request.get_host()}}):", "target", 0),
        (f"if {_ALLOWED}(url=target, allowed_hosts=None):", "target", 0),
        (f"if target and {_ALLOWED}(target, {{'a.example'}}, require_https=True):", "target", 0),
        (f"if not {_ALLOWED}(target, {{'a.example'}}):", "target", 1),
        (f"if {_ALLOWED}(target, {{'a.example'}}):", "other", 1),
        (f"if {_ALLOWED}('/', {{'a.example'}}):", "target", 1),
        ("if looks_fine(target):", "target", 1),
    ],
)
def test_django_has_checked_where_a_redirect_leads(check: str, given: str, found: int) -> None:
    assert _redirecting(check, given) == found


_CLIENTS = """
const mysql = require("mysql2"); const later = require("mysql2/promise");
const pool = mysql.createPool({}); const one = mysql.createConnection({});
const wrapped = pool.promise(); const soon = later.createPool({});
const { escape } = require("mysql2");
"""


def _queries(body: str) -> list[str]:
    code = f"""{_CLIENTS} exports.handler = async (event) => {{
        const {{ name }} = JSON.parse(event.body); {body} }};"""
    found = analyse({"a.js": parse("a.js", code)}, [Entry(path="a.js", name="handler")])
    return [flow.weakness for flow in found.flows]


@pytest.mark.parametrize(
    "of", ["mysql", "later", "pool", "one", "wrapped", "soon", "(await soon.getConnection())"]
)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("'SELECT * FROM a WHERE n = ' + {of}.escape(name)", []),
        ("`SELECT * FROM a ORDER BY ${{{of}.escapeId(name)}}`", []),
        ("{of}.format('SELECT * FROM a WHERE n = ?', [name])", []),
        ("{of}.format('SELECT * FROM ' + name + ' WHERE n = ?', [name])", ["sql"]),
        ("'SELECT * FROM a WHERE n = ' + name.trim()", ["sql"]),
    ],
)
def test_mysql2_has_written_the_value_into_the_statement(
    of: str, query: str, found: list[str]
) -> None:
    assert _queries(f"return soon.query({query.format(of=of)})") == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("return soon.query(`SELECT ${escape(name)}`)", []),
        ("pool.getConnection((error, c) => c.query('SELECT * FROM a ' + c.escape(name)))", []),
        ("pool.getConnection((error, c) => c.query(c.format('SELECT ?', [name])))", []),
        ("pool.getConnection((error, c) => c.query('SELECT * FROM a ' + name))", ["sql"]),
        ("pool.getConnection((error, c) => c.query(c.format('SELECT ' + name, [])))", ["sql"]),
    ],
)
def test_a_connection_that_is_given_back_writes_it_too(body: str, found: list[str]) -> None:
    assert _queries(body) == found


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("db.query('SELECT * FROM a WHERE n = ' + db.escape(x))", 0),
        ("db.query('SELECT * FROM a WHERE n = ' + mysql.escape(x) + ' LIMIT 1')", 0),
        ("db.query('SELECT * FROM a WHERE n = ' + db.escape(x) + y)", 1),
        ("db.query('SELECT * FROM a WHERE n = ' + x)", 1),
    ],
)
def test_a_statement_of_escaped_values_is_not_put_together(statement: str, found: int) -> None:
    code = f"exports.handler = async (x, y) => {{\n  return {statement}\n}}\n"
    assert told(javascript(code), "JS-011") == found


_VM = """const vm = require("vm"); const fs = require("fs"); const path = require("path");
const OWN = "total * 2"; const FILE = fs.readFileSync(path.join(__dirname, "own.js"), "utf8");
let moved = "1"; moved = process.argv[2];
"""


@pytest.mark.parametrize(
    ("run", "found"),
    [
        ("vm.runInThisContext(OWN)", 0),
        ("vm.runInNewContext(`(${OWN})`, {})", 0),
        ("new vm.Script(FILE)", 0),
        ("vm.runInThisContext(fs.readFileSync('./own.js').toString())", 0),
        ("eval(OWN)", 0),
        ("vm.runInThisContext(moved)", 1),
        ("vm.runInNewContext(event.code, {})", 1),
        ("vm.runInThisContext(fs.readFileSync('/tmp/own.js'))", 1),
        ("vm.runInThisContext(fs.readFileSync(path.join(__dirname, event.name)))", 1),
        ("((OWN) => eval(OWN))(event.code)", 1),
        ("new vm.Script(OWN + event.code)", 1),
    ],
)
def test_the_program_may_run_its_own_text(run: str, found: int) -> None:
    code = f"{_VM}exports.handler = async (event) => {{\n  return {run}\n}}\n"
    assert told(javascript(code), "JS-003") == found


@pytest.mark.parametrize(
    ("check", "found"),
    [
        ("!to.startsWith('/') || to.startsWith('//') || to.startsWith('/\\\\')", []),
        ("!to.startsWith('/')", ["redirect"]),
        ("to.startsWith('//')", ["redirect"]),
    ],
)
def test_a_path_with_another_for_none_is_checked(check: str, found: list[str]) -> None:
    code = f"""const app = require("express")(); app.get("/a", (req, res) => {{
        const to = String(req.query.next ?? "/"); if ({check}) return res.redirect("/");
        return res.redirect(to); }});"""
    result = analyse({"a.js": parse("a.js", code)}, [Entry(path="a.js", name="")])
    assert [flow.weakness for flow in result.flows] == found
