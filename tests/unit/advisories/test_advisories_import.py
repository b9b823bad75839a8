"""An import takes all of a source or nothing, and names what it refuses."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from casemate.advisories import (
    AdvisoriesError,
    BusyError,
    CutShortError,
    Ecosystem,
    Place,
    RecordError,
    SourceError,
    Trouble,
    judge,
    limits,
    look,
)
from casemate.advisories.budget import Budget
from casemate.advisories.importing import Wanted, import_advisories
from casemate.advisories.place import Attempt
from casemate.advisories.reading import read_files
from support.advisories import NOW, Record, npm, pypi, record

SOUND = (record(), record("GHSA-npm", ecosystem="npm", name="@s/pkg"))


def encoded(value: Record) -> bytes:
    return json.dumps(value).encode()


def zipped(path: Path, *files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def tarred(path: Path, *members: tuple[tarfile.TarInfo | str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member, data in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isreg():
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def typed(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def wanted(source: Path, **options: Any) -> Wanted:
    return Wanted(source=str(source), **options)


def sound_files() -> list[tuple[str, bytes]]:
    return [(f"advisories/{each['id']}.json", encoded(each)) for each in SOUND]


@pytest.mark.parametrize("kind", ["zip", "stored", "tar", "gz", "xz", "bz2"])
def test_archives_of_each_kind(place, tmp_path: Path, kind: str) -> None:
    files = [*sound_files(), ("README.md", b"# hello"), (".github/x.json", b"{}")]
    if kind in ("zip", "stored"):
        method = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
        path = zipped(tmp_path / "all.zip", *files, method=method)
    else:
        mode = "w" if kind == "tar" else f"w:{kind}"
        long = "advisories/" + "d" * 120 + "/x.json"
        more = [("./advisories/dot.json", encoded(record("D"))), (long, encoded(record("L")))]
        path = tarred(tmp_path / "all.tar", *files, *more, mode=mode)
    done = import_advisories(wanted(path), place, clock=lambda: NOW)
    more = 0 if "zip" in path.name else 2
    assert done.header.records == {"PyPI": 1 + more, "npm": 1}
    assert judge([pypi("left", "1"), npm("@s/pkg", "1.0.0")], place, now=NOW).findings


def test_a_folder_with_what_is_none_of_our_business(place, source, tmp_path: Path) -> None:
    folder = source(*SOUND, record("GO-1", ecosystem="Go"))
    (folder / "notes.txt").write_text("x")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.json").write_text("{}")
    done = import_advisories(wanted(folder), place, clock=lambda: NOW)
    assert (done.header.records, done.header.others) == ({"PyPI": 1, "npm": 1}, 1)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([("../x.json", b"{}")], "'../x.json'"),
        ([("/etc/x.json", b"{}")], "'/etc/x.json'"),
        ([("a/../../x.json", b"{}")], "no plain name"),
        ([("a\\x.json", b"{}")], "no plain name"),
        ([("a\x1b[31m.json", b"{}")], "no plain name"),
        ([("d/" * 40 + "x.json", b"{}")], "no plain name"),
        ([("x" * 600 + ".json", b"{}")], "no plain name"),
        ([("a.json", encoded(record())), ("a.json", encoded(record("B")))], "twice"),
        ([("a.json", b"{}")], "'a.json'"),
        ([("a.json", b"<html>")], "is HTML"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_names_and_contents_are_refused_by_name(place, tmp_path, files, told) -> None:
    before = [("0.json", encoded(record("FIRST")))]
    for path in (
        zipped(tmp_path / "a.zip", *before, *files),
        tarred(tmp_path / "a.tgz", *before, *files),
    ):
        with pytest.raises(AdvisoriesError) as caught:
            import_advisories(wanted(path), place, clock=lambda: NOW)
        assert told in caught.value.message
        assert not place.database.exists()
        assert not list(place.folder.glob(".advisories-*"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_of_a_tar_are_refused(place, tmp_path: Path, kind: bytes) -> None:
    path = tarred(tmp_path / "a.tar", (typed("evil.json", kind, "/etc/passwd"), b""), mode="w")
    with pytest.raises(SourceError, match=r"evil\.json.* is a link or no plain file"):
        import_advisories(wanted(path), place)


def test_links_of_a_zip_and_of_a_folder_are_refused(place, tmp_path: Path, source) -> None:
    info = zipfile.ZipInfo("evil.json")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(SourceError, match=r"evil\.json.* is a link"):
        import_advisories(wanted(tmp_path / "a.zip"), place)
    folder = source(*SOUND)
    (folder / "evil.json").symlink_to("/etc/passwd")
    with pytest.raises(SourceError, match=r"evil\.json.* is a link"):
        import_advisories(wanted(folder), place)
    (folder / "evil.json").unlink()
    (folder / "more").symlink_to("/etc")
    with pytest.raises(SourceError, match=r"more.* is a link"):
        import_advisories(wanted(folder), place)
    (folder / "more").unlink()
    os.mkfifo(folder / "pipe.json")
    with pytest.raises(SourceError, match=r"pipe\.json"):
        import_advisories(wanted(folder), place)


def test_a_zip_bomb_is_refused_before_it_takes_memory(place, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "RATIO_FREE_BYTES", 1 << 20)
    data = b" " * (3 << 20)
    bomb = zipped(tmp_path / "bomb.zip", *[(f"{n}.json", data) for n in range(4)])
    with pytest.raises(AdvisoriesError):
        import_advisories(wanted(bomb), place)
    huge = zipped(tmp_path / "huge.zip", ("x.json", b"0" * (limits.MAX_RECORD_BYTES + 1)))
    with pytest.raises(SourceError, match=r"x\.json.* larger"):
        import_advisories(wanted(huge), place)
    tar = tarred(tmp_path / "bomb.tgz", ("skipped.bin", b"\0" * (40 << 20)))
    with pytest.raises(SourceError, match="compressed more than"):
        import_advisories(wanted(tar), place)


def test_bounds_on_files_and_bytes(tmp_path: Path, source, monkeypatch) -> None:
    folder = source(*SOUND)
    monkeypatch.setattr(limits, "MAX_RECORDS", 1)
    with pytest.raises(SourceError, match="more than 1 files"):
        list(read_files(folder, Budget(float("inf"))))
    monkeypatch.setattr(limits, "MAX_RECORDS", 10)
    monkeypatch.setattr(limits, "MAX_INPUT_BYTES", 100)
    with pytest.raises(SourceError, match="holds more than"):
        list(read_files(folder, Budget(float("inf"))))
    with pytest.raises(CutShortError, match="too long"):
        list(read_files(folder, Budget(0.0)))


def test_archives_that_lie_about_themselves(place, tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", *sound_files()).read_bytes()
    tar = tarred(tmp_path / "whole.tgz", *sound_files()).read_bytes()
    bad = tmp_path / "bad"
    wide = whole[:-22] + whole[-22:-10] + (0x7FFFFFFF).to_bytes(4, "little") + whole[-6:]
    for data in (
        whole[: len(whole) // 2],
        whole[:-5],
        wide,
        tar[: len(tar) // 2],
        tar[:30],
        b"",
        b"PK",
        b"x" * 600,
    ):
        bad.write_bytes(data)
        with pytest.raises(SourceError):
            import_advisories(wanted(bad), place)
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    bad.write_bytes(flipped)
    with pytest.raises(AdvisoriesError):
        import_advisories(wanted(bad), place)
    assert not place.database.exists()


def test_attributes_and_names_of_a_tar_are_bounded(place, tmp_path: Path) -> None:
    for kind in (b"x", b"g", b"L"):
        info = typed("n", kind)
        info.size = 1 << 30
        path = tmp_path / f"{kind.decode()}.tar"
        path.write_bytes(info.tobuf() + b"\0" * 2048)
        with pytest.raises(SourceError):
            import_advisories(wanted(path), place)
    info = typed("x.json", tarfile.REGTYPE)
    block = bytearray(info.tobuf())
    block[124:136] = b"\xff" * 12  # a size below nothing, in base 256
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % (sum(block[:512]))
    (tmp_path / "below.tar").write_bytes(block)
    with pytest.raises(SourceError, match="size below nothing"):
        import_advisories(wanted(tmp_path / "below.tar"), place)


@pytest.mark.parametrize("what", ["missing", "empty", "others", "html", "device"])
def test_sources_that_hold_nothing(place, tmp_path: Path, source, what: str) -> None:
    path = tmp_path / "source"
    if what == "empty":
        path.mkdir()
    elif what == "others":
        source(record(ecosystem="Go"))
    elif what == "html":
        path.write_text("<!DOCTYPE html>" + "<p>" * 400)
    elif what == "device":
        path = Path("/dev/zero")
    with pytest.raises(SourceError) as caught:
        import_advisories(wanted(path), place)
    assert caught.value.message
    assert not place.database.exists()


def test_what_fails_leaves_what_is_in_force_and_is_remembered(bring, place, tmp_path: Path) -> None:
    bring(*SOUND)
    kept = place.database.read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(zipped(tmp_path / "whole.zip", *sound_files()).read_bytes()[:200])
    with pytest.raises(CutShortError):
        import_advisories(wanted(cut), place, clock=lambda: NOW + 10)
    assert place.database.read_bytes() == kept
    standing = look(place, NOW + 20)
    assert [problem.kind for problem in standing.problems] == [Trouble.PARTIAL]
    assert "cut short" in standing.problems[0].text
    assert judge([pypi("left", "1")], place, now=NOW + 20).findings
    bad = wanted(zipped(tmp_path / "bad.zip", ("a.json", b"{}")))
    with pytest.raises(RecordError):
        import_advisories(bad, place, clock=lambda: NOW + 22)
    # It stays partial until an import is complete.
    assert [problem.kind for problem in look(place, NOW + 23).problems] == [Trouble.PARTIAL]
    bring(*SOUND, now=NOW + 25)
    with pytest.raises(RecordError):
        import_advisories(bad, place, clock=lambda: NOW + 30)
    standing = look(place, NOW + 40)
    assert standing.good
    assert "'a.json'" in standing.warnings[0]
    bring(*SOUND, now=NOW + 50)
    assert look(place, NOW + 60).warnings == ()


def test_an_import_that_was_killed_is_told(bring, place) -> None:
    bring(*SOUND)
    importer = os.fork()
    if importer == 0:  # dies in the midst of an import
        with place.importing():
            place.remember(Attempt(begun=NOW + 1, source="other"))
            (place.folder / ".advisories-left").write_bytes(b"x")
            os._exit(0)
    os.waitpid(importer, 0)
    standing = look(place, NOW + 5)
    assert [problem.kind for problem in standing.problems] == [Trouble.PARTIAL]
    assert "it was ended" in standing.problems[0].text
    bring(*SOUND, now=NOW + 9)
    assert look(place, NOW + 10).good
    assert not list(place.folder.glob(".advisories-*"))


def test_two_imports_at_once_are_one(bring, place, source) -> None:
    bring(*SOUND)
    with place.importing(), pytest.raises(BusyError):
        bring(*SOUND, now=NOW + 1)
    assert look(place, NOW + 2).good


def test_readers_never_see_half_of_it(bring, place) -> None:
    bring(*SOUND)
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            judged = judge([pypi("left", "1")], place, now=NOW + 60)
            seen.add((len(judged.findings), len(judged.problems)))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20):
        bring(*SOUND, now=NOW + 1 + number)
    stop.set()
    reader.join()
    assert seen == {(1, 0)}


def test_a_source_with_far_fewer_records_has_to_be_asked_for(bring, place) -> None:
    bring(*[record(f"X-{n}") for n in range(10)], *SOUND[1:])
    with pytest.raises(SourceError, match="may be incomplete"):
        bring(record(), *SOUND[1:], fewer=False, now=NOW + 1)
    assert look(place, NOW + 2).good
    bring(record(), *SOUND[1:], fewer=True, now=NOW + 3)


def test_only_what_was_asked_for_is_taken(bring, place) -> None:
    done = bring(*SOUND, ecosystems=(Ecosystem.PYPI,))
    assert done.header.records == {"PyPI": 1}
    assert look(place, NOW).good
    bring(record(), now=NOW + 1)
    lacking = look(place, NOW + 1)
    assert [p.text for p in lacking.problems] == ["There is no record about npm."]
    assert "or with --ecosystem alone what is needed: " in (lacking.next_step or "")


def test_files_of_what_is_known_are_refused_whole(bring, place, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    for content in (
        b"",
        b"<html>",
        b"[]",
        b'{"vulnerabilities": []}',
        b"\x1f\x8bxx",
        b"cve,epss\nX,nan\n",
        b"cve,epss\nX,2\n",
        b"cve\n",
    ):
        bad.write_bytes(content)
        with pytest.raises(SourceError):
            bring(*SOUND, exploited=bad)
        with pytest.raises(SourceError):
            bring(*SOUND, likelihoods=bad)
    assert not place.database.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, source) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="could not write"):
        import_advisories(wanted(source(*SOUND)), Place(tmp_path / "file" / "x"))
