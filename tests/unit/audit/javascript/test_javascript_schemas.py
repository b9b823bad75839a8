"""Schemas of Joi, Yup and Zod: what they hold data to, and what looks as if they did."""

from __future__ import annotations

import pytest

from casemate.audit.flow import Entry
from casemate.audit.javascript import analyse, parse

_SCHEMAS = """const m = require('mongoose'); const User = m.model('U');
const Joi = require('joi'); const { z } = require('zod'); const yup = require('yup');
const j = Joi.object({ email: Joi.string().email().min(3), n: Joi.number(), any: Joi.any(),
    inner: Joi.object({ a: Joi.string() }), list: Joi.array().items(Joi.string()),
    either: Joi.string().when('n', { is: 1, then: Joi.object() }) }).required();
const s = z.object({ email: z.string().email({ message: 'no' }), any: z.any(),
    either: z.string().or(z.object({})), made: z.coerce.string() }).strict();
const y = yup.object({ email: yup.string().required() });
"""


def weaknesses(body: str) -> list[str]:
    code = f"""{_SCHEMAS} exports.handler = async (event) => {{
        const b = JSON.parse(event.body); {body} }};"""
    found = analyse({"a.js": parse("a.js", code)}, [Entry(path="a.js", name="handler")])
    return [flow.weakness for flow in found.flows]


_ASKED = "return User.findOne({ email: b.email })"


@pytest.mark.parametrize(
    "body",
    [
        f"const {{ error }} = j.validate(b); if (error) return; {_ASKED}",
        f"const r = j.validate(b, {{ abortEarly: false }}); if (r.error) throw r.error; {_ASKED}",
        f"const r = j.validate(b); if (r.error === undefined) {{ {_ASKED} }}",
        "const r = j.validate(b); return r.error ? 1 : User.findOne({ email: r.value.email })",
        "const r = j.validate(b); if (r.error) return; return User.findOne({ a: b.inner.a })",
        "const r = j.validate(b); if (r.error) return; return User.findOne({ a: b.n })",
        f"const check = (x) => j.validate(x); const {{ error }} = check(b); if (error) return; {_ASKED}",
        f"await j.validateAsync(b); {_ASKED}",
        f"Joi.assert(b, j); {_ASKED}",
        "const d = s.parse(b); return User.findOne({ email: d.email })",
        "const r = s.safeParse(b); if (!r.success) return; return User.findOne({ a: r.data.email })",
        "const r = s.safeParse(b); if (r.success === false) return; return User.findOne({ a: b.email })",
        f"await y.validate(b); {_ASKED}",
    ],
)
def test_what_a_schema_holds_to_a_text_brings_no_operator(body: str) -> None:
    assert weaknesses(body) == []


_HELD = "const user = await User.findById(1); const at = user.goals.findIndex((g) => TEST);"
_SAME = _HELD.replace("TEST", "g._id == b.id")
_USED = "return User.findOne({ a: b.id })"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (f"{_SAME} if (at === -1) return; {_USED}", []),
        (f"{_SAME} if (at < 0) return; {_USED}", []),
        (f"{_SAME} if (at !== -1) {{ {_USED} }}", []),
        (f"{_SAME} if (at > -1) {{ {_USED} }}", []),
        (f"{_SAME} {_USED}", ["nosql"]),
        (f"{_SAME} if (at !== -1) return; {_USED}", ["nosql"]),
        (f"{_SAME} if (at >= 0) return; {_USED}", ["nosql"]),
        (f"{_SAME} if (at === 0) return; {_USED}", ["nosql"]),
        (_HELD.replace("TEST", "g.open") + f" if (at === -1) return; {_USED}", ["nosql"]),
        (_HELD.replace("TEST", "g._id != b.id") + f" if (at === -1) return; {_USED}", ["nosql"]),
        (
            _HELD.replace("TEST", "g.a || g._id == b.id") + f" if (at < 0) return; {_USED}",
            ["nosql"],
        ),
    ],
)
def test_what_was_found_in_a_list_of_ones_own_is_like_it(body: str, found: list[str]) -> None:
    assert weaknesses(body) == found


@pytest.mark.parametrize(
    "body",
    [
        f"j.validate(b); {_ASKED}",
        f"const {{ error }} = j.validate(b); if (!error) return; {_ASKED}",
        f"const {{ error }} = j.validate(b); if (error) console.log(error); {_ASKED}",
        f"try {{ await j.validateAsync(b) }} catch (e) {{}} {_ASKED}",
        "await j.validateAsync(b); return User.findOne({ a: b.any })",
        "await j.validateAsync(b); return User.findOne({ a: b.inner })",
        "await j.validateAsync(b); return User.findOne({ a: b.either })",
        "await j.validateAsync(b); return User.findOne({ a: b.list })",
        "await j.validateAsync(b); return User.findOne({ a: b.other })",
        f"await j.validateAsync(event.headers); {_ASKED}",
        f"await j.fork(['email'], (f) => Joi.any()).validateAsync(b); {_ASKED}",
        "s.parse(b); return User.findOne({ a: b.either })",
        "s.parse(b); return User.findOne({ a: b.made })",
        f"s.partial().transform((x) => x).parse(b); {_ASKED}",
        f"const r = s.safeParse(b); if (r.success) return; {_ASKED}",
        f"y.isValid(b); {_ASKED}",
    ],
)
def test_what_a_schema_lets_through_stays_told(body: str) -> None:
    assert weaknesses(body) == ["nosql"]


_RUN = "require('child_process').execSync(`ls ${TEXT}`)"


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ("z.object({ a: z.string().regex(/^[a-z]+$/) }).parse(b)", []),
        ("z.object({ a: z.string().regex(/^[a-z]+$/).max(9).optional() }).parse(b)", []),
        ("z.object({ a: z.string().regex(/^[a-z]+/) }).parse(b)", ["command"]),
        ("z.object({ a: z.string().regex(/[a-z]+$/) }).parse(b)", ["command"]),
        ("z.object({ a: z.string().regex(/^.+$/) }).parse(b)", ["command"]),
        ("z.object({ a: z.string().regex(/^[a-z]+$/m) }).parse(b)", ["command"]),
        ("z.object({ a: z.string().regex(/^[a-z]+$/).transform(f) }).parse(b)", ["command"]),
        ("z.object({ a: z.enum(['x', 'y']) }).parse(b)", []),
        ("z.object({ a: z.coerce.number() }).parse(b)", []),
        ("z.object({ a: z.coerce.string() }).parse(b)", ["command"]),
        ("await yup.object({ a: yup.string().oneOf(['x', 'y']) }).validate(b)", []),
        ("await yup.object({ a: yup.string().oneOf(given) }).validate(b)", ["command"]),
        ("await yup.object({ a: yup.string().required() }).validate(b)", ["command"]),
        ("Joi.assert(b, Joi.object({ a: Joi.string().valid('x', 'y') }))", []),
        ("Joi.assert(b, Joi.object({ a: Joi.string().valid(b.other) }))", ["command"]),
        ("Joi.assert(b, Joi.object({ a: Joi.string().pattern(/^[0-9]+$/) }))", []),
    ],
)
def test_what_a_field_lets_through(schema: str, found: list[str]) -> None:
    body = f"const given = b.given; const d = {schema}; {_RUN.replace('TEXT', 'b.a')};"
    assert weaknesses(body) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("const d = z.coerce.number().parse(b.a); RUN(d)", []),
        ("const d = z.string().parse(b.a); RUN(d)", ["command"]),
        ("const r = z.coerce.number().safeParse(b.a); if (!r.success) return; RUN(r.data)", []),
    ],
)
def test_what_one_field_alone_gives(body: str, found: list[str]) -> None:
    run = _RUN.replace("TEXT", "d" if "(d)" in body else "r.data")
    assert weaknesses(body.replace("RUN(d)", run).replace("RUN(r.data)", run)) == found


_JSON = """const Ajv = require('ajv'); const ajv = new Ajv();
const ok = ajv.compile({ type: 'object', properties: { a: FIELD } });"""


@pytest.mark.parametrize(
    ("field", "check", "found"),
    [
        ("{ enum: ['x', 'y'] }", "if (!ok(b)) return;", []),
        ("{ enum: ['x', 'y'] }", "ok(b);", ["command"]),
        ("{ enum: ['x', 'y'] }", "if (ok(b)) return;", ["command"]),
        ("{ type: 'integer' }", "if (!ok(b)) return;", []),
        ("{ type: 'string' }", "if (!ok(b)) return;", ["command"]),
        ("{ type: 'string', pattern: '^[a-z]+$' }", "if (!ok(b)) return;", []),
        ("{ type: 'string', pattern: '[a-z]+' }", "if (!ok(b)) return;", ["command"]),
        ("{ type: ['string', 'integer'] }", "if (!ok(b)) return;", ["command"]),
        ("{ const: 'x' }", "if (!ok(b)) return;", []),
    ],
)
def test_json_schemas_of_ajv(field: str, check: str, found: list[str]) -> None:
    made = _JSON.replace("FIELD", field)
    assert weaknesses(f"{made} {check} {_RUN.replace('TEXT', 'b.a')};") == found


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ("body: { properties: { a: { type: 'string', pattern: '^[a-z]+$' } } }", []),
        ("body: { properties: { a: { type: 'string' } } }", ["command"]),
        ("querystring: { properties: { a: { enum: ['x'] } } }", ["command"]),
        ("response: { properties: { a: { enum: ['x'] } } }", ["command"]),
    ],
)
def test_schemas_of_routes_of_fastify(schema: str, found: list[str]) -> None:
    run = _RUN.replace("TEXT", "request.body.a")
    code = f"""const app = require('fastify')();
    app.post('/x', {{ schema: {{ {schema} }} }}, async (request) => {{ {run}; }});"""
    flows = analyse({"a.js": parse("a.js", code)}, [Entry(path="a.js", name="", shape="route")])
    assert [flow.weakness for flow in flows.flows] == found


_FIELDS = "z.object({ a: FIELD, inner: z.object({ b: z.enum(['x', 'y']) }) })"


@pytest.mark.parametrize(
    ("field", "part", "used", "found"),
    [
        ("z.string().regex(/^[a-z]+$/)", "json", "a", []),
        ("z.coerce.number()", "json", "a", []),
        ("z.string()", "json", "a", ["command"]),
        ("z.string()", "json", "inner.b", []),
        ("z.number()", "json", "other", ["command"]),
        ("z.number()", "query", "a", ["command"]),
    ],
)
@pytest.mark.parametrize("openapi", [False, True])
def test_validators_of_routes_of_hono(field, part, used, found, openapi) -> None:
    schema = _FIELDS.replace("FIELD", field)
    run = _RUN.replace("TEXT", f"c.req.valid('{part}').{used}")
    route = f"app.post('/x', zValidator('json', {schema}), async (c) => {{ {run}; }});"
    if openapi:
        content = f"{{ content: {{ 'application/json': {{ schema: {schema} }} }} }}"
        request = f"request: {{ body: {content} }}, responses: {{}}"
        route = f"""app.openapi(createRoute({{ method: 'post', path: '/x', {request} }}),
            async (c) => {{ {run}; }});"""
    code = f"""import {{ OpenAPIHono, createRoute, z }} from '@hono/zod-openapi';
    import {{ zValidator }} from '@hono/zod-validator';
    const app = new OpenAPIHono(); {route}"""
    flows = analyse({"a.ts": parse("a.ts", code)}, [Entry(path="a.ts", name="", shape="route")])
    assert [flow.weakness for flow in flows.flows] == found
