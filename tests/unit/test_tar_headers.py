"""Headers are read one by one; names come from notes, and nothing else does."""

from __future__ import annotations

import io
import tarfile

import pytest

from casemate.tar_headers import MAX_NOTES, CutError, HeaderError, next_member
from support.hostile_archives import END, WHEEL, header, note, padded

LONG = "a" * 180 + ".whl"


@pytest.mark.parametrize(
    "form",
    [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT],
    ids=["pax", "gnu", "ustar"],
)
def test_what_python_writes_is_read(form: int) -> None:
    made = io.BytesIO()
    name = LONG if form != tarfile.USTAR_FORMAT else f"{'d' * 90}/{'a' * 90}.whl"
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        member = tarfile.TarInfo(name)
        member.size, member.mtime = 5, 1.5
        archive.addfile(member, io.BytesIO(b"hello"))
    made.seek(0)
    found = next_member(made.read)
    assert found is not None
    assert (found.name, found.size, found.plain, found.folder) == (name, 5, True, False)
    assert made.read(512)[:5] == b"hello"
    assert next_member(made.read) is None


def test_notes_are_bounded_in_number() -> None:
    one = note((b"path", WHEEL))
    enough = io.BytesIO(one * MAX_NOTES + header(b"x", 0) + END)
    found = next_member(enough.read)
    assert found is not None and found.name == WHEEL.decode()
    with pytest.raises(HeaderError, match="notes"):
        next_member(io.BytesIO(one * (MAX_NOTES + 1) + header(b"x", 0)).read)


@pytest.mark.parametrize("data", [b"", bytes(100), header(size=3)[:300], padded(b"<html>")])
def test_what_is_no_header_is_told_with_what_was_there(data: bytes) -> None:
    with pytest.raises(CutError) as raised:
        next_member(io.BytesIO(data).read)
    assert raised.value.block == data[:512]
