"""The text of an error that a helper tells is told; what it makes of it otherwise is not."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import told

from casemate.audit.rules.examples import javascript, python

_HELPERS = (
    "def whole(error):\n    return {'error': str(error)}\n"
    "def part(status, error):\n    text = f'{error}'[:80]\n    return {'status': status, 'text': text}\n"
    "def formatted(error):\n    return '%s (%s)' % (error, type(error))\n"
    "def kind(error):\n    return type(error).__name__\n"
    "def kept(error):\n    save(str(error))\n    return 'failed'\n"
    "def handler(event, context):\n    try:\n        return work(event)\n"
    "    except Exception as error:\n"
)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("return whole(error)", 1),
        ("return part(500, error)", 1),
        ("return part(500, error=error)", 1),
        ("return {'body': json.dumps({'a': formatted(error)})}", 1),
        ("body = {'a': formatted(error)}\n        return jsonify(body), 500", 1),
        ("raise HTTPException(500, detail=f'failed: {error}')", 1),
        ("raise HTTPException(500, detail=whole(error))", 1),
        ("abort(500, str(error))", 1),
        ("raise HTTPException(500, detail='failed')", 0),
        ("raise OrderError(str(error)) from error", 0),
        ("return {'body': kind(error)}", 0),
        ("return {'body': kept(error)}", 0),
        ("reference = save(str(error))\n        return {'body': reference}", 0),
        ("return part(error, None)", 0),
        ("log(whole(error))\n        return {'body': 'failed'}", 0),
    ],
)
def test_helpers_of_python(answer: str, found: int) -> None:
    assert told(python(f"{_HELPERS}        {answer}"), "PY-001") == found


@pytest.mark.parametrize(
    ("imported", "answer", "found"),
    [
        ("from replies import failed", "failed(error)", 1),
        ("from replies import failed as no", "no(error)", 1),
        ("from replies import kept", "kept(error)", 0),
        ("from others import failed", "failed(error)", 0),
    ],
)
def test_helpers_of_other_files(imported: str, answer: str, found: int) -> None:
    code = f"{imported}\n\n\ndef handler(event, context):\n    try:\n        return work(event)\n"
    files = dict(python(f"{code}    except Exception as error:\n        return {answer}"))
    files["src/replies.py"] = (
        "def failed(error):\n    return {'body': str(error)}\n"
        "def kept(error):\n    log(str(error))\n    return {'body': 'failed'}\n"
    )
    assert told(files, "PY-001") == found


def test_what_flask_has_of_an_error_that_nobody_caught() -> None:
    code = "@app.errorhandler(500)\ndef broken(error):\n    return f'{error.original_exception}'\n"
    assert told(python(code), "PY-001") == 1


_SCRIPT = (
    "function text(e) { return { message: e.message }; }\n"
    "const trace = (e) => ({ at: e.stack });\nfunction kind(e) { return { kind: e.name }; }\n"
    "exports.handler = async (event) => { try { await work(); } catch (error) { ANSWER } };\n"
)


@pytest.mark.parametrize(
    ("rule", "answer", "found"),
    [
        ("JS-013", "return { statusCode: 500, body: JSON.stringify(text(error)) };", 1),
        ("JS-002", "return { statusCode: 500, body: JSON.stringify(trace(error)) };", 1),
        ("JS-013", "return { statusCode: 500, body: JSON.stringify(kind(error)) };", 0),
        ("JS-013", "console.log(text(error)); return { statusCode: 500, body: 'failed' };", 0),
    ],
)
def test_helpers_of_javascript(rule: str, answer: str, found: int) -> None:
    assert told(javascript(_SCRIPT.replace("ANSWER", answer)), rule) == found


@pytest.mark.parametrize(
    ("told_by", "found"), [("request.error.stack", 1), ("request.error.name", 0), ("'no'", 0)]
)
def test_what_middy_calls_for_an_error(told_by: str, found: int) -> None:
    code = (
        "const onError = async (request) => {\n"
        f"  request.response = {{ statusCode: 500, body: JSON.stringify({{ a: {told_by} }}) }};\n}};\n"
        "exports.handler = middy().use({ onError });\n"
    )
    assert told(javascript(code), "JS-002") == found


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"settings.py": "DEBUG = True\nINSTALLED_APPS = []\n"}, 1),
        ({"settings.py": "DEBUG = False\nINSTALLED_APPS = []\n"}, 0),
        ({"settings/local.py": "DEBUG = True\nINSTALLED_APPS = []\n"}, 0),
        ({"settings.py": "DEBUG = True\n"}, 0),
    ],
)
def test_debugging_of_django(files: dict[str, str], found: int) -> None:
    assert told(files, "PY-007") == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("    return pickle.loads(state)\n", 1),
        ("    if not hmac.compare_digest(hmac.new(K, state, 'x').digest(), m):\n        return\n"
         "    return pickle.loads(state)\n", 0),
        ("    mark = hmac.new(K, state, 'x').digest()\n    if mark != m:\n        return\n"
         "    return pickle.loads(state)\n", 1),
        ("    if not hmac.compare_digest(hmac.new(K, other, 'x').digest(), m):\n        return\n"
         "    return pickle.loads(state)\n", 1),
        ("    if not hmac.compare_digest(hmac.new(K, state.encode(), 'x').digest(), m):\n"
         "        return\n    return pickle.loads(b64decode(state))\n", 0),
        ("    return pickle.loads(opened(state))\n", 0),
        ("    return pickle.loads(unopened(state))\n", 1),
        ("    return pickle.loads(Fernet(K).decrypt(state))\n", 0),
    ],
)  # fmt: skip
def test_objects_of_signed_data(code: str, found: int) -> None:
    head = (
        "import hmac, pickle\nfrom cryptography.fernet import Fernet\nK, state, other, m = stored()\n"
        "def opened(x):\n    if not hmac.compare_digest(hmac.new(K, x, 'x').digest(), m):\n"
        "        raise ValueError\n    return x\n"
        "def unopened(x):\n    return x\ndef handler(event, context):\n"
    )
    assert told(python(head + code), "PY-012") == found
