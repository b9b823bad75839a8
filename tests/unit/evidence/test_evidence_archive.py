"""An archive of evidence is exactly what was written, or refused."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casemate.evidence import EvidenceError, Manifest, build, opened
from casemate.evidence.archive import MANIFEST, MANIFEST_HASH, MAX_BYTES, MAX_FILES

FILES = {"incident.json": b'{"id":"inc_1"}', "functions/shop/pay/inv_1.json": b"x" * 700}
EMPTY = Manifest(
    format=1, incident="inc_1", made_at=1.0, by="user:ada", version="0", left_out=(), files=()
)


def archive(files: dict[str, bytes] | None = None) -> bytes:
    return build(EMPTY, FILES if files is None else files)


def test_it_comes_back_and_is_the_same_each_time() -> None:
    manifest, files = opened(archive())
    assert files == FILES and archive() == archive()
    assert [each.name for each in manifest.files] == sorted(FILES)
    assert opened(archive({}))[1] == {}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(archive()) - 1), st.integers(1, 255))
@example(579, 1)  # a letter of what the manifest says itself
def test_a_byte_that_was_changed_is_found(place: int, by: int) -> None:
    data = bytearray(archive())
    data[place] ^= by
    with pytest.raises(EvidenceError) as caught:
        opened(bytes(data))
    assert "Fetch it again" in str(caught.value.next_step)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(archive()) - 1))
def test_one_that_was_cut_is_found(end: int) -> None:
    with pytest.raises(EvidenceError):
        opened(archive()[:end])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, b"0"])
def test_what_was_put_in_besides_is_found(kind: bytes) -> None:
    target = io.BytesIO(archive())
    with tarfile.open(fileobj=target, mode="a") as changed:
        member = tarfile.TarInfo("incident.json" if kind == b"0" else "other")
        member.type, member.linkname = kind, "/etc/passwd"
        changed.addfile(member)
    with pytest.raises(EvidenceError):
        opened(target.getvalue())


@pytest.mark.parametrize("data", [b"", b"no tar", b"\0" * 4096, b"x" * (2 * MAX_BYTES + 1)])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        opened(data)


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/../b", "a\nb", "A", "a/.b", "é"])
def test_names_lead_nowhere_else(name: str) -> None:
    with pytest.raises(EvidenceError):
        archive({name: b""})


def test_it_is_bounded() -> None:
    with pytest.raises(EvidenceError, match="at most"):
        archive({f"f{n}.json": b"" for n in range(1001)})


def test_as_many_files_as_there_may_be_come_back() -> None:
    files = {f"f{number}": b"" for number in range(MAX_FILES)}
    assert opened(build(EMPTY, files))[1] == files
    for name in (MANIFEST, MANIFEST_HASH, "one-more"):
        with pytest.raises(EvidenceError):
            build(EMPTY, {**files, name: b""})


def _block(name: str, kind: bytes, *, size: bytes = b"00000000000\0", real: bytes = b"") -> bytes:
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    block[124:136], block[156:157], block[483 : 483 + len(real)] = size, kind, real
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            _block("sparse", tarfile.GNUTYPE_SPARSE, real=b"\x80" + (1 << 50).to_bytes(11, "big")),
            id="a sparse member of a pebibyte in 512 bytes",
        ),
        pytest.param(
            (
                _block("long", tarfile.GNUTYPE_LONGNAME, size=b"00000000002\0")
                + b"a".ljust(512, b"\0")
            )
            * 3000,
            id="headers that extend headers",
        ),
        pytest.param(
            _block("a", tarfile.REGTYPE)
            + _block("b", tarfile.REGTYPE, size=b"\xff" + (-1024).to_bytes(11, "big", signed=True)),
            id="one that ends before it begins",
        ),
        pytest.param(
            _block("a", tarfile.REGTYPE, size=b"\x80" + (1 << 80).to_bytes(11, "big")),
            id="one beyond the end",
        ),
    ],
)
def test_what_unfolds_to_more_than_it_is_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        opened(data + bytes(1024))
