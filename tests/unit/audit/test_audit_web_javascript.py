"""What frameworks of JavaScript leave open to browsers, beside what only looks like it."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, javascript, told

from casemate.audit.finding import Severity
from casemate.audit.flow import Entry
from casemate.audit.javascript import analyse, discover, parse

_HEAD = """const cors = require("cors"); const express = require("express");
const session = require("express-session"); const app = express();
const OWN = ["https://a.example"];
"""


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("app.use(cors({ origin: true, credentials: true }));", 1),
        ("app.use(cors({ credentials: true, origin: '*' }));", 1),
        ("app.use(cors({ credentials: true, origin: /.*/ }));", 1),
        ("app.use(cors({ credentials: true, origin: (o, done) => done(null, true) }));", 1),
        ("app.use(cors({ credentials: true, origin: (o, done) => { done(null, true); } }));", 1),
        ("const how = { origin: true, credentials: true }; app.use(cors(how));", 1),
        ("app.register(require('@fastify/cors'), { origin: true, credentials: true });", 1),
        ("app.enableCors({ origin: true, credentials: true });", 1),
        ("new Server(http, { cors: { origin: '*', credentials: true } });", 1),
        ("app.use(cors());", 0),
        ("app.use(cors({ origin: true }));", 0),
        ("app.use(cors({ origin: OWN, credentials: true }));", 0),
        ("app.use(cors({ origin: 'https://a.example', credentials: true }));", 0),
        ("app.use(cors({ origin: process.env.ORIGIN, credentials: true }));", 0),
        ("app.use(cors({ credentials: true, origin: (o, done) => done(null, OWN.includes(o)) }))", 0),
        ("app.use(cors({ credentials: true, origin: /^https:.*a.example$/ }));", 0),
        ("app.use(cors({ ...more, origin: true, credentials: true }));", 0),
    ],
)  # fmt: skip
def test_middleware_for_any_site(code: str, found: int) -> None:
    assert told(javascript(_HEAD + code + "\n"), "JS-010") == found


def test_the_middleware_of_hono_for_any_site() -> None:
    head = "import { cors } from 'hono/cors';\n"
    back = "app.use('/a', cors({ origin: (origin) => origin, credentials: true }));\n"
    own = "app.use('/a', cors({ origin: 'https://a.example', credentials: true }));\n"
    assert told(javascript(head + back), "JS-010") == 1
    assert told(javascript(head + own), "JS-010") == 0


_CREDENTIALS = "res.header('Access-Control-Allow-Credentials', 'true');"
_SAID_BACK = "res.header('Access-Control-Allow-Origin', req.headers.origin);"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (f"{_SAID_BACK} {_CREDENTIALS}", 1),
        (f"res.set('Access-Control-Allow-Origin', req.get('Origin')); {_CREDENTIALS}", 1),
        (f"{_SAID_BACK}", 0),
        (f"if (OWN.includes(req.headers.origin)) {{ {_SAID_BACK} }} {_CREDENTIALS}", 0),
        (f"const allowed = ask(req); if (!allowed) return; {_SAID_BACK} {_CREDENTIALS}", 0),
        ("return { 'Access-Control-Allow-Origin': req.headers.origin || '*',\n"
         "  'Access-Control-Allow-Credentials': 'true' };", 1),
        ("return { 'Access-Control-Allow-Origin': OWN[0],\n"
         "  'Access-Control-Allow-Credentials': 'true' };", 0),
        ("return { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': true };",
         1),
    ],
)  # fmt: skip
def test_an_origin_that_is_said_back(body: str, found: int) -> None:
    code = f"{_HEAD}exports.after = (req, res) => {{\n  {body}\n}};\n"
    assert told(javascript(code), "JS-010") == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("(req, res) => res.cookie('session', req.key)", 1),
        ("(req, res) => res.cookie('sid', req.key, { httpOnly: true, secure: false })", 1),
        ("(req, res) => res.status(200).cookie('access_token', req.key, { maxAge: 900 })", 1),
        ("(req, res) => reply.setCookie('token', req.key, { secure: true })", 1),
        ("(req, res) => res.setHeader('Set-Cookie', `session=${req.key}; Path=/`)", 1),
        ("() => ({ headers: { 'Set-Cookie': `token=${a}; HttpOnly` } })", 1),
        ("() => session({ secret: k, cookie: { secure: false } })", 1),
        ("() => session({ secret: k, cookie: { httpOnly: false } })", 1),
        ("(req, res) => res.cookie('session', req.key, { httpOnly: true, secure: true })", 0),
        ("(req, res) => res.cookie('session', req.key, { httpOnly: true, secure: isSecure })", 0),
        ("(req, res) => res.cookie('session', req.key, options)", 0),
        ("(req, res) => res.cookie('session', req.key, { ...options })", 0),
        ("(req, res) => res.cookie('session', '', { maxAge: 0 })", 0),
        ("(req, res) => res.cookie('theme', 'dark')", 0),
        ("(req, res) => res.cookie('csrf-token', req.key, { secure: true })", 0),
        ("(req, res) => res.setHeader('Set-Cookie', `session=${a}; Secure; HttpOnly`)", 0),
        ("() => session({ secret: k })", 0),
        ("() => session({ secret: k, cookie: { secure: true } })", 0),
    ],
)
def test_cookies_of_sessions(code: str, found: int) -> None:
    assert told(javascript(f"{_HEAD}exports.enter = {code};\n"), "JS-023") == found


def test_a_cookie_of_hono() -> None:
    head = "import { setCookie } from 'hono/cookie';\nexport const enter = (c) => "
    assert told(javascript(head + "setCookie(c, 'sid', c.key);\n"), "JS-023") == 1
    safe = "setCookie(c, 'sid', c.key, { secure: true, httpOnly: true });\n"
    assert told(javascript(head + safe), "JS-023") == 0


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("function makeToken() { return Math.random().toString(36); }", 1),
        ("const resetCode = () => `${Math.random()}`;", 1),
        ("exports.apiKey = function () { return Math.random(); };", 1),
        ("function text() { let t = ''; t += L[Math.random() * 9]; return t; }\n"
         "const token = text();", 1),
        ("function pick() { return Math.random(); }\nconst colour = pick();", 0),
        ("function makeToken() { wait(Math.random()); return crypto.randomUUID(); }", 0),
        ("const token = Math.random().toString(36);", 1),
    ],
)  # fmt: skip
def test_tokens_that_functions_make(code: str, found: int) -> None:
    assert told(javascript(code + "\n"), "JS-008") == found


def test_a_password_of_last_resort_is_milder() -> None:
    code = "const db = pool({{ host: 'db.a.io', password: process.env.DB || '{}' }});\n"
    [finding] = findings(javascript(code.format("k9Tq2wLm8z")), "JS-019")
    assert finding.severity is Severity.MEDIUM
    assert told(javascript(code.format("postgres")), "JS-019") == 0


# -- data that is followed in workers --------------------------------------------------------------


def _weaknesses(code: str) -> list[str]:
    entries = discover({"a.js": code})
    assert entries
    return sorted(f.weakness for f in analyse({"a.js": parse("a.js", code)}, entries).flows)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("return env.DB.prepare(`SELECT * FROM a WHERE b = '${x}'`).all();", ["sql"]),
        ("await env.DB.exec('DELETE FROM a WHERE b = ' + x);", ["sql"]),
        ("return env.DB.prepare('SELECT * FROM a WHERE b = ?').bind(x).all();", []),
        ("await env.DB.exec('DELETE FROM a');", []),
        ("return Response.redirect(x, 302);", ["redirect"]),
        ("return Response.redirect('https://a.example/' + encodeURIComponent(x));", []),
        ("return fetch(x);", ["url"]),
        ("return fetch('https://a.example/' + encodeURIComponent(x));", []),
        ("return new Response(`<b>${x}</b>`, { headers: { 'content-type': 'text/html' } });",
         ["markup"]),
        ("return new Response(x, { headers: { 'content-type': 'text/plain' } });", []),
        ("return fetch(request.headers.get('X-To'));", ["url"]),
    ],
)  # fmt: skip
def test_a_worker_of_cloudflare(body: str, found: list[str]) -> None:
    code = f"""export default {{ async fetch(request, env, ctx) {{
        const x = new URL(request.url).searchParams.get("x"); {body} }} }};"""
    assert _weaknesses(code) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("c.env.DB.prepare(`SELECT * FROM a WHERE b = '${c.req.query('x')}'`).all()", ["sql"]),
        ("c.env.DB.prepare('SELECT * FROM a WHERE b = ?').bind(c.req.query('x')).all()", []),
        ("c.redirect(c.req.query('x'))", ["redirect"]),
        ("c.redirect('/a')", []),
        ("c.html(`<b>${c.req.query('x')}</b>`)", ["markup"]),
        ("c.html(html`<b>${c.req.query('x')}</b>`)", []),
        ("c.json({ x: c.req.query('x') })", []),
        ("c.text(c.req.query('x'))", []),
    ],
)
def test_a_worker_of_hono(body: str, found: list[str]) -> None:
    code = f"""import {{ Hono }} from "hono"; import {{ html }} from "hono/html";
        const app = new Hono(); app.get("/a", (c) => {body}); export default app;"""
    assert _weaknesses(code) == found


def test_koa_redirects_by_its_context() -> None:
    code = """const Koa = require("koa"); const Router = require("@koa/router");
        const router = new Router(); router.get("/a", (ctx) => { ctx.redirect(ctx.query.x); });"""
    found = analyse({"a.js": parse("a.js", code)}, [Entry(path="a.js", name="")])
    assert [flow.weakness for flow in found.flows] == ["redirect"]
