"""What a manifest denies packages: names and kinds that are, in one form, or a named error."""

from __future__ import annotations

import msgspec
import pytest

from casemate.cli.changes import changes
from casemate.guard.acts import KINDS
from casemate.manifest import check_received, require_packages
from casemate.manifest.package_tables import packages_table
from casemate.model.bundle import BundleManifest
from casemate.model.errors import InvalidInputError
from casemate.model.function import MAX_PACKAGES, FunctionSpec, PackageRule

SPEC = FunctionSpec(name="f", handler="app:handler", python="3.13")
RULE = PackageRule(name="requests", deny=("egress",))


def denying(*rules: PackageRule) -> FunctionSpec:
    return msgspec.structs.replace(SPEC, packages=rules)


def test_nothing_is_denied_without_a_word(project, function_text) -> None:
    assert project.load(function_text()).functions[0].packages == ()


def test_packages_are_denied_kinds_of_acts(project, function_text) -> None:
    text = (
        function_text()
        + '[function.f.packages.requests]\ndeny = ["process", "egress"]\n'
        + '[function.f.packages."*"]\ndeny = ["native"]\n'
        + "[function.f.packages.boto3]\ndeny = []\n"
    )
    assert project.load(text).functions[0].packages == (
        PackageRule(name="*", deny=("native",)),
        PackageRule(name="boto3", deny=()),
        PackageRule(name="requests", deny=("egress", "process")),
    )


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ('[function.f.packages.requests]\ndeny = ["egres"]\n', "deny[0]", 'did you mean "egress"'),
        ("[function.f.packages.requests]\n", "requests.deny", "the required key"),
        ('[function.f.packages.requests]\ndeny = "egress"\n', "requests.deny", "an array"),
        ('[function.f.packages.requests]\nallow = ["file"]\ndeny = []\n', "allow", "one of deny"),
        ('[function.f.packages.PyYAML]\ndeny = ["file"]\n', "PyYAML", "in lower case"),
        ('[function.f.packages."a b"]\ndeny = ["file"]\n', "a b", "in lower case"),
        ('[function.f.packages.r]\ndeny = ["file", "file"]\n', "deny[1]", "each value once"),
        ("[function.f.packages]\n", "packages", f"1 to {MAX_PACKAGES} tables"),
    ],
)
def test_what_is_wrong_is_named(project, function_text, text: str, key: str, said: str) -> None:
    problem = project.problem(function_text() + text)
    assert key in problem.key and said in problem.expected


def test_a_package_that_is_not_there_is_named() -> None:
    require_packages("f", [RULE, PackageRule(name="*", deny=KINDS)], {"requests"})
    with pytest.raises(InvalidInputError) as caught:
        require_packages("f", [RULE], {"request", "urllib3"})
    assert "[function.f.packages.requests]" in caught.value.message
    assert 'did you mean "request"' in caught.value.message
    with pytest.raises(InvalidInputError):
        require_packages("f", [RULE], ())


@pytest.mark.parametrize(
    "rule",
    [
        PackageRule(name="requests", deny=("egres",)),
        PackageRule(name="requests", deny=("egress", "egress")),
        PackageRule(name="requests", deny=("process", "egress")),
        PackageRule(name="Requests", deny=("egress",)),
        PackageRule(name="requests\n", deny=("egress",)),
        PackageRule(name="", deny=()),
        PackageRule(name="a" * 101, deny=()),
    ],
)
def test_what_no_manifest_says_is_refused_of_a_bundle(rule: PackageRule) -> None:
    check_received(denying(RULE))
    with pytest.raises(InvalidInputError):
        check_received(denying(rule))


@pytest.mark.parametrize("rules", [(RULE, RULE), (RULE, PackageRule(name="*", deny=()))])
def test_rules_of_a_bundle_are_each_once_and_in_order(rules: tuple[PackageRule, ...]) -> None:
    with pytest.raises(InvalidInputError):
        check_received(denying(*rules))


def test_there_are_bounds() -> None:
    many = tuple(PackageRule(name=f"p{number:03}", deny=KINDS) for number in range(51))
    check_received(denying(*many[:MAX_PACKAGES]))
    with pytest.raises(InvalidInputError):
        check_received(denying(*many))


def test_bundles_that_deny_nothing_keep_their_digests() -> None:
    manifest = BundleManifest(project="p", function=SPEC, lock_sha256=None)
    assert b"packages" not in msgspec.json.encode(
        msgspec.json.decode(manifest.canonical())["function"]
    )
    other = msgspec.structs.replace(manifest, function=denying(RULE))
    assert other.digest() != manifest.digest()
    assert packages_table([RULE]) == {"requests": {"deny": ["egress"]}}


def test_a_deploy_shows_what_changed() -> None:
    assert list(map(str, changes(SPEC, denying(RULE)))) == [
        "denied to packages requests: egress added"
    ]
    assert list(map(str, changes(denying(RULE), SPEC))) == [
        "denied to packages requests: egress removed"
    ]
