"""How much each project keeps on the disk: its database with what waits in its log, and objects."""

from __future__ import annotations

from pathlib import Path

from casemate.data.folder import DataFolder


def test_files_of_each_project_are_summed_up_and_others_are_not(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    for name, size in (
        ("shop@1.db", 100),
        ("shop@2.db", 1000),
        ("shop@2.db-wal", 30),
        ("cart@1.db", 7),
        ("notes.txt", 10_000),
        ("SHOP@1.db", 10_000),
    ):
        (folder.path / name).write_bytes(b"x" * size)
    objects = folder.objects / "shop"
    objects.mkdir(parents=True)
    (objects / ("a" * 32)).write_bytes(b"x" * 5)
    (objects / "link").symlink_to(folder.path / "notes.txt")
    (folder.path / "evil@1.db").symlink_to(folder.path / "notes.txt")
    assert folder.sizes() == {"shop": 1135, "cart": 7, "evil": 0}
