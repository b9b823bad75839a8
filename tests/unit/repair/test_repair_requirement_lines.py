"""Requirements of a project's own files: what is loosened, rewritten, and left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.build.errors import RequirementsFileError
from casemate.build.requirements import read_requirements
from casemate.repair import RequirementLines

TEXT = """\
# flask==1.0 is not meant
flask == 2.0.1   # pinned
Django[argon2,bcrypt]>=3.2,<4 ; python_version > "3.8"
six
idna>=2
yarl~=1.4 # near
more_than.one!=2.0,<=1.9
wheel @ https://example.org/wheel-1.0-py3-none-any.whl
-r more.txt
"""


def lines_of(root: Path, text: str, name: str = "requirements.txt") -> RequirementLines:
    (root / name).write_bytes(text.encode())
    (root / "more.txt").write_text("flask<3\n")
    return RequirementLines(read_requirements(root, name))


def test_what_keeps_later_versions_out_can_be_loosened(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, TEXT)
    assert lines.loosenable == {"flask", "django", "yarl", "more-than-one"}
    assert lines.direct >= {"six", "idna", "wheel"}
    loose = lines.loosened({"flask", "django"})
    assert "flask   # pinned\n" in loose["requirements.txt"]
    assert 'Django[argon2,bcrypt]>=3.2 ; python_version > "3.8"\n' in loose["requirements.txt"]
    assert "yarl~=1.4 # near\n" in loose["requirements.txt"]
    assert loose["more.txt"] == "flask\n"
    assert "# flask==1.0 is not meant\n" in loose["requirements.txt"]


def test_what_is_rewritten_takes_the_version_and_changes_no_more(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, TEXT)
    made = lines.rewritten(
        {"flask": "3.0.2", "django": "4.2.7", "yarl": "2.3.4", "more-than-one": "2.1"}
    )
    text = made["requirements.txt"]
    assert "flask ==3.0.2   # pinned\n" in text
    assert 'Django[argon2,bcrypt]>=3.2 ; python_version > "3.8"\n' in text
    assert "yarl~=2.3 # near\n" in text
    assert "more_than.one!=2.0\n" in text
    assert made["more.txt"] == "flask>=3.0.2\n"
    same = [one for one in TEXT.splitlines() if one not in text.splitlines()]
    assert len(same) == 4


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, "flask==1.0\r\nsix==1\r\n")
    assert lines.rewritten({"flask": "2.0"})["requirements.txt"] == "flask==2.0\r\nsix==1\r\n"


def test_what_has_a_hash_or_goes_on_is_left_alone(tmp_path: Path) -> None:
    text = f"flask==1.0 \\\n    --hash=sha256:{'0' * 64}\nsix==1.0 --hash=sha256:{'0' * 64}\nidna\n"
    assert not lines_of(tmp_path, text).loosenable


def test_dependencies_of_a_project(tmp_path: Path) -> None:
    text = (
        '[project]\nname = "x"\nversion = "1"\n'
        "dependencies = [\n"
        '  "flask==2.0",  # ours\n'
        "  'six<2',\n"
        '  "idna\\u003d=1",\n'
        '  "yarl<2",\n'
        "]\n"
        'other = "yarl<2"\n'
    )
    lines = lines_of(tmp_path, text, "pyproject.toml")
    assert lines.loosenable == {"flask", "six"}  # one is there twice, one has an escape
    made = lines.rewritten({"flask": "3.0", "six": "2.1"})["pyproject.toml"]
    assert made == text.replace("flask==2.0", "flask==3.0").replace("six<2", "six>=2.1")


@pytest.mark.parametrize(
    "text", ["flask==" + "9" * 500_000, "flask" + " " * 500_000 + "==1", "(" * 100_000]
)
def test_absurd_lines_cost_little(tmp_path: Path, text: str) -> None:

    try:
        lines = lines_of(tmp_path, text)
    except RequirementsFileError:
        return
    assert lines.rewritten({"flask": "2"})["requirements.txt"]
