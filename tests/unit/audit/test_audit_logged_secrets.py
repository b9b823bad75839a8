"""What logs and answers tell: secrets by their keys and stores, traces under other names."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import python, told


def handler(body: str, head: str = "") -> dict[str, str]:
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return python(
        f"import os, logging\n{head}\n\ndef handler(event, context):\n{lines}    return 1"
    )


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("logging.info('pw %s', os.environ['DB_PASSWORD'])", 1),
        ("logging.info('pw %s', os.environ.get('DB_PASSWORD'))", 1),
        ("token = event['authorizationToken']\nlogging.debug('token %s', token)", 1),
        ("print(f\"{event['headers']['Authorization']}\")", 1),
        ("key = context.secret('mail')\ncontext.log.info('polled', key=key)", 1),
        ("v = s.get_secret_value(SecretId='a')['SecretString']\nprint('with ' + v)", 1),
        ("v = s.get_secret_value(SecretId='a')['SecretString']\nw = json.loads(v)\nprint(w)", 1),
        ("v = s.get_secret_value(SecretId='a')['SecretString']\nprint(v[:4])", 1),
        ("logging.info('host %s', os.environ['DB_HOST'])", 0),
        ("logging.info('where %s', os.environ['DB_PASSWORD_ARN'])", 0),
        ("token = event['authorizationToken']\nlogging.debug('length %d', len(token))", 0),
        ("key = context.secret('mail')\ncontext.log.info('polled', there=bool(key))", 0),
        ("v = s.get_secret_value(SecretId='a')['SecretString']\nprint(mask(v))", 0),
        ("v = s.get_secret_value(SecretId='a')['SecretString']\nprint(v == 'x')", 0),
        ("v = s.get_secret_value(SecretId='a')['SecretString']\nprint(json.loads(v)['user'])", 0),
        ("key = context.secret('mail')\nkey = 'other'\nprint(key)", 0),
        ("token = event['nextToken']\nprint(token)", 0),
        ("password = event['password']\nprint(hashlib.sha256(password.encode()).hexdigest())", 0),
    ],
)
def test_a_secret_in_a_log(body: str, found: int) -> None:
    assert told(handler(body), "PY-006") == found


def test_a_name_is_a_secret_only_in_its_own_function() -> None:
    code = "def a(context):\n    key = context.secret('mail')\n    return use(key)\n\n"
    code += "def handler(event, context):\n    key = event['key']\n    print(key)\n    return a(context)"
    assert told(python(code), "PY-006") == 0


_TRY = "try:\n    return work(event)\nexcept Exception as error:\n    {}\n    return {}"


@pytest.mark.parametrize(
    ("made", "answer", "found"),
    [
        ("lines = traceback.format_exception(error)", "{'trace': lines}", 1),
        ("kind, value, trace = sys.exc_info()", "f'{kind} {value}'", 1),
        ("text = traceback.format_exc()", "{'size': len(text)}", 0),
        ("text = traceback.format_exc()", "{'id': context.aws_request_id}", 0),
    ],
)
def test_a_trace_under_another_name(made: str, answer: str, found: int) -> None:
    files = handler(_TRY.format(made, answer), "import sys, traceback")
    assert told(files, "PY-002") == found


@pytest.mark.parametrize(
    ("decorator", "answer", "found"),
    [
        ("app.errorhandler(Exception)", "str(error), 500", 1),
        ("app.errorhandler(500)", "str(error), 500", 1),
        ("app.exception_handler(Exception)", "Response(500, 'text/plain', f'{error}')", 1),
        ("app.errorhandler(Exception)", "'failed', 500", 0),
        ("app.errorhandler(404)", "str(error), 404", 0),
        ("app.exception_handler(OrderError)", "str(error), 400", 0),
        ("app.route('/a')", "str(error)", 0),
    ],
)
def test_what_answers_for_every_error(decorator: str, answer: str, found: int) -> None:
    code = f"@{decorator}\ndef failed(error):\n    return {answer}\n\n"
    code += "def handler(event, context):\n    return failed(event)"
    assert told(python(code), "PY-001") == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("form['password'].encode()", 1),
        ("user.password", 1),
        ("form.get('password')", 1),
        ("form['etag']", 0),
        ("form['password_changed_at'].isoformat(), usedforsecurity=False", 0),
    ],
)
def test_a_weak_hash_of_a_password_by_its_key(given: str, found: int) -> None:
    files = handler(f"x = hashlib.md5({given})", "import hashlib")
    assert told(files, "PY-015") == found


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("Fernet(b'3bWk1n8u0l5oVZ2yq6JcRr9mHfTt4sXeAaDdGgIiLlM=')", 1),
        ("Fernet(KEY)", 1),
        ("AESGCM(b'0123456789abcdef')", 1),
        ("URLSafeTimedSerializer('a long enough key')", 1),
        ("Fernet(os.environ['KEY'])", 0),
        ("Fernet(Fernet.generate_key())", 0),
    ],
)
def test_a_key_that_stands_in_the_code(call: str, found: int) -> None:
    head = (
        "from cryptography.fernet import Fernet\nfrom itsdangerous import URLSafeTimedSerializer\n"
    )
    head += (
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\nKEY = b'0123456789abcdef'"
    )
    assert told(handler(call, head), "SEC-010") == found


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (".env", "DB_PASSWORD=k9Tq2wLm8z7R\nLEVEL=info\n", 1),
        ("prod.env", "export API_KEY=k9Tq2wLm8z7R", 1),
        (".env", "DB_PASSWORD=${PASSWORD}\nDB_PASSWORD_FILE=/run/secrets/db\n", 0),
        (".env", "DB_PASSWORD=changeme\nDB_PASSWORD=\n", 0),
        ("notes.ini", "password=k9Tq2wLm8z7R\n", 0),
    ],
)
def test_values_without_quotes_in_files_of_variables(name: str, text: str, found: int) -> None:
    files = {**python("def handler(event, context):\n    return 1"), f"src/{name}": text}
    assert told(files, "SEC-004") == found
