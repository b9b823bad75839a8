"""Tests of policies: read, run, and refused where they could not test anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_samples import DEPLOYER

from casemate.policy import PolicyError, compile_policies, read_policy_file
from casemate.policy.cases import TestResult, load_tests, run_tests

TESTS = """
policies = ["deployer.cedar"]

[[test]]
name = "a deployer deploys"
principal = "user:ada"
roles = ["deployer@shop"]
action = "function:deploy"
resource = "function:shop/cart"
expect = "allow"
by = "deployer"

[[test]]
principal = "user:ada"
roles = ["deployer@shop"]
action = "function:deploy"
resource = "function:shop/cart"
public = true
expect = "deny"
by = "deployer.cedar#2"

[[test]]
principal = "function:shop/resize"
action = "bucket:read"
resource = "bucket:shop/uploads"
granted = true
expect = "allow"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deployer.cedar").write_text(DEPLOYER)
    return tmp_path


def run(folder: Path, text: str) -> tuple[TestResult, ...]:
    path = folder / "tests.toml"
    path.write_text(text)
    loaded = load_tests(path)
    return run_tests(loaded.tests, compile_policies(loaded.policies))


def test_tests_pass(folder: Path) -> None:
    results = run(folder, TESTS)
    assert [result.passed for result in results] == [True, True, True]
    assert results[1].name == "user:ada function:deploy function:shop/cart"
    assert results[1].reasons == ("deployer.cedar#2",)


def test_a_wrong_expectation_fails(folder: Path) -> None:
    results = run(folder, TESTS.replace('expect = "allow"', 'expect = "deny"'))
    assert [(r.passed, r.decided) for r in results] == [
        (False, "allow"),
        (True, "deny"),
        (False, "allow"),
    ]


def test_the_right_answer_by_the_wrong_policy_fails(folder: Path) -> None:
    results = run(folder, TESTS.replace('by = "deployer"\n', 'by = "casemate.owner"\n'))
    assert not results[0].passed


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('expect = "allow"', 'expect = "maybe"', "maybe"),
        ("granted = true", "grantd = true", "grantd"),
        ("granted = true", "granted = 1", "bool"),
        ("granted = true", 'roles = ["owner"]', "no roles"),
        ("granted = true", "public = true", "neither internal nor public"),
        ('"user:ada"', '"user:Ada"', "user:Ada"),
        ("function:deploy", "function:deplyo", "function:deplyo"),
        ("function:deploy", "node:read", "not an action on a function"),
        ("deployer@shop", "deployr@shop", "role is 'deployr'"),
        ('by = "deployer"', 'by = "deplyoer"', "'deplyoer'"),
        ('deployer.cedar"]', 'missing.cedar"]', "no such file"),
        ("[[test]]", "[[tset]]", "tset"),
        ("[[test]]", "[[test", "tests.toml"),
        (TESTS, "", "test"),
        (TESTS, "test = []", "test"),
    ],
)
def test_what_could_not_test_anything_is_refused(
    folder: Path, old: str, new: str, part: str
) -> None:
    assert old in TESTS
    with pytest.raises(PolicyError) as caught:
        run(folder, TESTS.replace(old, new))
    assert part in caught.value.message
    assert caught.value.next_step


def test_files_are_read_with_care(tmp_path: Path) -> None:
    path = tmp_path / "a.cedar"
    with pytest.raises(PolicyError, match="no such file"):
        read_policy_file(path)
    with pytest.raises(PolicyError, match="no regular file"):
        read_policy_file(tmp_path)
    path.write_bytes(b"// ok\n\xff")
    with pytest.raises(PolicyError, match=r"a\.cedar:2: found the byte 0xff"):
        read_policy_file(path)
    path.write_bytes(b"/" * 100_000)
    with pytest.raises(PolicyError, match="longer than"):
        read_policy_file(path)
    path.write_text(DEPLOYER)
    assert read_policy_file(path).name == "a"
    assert read_policy_file(path, "b").text == DEPLOYER
