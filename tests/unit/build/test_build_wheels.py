"""Poisoned wheels: each is refused, and its fault is named."""

from __future__ import annotations

import io
import os
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.build.wheels import inspect_wheel
from casemate.package_index import PoisonedWheelError
from support.package_index import wheel_bytes, write_wheel

GOOD = {"alpha/__init__.py": "x = 1\n", "alpha/data.bin": b"\0" * 1000}


def inspect(folder: Path, data: bytes, *, accepts: bool = False) -> None:
    path = write_wheel(folder, "alpha", data)
    inspect_wheel(path, path.name, accepts=lambda package, version: accepts)


def also(name: str, data: bytes = b"", *, mode: int = 0) -> Callable[[zipfile.ZipFile], None]:
    def change(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a name that is there already is what is tried
            archive.writestr(info, data)

    return change


def test_a_sound_wheel_passes(tmp_path: Path) -> None:
    inspect(tmp_path, wheel_bytes("alpha", GOOD))
    inspect(tmp_path, wheel_bytes("alpha", {**GOOD, "x.pth": "import os", "sitecustomize.py": ""}))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (wheel_bytes("alpha", {"../evil.py": ""}), "plain relative path"),
        (wheel_bytes("alpha", {"/etc/evil.py": ""}), "plain relative path"),
        (wheel_bytes("alpha", {"a/../../evil.py": ""}), "plain relative path"),
        (wheel_bytes("alpha", {"a\\..\\evil.py": ""}), "backslash"),
        (wheel_bytes("alpha", {"a\nb.py": ""}), "control character"),
        (wheel_bytes("alpha", {"x" * 300: ""}), "longer than"),
        (wheel_bytes("alpha", {"a.py": "", "A.py": ""}), "differ only in case"),
        (wheel_bytes("alpha", {"a": "", "a/b.py": ""}), "both a file and a folder"),
        (wheel_bytes("alpha", GOOD, change=also("alpha/__init__.py", b"evil")), "is there twice"),
        (wheel_bytes("alpha", GOOD, change=also("unlisted.py")), "does not list 'unlisted.py'"),
        (wheel_bytes("alpha", GOOD, change=also("l", b"/etc/passwd", mode=0o120777)), "a link"),
        (wheel_bytes("alpha", GOOD, change=also("beta-1.0.dist-info/METADATA")), "2 folders"),
        (wheel_bytes("beta", GOOD), "its metadata are in 'beta-1.0.dist-info'"),
        (wheel_bytes("alpha", GOOD, version="2.0"), "its metadata are in"),
        (wheel_bytes("alpha", GOOD, record=""), "does not list"),
        (wheel_bytes("alpha", GOOD, record='"'), "which is not there"),
        (wheel_bytes("alpha", GOOD, record="gone.py,,\n"), "'gone.py', which is not there"),
        (b"", "not a sound archive|not a zip archive"),
        (b"PK\x05\x06" + b"\0" * 18, "0 folders"),
        (b"#!/bin/sh\n" + wheel_bytes("alpha", GOOD), "overlaps others, or comes late|directory"),
        (wheel_bytes("alpha", GOOD) + b"more", "bytes behind its end"),
        (wheel_bytes("alpha", GOOD)[:-30], "not a zip file|not a zip archive"),
        (wheel_bytes("alpha", {"zeros": b"\0" * (20 * 1024 * 1024)}), "unpacks to"),
    ],
)
def test_a_poisoned_wheel_is_refused_and_its_fault_named(
    tmp_path: Path, data: bytes, told: str
) -> None:
    with pytest.raises(PoisonedWheelError, match=told):
        inspect(tmp_path, data)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ("alpha/__init__.py,sha256=AAAA,1", "another hash"),
        ("alpha/__init__.py,md5=AAAA,1", "weak hash"),
        ("alpha/__init__.py,sha1=AAAA,1", "weak hash"),
        ("alpha/__init__.py,,\nalpha/__init__.py,,", "twice"),
        ("alpha/__init__.py,sha256=é,1", "another hash"),
    ],
)
def test_a_wrong_record_is_refused(tmp_path: Path, record: str, told: str) -> None:
    names = ("METADATA", "WHEEL", "RECORD")
    rest = "".join(f"alpha-1.0.dist-info/{name},,\n" for name in names)
    files = {"alpha/__init__.py": "x"}
    inspect(tmp_path, wheel_bytes("alpha", files, record="alpha/__init__.py,,\n" + rest))
    with pytest.raises(PoisonedWheelError, match=told):
        inspect(tmp_path, wheel_bytes("alpha", files, record=f"{record}\n{rest}"))


def test_two_metadata_of_one_name_are_refused(tmp_path: Path) -> None:
    data = wheel_bytes("alpha", GOOD)
    for text in (b"Name: other", b"Name: alpha\nName: alpha", b"Version: 9"):
        written = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(written, "w") as new:
            for each in old.infolist():
                body = old.read(each)
                if each.filename.endswith("METADATA"):
                    start = text.split(b":")[0] + b": "
                    body = b"\n".join(
                        text if line.startswith(start) else line for line in body.split(b"\n")
                    )
                new.writestr(each.filename, body)
        with pytest.raises(PoisonedWheelError, match="its metadata are of"):
            inspect(tmp_path, written.getvalue())


def test_sizes_that_lie_are_refused(tmp_path: Path) -> None:
    data = wheel_bytes("alpha", {"alpha.bin": b"\0" * 1_000_000})
    lying = data.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != data
    with pytest.raises(PoisonedWheelError):
        inspect(tmp_path, lying)


def test_local_and_central_names_that_differ_are_refused(tmp_path: Path) -> None:
    data = wheel_bytes("alpha", {"alpha/one.py": ""})
    place = data.index(b"alpha/one.py")
    with pytest.raises(PoisonedWheelError):
        inspect(tmp_path, data[:place] + b"alpha/two.py" + data[place + 12 :])


def split(data: bytes) -> tuple[bytes, list[zipfile.ZipInfo], int]:
    """Return what an archive is made of: its bytes, its members, where its directory begins."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return data, archive.infolist(), archive.start_dir


def put(data: bytes, place: int, more: bytes) -> bytes:
    """Return an archive with bytes put in, and a directory that knows of them."""
    _, members, start = split(data)
    changed = bytearray(data)
    entry = start
    for each in members:
        assert changed[entry : entry + 4] == b"PK\x01\x02"
        if each.header_offset >= place:
            moved = (each.header_offset + len(more)).to_bytes(4, "little")
            changed[entry + 42 : entry + 46] = moved
        entry += 46 + len(each.filename.encode()) + len(each.extra)
    changed[-6:-2] = (start + len(more)).to_bytes(4, "little")
    return bytes(changed[:place] + more + changed[place:])


def hidden() -> bytes:
    """Return a member as it stands in an archive, without what a directory says of it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("alpha/evil.py", b"import os")
    data, _, start = split(made.getvalue())
    return data[:start]


@pytest.mark.parametrize(
    "more", [b"\0", b"#!/bin/sh\n", hidden()], ids=["zero", "script", "member"]
)
@pytest.mark.parametrize("number", [0, 1, 2, -1, None])
def test_nothing_stands_between_members(tmp_path: Path, more: bytes, number: int | None) -> None:
    """Whoever reads one member after the other would see what the directory does not say."""
    data, members, start = split(wheel_bytes("alpha", GOOD))
    place = start if number is None else members[number].header_offset
    poisoned = put(data, place, more)
    with zipfile.ZipFile(io.BytesIO(poisoned)) as archive:
        assert archive.testzip() is None, "another reader sees nothing"
    with pytest.raises(PoisonedWheelError, match=r"comes late|none belongs"):
        inspect(tmp_path, poisoned)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (6, b"\x08"),
        (8, b"\0"),
        (14, b"\1\2\3\4"),
        (14, b"\xff" * 4),
        (18, b"\0" * 4),
        (18, b"\xff" * 4),
        (22, b"\1\0\0\0"),
    ],
)
def test_what_stands_before_a_member_says_what_the_directory_does(
    tmp_path: Path, at: int, told: bytes
) -> None:
    data, members, _ = split(wheel_bytes("alpha", GOOD))
    place = members[1].header_offset + at
    with pytest.raises(PoisonedWheelError, match="told in two ways"):
        inspect(tmp_path, data[:place] + told + data[place + len(told) :])


@pytest.mark.parametrize("at", [None, 0, 4, 12])
def test_sizes_in_a_field_of_their_own_are_held_against_the_directory_too(
    tmp_path: Path, at: int | None
) -> None:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(wheel_bytes("alpha", GOOD))) as old,
        zipfile.ZipFile(made, "w") as new,
    ):
        for each in old.infolist():
            with new.open(each.filename, "w", force_zip64=True) as file:
                file.write(old.read(each))
    data, members, _ = split(made.getvalue())
    if at is None:
        inspect(tmp_path, data)
        return
    place = members[1].header_offset + 30 + len(members[1].filename) + at
    with pytest.raises(PoisonedWheelError, match="told in two ways"):
        inspect(tmp_path, data[:place] + bytes([data[place] ^ 3]) + data[place + 1 :])


@pytest.mark.parametrize("large", [False, True])
def test_a_wheel_that_was_written_to_a_pipe_passes(tmp_path: Path, large: bool) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    made = Pipe()
    sound = wheel_bytes("alpha", GOOD)
    with zipfile.ZipFile(io.BytesIO(sound)) as old, zipfile.ZipFile(made, "w") as new:
        for each in old.infolist():
            each.compress_type = zipfile.ZIP_DEFLATED
            with new.open(each.filename, "w", force_zip64=large) as file:
                file.write(old.read(each))
    inspect(tmp_path, made.getvalue())


def test_members_are_read_once_and_little_by_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    before = zipfile.ZipFile.open

    def open_(self: zipfile.ZipFile, name: zipfile.ZipInfo, *more: object) -> object:
        opened.append(name.filename)
        return before(self, name, *more)  # type: ignore[call-overload]

    large = os.urandom(1 << 20) * 24
    data = wheel_bytes("alpha", {**GOOD, "alpha/large.py": large})
    path = write_wheel(tmp_path, "alpha", data)
    monkeypatch.setattr(zipfile.ZipFile, "open", open_)
    tracemalloc.start()
    try:
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        inspect_wheel(path, path.name, accepts=lambda package, version: False)
        assert tracemalloc.get_traced_memory()[1] - held < 16 << 20
    finally:
        tracemalloc.stop()
    again = {name for name in opened if opened.count(name) > 1}
    assert again <= {"alpha-1.0.dist-info/METADATA", "alpha-1.0.dist-info/RECORD"}


def test_any_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    """Never an error of another kind, for whatever a network or an attacker does to it."""
    data = wheel_bytes("alpha", {"alpha.py": "x = 1\n"})
    refused = 0
    for place in range(0, len(data), 3):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        try:
            inspect(tmp_path, bytes(changed))
        except PoisonedWheelError:
            refused += 1
    assert refused > len(data) // 3 * 0.7


def test_packed_code_is_refused_unless_it_was_accepted(tmp_path: Path) -> None:
    data = wheel_bytes("alpha", {"alpha/x.py": "import base64\nexec(base64.b64decode('eA=='))\n"})
    with pytest.raises(PoisonedWheelError, match=r"'alpha/x.py', line 2") as caught:
        inspect(tmp_path, data)
    assert 'allow = ["payload"]' in (caught.value.next_step or "")
    inspect(tmp_path, data, accepts=True)
