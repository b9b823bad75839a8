import os

import pytest

from casemate.manifest.folder import ProjectFolder
from casemate.manifest.rejection import RejectedValueError


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "shop"
    (root / "src").mkdir(parents=True)
    (root / "requirements.txt").write_text("")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "requirements.txt").write_text("")
    return root


def rejected(check, relative):
    with pytest.raises(RejectedValueError) as caught:
        check(relative)
    return caught.value.found


def test_what_is_inside_is_found(root):
    folder = ProjectFolder(root)
    assert folder.source(".") == root
    assert folder.source("src") == root / "src"
    assert folder.requirements("requirements.txt") == root / "requirements.txt"


def test_a_link_that_stays_inside_is_followed(root):
    (root / "link").symlink_to("src")
    assert ProjectFolder(root).source("link") == root / "src"


def test_a_project_reached_through_a_link_is_one(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    assert ProjectFolder(tmp_path / "link").source("src") == root / "src"


def test_a_link_that_leads_out_is_rejected(root, tmp_path):
    (root / "out").symlink_to("../outside")
    (root / "absolute").symlink_to(tmp_path / "outside")
    (root / "hop").symlink_to("out")
    (root / "r.txt").symlink_to("../outside/requirements.txt")
    folder = ProjectFolder(root)
    for name in ("out", "absolute", "hop"):
        assert "out of the project" in rejected(folder.source, name)
    for name in ("r.txt", "out/requirements.txt"):
        assert "out of the project" in rejected(folder.requirements, name)


def test_a_folder_beside_with_the_same_beginning_is_outside(root, tmp_path):
    (tmp_path / "shop2").mkdir()
    (root / "sly").symlink_to("../shop2")
    assert "out of the project" in rejected(ProjectFolder(root).source, "sly")


def test_loops_of_links_are_rejected(root):
    (root / "self").symlink_to("self")
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "src" / "inner").symlink_to("../src/inner/x")
    folder = ProjectFolder(root)
    for name in ("self", "a", "a/b", "src/inner"):
        assert "a loop of symbolic links" in rejected(folder.source, name)
        assert "a loop of symbolic links" in rejected(folder.requirements, name)


def test_what_is_missing_or_of_another_type_is_rejected(root):
    os.mkfifo(root / "pipe.txt")
    (root / "dangling").symlink_to("nowhere")
    folder = ProjectFolder(root)
    assert "does not exist" in rejected(folder.source, "nowhere")
    assert "does not exist" in rejected(folder.source, "dangling")
    assert "not a folder" in rejected(folder.source, "requirements.txt")
    assert "through a file" in rejected(folder.source, "requirements.txt/x")
    assert "not a regular file" in rejected(folder.requirements, "src")
    assert "not a regular file" in rejected(folder.requirements, "pipe.txt")
    assert "too long" in rejected(folder.source, "a" * 300)
    assert "not a valid path" in rejected(folder.source, "a\0b")


@pytest.mark.parametrize(
    "name",
    ["requirements-dev.txt", "x.in", "pyproject.toml", "uv.lock", "pylock.toml", "pylock.dev.toml"],
)
def test_names_of_requirements_files(root, name):
    (root / name).write_text("")
    assert ProjectFolder(root).requirements(name) == root / name


@pytest.mark.parametrize("name", ["setup.py", "Pipfile", "poetry.lock", "pylock.a.b.toml", ".txt"])
def test_other_names_are_rejected(root, name):
    (root / name).write_text("")
    assert name in rejected(ProjectFolder(root).requirements, name)


def test_a_root_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        ProjectFolder(tmp_path / "none")
