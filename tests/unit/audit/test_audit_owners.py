"""A finding in code that several functions share names the one whose handler comes to it."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings

_FUNCTION = """
[function.{name}]
handler = "{handler}"
source = "src"
"""
_TELLS = """
    try:
        return work(event)
    except ValueError as error:
        return {"statusCode": 400, "body": str(error)}
"""


def project(handlers: dict[str, str], public: tuple[str, ...] = ()) -> str:
    text = '[project]\nname = "links"\n'
    for name, handler in handlers.items():
        text += _FUNCTION.format(name=name, handler=handler)
        text += "public = true\n" if name in public else ""
    return text


def told(files: dict[str, str], rule: str = "PY-001") -> list[str]:
    return [finding.text.partition(":")[0] for finding in findings(files, rule)]


@pytest.mark.parametrize("order", [("follow", "shorten"), ("shorten", "follow")])
def test_handlers_of_one_file(order: tuple[str, str]) -> None:
    manifest = project({name: f"app:{name}" for name in order})
    code = f"def follow(event, context):\n    return 1\n\n\ndef shorten(event, context):{_TELLS}"
    assert told({"casemate.toml": manifest, "src/app.py": code}) == ["shorten"]


@pytest.mark.parametrize("order", [("follow", "shorten"), ("shorten", "follow")])
def test_what_a_handler_of_the_file_uses(order: tuple[str, str]) -> None:
    manifest = project({name: f"app:{name}" for name in order})
    code = (
        f"def _answer(event):{_TELLS}\n\ndef _step(event):\n    return _answer(event)\n\n\n"
        "def follow(event, context):\n    return 1\n\n\n"
        "def shorten(event, context):\n    return _step(event)\n"
    )
    assert told({"casemate.toml": manifest, "src/app.py": code}) == ["shorten"]


def test_what_both_use_is_told_of_the_more_open_one() -> None:
    code = (
        f"def _answer(event):{_TELLS}\n\ndef follow(event, context):\n    return _answer(event)\n\n\n"
        "def shorten(event, context):\n    return _answer(event)\n"
    )
    for public in ("follow", "shorten"):
        manifest = project({"follow": "app:follow", "shorten": "app:shorten"}, (public,))
        assert told({"casemate.toml": manifest, "src/app.py": code}) == [public]


@pytest.mark.parametrize("order", [("follow", "shorten"), ("shorten", "follow")])
def test_what_only_one_handler_imports(order: tuple[str, str]) -> None:
    files = {
        "casemate.toml": project({name: f"{name}:handler" for name in order}),
        "src/follow.py": "def handler(event, context):\n    return 1\n",
        "src/shorten.py": "from answers import answer\n\n\ndef handler(event, context):\n    return answer(event)\n",
        "src/answers.py": f"def answer(event):{_TELLS}",
    }
    assert told(files) == ["shorten"]


def test_code_that_another_file_may_call_stays_with_any_that_reaches_it() -> None:
    """`late` has its handler elsewhere and imports the file: it may use all of its names."""
    files = {
        "casemate.toml": project(
            {"follow": "app:follow", "shorten": "app:shorten", "late": "late:handler"}, ("late",)
        ),
        "src/app.py": "def follow(event, context):\n    return 1\n\n\n"
        f"def shorten(event, context):{_TELLS}",
        "src/late.py": "import app\n\n\ndef handler(event, context):\n    return app.shorten(event, 1)\n",
    }
    assert told(files) == ["late"]


def test_scripts_of_one_handler() -> None:
    template = "Transform: AWS::Serverless-2016-10-31\nResources:\n" + "".join(
        f"  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n"
        f"      CodeUri: src\n      Handler: {file}.handler\n      Runtime: nodejs22.x\n"
        for name, file in (("First", "first"), ("Second", "second"))
    )
    files = {
        "template.yaml": template,
        "src/first.js": "exports.handler = async () => ({});",
        "src/second.js": "const c = require('./check'); exports.handler = async () => c;",
        "src/check.js": "module.exports = { rejectUnauthorized: false };\n",
    }
    assert told(files, "JS-005") == ["Second"]
