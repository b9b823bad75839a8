"""What a manifest says of what is masked in logs: more, or less with a reason."""

from __future__ import annotations

import msgspec
import pytest

from casemate.cli.changes import changes
from casemate.manifest import check_received
from casemate.masking import ALWAYS, BY_CHOICE
from casemate.model.errors import InvalidInputError
from casemate.model.function import FunctionSpec, Logs, Unmasked

REASON = "the owner answers these people"
GOOD = FunctionSpec(name="f", handler="app:handler", python="3.13")


def unmasked(kind: str, reason: str = REASON) -> str:
    return f'[[function.f.logs.unmasked]]\nkind = "{kind}"\nreason = "{reason}"\n'


def test_everything_is_masked_without_a_word(project, function_text) -> None:
    assert project.load(function_text()).functions[0].logs == Logs()


@pytest.mark.parametrize("kind", ALWAYS)
def test_a_kind_is_left_out_with_a_reason(project, function_text, kind) -> None:
    loaded = project.load(function_text() + unmasked(kind))
    assert loaded.functions[0].logs == Logs(unmasked=(Unmasked(kind=kind, reason=REASON),))


def test_numbers_of_a_country_are_added(project, function_text) -> None:
    text = f"[function.f.logs]\nmask = {list(BY_CHOICE)}\n"
    assert project.load(function_text() + text).functions[0].logs == Logs(mask=BY_CHOICE)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (unmasked("e-mail"), "function.f.logs.unmasked[0].kind"),
        (unmasked("us-ssn"), "function.f.logs.unmasked[0].kind"),
        (unmasked("email", "because"), "function.f.logs.unmasked[0].reason"),
        ('[[function.f.logs.unmasked]]\nkind = "email"\n', "function.f.logs.unmasked[0].reason"),
        ('[function.f.logs]\nmask = ["email"]\n', "function.f.logs.mask[0]"),
        ("[function.f.logs]\nmask = []\n", "function.f.logs.mask"),
        ("[function.f.logs]\noff = true\n", "function.f.logs.off"),
    ],
)
def test_what_is_no_kind_or_has_no_reason_is_refused(project, function_text, text, key) -> None:
    assert project.problem(function_text() + text).key == key


@pytest.mark.parametrize(
    "logs",
    [
        Logs(mask=("email",)),
        Logs(mask=("us-ssn", "us-ssn")),
        Logs(keep=1.0),
        Logs(keep=float("nan")),
        Logs(keep_bytes=1 << 40),
        Logs(unmasked=(Unmasked(kind="all", reason=REASON),)),
        Logs(unmasked=(Unmasked(kind="email", reason=""),)),
    ],
)
def test_a_bundle_holds_nothing_that_a_manifest_could_not(logs) -> None:
    check_received(msgspec.structs.replace(GOOD, logs=Logs(mask=("us-ssn",))))
    with pytest.raises(InvalidInputError, match=r"mask|keep"):
        check_received(msgspec.structs.replace(GOOD, logs=logs))


def test_a_deploy_tells_what_is_in_clear_from_now_on() -> None:
    logs = Logs(
        mask=("us-ssn",),
        unmasked=(Unmasked(kind="email", reason=REASON),),
        keep=3600.0,
        keep_bytes=65_536,
    )
    told = [str(one) for one in changes(GOOD, msgspec.structs.replace(GOOD, logs=logs))]
    assert told == [
        "in clear in logs email added",
        "logs kept 168h → 1h",
        "logs kept 4 GB → 64 KB",
        "masked in logs us-ssn added",
    ]


def test_what_is_kept_is_bounded(project, function_text) -> None:
    text = '[function.f.logs]\nkeep = "24h"\nkeep_bytes = "16MB"\n'
    logs = project.load(function_text() + text).functions[0].logs
    assert (logs.keep, logs.keep_bytes) == (86_400.0, 16 << 20)
    for key, value in (("keep", "1s"), ("keep", "700h"), ("keep_bytes", "1KB")):
        text = f'[function.f.logs]\n{key} = "{value}"\n'
        assert project.problem(function_text() + text).key == f"function.f.logs.{key}"
