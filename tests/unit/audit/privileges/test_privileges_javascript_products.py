"""Ways to hold a client by ways to call it: what is needed is never told as needless."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from tests.unit.audit.privileges.javascript_privileges import Program
from tests.unit.audit.privileges.test_privileges_javascript import privileges

STYLES: dict[str, tuple[str, str, str]] = {
    "v3 send": (
        "const { S3Client, GetObjectCommand } = require('@aws-sdk/client-s3');",
        "new S3Client({})",
        "C.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' }))",
    ),
    "v3 ns": (
        "const s3sdk = require('@aws-sdk/client-s3');",
        "new s3sdk.S3Client({})",
        "C.send(new s3sdk.GetObjectCommand({ Bucket: 'b', Key: 'k' }))",
    ),
    "v3 agg": (
        "const { S3 } = require('@aws-sdk/client-s3');",
        "new S3()",
        "C.getObject({ Bucket: 'b', Key: 'k' })",
    ),
    "v2": (
        "const AWS = require('aws-sdk');",
        "new AWS.S3()",
        "C.getObject({ Bucket: 'b', Key: 'k' }).promise()",
    ),
    "v2 sub": (
        "const S3 = require('aws-sdk/clients/s3');",
        "new S3({ region: 'x' })",
        "C.getObject({ Bucket: 'b', Key: 'k' }).promise()",
    ),
    "v2 destruct": (
        "const { S3, config } = require('aws-sdk');",
        "new S3()",
        "C.getObject({ Bucket: 'b', Key: 'k' }, () => {})",
    ),
    "docs": (
        "const { DynamoDBClient } = require('@aws-sdk/client-dynamodb'); const { DynamoDBDocument } = require('@aws-sdk/lib-dynamodb');",
        "DynamoDBDocument.from(new DynamoDBClient({}))",
        "C.get({ TableName: 'b', Key: {} })",
    ),
}
WAYS: dict[str, str] = {
    "const": "const c = MAKE; exports.handler = async (event) => USE(c);",
    "inside": "exports.handler = async (event) => { const c = MAKE; return USE(c); };",
    "lazy": "let c; const get = () => { if (!c) { c = MAKE; } return c; }; exports.handler = async () => USE(get());",
    "lazy or": "let c; exports.handler = async () => { c = c || MAKE; await USE(c); };",
    "async get": "const get = async () => MAKE; exports.handler = async () => { const c = await get(); return USE(c); };",
    "object": "const clients = { a: MAKE }; exports.handler = async () => USE(clients.a);",
    "computed": "const clients = { a: MAKE, b: null }; exports.handler = async (e) => USE(clients[e.x]);",
    "map": "const m = new Map(); m.set('a', MAKE); exports.handler = async (e) => { const c = m.get(e.x); return USE(c); };",
    "array": "const list = [MAKE]; exports.handler = async () => Promise.all(list.map((c) => USE(c)));",
    "class field": "class R { c = MAKE; go() { return USE(this.c); } } exports.handler = async () => new R().go();",
    "class private": "class R { #c; constructor(c) { this.#c = c; } async go() { return USE(this.#c); } } const r = new R(MAKE); exports.handler = (e) => r.go(e);",
    "static": "class R { static c = MAKE; static go() { return USE(R.c); } } exports.handler = async () => R.go();",
    "inherit": "class A { constructor() { this.c = MAKE; } } class B extends A { go() { return USE(this.c); } } exports.handler = async () => new B().go();",
    "closure": "const make = (c) => ({ go: () => USE(c) }); const s = make(MAKE); exports.handler = async () => s.go();",
    "then": "exports.handler = (e) => Promise.resolve(MAKE).then((c) => USE(c));",
    "emitter": "const { EventEmitter } = require('events'); const em = new EventEmitter(); const c = MAKE; em.on('x', () => USE(c)); exports.handler = async () => em.emit('x');",
    "timeout": "const c = MAKE; exports.handler = async () => { setTimeout(() => { USE(c); }, 10); };",
    "catch": "const c = MAKE; exports.handler = async (e) => { try { await fetch(e.u); } catch (x) { await USE(c); } };",
    "finally": "const c = MAKE; exports.handler = async (e) => { try { return 1; } finally { await USE(c); } };",
    "switch": "const c = MAKE; exports.handler = async (e) => { switch (e.a) { case 'a': break; case 'b': await USE(c); break; default: } };",
    "after throw": "const c = MAKE; const fail = () => { throw new Error('x'); }; exports.handler = async (e) => { if (e.a) fail(); await USE(c); };",
    "const branch": "const c = MAKE; const D = false; exports.handler = async (e) => { if (D) { await USE(c); } };",
    "handlers table": "const c = MAKE; const h = { a: async () => USE(c), b: async () => 1 }; exports.handler = async (e) => h[e.action]();",
    "reduce": "const c = MAKE; const steps = [async () => USE(c)]; exports.handler = async (e) => steps.reduce((p, s) => p.then(() => s()), Promise.resolve());",
    "generator": "const c = MAKE; async function* g() { yield await USE(c); } exports.handler = async () => { for await (const x of g()) console.log(x); };",
    "middleware": "const middy = require('@middy/core'); const c = MAKE; exports.handler = middy().use({ before: async () => {} }).handler(async (e) => USE(c));",
    "express": "const app = require('express')(); const c = MAKE; app.route('/x').get(async (q, s) => { s.json(await USE(c)); }); exports.handler = require('serverless-http')(app);",
    "memo lodash": "const _ = require('lodash'); const c = MAKE; const f = _.memoize(async () => USE(c)); exports.handler = async () => f();",
    "recursion": "const c = MAKE; const walk = async (n) => { if (n > 9) return USE(c); return walk(n + 1); }; exports.handler = async () => walk(0);",
    "getter": "const c = MAKE; const o = { get x() { return USE(c); } }; exports.handler = async () => o.x;",
    "proto": "function R() { this.c = MAKE; } R.prototype.go = function () { return USE(this.c); }; exports.handler = async () => new R().go();",
    "iife": "exports.handler = (function () { const c = MAKE; return async function () { return USE(c); }; })();",
    "bind": "const c = MAKE; function go() { return USE(this.c); } exports.handler = go.bind({ c });",
    "spread": "const base = { c: MAKE }; const all = { ...base, d: 1 }; exports.handler = async () => { const { c, ...rest } = all; return USE(c); };",
    "default param": "const go = async (c = MAKE) => USE(c); exports.handler = async (e) => go();",
    "optional": "const c = MAKE; exports.handler = async (e) => { e?.a && (await USE(c)); };",
    "while": "const c = MAKE; exports.handler = async (e) => { let t; do { const r = await USE(c); t = r.NextToken; } while (t); };",
    "labelled": "const c = MAKE; exports.handler = async (e) => { outer: for (const a of e.a) { for (const b of a) { if (b) continue outer; await USE(c); } } };",
    "event loop var": "const c = MAKE; exports.handler = async (e) => { const jobs = []; for (let i = 0; i < 3; i++) jobs.push(() => USE(c)); for (const j of jobs) await j(); };",
}
OTHERS = "dynamodb:DeleteTable s3:DeleteBucket"
PERHAPS = ("const branch", "recursion")
"""Ways on which it is not come to a call that may be made."""


def wrong(cases: Iterable[tuple[str, str]]) -> list[tuple[str, str, object]]:
    found: list[tuple[str, str, object]] = []
    for style, way in cases:
        head, make, use = STYLES[style]
        needed = "dynamodb:GetItem" if style == "docs" else "s3:GetObject"
        code = f"{head}\n{WAYS[way].replace('MAKE', make)}"
        code = re.sub(
            r"USE\(([^()]*(?:\(\))?)\)",
            lambda m, use=use: use.replace("C.", f"{m[1]}."),  # type: ignore[misc]
            code,
        )
        one = privileges(Program(way, f"{needed} {OTHERS}", OTHERS, "", code))
        if one.undecided or set(one.needless) != set(OTHERS.split()):
            found.append((style, way, (one.needless, one.undecided)))
        elif (needed, ("b",)) not in one.needed and way not in PERHAPS:
            found.append((style, way, one.needed))
    return found


def test_each_way_with_one_style_and_each_style_with_one_way() -> None:
    styles, ways = list(STYLES), list(WAYS)
    cases = [(styles[number % len(styles)], way) for number, way in enumerate(ways)]
    assert len(cases) >= 35
    assert wrong(cases) == []


@pytest.mark.storm
def test_every_way_with_every_style() -> None:
    assert wrong((style, way) for style in STYLES for way in WAYS) == []


def _table(use: str) -> str:
    head, make, call = STYLES["v2"]
    each = ", ".join(f"f{n}: () => {n}" for n in range(20))
    calls = f"last: () => {call.replace('C.', 'c.')}"
    return f"{head} const c = {make}; const table = {{ {each}, {calls} }}; {use}"


def test_one_of_many_functions_is_called() -> None:
    code = _table("exports.handler = async (e) => table[e.action](e);")
    one = privileges(Program("many", f"s3:GetObject {OTHERS}", "", "", code))
    assert set(one.needless) == set(OTHERS.split())
    code = _table("exports.handler = async (e) => { const f = table[e.action]; return f(e); };")
    one = privileges(Program("many", "s3:GetObject", "", "", code))
    assert one.needless == ()


def test_calls_that_are_too_deep_leave_it_undecided() -> None:
    chain = "".join(f"const f{n} = () => f{n - 1}();" for n in range(1, 40))
    head, make, use = STYLES["v2"]
    code = f"{head} const c = {make}; const f0 = () => {use.replace('C.', 'c.')}; {chain}"
    one = privileges(
        Program("deep", "s3:GetObject", "", "*", f"{code} exports.handler = async () => f39();")
    )
    assert one.needless == ()
    assert {each.service for each in one.undecided} == {"*"}
