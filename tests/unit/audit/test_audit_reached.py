"""What is wrong in a file that no handler comes to is told, and is not grave."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, javascript, python

HANDLER = "exports.handler = async () => ({});"
UNCHECKED = "module.exports = { rejectUnauthorized: false };\n"


def severity(files: dict[str, str], rule: str) -> str:
    [finding] = findings(files, rule)
    return finding.severity


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (HANDLER, "medium"),
        (f"const c = require('./check');\n{HANDLER}", "high"),
        (f"import c from './check.js';\n{HANDLER}", "high"),
        (f"// don't\nimport c from './check.js';\n{HANDLER}", "high"),
        (f"export * from './check';\n{HANDLER}", "high"),
        (f"const n = 'check'; const c = require(`./${{n}}`);\n{HANDLER}", "high"),
        (f"const c = require(process.env.CHECK);\n{HANDLER}", "high"),
        (f"for (const f of fs.readdirSync(__dirname)) {{ load(f); }}\n{HANDLER}", "high"),
        (f"const c = load(path.join(__dirname, 'check.js'));\n{HANDLER}", "high"),
        (f"const o = {{ entities: ['src/**/*.entity{{.ts,.js}}'] }};\n{HANDLER}", "high"),
        (f"const c = require('./other');\n{HANDLER}", "medium"),
    ],
)
def test_a_script_that_no_handler_loads_is_milder(handler: str, expected: str) -> None:
    files = {**javascript(handler), "src/check.js": UNCHECKED, "src/other.js": "exports.a = 1;"}
    assert severity(files, "JS-005") == expected


def test_a_script_is_loaded_through_others() -> None:
    files = {
        **javascript(f"require('./lib');\n{HANDLER}"),
        "src/lib/index.js": "exports.a = require('../check');",
        "src/check.js": UNCHECKED,
    }
    assert severity(files, "JS-005") == "high"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", "medium"),
        ("import check", "high"),
        ("from lib import check", "high"),
        ("from lib.check import a", "high"),
        ("CHECK = 'lib.check'", "high"),
        ("import importlib", "high"),
        ("import glob", "high"),
        ("def a():\n    global b\n    b = 1", "medium"),
        ("import other", "medium"),
    ],
)
def test_a_program_that_no_handler_imports_is_milder(head: str, expected: str) -> None:
    code = f"{head}\n\n\ndef handler(event, context):\n    return {{}}\n"
    path = "src/lib/check.py" if "lib" in head else "src/check.py"
    check = "import requests\n\na = requests.get('https://a.example', verify=False)\n"
    files = {**python(code), path: check, "src/other.py": "a = 1\n"}
    assert severity(files, "PY-008") == expected


def test_where_the_handler_is_not_there_every_file_may_run() -> None:
    files = {**javascript(HANDLER), "src/check.js": UNCHECKED}
    files["template.yaml"] = files["template.yaml"].replace("app.handler", "run.sh")
    assert severity(files, "JS-005") == "high"


KNATIVE = (
    "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\n"
    "spec: {template: {spec: {containers: [{image: a/b:1}]}}}\n"
)


@pytest.mark.parametrize(
    ("docker", "expected"),
    [
        ("CMD exec gunicorn --bind :$PORT app:app", "medium"),
        ('CMD ["python", "app.py"]', "medium"),
        ('ENTRYPOINT ["python", "-m", "app"]', "medium"),
        ('CMD ["python", "check.py"]', "high"),
        ("CMD ./start.sh", "high"),
        ("FROM python", "high"),
    ],
)
def test_a_container_runs_what_its_dockerfile_starts(docker: str, expected: str) -> None:
    files = {
        "service.yaml": KNATIVE,
        "Dockerfile": f"FROM python:3.13\nCOPY . ./\n{docker}\n",
        "app.py": "from flask import Flask\n\napp = Flask('a')\n",
        "check.py": "import requests\n\na = requests.get('https://a.example', verify=False)\n",
    }
    assert severity(files, "PY-008") == expected
