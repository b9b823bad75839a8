"""Sinks by ways to join texts by places that data passes through: each found, its twin passed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from casemate.audit.flow import Entry
from casemate.audit.javascript import analyse, parse


class Sink(NamedTuple):
    weakness: str
    head: str
    call: str
    """With `TEXT`, what is made of the data."""
    mended: str
    """The same call as it should be, with `VALUE`, the data itself."""


SINKS = (
    Sink(
        "sql",
        "const mysql = require('mysql2/promise'); const db = mysql.createPool({});",
        "return db.query(TEXT);",
        "return db.query('SELECT * FROM t WHERE a = ?', [VALUE]);",
    ),
    Sink(
        "sql",
        "const { Pool } = require('pg'); const pool = new Pool();",
        "const client = await pool.connect(); return client.query({ text: TEXT, values: [] });",
        "const client = await pool.connect(); return client.query({ text: 'SELECT $1', values: [VALUE] });",
    ),
    Sink(
        "sql",
        "const knex = require('knex')({});",
        "return knex('t').whereRaw(TEXT);",
        "return knex('t').whereRaw('a = ?', [VALUE]);",
    ),
    Sink(
        "sql",
        "const { PrismaClient } = require('@prisma/client'); const prisma = new PrismaClient();",
        "return prisma.$queryRawUnsafe(TEXT);",
        "return prisma.$queryRaw`SELECT * FROM t WHERE a = ${VALUE}`;",
    ),
    Sink(
        "command",
        "const cp = require('node:child_process');",
        "return cp.execSync(TEXT).toString();",
        "return cp.execSync('ls -l ' + Number(VALUE)).toString();",
    ),
    Sink(
        "command",
        "const { spawn } = require('child_process');",
        "spawn(TEXT, { shell: true });",
        "spawn('ls -l', [String(parseInt(VALUE, 10))], { shell: true });",
    ),
    Sink(
        "code",
        "const vm = require('vm');",
        "return vm.runInNewContext(TEXT, {});",
        "return JSON.parse(VALUE);",
    ),
    Sink("code", "", "return new Function(TEXT)();", "return new Function('return 1')();"),
    Sink(
        "path",
        "const fs = require('fs'); const path = require('path');",
        "return fs.readFileSync(TEXT);",
        "return fs.readFileSync(path.join('/opt', path.basename(VALUE)));",
    ),
    Sink(
        "url",
        "const axios = require('axios');",
        "return (await axios.get(TEXT)).data;",
        "return (await axios.get('https://api.example.com/v1?q=' + encodeURIComponent(VALUE))).data;",
    ),
    Sink(
        "url",
        "const https = require('https');",
        "return https.request({ method: 'GET', hostname: TEXT });",
        "return https.request({ method: 'GET', hostname: 'a.example', path: '/' + VALUE });",
    ),
    Sink(
        "template",
        "const ejs = require('ejs');",
        "return ejs.render(TEXT, {});",
        "return ejs.render('<%= name %>', { name: VALUE });",
    ),
    Sink("regex", "", "return new RegExp(TEXT).test('a');", "return 'a'.includes(VALUE);"),
    Sink(
        "redirect",
        "",
        "return { statusCode: 302, headers: { Location: TEXT } };",
        "return { statusCode: 302, headers: { Location: '/find?q=' + VALUE } };",
    ),
    Sink(
        "markup",
        "const escape = require('escape-html');",
        "return { statusCode: 200, headers: { 'Content-Type': 'text/html' }, body: '<p>' + TEXT + '</p>' };",
        "return { statusCode: 200, headers: { 'Content-Type': 'text/html' }, body: '<p>' + escape(VALUE) };",
    ),
    Sink(
        "nosql",
        "const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');\n"
        "const { DynamoDBDocument } = require('@aws-sdk/lib-dynamodb');\n"
        "const db = DynamoDBDocument.from(new DynamoDBClient({}));",
        "return db.scan({ TableName: 't', FilterExpression: TEXT });",
        "return db.scan({ TableName: 't', FilterExpression: 'a = :a', ExpressionAttributeValues: { ':a': VALUE } });",
    ),
    Sink(
        "deserialisation",
        "const serialize = require('node-serialize');",
        "return serialize.unserialize(TEXT);",
        "return JSON.parse(VALUE);",
    ),
)
JOINS = (
    "x",
    "`${x}`",
    "'' + x",
    "[x].join('')",
    "''.concat(x)",
    "String(x).trim()",
    "[x, ''].reduce((a, b) => a + b, '')",
)
PLACES = (
    "const x = event.queryStringParameters.x; BODY",
    "const { queryStringParameters: { x } } = event; BODY",
    "const { x = 'none' } = JSON.parse(event.body); BODY",
    "const run = async (x) => { BODY }; return run(JSON.parse(event.body).x);",
    "for (const x of Object.values(event.queryStringParameters)) { BODY }",
    "return Promise.all(JSON.parse(event.body).items.map(async ({ x }) => { BODY }));",
    "const held = { ...event.queryStringParameters }; const x = held.x || ''; BODY",
    "class Job { constructor(x) { this.x = x; } async run() { const x = this.x; BODY } }\n"
    "return new Job(event.pathParameters.x).run();",
    "const held = new Map(); held.set('x', event.headers['referer']); const x = held.get('x'); BODY",
    "return Promise.resolve(event.pathParameters.x).then(async (x) => { BODY });",
    "let x; switch (event.httpMethod) { case 'GET': x = event.pathParameters.x; break; default: x = ''; }\n"
    "try { BODY } catch (error) { throw error; } finally { console.log('done'); }",
    "const later = (given) => { const x = given; return async () => { BODY }; };\n"
    "return later(event.pathParameters.x)();",
)
CHECKS = (
    "if (!['a', 'b'].includes(x)) return null;",
    "if (!/^[a-z]{1,20}$/.test(x)) throw new Error('no');",
    "if (x !== 'a' && x !== 'b') { return { statusCode: 400 }; }",
    "if (!ALLOWED.has(x)) return { statusCode: 400 };",
    "const known = ALLOWED.has(x); if (!known) return null;",
    "check(x);",
    "if (!valid(x)) return null;",
)
HELPERS = """
const ALLOWED = new Set(['a', 'b']);
function check(value) { if (!ALLOWED.has(value)) { throw new Error('not allowed'); } }
const valid = (value) => typeof value === 'string' && /^[A-Za-z0-9]+$/.test(value);
"""


def program(head: str, place: str, body: str) -> str:
    return f"{head}\n{HELPERS}\nexports.handler = async (event) => {{\n{place.replace('BODY', body)}\n}};\n"


def weaknesses(code: str) -> set[str]:
    analysis = analyse(
        {"index.js": parse("index.js", code)}, [Entry(path="index.js", name="handler")]
    )
    assert not analysis.unresolved, (analysis.unresolved, code)
    return {flow.weakness for flow in analysis.flows}


def makes_sense(sink: Sink, place: str, check: str) -> bool:
    """Leave out answers within lists, and letters alone where letters are enough."""
    if sink.weakness in ("redirect", "markup") and "Promise.all" in place:
        return False
    return not (
        sink.weakness in ("code", "deserialisation") and ("valid(" in check or "/^" in check)
    )


def some() -> Iterator[tuple[Sink, str, str, str]]:
    """Yield each sink with each join, place and check, not all with all."""
    number = 0
    for sink in SINKS:
        for place in PLACES[number % 2 :: 2]:
            yield sink, JOINS[number % len(JOINS)], place, CHECKS[(number // 2) % len(CHECKS)]
            number += 1


def every() -> Iterator[tuple[Sink, str, str, str]]:
    return (
        (sink, join, place, check)
        for sink in SINKS
        for join in JOINS
        for place in PLACES
        for check in CHECKS
    )


def wrong(cases: Iterator[tuple[Sink, str, str, str]]) -> list[tuple[str, str, str]]:
    found = []
    for sink, join, place, check in cases:
        if not makes_sense(sink, place, check):
            continue
        bad = program(sink.head, place, sink.call.replace("TEXT", f"({join})"))
        if sink.weakness not in weaknesses(bad):
            found.append(("missed", sink.weakness, bad))
        mended = program(sink.head, place, sink.mended.replace("VALUE", "x"))
        if sink.weakness in weaknesses(mended):
            found.append(("mended and told", sink.weakness, mended))
        checked = program(sink.head, place, f"{check} {sink.call.replace('TEXT', f'({join})')}")
        if sink.weakness in weaknesses(checked):
            found.append(("checked and told", sink.weakness, checked))
    return found


def test_each_is_found_and_each_twin_is_passed() -> None:
    cases = list(some())
    assert len(cases) >= 60
    found = wrong(iter(cases))
    assert not found, (
        f"{len(found)} of {3 * len(cases)}: {found[0][0]} {found[0][1]}\n{found[0][2]}"
    )


@pytest.mark.storm
@pytest.mark.timeout(900)
def test_all_of_them() -> None:
    found = wrong(every())
    assert not found, f"{len(found)}: {found[0][0]} {found[0][1]}\n{found[0][2]}"
