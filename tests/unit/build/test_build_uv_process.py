from __future__ import annotations

from pathlib import Path

import pytest

from casemate.build.errors import DependencyError
from casemate.build.interpreters import Interpreter
from casemate.build.uv_process import UvSession, uv_binary

pytestmark = pytest.mark.sandbox


@pytest.fixture
def session(interpreter: Interpreter, tmp_path: Path) -> UvSession:
    work = tmp_path / "work"
    work.mkdir(mode=0o755)
    environ = {
        "UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple",
        "UV_FIND_LINKS": "/secret",
        "UV_CONFIG_FILE": "/secret",
        "PYTHONPATH": "/secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    return UvSession(interpreter=interpreter, work=work, cache=tmp_path / "cache", environ=environ)


def test_uv_is_there() -> None:
    assert uv_binary().is_file()


def test_uv_runs_with_the_interpreter_and_its_own_cache(session: UvSession) -> None:
    code = ["pip", "tree", "--verbose"]
    done = session.run(code, given=session.work, timeout=20)
    assert str(session.interpreter.path) in done.errors
    assert session.cache.is_dir()


def test_only_named_settings_are_passed_on() -> None:
    from casemate.build.uv_process import _environment

    passed = _environment(
        {
            "HTTPS_PROXY": "http://proxy",
            "NO_PROXY": "",
            "SSL_CERT_FILE": "/home/jane/ca.pem",
            "UV_INDEX": "x",
            "UV_KEYRING_PROVIDER": "subprocess",
            "TOKEN": "x",
        }
    )
    assert passed["HTTPS_PROXY"] == "http://proxy"
    assert passed["SSL_CERT_FILE"] == "/casemate/certificates.pem"
    assert not {"NO_PROXY", "UV_INDEX", "UV_KEYRING_PROVIDER", "TOKEN"} & set(passed)


def test_configuration_in_the_folder_is_not_read(session: UvSession) -> None:
    (session.work / "uv.toml").write_text("this is not TOML")
    session.run(["pip", "list"], given=session.work, timeout=20)


def test_a_failure_is_an_error(session: UvSession) -> None:
    with pytest.raises(DependencyError):
        session.run(["pip", "install", "-r", "missing.txt"], given=session.work, timeout=20)


def test_what_it_is_given_cannot_be_written(session: UvSession, tmp_path: Path) -> None:
    (session.work / "requirements.txt").write_text("")
    command = ["pip", "compile", "requirements.txt", "-o"]
    with pytest.raises(DependencyError, match=r"[Rr]ead-only"):
        session.run([*command, "lock.txt"], given=session.work, timeout=20)
    (tmp_path / "target").mkdir()
    session.run(
        [*command, "/target/lock.txt"], given=session.work, target=tmp_path / "target", timeout=20
    )
    assert (tmp_path / "target/lock.txt").is_file()
    assert [p.name for p in session.work.iterdir()] == ["requirements.txt"]
