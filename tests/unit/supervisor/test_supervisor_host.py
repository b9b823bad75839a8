"""What there is of a host, as a container's limits say."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from casemate.model.errors import ProtectionMissingError, UnavailableError
from casemate.supervisor import host


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "1600000 100000"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu.max": "100000 0"}, 8),
        ({"quota": "-1", "period": "100000"}, 8),
        ({"quota": "400000", "period": "100000"}, 4),
        ({"quota": "400000"}, 8),
    ],
)
def test_a_containers_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    names = ("cpu.max", "quota", "period")
    monkeypatch.setattr(host, "_CPU_FILES", tuple(tmp_path / name for name in names))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert host.host_cores() == cores


@pytest.mark.parametrize("wanted", [(), ("3.13",)])
def test_a_clock_by_which_no_python_is_supported_is_named(
    monkeypatch: pytest.MonkeyPatch, wanted: tuple[str, ...]
) -> None:
    """Before: that there is none, and to install what is installed."""

    class Clock:
        """A clock that is decades ahead."""

        @staticmethod
        def now(_zone: object) -> datetime:
            return datetime(2099, 1, 2, tzinfo=UTC)

    assert host.offered_interpreters(())
    monkeypatch.setattr(host, "datetime", Clock)
    with pytest.raises(ProtectionMissingError, match=r"which says 2099-01-02: 3\.\d+ on") as caught:
        host.offered_interpreters(wanted)
    assert "Set the clock if it is wrong" in str(caught.value.next_step)


def test_a_host_that_cannot_be_is_named() -> None:
    with pytest.raises(UnavailableError, match=f"Cannot listen on {'a' * 64} port 0"):
        host.listen("a" * 64, 0)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_host_is_listened_on_without_the_rules_for_names_in_all_scripts(name: str) -> None:
    code = (
        "import sys; from casemate.supervisor.host import listen; "
        f"print(listen({name!r}, 0).getsockname()[0], 'encodings.idna' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["127.0.0.1", "False"]
