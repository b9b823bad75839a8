"""How the instances that are kept ready are divided, and when there is no room for more."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.admission import Catalogue
from casemate.gateway.ready_instances import ReadyInstances, divided
from casemate.model.caps import Caps
from casemate.model.deployment import Version
from casemate.model.errors import InvalidInputError
from casemate.model.function import Limits
from support.core import deployed, version


def of(name: str, warm: int, *, number: int = 1, project: str = "t") -> Version:
    return version(number, project=project, name=name, limits=Limits(warm=warm))


class Dispatcher:
    def __init__(self) -> None:
        self.kept: list[tuple[tuple[str, int], int]] = []

    def keep_warm(self, wanted: list[tuple[Version, int]]) -> None:
        self.kept = [((v.function, v.number), count) for v, count in wanted]


def ready(*functions: Any, most: int | None = 10) -> tuple[ReadyInstances, Dispatcher]:
    catalogue, dispatcher = Catalogue(), Dispatcher()
    catalogue.replace(functions)
    caps = None if most is None else Caps(memory=1, tmp=1, concurrency=1, warm=most)
    return ReadyInstances(catalogue, dispatcher, caps), dispatcher  # type: ignore[arg-type]


def test_each_live_version_has_what_its_manifest_asks_for() -> None:
    kept, dispatcher = ready(deployed(of("a", 2)), deployed(of("b", 0)), deployed(of("c", 3)))
    kept.follow()
    assert dispatcher.kept == [(("a", 1), 2), (("c", 1), 3)]


def test_versions_that_share_the_calls_share_the_instances() -> None:
    shared = deployed(of("a", 4), of("a", 4, number=2), live={1: 75, 2: 25})
    kept, dispatcher = ready(shared)
    kept.follow()
    assert dispatcher.kept == [(("a", 1), 3), (("a", 2), 1)]


def test_only_live_counts_and_what_leads_nowhere_has_none() -> None:
    kept, dispatcher = ready(deployed(of("a", 2), live={}, trial={1: 100}))
    kept.follow()
    assert dispatcher.kept == []


def test_a_node_that_gives_fewer_than_before_gives_them_in_order() -> None:
    shares = [(of("c", 3), 100), (of("a", 2), 100), (of("b", 3), 100)]
    counts = [(v.function, count) for v, count in divided(shares, 4)]
    assert counts == [("a", 2), ("b", 2)]
    assert [count for _, count in divided(shares, None)] == [2, 3, 3]


def test_what_exceeds_the_node_is_refused_with_the_figures() -> None:
    kept, _ = ready(deployed(of("a", 6)), deployed(of("b", 3)))
    kept.require_room([(of("a", 7, number=2), 100)])
    with pytest.raises(InvalidInputError) as refused:
        kept.require_room([(of("c", 2), 100)])
    assert "warm = 2" in refused.value.message
    assert "at most 10" in refused.value.message and "others have 9" in refused.value.message
    assert "--max-warm" in str(refused.value.next_step)


def test_one_that_asks_for_none_is_never_refused() -> None:
    kept, _ = ready(deployed(of("a", 12)))
    kept.require_room([(of("b", 0), 100)])


def test_going_back_needs_room_as_well() -> None:
    kept, _ = ready(deployed(of("a", 8)), deployed(of("b", 1), of("b", 0, number=2)))
    kept.require_room([(of("b", 2), 100)])
    kept.require_room([(of("b", 4), 50)])
    with pytest.raises(InvalidInputError):
        kept.require_room([(of("b", 3), 100)])


def test_without_caps_all_is_kept() -> None:
    kept, dispatcher = ready(deployed(of("a", 500)), most=None)
    kept.require_room([(of("b", 900), 100)])
    kept.follow()
    assert dispatcher.kept == [(("a", 1), 500)]
