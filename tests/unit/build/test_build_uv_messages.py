"""The texts are what uv 0.13 prints."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.build import errors
from casemate.build.interpreters import Interpreter, RuntimeStatus
from casemate.build.uv_messages import dependency_error
from casemate.package_index import IndexUnavailableError

INTERPRETER = Interpreter(
    version="3.12.1",
    path=Path("/home/jane/versions/3.12.1/bin/python3.12"),
    prefix=Path("/home/jane/versions/3.12.1"),
    stdlib=(),
    library=None,
    cache_tag="cpython-312",
    end_of_life=date(2028, 10, 31),
    end_of_life_source="PEP 693",
    status=RuntimeStatus.SUPPORTED,
)
NO_SOLUTION = "error: No solution found when resolving dependencies\n  cause: Because "
WHY = ", we can conclude that your requirements are unsatisfiable.\n"


@pytest.mark.parametrize(
    ("wanted", "there", "end"),
    [
        ("==99", ("9.5.0", "12.1.0", "12.0.0"), "; nearest there are 12.0.0 and 12.1.0."),
        ("==11", ("9.5.0", "10.1", "10.2", "12.0.0", "12.1", "13.0"),
         "; nearest there are 10.1, 10.2, 12.0.0 and 12.1."),
        ("==0.1", ("9.5.0",), "; nearest there is 9.5.0."),
        ("==99", (), "."),
        ("==99", ("no version",), "."),
    ],
)  # fmt: skip
def test_of_a_version_that_there_is_not_the_nearest_are_told(
    wanted: str, there: tuple[str, ...], end: str
) -> None:
    asked: list[str] = []

    def versions(package: str) -> tuple[str, ...]:
        asked.append(package)
        return there

    text = f"{NO_SOLUTION}there is no version of pillow{wanted} and you require pillow{wanted}{WHY}"
    error = dependency_error(text, INTERPRETER, versions)
    assert error.message == f"There is no pillow{wanted} in the index{end}"
    assert asked == ["pillow"]


def test_an_index_that_cannot_tell_its_versions_hides_no_error() -> None:
    def away(_package: str) -> tuple[str, ...]:
        raise IndexUnavailableError("It is away.")

    text = f"{NO_SOLUTION}there is no version of pillow==99 and you require pillow==99{WHY}"
    assert (
        dependency_error(text, INTERPRETER, away).message == "There is no pillow==99 in the index."
    )


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (
            NO_SOLUTION + "nothing-there was not found in the package registry and you require "
            "nothing-there" + WHY,
            errors.RequirementNotFoundError,
            "no package nothing-there",
        ),
        (
            NO_SOLUTION
            + "there is no version of iniconfig==99.0 and you require iniconfig==99.0"
            + WHY,
            errors.RequirementNotFoundError,
            "no iniconfig==99.0",
        ),
        (
            NO_SOLUTION
            + "docopt==0.6.2 has no usable wheels and you require docopt==0.6.2"
            + WHY
            + "\nhint: Wheels are required for `docopt` because building from source is disabled",
            errors.SourceOnlyError,
            "docopt==0.6.2 has no wheel",
        ),
        (
            NO_SOLUTION + "tf==1.15.0 has no wheels with a matching Python ABI tag (e.g., `cp312`) "
            "and you require tf==1.15.0" + WHY,
            errors.NoMatchingWheelError,
            "tf==1.15.0 has wheels, but none for Python 3.12",
        ),
        (
            NO_SOLUTION + "you require markdown<3 and markdown>3" + WHY,
            errors.RequirementConflictError,
            "markdown<3 and markdown>3",
        ),
        (
            "error: Failed to download `iniconfig==2.0.0`\n  cause: Hash mismatch for "
            "`iniconfig==2.0.0`\n\n         Expected:\n           sha256:00\n",
            errors.HashMismatchError,
            "iniconfig==2.0.0",
        ),
        (
            "error: In `--require-hashes` mode, all requirements must have a hash, but none were "
            "provided for: iniconfig==2.0.0\n",
            errors.UnhashedRequirementError,
            "iniconfig==2.0.0",
        ),
        (
            "error: Hash-checking is required, but no trusted hash was provided for: `markupsafe`",
            errors.UnhashedRequirementError,
            "no hash for markupsafe",
        ),
        (
            "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.",
            errors.StaleLockError,
            "uv.lock no longer matches",
        ),
        (
            "error: Request failed after 1 retry in 1.1s\n  cause: Failed to fetch: "
            "http://jane:hunter2@nohost.invalid/simple/markdown/\n  cause: dns error\n",
            IndexUnavailableError,
            "cannot be reached",
        ),
        (
            "error: Couldn't parse requirement in `/build/input/requirements.txt` at position 0\n"
            "  cause: expected version to start with a number\n     x===foo bar\n       ^^^^",
            errors.RequirementsFileError,
            "x===foo bar",
        ),
        (
            "Using CPython 3.12.1 interpreter at: /home/jane/versions/3.12.1/bin/python3.12\n"
            "error: Failed to open /home/jane/versions/3.12.1/lib/x and /cache/wheels-v8/pypi/y "
            "from https://jane:hunter2@example.org/simple \x1b[31m\x00\n",
            errors.DependencyError,
            "Failed to open",
        ),
        ("", errors.DependencyError, "could not be resolved"),
    ],
)
def test_each_failure_has_its_error(text: str, kind: type[Exception], expected: str) -> None:
    error = dependency_error(text, INTERPRETER)
    assert type(error) is kind
    assert expected in error.message
    assert error.next_step
    for private in ("jane", "hunter2", "/build", "/cache", "\x1b", "\x00"):
        assert private not in str(error)


@given(st.text(max_size=300))
def test_any_output_gives_a_bounded_error(text: str) -> None:
    error = dependency_error(text * 10, INTERPRETER)
    assert len(str(error)) < 3000
    assert "/home/jane/versions" not in str(error)
