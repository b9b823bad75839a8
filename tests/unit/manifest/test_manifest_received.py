"""A function that comes in a bundle is held to the same bounds as one in a manifest."""

from __future__ import annotations

import msgspec
import pytest

from casemate.manifest import check_received
from casemate.manifest.tables import LIMITS
from casemate.model.errors import InvalidInputError
from casemate.model.function import FunctionSpec, HttpTrigger, Limits

GOOD = FunctionSpec(name="f", handler="app:handler", python="3.13")


def test_the_defaults_are_valid() -> None:
    check_received(GOOD)


@pytest.mark.parametrize("name", [field.name for field in LIMITS.fields])
@pytest.mark.parametrize("factor", [-1, 10**9])
def test_every_limit_is_bounded_on_both_sides(name: str, factor: int) -> None:
    value = getattr(Limits(), name)
    limits = msgspec.structs.replace(Limits(), **{name: value * factor})
    with pytest.raises(InvalidInputError, match=name):
        check_received(msgspec.structs.replace(GOOD, limits=limits))


def test_a_limit_that_is_not_a_number_is_refused() -> None:
    limits = msgspec.structs.replace(Limits(), timeout=float("nan"))
    with pytest.raises(InvalidInputError, match="timeout"):
        check_received(msgspec.structs.replace(GOOD, limits=limits))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "f\n"},
        {"name": "../f"},
        {"handler": "app"},
        {"handler": "app:handler\n"},
        {"handler": "äpp:handler"},
        {"python": "2.7"},
        {"python": None},
        {"http": (HttpTrigger(method="GE T", path="/x"),)},
        {"http": (HttpTrigger(method="GET", path="x"),)},
        {"http": (HttpTrigger(method="GET", path="/api/v1/keys"),)},
        {"http": (HttpTrigger(method="GET", path="/a/../b"),)},
        {"http": tuple(HttpTrigger(method="GET", path=f"/{n}") for n in range(101))},
    ],
)
def test_what_a_manifest_refuses_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="not valid"):
        check_received(msgspec.structs.replace(GOOD, **change))
