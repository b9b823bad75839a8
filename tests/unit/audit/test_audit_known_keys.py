"""Tokens that are signed with a key that stands in the code."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import javascript, python, told

PUBLIC = "'-----BEGIN PUBLIC KEY-----\\nMFkw\\n-----END PUBLIC KEY-----'"


@pytest.mark.parametrize(
    ("head", "call", "found"),
    [
        ("const K = 'my-super-secret-key';", "jwt.sign(p, K)", 1),
        ("", "jwt.sign(p, 'my-super-secret-key')", 1),
        ("", "jwt.verify(p, 'my-super-secret-key')", 1),
        ("const K = process.env.KEY;", "jwt.sign(p, K)", 0),
        ("let K = ''; K = read();", "jwt.sign(p, K)", 0),
        ("let K = 'abcdef'; K = read();", "jwt.sign(p, K)", 0),
        ("", "jwt.sign(p, process.env.KEY)", 0),
        ("", f"jwt.verify(p, {PUBLIC})", 0),
        ("", "other.sign(p, 'my-super-secret-key')", 0),
    ],
)
@pytest.mark.parametrize(
    "brought", ["const jwt = require('jsonwebtoken');", "import jwt from 'jsonwebtoken';"]
)
def test_a_token_of_javascript(brought: str, head: str, call: str, found: int) -> None:
    code = f"{brought}\n{head}\nexports.handler = async (p) => {call};\n"
    assert told(javascript(code), "JS-018") == found


@pytest.mark.parametrize(
    ("head", "call", "found"),
    [
        ("KEY = 'my-super-secret-key'", "jwt.encode(event, KEY)", 1),
        ("", "jwt.encode(event, 'my-super-secret-key')", 1),
        ("", "jwt.decode(event, key='my-super-secret-key', algorithms=['HS256'])", 1),
        ("KEY = os.environ['KEY']", "jwt.encode(event, KEY)", 0),
        ("KEY = ''\nKEY = read()", "jwt.encode(event, KEY)", 0),
        ("", f"jwt.decode(event, {PUBLIC}, algorithms=['RS256'])", 0),
        ("", "jwt.decode(event, 'none', options={'verify_signature': False})", 0),
        ("", "other.encode(event, 'my-super-secret-key')", 0),
        ("", "client.connect(host='a.example', password='k9Tq2wLm8z')", 1),
        ("", "client.connect(host='a.example', password='<password>')", 0),
    ],
)
@pytest.mark.parametrize("brought", ["import jwt", "from jose import jwt"])
def test_a_token_of_python(brought: str, head: str, call: str, found: int) -> None:
    code = f"import os\n{brought}\n\n{head}\n\n\ndef handler(event, context):\n    return {call}\n"
    assert told(python(code), "SEC-010") == found
