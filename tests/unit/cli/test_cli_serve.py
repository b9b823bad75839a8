"""What `serve`, `dev` and `doctor` hand over."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest


@pytest.fixture
def wiring(monkeypatch):
    """The wiring's entry points, replaced by ones that remember what they were given."""
    calls = []
    module = types.ModuleType("casemate.wiring")

    class Options:
        def __init__(self, **given):
            self.__dict__.update(given)

    module.ServeOptions = module.DevOptions = Options
    module.serve = module.dev = lambda options: calls.append(vars(options))
    module.doctor = lambda *, json: calls.append({"json": json}) or json
    monkeypatch.setitem(sys.modules, "casemate.wiring", module)
    return calls


def test_serve(cli, wiring) -> None:
    assert (
        cli("serve", "--data", "d", "--port", "0", "--accept-risk", "a", "--python", "3.12").code
        == 0
    )
    assert wiring == [
        {
            "data": Path("d"),
            "host": "127.0.0.1",
            "port": 0,
            "accepted_risks": ("a",),
            "pythons": ("3.12",),
        }
    ]
    assert cli("serve", "--port", "70000").code == 2


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (0, {}, "/var/lib/casemate"),
        (1000, {"XDG_DATA_HOME": "/data"}, "/data/casemate"),
        (1000, {"XDG_DATA_HOME": "relative"}, "~/.local/share/casemate"),
    ],
)
def test_where_data_goes(cli, wiring, monkeypatch, uid, environ, expected) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    cli("serve")
    assert wiring[0]["data"] == Path(expected).expanduser()


def test_dev_needs_a_project(cli, wiring, home) -> None:
    assert cli("dev").code == 2
    (home / "casemate.toml").write_text("")
    assert cli("dev", "--port", "8000").code == 0
    assert wiring[0]["manifest"] == home / "casemate.toml"
    assert wiring[0]["port"] == 8000


def test_doctor_ends_with_what_it_found(cli, wiring) -> None:
    assert cli("doctor", "--json").code == 0
    assert cli("doctor").code == 1
