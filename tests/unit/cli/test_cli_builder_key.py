"""The key of a machine: made once, its owner's alone, and refused where others can reach it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from casemate.cli.builder_key import key_path, own_key
from casemate.cli.errors import CredentialsError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def test_it_is_made_once_for_its_owner_alone(environ: dict[str, str]) -> None:
    first = own_key(environ)
    path = key_path(environ)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert own_key(environ).id == first.id
    assert list(path.parent.iterdir()) == [path]


def test_commands_at_the_same_time_have_the_same_key(environ: dict[str, str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = {key.id for key in pool.map(lambda _: own_key(environ), range(32))}
    assert len(ids) == 1


def test_another_file_can_be_named(environ: dict[str, str], tmp_path: Path) -> None:
    named = {**environ, "CASEMATE_BUILDER_KEY": str(tmp_path / "ci.key")}
    assert own_key(named).id != own_key(environ).id
    assert key_path(named) == tmp_path / "ci.key"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_one_that_others_can_read_is_refused(environ: dict[str, str], mode: int) -> None:
    own_key(environ)
    key_path(environ).chmod(mode)
    with pytest.raises(CredentialsError, match="read or changed by others"):
        own_key(environ)


def test_a_link_a_pipe_and_what_is_no_key_are_refused(
    environ: dict[str, str], tmp_path: Path
) -> None:
    path = key_path(environ)
    own_key(environ)
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "away")
    with pytest.raises(CredentialsError, match="cannot be opened"):
        own_key(environ)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(CredentialsError, match="does not hold"):
        own_key(environ)
    path.unlink()
    for text in ("", "x", f"casemate builder key 1\n{'0' * 63}\n", "casemate builder key 1\n"):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(CredentialsError, match="does not hold") as raised:
            own_key(environ)
        assert "0000" not in str(raised.value)


def test_where_none_can_be_kept_it_is_for_this_run(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").write_text("a file is in the way")
    assert own_key({"XDG_CONFIG_HOME": str(tmp_path / "config/below")}).id
    assert "for this run alone" in capsys.readouterr().err
