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
        "return User.find({ email: { $regex: email.trim() } })",
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
        ("fs.createReadStream('/tmp/' + req.file.originalname)", ["path"]),
        ("fs.createReadStream(req.body.file.path)", ["path"]),
        ("superagent.post('https://a.example/').type('form').send(req.body)", []),
        ("superagent.post(req.body.url).send({})", ["url"]),
    ],
)
def test_where_an_upload_is_kept_and_what_is_sent_is_not_of_its_sender(
    line: str, found: list[str]
) -> None:
    assert upload(line) == found
