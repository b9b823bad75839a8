"""Nothing that a command starts or trusts is looked for in the folder that one stands in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.cli.stood_in import FOLDERS, leave_out_relative


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/bin:/usr/bin", "/bin:/usr/bin"),
        (":/bin", "/bin"),
        ("/bin:", "/bin"),
        ("/bin::.:bin:./x:../y:/usr/bin", "/bin:/usr/bin"),
        ("", os.defpath),
        (".", os.defpath),
    ],
)
def test_folders_that_are_not_named_from_the_root_are_left_out(path: str, kept: str) -> None:
    relative = dict.fromkeys(FOLDERS, "here") | {"PATH": path, "OTHER": "as it is"}
    leave_out_relative(relative)
    assert relative == {"PATH": kept, "OTHER": "as it is"}
    absolute = dict.fromkeys(FOLDERS, "/here")
    leave_out_relative(absolute)
    assert absolute == dict.fromkeys(FOLDERS, "/here")


@pytest.mark.parametrize("path", [":{}", ".:{}"])
def test_a_strangers_git_is_not_run(tmp_path: Path, path: str) -> None:
    (tmp_path / "casemate.toml").write_text('[project]\nname = "p"\n')
    (tmp_path / "git").write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    (tmp_path / "git").chmod(0o755)
    command = [sys.executable, "-P", "-m", "casemate.cli.main", "audit", ".", "--since", "HEAD"]
    environment = {**os.environ, "PATH": path.format(os.environ["PATH"])}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert not (tmp_path / "was-run").exists()
