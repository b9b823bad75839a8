from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from casemate.build import source
from casemate.build.errors import RequirementsFileError, SourceTreeError
from casemate.build.placing import place_inputs
from casemate.build.source import copy_source


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "package").mkdir(parents=True)
    (root / "app.py").write_text("x = 1\n")
    (root / "package/data.txt").write_text("data")
    (root / ".env").write_text("SECRET=1")
    return root


def copied(project: Path, target: Path, **options: object) -> dict[str, str]:
    files = copy_source(project, target, boundary=project, **options)  # type: ignore[arg-type]
    assert [f.path for f in files] == sorted(f.path for f in files)
    for file in files:
        data = (target / file.path).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    on_disk = {p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir()}
    assert on_disk == {f.path for f in files}
    return {f.path: (target / f.path).read_text() for f in files}


def test_code_is_copied_and_secrets_are_not(project: Path, tmp_path: Path) -> None:
    assert copied(project, tmp_path / "out") == {"app.py": "x = 1\n", "package/data.txt": "data"}


def test_links_inside_the_project_become_files(project: Path, tmp_path: Path) -> None:
    (project / "link.py").symlink_to("app.py")
    (project / "folder").symlink_to("package")
    files = copied(project, tmp_path / "out")
    assert files["link.py"] == "x = 1\n"
    assert files["folder/data.txt"] == "data"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "missing", "/proc/self/root"])
def test_links_that_leave_the_project_are_refused(
    project: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "outside").write_text("secret")
    (project / "link").symlink_to(target)
    with pytest.raises(SourceTreeError, match="leads out of the project or nowhere"):
        copied(project, tmp_path / "out")
    (project / ".casemateignore").write_text("link\n")
    assert "link" not in copied(project, tmp_path / "out2")


@pytest.mark.timeout(60)
def test_folders_to_which_links_lead_by_any_number_of_ways_are_counted_by_these(
    project: Path, tmp_path: Path
) -> None:
    for number in range(28):
        (project / f"f{number}").mkdir()
        if number:
            for name in ("a", "b"):
                (project / f"f{number - 1}" / name).symlink_to(f"../f{number}")
    with pytest.raises(SourceTreeError, match="more than 20,000 folders"):
        copy_source(project, tmp_path / "out", boundary=project)


def test_a_copy_that_takes_too_long_is_ended(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "COPY_TIMEOUT", -1.0)
    with pytest.raises(SourceTreeError, match="takes longer"):
        copy_source(project, tmp_path / "out", boundary=project)


def test_loops_are_refused(project: Path, tmp_path: Path) -> None:
    (project / "package/loop").symlink_to("..")
    with pytest.raises(SourceTreeError, match="leads to a folder that holds it"):
        copied(project, tmp_path / "out")
    (project / "package/loop").unlink()
    (project / "self").symlink_to("self")
    with pytest.raises(SourceTreeError):
        copied(project, tmp_path / "out2")


def test_pipes_are_refused_and_not_waited_for(project: Path, tmp_path: Path) -> None:
    os.mkfifo(project / "pipe")
    with pytest.raises(SourceTreeError, match="named pipe"):
        copied(project, tmp_path / "out")


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a\u202eb"])
def test_odd_names_are_refused(project: Path, tmp_path: Path, name: str) -> None:
    (project / name).write_text("")
    with pytest.raises(SourceTreeError, match="Rename it"):
        copied(project, tmp_path / "out")


def test_names_that_differ_in_case_are_refused(project: Path, tmp_path: Path) -> None:
    (project / "App.py").write_text("")
    with pytest.raises(SourceTreeError, match="differ only in case"):
        copied(project, tmp_path / "out")


def test_a_source_outside_the_project_is_refused(project: Path, tmp_path: Path) -> None:
    for root in (project / "..", project / "missing", project / "app.py"):
        with pytest.raises(SourceTreeError, match="not a folder inside the project"):
            copy_source(root, tmp_path / "out", boundary=project)


def test_folders_can_be_left_out(project: Path, tmp_path: Path) -> None:
    files = copied(project, tmp_path / "out", without=[project / "package"])
    assert set(files) == {"app.py"}


def test_size_is_bounded(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.build.tree.MAX_BUNDLE_BYTES", 8)
    with pytest.raises(SourceTreeError, match="casemateignore"):
        copied(project, tmp_path / "out")


def test_a_file_that_is_larger_than_all_may_be_is_not_copied_to_its_end(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("source", "tree"):
        monkeypatch.setattr(f"casemate.build.{module}.MAX_BUNDLE_BYTES", 1 << 20)
    with (project / "app.py").open("wb") as file:
        file.truncate(1 << 34)  # of which the disk holds nothing
    with pytest.raises(SourceTreeError, match="casemateignore"):
        copied(project, tmp_path / "out")
    assert (tmp_path / "out/app.py").stat().st_size <= 4 << 20


def test_a_vendored_file_that_is_larger_is_not_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.build.placing.MAX_BUNDLE_BYTES", 1 << 20)
    (tmp_path / "wheels").mkdir()
    with (tmp_path / "wheels/a-1-py3-none-any.whl").open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(RequirementsFileError, match="wheels holds more than 1 MiB"):
        place_inputs({}, ("wheels",), tmp_path, tmp_path / "given")
    assert (tmp_path / "given/wheels/a-1-py3-none-any.whl").stat().st_size <= 4 << 20
