"""What a middleware sets on a request comes to the routes after it, with what was checked before."""

from __future__ import annotations

import pytest

from casemate.audit.flow import Entry
from casemate.audit.javascript import analyse, parse

_EXPRESS = """const express = require('express'); const cp = require('child_process');
const jwt = require('jsonwebtoken'); const User = require('./users'); const app = express();
const routes = express.Router(); routes.get('/a', (req, res) => { cp.exec(`ls ${WHAT}`); });
app.use(async (req, res, next) => { const t = req.headers['x-t']; SET; next(); });
app.use(routes);"""
_HONO = """import { Hono } from 'hono'; import cp from 'child_process'; const app = new Hono();
app.use('*', async (c, next) => { const t = c.req.header('x-t'); SET; await next(); });
app.get('/a', (c) => { cp.exec(`ls ${WHAT}`); });"""
_KOA = """const Koa = require('koa'); const Router = require('@koa/router');
const cp = require('child_process'); const app = new Koa(); const routes = new Router();
app.use(async (ctx, next) => { const t = ctx.query.t; SET; await next(); });
routes.get('/a', async (ctx) => { cp.exec(`ls ${WHAT}`); });"""


def weaknesses(code: str, put: str, what: str) -> list[str]:
    whole = code.replace("SET", put).replace("WHAT", what)
    flows = analyse({"a.mjs": parse("a.mjs", whole)}, [Entry(path="a.mjs", name="", shape="route")])
    return [flow.weakness for flow in flows.flows]


@pytest.mark.parametrize(
    ("code", "put", "what", "found"),
    [
        (_EXPRESS, "req.tenant = t", "req.tenant", 1),
        (_EXPRESS, "req.auth = { tenant: t, n: 1 }", "req.auth.tenant", 1),
        (_EXPRESS, "req.auth = { tenant: t, n: 1 }", "req.auth.n", 0),
        (_EXPRESS, "res.locals.tenant = t", "res.locals.tenant", 1),
        (_EXPRESS, "req.tenant = Number(t)", "req.tenant", 0),
        (_EXPRESS, "req.tenant = t", "req.other", 0),
        (_EXPRESS, "if (!/^\\w+$/.test(t)) return; req.tenant = t", "req.tenant", 0),
        (_EXPRESS, "req.user = jwt.verify(t, process.env.KEY)", "req.user.id", 0),
        (_EXPRESS, "req.user = await User.findOne({ t })", "req.user.id", 0),
        (_HONO, "c.set('tenant', t)", "c.get('tenant')", 1),
        (_HONO, "c.set('tenant', t)", "c.var.tenant", 1),
        (_HONO, "c.set('tenant', 'x')", "c.get('tenant')", 0),
        (_HONO, "", "c.get('user')", 0),
        (_HONO, "", "c.req.header('user')", 1),
        (_KOA, "ctx.state.tenant = t", "ctx.state.tenant", 1),
        (_KOA, "ctx.state.tenant = 'x'", "ctx.state.tenant", 0),
        (_KOA, "", "ctx.get('x-t')", 1),
    ],
)
def test_what_a_middleware_sets(code: str, put: str, what: str, found: int) -> None:
    assert weaknesses(code, put, what) == ["command"] * found
