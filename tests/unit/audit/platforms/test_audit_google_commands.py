"""Functions of Google Cloud by the commands that deploy them, and by their names alone."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import told

from casemate.audit import Workspace, applications_of
from casemate.audit.model import Function, Reach

_CODE = "import os\n\ndef run(request):\n    return os.popen(request.args['a']).read()\n"
_COMMAND = "gcloud functions deploy fetch --entry-point run --runtime python312"


def _functions(files: dict[str, str]) -> list[Function]:
    made = list(applications_of(Workspace.of(files)))
    return [f for a in made if a.importer == "google" for f in a.functions]


@pytest.mark.parametrize(
    ("more", "reach"),
    [
        ("--trigger-http --allow-unauthenticated", Reach.PUBLIC),
        ("\\\n  --trigger-http \\\n  --allow-unauthenticated", Reach.PUBLIC),
        ("--trigger-http --no-allow-unauthenticated", Reach.AUTHENTICATED),
        ("--trigger-http", Reach.UNKNOWN),
        ("--trigger-http --allow-unauthenticated --ingress-settings=internal-only", Reach.INTERNAL),
        ("--trigger-http\necho --allow-unauthenticated", Reach.UNKNOWN),
    ],
)
def test_a_command_says_who_may_call(more: str, reach: Reach) -> None:
    [found] = _functions({"api/main.py": _CODE, "api/deploy.sh": f"{_COMMAND} {more}\n"})
    assert (found.name, found.entry, found.reach) == ("run", "api/main.py", reach)


def test_a_build_says_it_word_by_word() -> None:
    build = (
        "steps:\n- name: gcr.io/cloud-builders/gcloud\n  args:\n  - functions\n  - deploy\n"
        "  - fetch\n  - --entry-point=run\n  - --trigger-http\n  - '--allow-unauthenticated'\n"
        "  - --source=api\n"
    )
    [found] = _functions({"api/main.py": _CODE, "other/main.py": _CODE, "cloudbuild.yaml": build})
    assert (found.entry, found.reach) == ("api/main.py", Reach.PUBLIC)


def test_a_decorated_function_has_the_reach_of_its_command() -> None:
    code = _CODE.replace(
        "def run", "import functions_framework\n\n@functions_framework.http\ndef run"
    )
    said = f"{_COMMAND} --trigger-http --allow-unauthenticated\n"
    [found] = _functions({"main.py": code, "README.md": f"```\n{said}```\n"})
    assert found.reach is Reach.PUBLIC
    [found] = _functions({"main.py": code})
    assert found.reach is Reach.UNKNOWN


@pytest.mark.parametrize(("folder", "there"), [("cloud-functions", True), ("scripts", False)])
def test_a_folder_may_be_named_after_what_it_is(folder: str, there: bool) -> None:
    bucket = "AWSTemplateFormatVersion: '2010-09-09'\nResources: {B: {Type: AWS::S3::Bucket}}\n"
    files = {f"{folder}/main.py": _CODE, "template.yaml": bucket}
    assert bool(_functions(files)) is there


def test_what_other_functions_call_is_no_function_of_google() -> None:
    code = _CODE + "\n\ndef asked(request):\n    return run(request)\n\n\ndef _own(request): ...\n"
    assert [f.name for f in _functions({"gcf/main.py": code})] == ["asked"]


def test_many_commands_take_a_bounded_time() -> None:
    text = f"{_COMMAND} --trigger-http\n" * 5_000
    workspace = Workspace.of({"main.py": _CODE, "deploy.sh": text})
    assert len(list(applications_of(workspace))) == 1
    assert any("more than 200 commands" in note.what for note in workspace.notes)


_EVENT = "import os\n\n\ndef run(event, context):\n    os.system(event['name'])\n"
_CLOUD = (
    "import os\nimport functions_framework\n\n\n@functions_framework.cloud_event\n"
    "def run(event):\n    os.system(event.data['name'])\n"
)


@pytest.mark.parametrize("code", [_EVENT, _CLOUD])
@pytest.mark.parametrize("started", ["--trigger-topic=jobs", "--trigger-bucket photos"])
def test_the_event_of_a_function_is_followed(code: str, started: str) -> None:
    files = {"main.py": code, "deploy.sh": f"{_COMMAND} {started}\n"}
    assert told(files, "DF-002") == 1


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("--set-env-vars=STAGE=prod,API_SECRET=7f3kQ9zLx2VbN8mRt5Yw", 1),
        ("--update-env-vars 'API_SECRET=7f3kQ9zLx2VbN8mRt5Yw'", 1),
        ("\\\n  --set-env-vars=API_SECRET=7f3kQ9zLx2VbN8mRt5Yw", 1),
        ("--set-env-vars=API_SECRET=$SECRET,STAGE=prod", 0),
        ("--set-secrets=API_SECRET=key:latest", 0),
        ("\necho --set-env-vars=API_SECRET=7f3kQ9zLx2VbN8mRt5Yw", 0),
    ],
)
def test_a_command_gives_variables(given: str, found: int) -> None:
    files = {"main.py": _CODE, "deploy.sh": f"{_COMMAND} --trigger-http {given}\n"}
    assert told(files, "SEC-005") == found
