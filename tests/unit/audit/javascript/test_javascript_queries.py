"""Queries of MongoDB: what cannot bring an operator, and what looks as if it could not."""

from __future__ import annotations

import pytest

from casemate.audit.flow import Entry
from casemate.audit.javascript import analyse, parse

_HEAD = "const m = require('mongoose'); const User = m.model('U');"


def weaknesses(body: str) -> list[str]:
    code = f"""{_HEAD} exports.handler = async (event) => {{
        const {{ email, code }} = JSON.parse(event.body); {body} }};"""
    found = analyse({"a.js": parse("a.js", code)}, [Entry(path="a.js", name="handler")])
    return [flow.weakness for flow in found.flows]


@pytest.mark.parametrize(
    "body",
    [
        "return User.findOne({ email: email.toLowerCase() })",
        "return User.findOne({ email: email?.trim() })",
        "return User.findOne({ email: `${email}` })",
        "email.trim(); return User.findOne({ email })",
        "if (!email.includes('@')) return; return User.findOne({ email })",
        "if (email.indexOf('@') < 0) return; return User.findOne({ email })",
        "return email.includes('@') ? User.findOne({ email }) : User.findOne({ name: email })",
        "return User.find({ email: { $in: email } })",
        "return User.find({ email: { $regex: '^' + event.pathParameters.name } })",
        "return User.find({ email: { $eq: email } })",
        "return User.find({ _id: new m.Types.ObjectId(email) })",
        "const found = new Map(); return User.find({ a: { $gte: code }, b: { $ne: email } })",
    ],
)
def test_what_is_a_text_or_compared_brings_no_operator(body: str) -> None:
    assert weaknesses(body) == []


def test_an_expression_is_no_operator_but_an_expression() -> None:
    assert weaknesses("return User.find({ email: new RegExp(email) })") == ["regex"]


@pytest.mark.parametrize(
    "body",
    [
        "return User.findOne({ email })",
        "email.trim?.(); return User.findOne({ email })",
        "email.trim(); return User.findOne({ code })",
        "if (email.trim()) return; return User.findOne({ code })",
        "try { email.trim() } catch (e) {} return User.findOne({ email })",
        "if (code) { email.trim() } return User.findOne({ email })",
        "if (!email.includes('a')) return; return User.findOne({ email })",
        "if (!email.length) return; return User.findOne({ email })",
        "const c = JSON.parse(email.trim()); return User.findOne({ a: c.x })",
        "email.trim(); const c = JSON.parse(email); return User.findOne({ a: c.x })",
        "return User.find({ email: { $regex: email } })",
        "return User.find({ email: { $regex: '^' + email } })",
        "return User.find({ $where: 'this.a == ' + email.trim() })",
        "return User.find({ $or: [{ $where: `this.a == ${email}` }] })",
        "return User.find({ $or: [{ email }] })",
        "return User.find({ email: { $not: email } })",
        "return User.find({ a: { $all: email } })",
        "return User.find({ [email]: 1 })",
        "const filter = {}; filter.email = email; return User.find(filter)",
        "return User.aggregate([{ $match: { email } }])",
    ],
)
def test_what_may_be_an_object_may_be_an_operator(body: str) -> None:
    assert weaknesses(body) == ["nosql"]


def upload(line: str) -> list[str]:
    code = f"""const express = require('express'); const app = express(); const fs = require('fs');
        const superagent = require('superagent');
        app.post('/a', require('multer')().single('f'), (req, res) => {{ {line} }});"""
    entry = Entry(path="a.js", name="", shape="route")
    return [flow.weakness for flow in analyse({"a.js": parse("a.js", code)}, [entry]).flows]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("fs.createReadStream(req.file.path)", []),
        ("const { file } = req; fs.createReadStream(file.path)", []),
        ("fs.createReadStream(req.files.picture.tempFilePath)", []),
        ("fs.createReadStream('/tmp/' + req.file.originalname)", []),  # busboy takes the last part
        ("fs.createReadStream(req.body.file.path)", ["path"]),
        ("superagent.post('https://a.example/').type('form').send(req.body)", []),
        ("superagent.post(req.body.url).send({})", ["url"]),
    ],
)
def test_where_an_upload_is_kept_and_what_is_sent_is_not_of_its_sender(
    line: str, found: list[str]
) -> None:
    assert upload(line) == found


def route(checks: str, body: str = "", more: str = "") -> list[str]:
    code = f"""const express = require('express'); const app = express();
        const {{ body, check, param, validationResult }} = require('express-validator');
        {_HEAD}
        const refused = (req, res, next) => {{
            if (!validationResult(req).isEmpty()) return res.status(400).end(); next(); }};
        const handle = async (req, res) => {{ {body} const {{ email }} = req.body;
            res.json(await User.findOne({{ email }})); }};
        app.post('/a', {checks} handle); {more}"""
    entry = Entry(path="a.js", name="", shape="route")
    return [flow.weakness for flow in analyse({"a.js": parse("a.js", code)}, [entry]).flows]


@pytest.mark.parametrize(
    ("checks", "found"),
    [
        ("body('email').trim(),", []),
        ("[body('email').notEmpty().withMessage('m').trim(), body('name')],", []),
        ("check(['name', 'email']).escape(),", []),
        ("body('email').isEmail(), refused,", []),
        ("[body('email').optional().isString()], refused,", []),
        ("body('email').isEmail(),", ["nosql"]),
        ("body('email').notEmpty(), refused,", ["nosql"]),
        ("body('email').isLength({ min: 3 }), refused,", ["nosql"]),
        ("body('name').trim(),", ["nosql"]),
        ("param('email').trim(),", ["nosql"]),
        ("body('email').custom(x => x.trim()), refused,", ["nosql"]),
    ],
)
def test_a_chain_makes_a_text_of_what_was_sent(checks: str, found: list[str]) -> None:
    assert route(checks) == found


def test_what_a_handler_asks_for_was_looked_at() -> None:
    asks = "if (!validationResult(req).isEmpty()) return;"
    assert route("body('email').isEmail(),", asks) == []
    assert route("body('email').trim(),", more="app.put('/a', handle);") == ["nosql"]
    assert route("body('email').trim(),", more="app.put('/b', body('email').trim(), handle);") == []
