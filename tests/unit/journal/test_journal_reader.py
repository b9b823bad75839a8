"""Reading a journal and proving what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.journal.errors import JournalDamagedError, JournalInputError
from casemate.journal.merkle import proves_consistency
from casemate.journal.proof import parse_proof, proves
from casemate.journal.reader import Reader
from casemate.journal.writer import Writer
from support.journal import KEY, PRIVATE, entry, write_journal


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700, 66_000])
def test_each_entry_can_be_proven(tmp_path: Path, size: int) -> None:
    write_journal(tmp_path, [size]).close()
    reader = Reader(tmp_path, KEY)
    for index in {0, size // 3, size // 2, size - 1}:
        proof = parse_proof(reader.proof(index).text)
        assert proves(proof, entry(index), KEY)
        assert not proves(proof, entry(index + 1), KEY)


def test_heads_go_on_from_each_other(tmp_path: Path) -> None:
    heads = []
    for size in (3, 256, 300, 1000):
        writer = write_journal(tmp_path, [size])
        heads.append(writer.head)
        writer.close()
    reader = Reader(tmp_path, KEY)
    for head in heads:
        proof = reader.consistency(head.size)
        assert proves_consistency(head.size, head.root, 1000, reader.head.root, proof)


def test_what_is_not_there_is_not_proven(tmp_path: Path) -> None:
    writer = write_journal(tmp_path, [300])
    writer.append([entry(300)])
    writer.close()
    reader = Reader(tmp_path, KEY)
    for index in (-1, 300, 10**9):
        with pytest.raises(JournalInputError, match="no signed entry"):
            reader.proof(index)
    assert reader.entries(2) == []


def test_an_edited_entry_is_not_proven(tmp_path: Path) -> None:
    write_journal(tmp_path, [300]).close()
    file = tmp_path / "tile/entries/000"
    file.write_bytes(file.read_bytes().replace(b"entry 7\x00", b"entry 8\x00"))
    with pytest.raises(JournalDamagedError, match="Entry 7 is not"):
        Reader(tmp_path, KEY).proof(7)


def test_a_reader_follows_a_writer_that_replaces_what_it_reads(tmp_path: Path) -> None:
    writer = write_journal(tmp_path, [10])
    reader = Reader(tmp_path, KEY)
    # A wider part takes the place of the one that it has to read.
    writer.append([entry(n) for n in range(10, 20)])
    writer.checkpoint(PRIVATE.sign)
    assert proves(reader.proof(5), entry(5), KEY)
    assert reader.head.size == 20
    # A full tile stands for each of its parts.
    writer.append([entry(n) for n in range(20, 400)])
    writer.checkpoint(PRIVATE.sign)
    assert proves(reader.proof(15), entry(15), KEY)
    assert reader.head.size == 20
    writer.close()


def test_a_folder_without_a_journal_has_no_reader(tmp_path: Path) -> None:
    with pytest.raises(JournalDamagedError, match="missing"):
        Reader(tmp_path, KEY)
    Writer(tmp_path, KEY).close()
    with pytest.raises(JournalDamagedError, match="missing"):
        Reader(tmp_path, KEY)
