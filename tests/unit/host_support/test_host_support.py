"""What a host says of its support: from files that the tests make."""

from __future__ import annotations

import json
import os
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from casemate.advisories import Place
from casemate.advisories.importing import Wanted, import_advisories
from casemate.build import RuntimeStatus, end_of_life
from casemate.build.interpreters import Interpreter, choose_interpreter
from casemate.build.support import OLD_DAYS, old_file_warning, python_support
from casemate.host_support import standing as module
from casemate.host_support.standing import Standing, State, host_support, support
from casemate.maintenance.own_packages import own_packages, own_standing
from support.advisories import import_records, record

TODAY = date(2026, 11, 27)
DEBIAN = 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
APT = """#!/bin/sh
echo "Inst zstd [1.5.7] (1.5.8 Debian-Security:13/stable-security [amd64])"
echo "Inst patch [2.8] (2.9 Debian:13.8/stable [amd64])"
echo "Inst bash [5.2] (5.3 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64])"
"""


@pytest.fixture(autouse=True)
def no_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking them takes time, and they are of the machine that the tests run on."""
    monkeypatch.setattr(module, "find_interpreters", lambda **_: ())


def python(minor: str) -> Interpreter:
    ends, source = end_of_life(minor)
    return Interpreter(
        version=f"{minor}.1",
        path=Path("/usr/bin/python"),
        prefix=Path("/usr"),
        stdlib=(),
        library=None,
        cache_tag="x",
        end_of_life=ends,
        end_of_life_source=source,
        status=RuntimeStatus.SUPPORTED,
    )


def told(root: Path, today: date = TODAY, release: str = "6.12.1-amd64") -> dict[str, Standing]:
    return {each.name: each for each in support(today, root=root, release=release)}


def write(root: Path, name: str, text: str, *, mode: int = 0o644) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_distribution_ends(tmp_path: Path) -> None:
    write(tmp_path, "etc/os-release", DEBIAN)
    end = host_support().distribution["debian"]["13"]
    assert told(tmp_path)["distribution"].state is State.GOOD
    assert told(tmp_path, end - timedelta(days=90))["distribution"].state is State.GOOD
    soon = told(tmp_path, end - timedelta(days=89))["distribution"]
    assert (soon.state, soon.next_step) == (State.SOON, "Upgrade the host to a newer release.")
    assert "for 89 more days" in soon.detail
    assert told(tmp_path, end)["distribution"].state is State.SOON
    assert told(tmp_path, end + timedelta(days=1))["distribution"].state is State.ENDED


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("ID=ubuntu\nVERSION_ID='24.04'\n", State.GOOD),
        ("ID=rocky\nVERSION_ID=9.4\n", State.GOOD),
        ("ID=debian\nVERSION_ID=11\n", State.ENDED),
        ("ID=debian\n", State.UNKNOWN),
        ("ID=arch\n", State.UNKNOWN),
        ("", State.UNKNOWN),
        ("=" * 100_000 + "\x00\xff", State.UNKNOWN),
    ],
)
def test_distributions(tmp_path: Path, text: str, state: State) -> None:
    write(tmp_path, "etc/os-release", text)
    assert told(tmp_path)["distribution"].state is state


def test_the_hosts_own_dates_come_first(tmp_path: Path) -> None:
    write(tmp_path, "etc/os-release", DEBIAN)
    info = (
        "version,codename,series,created,release,eol,eol-lts\n13,Trixie,trixie,x,y,2026-01-01,{}\n"
    )
    write(tmp_path, "usr/share/distro-info/debian.csv", info.format("2026-12-01"))
    assert told(tmp_path)["distribution"].state is State.SOON
    write(tmp_path, "usr/share/distro-info/debian.csv", info.format("nonsense"))
    assert told(tmp_path)["distribution"].state is State.GOOD


@pytest.mark.parametrize(
    ("release", "state"),
    [
        ("6.12.1", State.GOOD),
        ("6.18.44-mine", State.GOOD),
        ("5.10.200", State.SOON),
        ("6.13.1", State.UNKNOWN),
        ("nonsense", State.UNKNOWN),
        ("9" * 100_000, State.UNKNOWN),
        ("6.13.1+deb13-amd64", State.GOOD),
        ("6.8.0-45-generic", State.GOOD),
    ],
)
def test_kernels(tmp_path: Path, release: str, state: State) -> None:
    write(tmp_path, "etc/os-release", DEBIAN)
    assert told(tmp_path, release=release)["kernel"].state is state


@pytest.mark.parametrize(
    "text",
    [
        "9",
        "1.1.1",
        "1.1.1.",
        "6.12.1\n",
        "1.",
        "-generi",
        "+de",
        ".el",
        "Inst ",
        "Inst a ",
        "\nInst a",
    ],
)
@pytest.mark.parametrize("begin", ["", "6.12.1", "Inst a /", "Inst a "])
def test_hostile_answers_of_a_host_take_no_time(text: str, begin: str) -> None:
    """The bounds of what is read are not what the expressions need."""
    hostile = begin + text * (100_000 // len(text))
    started = time.process_time()
    for expression in (module._RELEASE, module._OF_DISTRIBUTION, module._SECURITY):
        expression.fullmatch(hostile)
        expression.findall(hostile)
    assert time.process_time() - started < 1.0


def test_security_updates_that_wait_are_counted(tmp_path: Path) -> None:
    lists = write(tmp_path, "var/lib/apt/lists/x_InRelease", "")
    fetched = time.mktime((TODAY - timedelta(days=1)).timetuple())
    os.utime(lists, (fetched, fetched))
    write(tmp_path, "usr/bin/apt-get", APT, mode=0o755)
    waiting = told(tmp_path)["security updates"]
    assert (waiting.state, waiting.detail) == (State.SOON, "2 wait: zstd, bash")
    write(tmp_path, "usr/bin/apt-get", "#!/bin/sh\n", mode=0o755)
    assert told(tmp_path)["security updates"].state is State.GOOD
    # Nothing waits by lists of long ago is no news.
    later = told(tmp_path, TODAY + timedelta(days=30))["security updates"]
    assert (later.state, later.next_step) == (State.UNKNOWN, "Run: apt-get update")


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\nexit 100\n", "#!/bin/sh\nexec sleep 60\n", "no program"]
)
def test_what_does_not_say_is_unknown(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_APT_SECONDS", 0.3)
    write(tmp_path, "var/lib/apt/lists/x_InRelease", "")
    write(tmp_path, "usr/bin/apt-get", script, mode=0o755)
    one = told(tmp_path)["security updates"]
    assert one.state is State.UNKNOWN
    assert one.next_step is not None and "apt-get --simulate upgrade" in one.next_step
    assert ("within 0.3 s" in one.detail) == ("sleep" in script)


def test_without_apt_nobody_was_asked(tmp_path: Path) -> None:
    assert told(tmp_path)["security updates"].state is State.UNKNOWN


def test_a_restart_that_is_due(tmp_path: Path) -> None:
    assert told(tmp_path)["restart"].state is State.GOOD
    (tmp_path / "lib/modules/6.12.2-amd64").mkdir(parents=True)
    assert told(tmp_path, release="6.12.2-amd64")["restart"].state is State.GOOD
    due = told(tmp_path)["restart"]
    assert due.state is State.SOON
    assert "6.12.2-amd64" in due.detail
    write(tmp_path, "run/reboot-required", "")
    write(tmp_path, "run/reboot-required.pkgs", "linux-base\nlibc6\n")
    assert "linux-base, libc6" in told(tmp_path, release="6.12.2-amd64")["restart"].detail


def test_old_dates_are_told(tmp_path: Path) -> None:
    assert "dates" not in told(tmp_path)
    late = python_support().checked + timedelta(days=OLD_DAYS + 1)
    assert told(tmp_path, late)["dates"].state is State.UNKNOWN
    assert old_file_warning(late - timedelta(days=1)) is None
    _, warning = choose_interpreter([python("3.14")], "3.14", today=late)
    assert "update Casemate." in (warning or "")
    assert choose_interpreter([python("3.14")], "3.14", today=TODAY)[1] is None


def test_python_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_interpreters", lambda **_: (python("3.11"),))
    assert told(tmp_path)["python 3.11"].state is State.GOOD
    assert told(tmp_path, date(2027, 9, 1))["python 3.11"].state is State.SOON
    assert told(tmp_path, date(2027, 11, 1))["python 3.11"].state is State.ENDED


def test_the_ends_of_python_are_those_of_the_peps() -> None:
    assert end_of_life("3.11") == (date(2027, 10, 31), "PEP 664")
    assert end_of_life("3.14") == (date(2030, 10, 31), "PEP 745")


def test_what_is_made_of_nothing_that_is_known_is_not_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "kept")
    import_records(place, record())
    assert own_standing(place).state is State.GOOD
    monkeypatch.setattr("casemate.maintenance.own_packages.installed", dict)
    assert own_standing(place).state is State.UNKNOWN


def test_casemates_own_packages_are_judged(tmp_path: Path) -> None:
    packages = {each.name: each.version for each in own_packages()}
    assert {"casemate", "cryptography", "uv", "msgspec"} <= set(packages)
    assert not {"pytest", "mypy"} & set(packages)
    place = Place(tmp_path / "kept")
    assert own_standing(place).state is State.UNKNOWN
    for name, state in (("left", State.GOOD), ("msgspec", State.OPEN)):
        source = tmp_path / name
        source.mkdir()
        events = [{"introduced": "0"}]
        (source / "one.json").write_text(json.dumps(record(name=name, events=events)))
        import_advisories(Wanted(source=str(source), fewer=True), place)
        found = own_standing(place)
        assert found.state is state, found
    assert "msgspec" in found.detail
