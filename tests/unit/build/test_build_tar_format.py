from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from casemate.build.tar_format import BLOCK, END, describe, entry_header, padding

names = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/"),
    min_size=1,
    max_size=60,
)


@given(st.lists(names, min_size=1, max_size=8).map("/".join), st.binary(max_size=1500))
def test_others_read_what_it_writes(path: str, data: bytes) -> None:
    plain = entry_header(path, len(data)) + data + padding(len(data)) + END
    assert len(plain) % BLOCK == 0
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        (member,) = archive.getmembers()
        assert member.name == path
        assert member.isfile()
        assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
        file = archive.extractfile(member)
        assert file is not None
        assert file.read() == data


@given(st.binary(max_size=BLOCK))
def test_anything_can_be_described(block: bytes) -> None:
    assert describe(block).isprintable()


def test_kinds_are_named() -> None:
    for kind, expected in ((tarfile.SYMTYPE, "symbolic link"), (tarfile.CHRTYPE, "device")):
        info = tarfile.TarInfo("x")
        info.type = kind
        assert expected in describe(info.tobuf())
    assert describe(b"") == "the end of the archive"
    assert describe(bytes(BLOCK)) == "the end mark"
