"""What a new release does that the old one did not, by the words in both wheels."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.build.errors import DependencyError
from casemate.repair.price import Ability, look_into, price_of
from support.package_index import wheel_bytes, write_wheel


def wheel(folder: Path, files: dict[str, str | bytes], version: str = "1.0") -> Path:
    return write_wheel(
        folder, "thing", wheel_bytes("thing", files, version=version), version=version
    )


@pytest.mark.parametrize(
    ("source", "ability"),
    [
        ("import socket\n", Ability.NETWORK),
        ("def f():\n    from urllib import request\n", Ability.NETWORK),
        ("import urllib.request as r\n", Ability.NETWORK),
        ("import subprocess\n", Ability.PROCESSES),
        ("import os\nos.system('ls')\n", Ability.PROCESSES),
        ("open('x', 'w')\n", Ability.WRITES),
        ("import shutil\nshutil.rmtree(p)\n", Ability.WRITES),
        ("import ctypes\n", Ability.NATIVE),
        ("eval(text)\n", Ability.DYNAMIC),
        ("import os\nos.environ['KEY']\n", Ability.ENVIRONMENT),
        ("exec(base64.b64decode(x))\n", Ability.PACKED),
    ],
)
def test_what_is_said_openly_is_seen(tmp_path: Path, source: str, ability: Ability) -> None:
    old = wheel(tmp_path / "old", {"thing.py": "x = 1\n"})
    new = wheel(tmp_path / "new", {"thing.py": source}, "2.0")
    price = price_of("thing", old, new)
    assert ability in price.gains
    assert price.gains[ability].startswith("thing.py:")
    assert price_of("thing", new, old).loses[:1] and not price_of("thing", new, new).gains


@pytest.mark.parametrize(
    ("path", "ability"),
    [
        ("thing/fast.cpython-313-x86_64-linux-gnu.so", Ability.NATIVE),
        ("thing.libs/libz.so.1", Ability.NATIVE),
        ("thing.pth", Ability.START_UP),
        ("sitecustomize.py", Ability.START_UP),
    ],
)
def test_files_by_their_names(tmp_path: Path, path: str, ability: Ability) -> None:
    assert look_into(wheel(tmp_path, {path: b"x"})).places == {ability: path}


def test_console_scripts(tmp_path: Path) -> None:
    text = "[console_scripts]\nthing = thing:main\n"
    seen = look_into(wheel(tmp_path, {"thing-1.0.dist-info/entry_points.txt": text}))
    assert seen.places == {Ability.SCRIPTS: "thing-1.0.dist-info/entry_points.txt"}


def test_harmless_words_are_nothing(tmp_path: Path) -> None:
    source = (
        "import socketserver2\nopen('x')\nmodel.eval()\nposix = 1\nimported = 'import socket'\n"
    )
    assert look_into(wheel(tmp_path, {"thing.py": source})).places == {}


def test_new_and_gone_have_one_side(tmp_path: Path) -> None:
    only = wheel(tmp_path, {"thing.py": "import socket\n"})
    new = price_of("thing", None, only)
    assert (new.size_before, list(new.gains)) == (None, [Ability.NETWORK])
    gone = price_of("thing", only, None)
    assert (gone.size_after, gone.loses) == (None, (Ability.NETWORK,))


def test_what_is_too_large_is_said_to_be_looked_at_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.repair.price._MAX_MEMBER", 1000)
    large = wheel(tmp_path, {"thing.py": "x = 1\n" * 1000 + "import socket\n"})
    seen = look_into(large)
    assert not seen.whole and not seen.places


def test_broken_wheels_are_an_error(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"PK", wheel_bytes("thing", {"thing.py": "x"})[:200])):
        path = tmp_path / f"{number}.whl"
        path.write_bytes(data)
        with pytest.raises(DependencyError):
            look_into(path)
