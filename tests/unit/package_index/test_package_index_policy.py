from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from casemate.package_index import POLICY_FILE, Allow, PackagePolicyError, Policy, read_policy
from casemate.package_index.policy import matches

TODAY = date(2026, 11, 27)
GOOD = """\
cool-down = 7
[index.internal]
url = "https://pypi.example.org/simple"
packages = ["acme", "acme-*"]
[[exception]]
package = "Foo_Bar"
version = "2.0"
allow = ["fresh", "yanked"]
reason = "needed for the demo"
expires = 2026-12-31
"""


def read(folder: Path, text: str) -> Policy:
    (folder / POLICY_FILE).write_text(text)
    return read_policy(folder, today=TODAY)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert read_policy(tmp_path, today=TODAY) == Policy()
    assert Policy().cool_down == 14


def test_what_it_says(tmp_path: Path) -> None:
    policy = read(tmp_path, GOOD)
    assert policy.cool_down == 7
    assert policy.bound("acme") == policy.bound("acme-tools") == "internal"
    assert policy.bound("acmetools") is None
    assert policy.allows(Allow.FRESH, "foo-bar", "2.0", today=TODAY)
    assert not policy.allows(Allow.FRESH, "foo-bar", "2.1", today=TODAY)
    assert not policy.allows(Allow.NAME, "foo-bar", "2.0", today=TODAY)


def test_an_exception_ends_with_its_day(tmp_path: Path) -> None:
    policy = read(tmp_path, GOOD)
    assert policy.allows(Allow.FRESH, "foo-bar", "2.0", today=date(2026, 12, 31))
    assert not policy.allows(Allow.FRESH, "foo-bar", "2.0", today=date(2027, 1, 1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cool-down = -1", "cool-down is -1"),
        ("cool-down = 366", "expected 0 to 365"),
        ("cooldown = 1", "cooldown"),
        ('[index.A]\nurl = "https://x"', "not an index name"),
        ('[index.a]\nurl = "ftp://x"', "expected an http"),
        ('[index.a]\nurl = "https://u:p@x"', "without credentials"),
        ('[index.a]\nurl = "https://x"\npackages = ["*a"]', "not a package name"),
        ('[index.a]\nurl = "https://x"\npackages = ["a*b"]', "not a package name"),
        (
            '[index.a]\nurl="https://x"\npackages=["q"]\n[index.b]\nurl="https://y"\npackages=["Q"]',
            "bound to two",
        ),
        ('[index.a]\nurl="https://x"\n[index.b]\nurl="https://x/"', "one address"),
        (GOOD.replace('reason = "needed for the demo"', 'reason = " "'), "expected a reason"),
        (GOOD.replace('reason = "needed for the demo"\n', ""), "reason"),
        (GOOD.replace("expires = 2026-12-31\n", ""), "expires"),
        (GOOD.replace("2026-12-31", "2027-11-29"), "more than 366 days"),
        (GOOD.replace('["fresh", "yanked"]', "[]"), "`allow` is empty"),
        (GOOD.replace('"fresh"', '"malicious"'), "malicious"),
        (GOOD.replace('"fresh"', '"publisher"'), "`publisher` is named exactly"),
        (GOOD + 'publisher = "x"\n', "`publisher` is named exactly"),
        ("a = " + "[" * 100_000, POLICY_FILE),
        ("\x00", POLICY_FILE),
        ("#" * 1_100_000, "larger than"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PackagePolicyError, match=told):
        read(tmp_path, text)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("cool-down = 0")
    (tmp_path / POLICY_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackagePolicyError, match="cannot be read"):
        read_policy(tmp_path, today=TODAY)


def test_names_are_compared_as_indexes_do() -> None:
    assert matches("A.B_c", "a-b-c")
    assert matches("acme_*", "acme-x")
    assert not matches("acme-*", "acme")
