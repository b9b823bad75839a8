"""`casemate store migrate`: what it is told, and what it refuses before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

URL = "postgresql://casemate@db.example.org/casemate"
S3 = "s3://casemate?endpoint=https://s3.example.org"


@pytest.fixture
def migrate(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key")
    monkeypatch.delenv("CASEMATE_STORE", raising=False)
    return lambda *arguments: cli("store", "migrate", "--data", str(tmp_path), *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Where the state goes is not said"),
        (("--to", URL, "--from", URL), "Where the state goes is not said"),
        (("--to", URL), "Only --store is given"),
        (("--to", "env", "--objects", S3), "Only --objects is given"),
        (("--to", URL.replace("@", ":pw-in-clear@"), "--objects", S3), "has a password"),
        (("--to", URL, "--objects", S3), "have to be encrypted"),
        (("--to", URL, "--objects", "/a/folder", "--encrypted-disks"), "URL of the object store"),
        (("--to", URL, "--objects", S3, "--accept-risk", "cgroups"), "is no risk of a move"),
        (("--to", URL, "--objects", S3, "--encrypted-disks"), "is not a data folder of a node"),
        (("--from", URL, "--objects", S3), "is not a data folder of a node"),
    ],
)
def test_what_is_not_sound_is_refused(migrate: Any, arguments: tuple[str, ...], said: str) -> None:
    result = migrate(*arguments)
    assert result.code != 0
    assert said in " ".join(result.err.split())
    assert "pw-in-clear" not in result.err + result.out


def test_a_file_with_the_url_is_for_its_owner_alone(migrate: Any, tmp_path: Path) -> None:
    path = tmp_path.parent / f"{tmp_path.name}.url"
    path.write_text(URL.replace("@", ":pw-in-clear@"))
    path.chmod(0o644)
    result = migrate("--to", f"file:{path}", "--objects", S3, "--encrypted-disks")
    assert "others than its owner" in " ".join(result.err.split())
    path.chmod(0o600)
    result = migrate("--to", f"file:{path}", "--objects", S3, "--encrypted-disks")
    assert "is not a data folder of a node" in " ".join(result.err.split())
    assert "pw-in-clear" not in result.err
