import os
import socket

import pytest

from casemate.manifest import ManifestError, load
from casemate.manifest.reading import MAX_BYTES
from support.descriptors import descriptors_held, require_none_left


def problem_of(path):
    with pytest.raises(ManifestError) as caught:
        load(path)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("data", "place", "found"),
    [
        (b"\xef\xbb\xbf[project]", (1, 1), "a byte order mark"),
        ("[project]".encode("utf-16"), (1, 1), "a byte order mark"),
        (b"a = 1\nb = \x00", (2, 5), "binary data (a NUL byte)"),
        ("a = 1\n# é".encode() + b"\xff", (2, 4), "the byte 0xff, which is not UTF-8"),
        (b"# \xed\xa0\x80", (1, 3), "the byte 0xed, which is not UTF-8"),
        (b"\x7fELF\x01\x02\x03\x00", (1, 8), "binary data (a NUL byte)"),
        (b"a = 1\r\nb =\r\n", (2, 4), "invalid TOML: Invalid value"),
        (b"a = 1\na = 2\n", (2, 1), "a a second time; the first is on line 1"),
        (
            b"[function.f]\n[bucket.b]\n[function.f]\n",
            (3, 11),
            "function.f a second time; the first is on line 1",
        ),
        (
            b"limits = { cpu = 1, 'cpu' = 2 }",
            (1, 21),
            "limits.cpu a second time; the first is on line 1",
        ),
        (
            b"[function.f]\nqueue = 1\n[[function.f.queue]]\n[function.f.queue]\n",
            (3, 14),
            "function.f.queue a second time; the first is on line 2",
        ),
        (b"[a.b]\n[a]\nb = 1\n", (3, 1), "a.b a second time; the first is on line 1"),
        (b"a = 1\n\nb = [1,\n2", (4, 2), "invalid TOML: Unclosed array"),
        (b"a = '\x1b'", (1, 6), "invalid TOML: Found invalid character '\\x1b'"),
        (b"\xe2\x80\xaea = 1", (1, 1), "invalid TOML: Invalid statement"),
        (b"a = 1\nb = " + b"[" * 50, (2, 21), "tables or arrays nested too deeply"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(project, data, place, found):
    problem = problem_of(project.write(data))
    assert (problem.line, problem.column) == place
    assert problem.found == found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"name = shop", "text in quotes, a number, true, false"),
        (b"handler: app", "key = value"),
        (b"a = [1, 2", "TOML 1.0"),
    ],
)
def test_what_belongs_there_is_told(project, data, expected):
    assert expected in problem_of(project.write(data)).expected


def test_numbers_beyond_all_bounds_are_no_crash(project):
    assert "invalid TOML" in problem_of(project.write("a = " + "9" * 9000)).found
    found = [p.found for p in project.problems("project = 0x" + "f" * 9000)]
    assert "a huge number (an integer)" in found


def test_size_is_bounded(project):
    assert problem_of(project.write("#" * (MAX_BYTES + 1))).found == "more than 1 MiB"
    assert project.problems("#" * MAX_BYTES)[0].found == "nothing"


def test_what_is_no_file_is_told(project, tmp_path):
    path = project.root / "casemate.toml"
    problem = problem_of(path)
    assert (problem.found, problem.line, problem.file) == ("no such file", None, str(path))
    path.mkdir()
    assert problem_of(path).found == "a folder"
    path.rmdir()
    path.symlink_to(path)
    assert "symbolic links" in problem_of(path).found
    path.unlink()
    os.mkfifo(path)
    assert problem_of(path).found == "something that is not a regular file"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        assert "cannot be read" in problem_of(path).found
    assert "not a valid path" in problem_of(project.root / "a\0b").found
    assert "cannot be read" in problem_of(project.root / ("a" * 300)).found
    assert "cannot be read" in problem_of(project.root / "app.py" / "casemate.toml").found


def test_a_missing_manifest_names_the_way_on(project):
    with pytest.raises(ManifestError, match="casemate init"):
        load(project.root / "casemate.toml")


def test_no_descriptor_is_left_open(project):
    before = descriptors_held()
    for data in (b"", b"\0", b"["):
        problem_of(project.write(data)) if data else project.problems(data)
    with pytest.raises(ManifestError):
        load(project.root)
    require_none_left(before)


def test_a_name_cannot_write_to_the_terminal(project):
    path = project.root / "\x1b[2J.toml"
    with pytest.raises(ManifestError) as caught:
        load(path)
    assert "\x1b" not in str(caught.value)
