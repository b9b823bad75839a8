"""Plans over graphs in memory, held against every way to change their locks."""

from __future__ import annotations

import pytest

from casemate.repair import NoSolutionError, Plan, Planner
from casemate.repair.holes import is_hidden
from casemate.repair.search import Questions
from support.lock_graphs import Graph, finding, generated

LOOSE: frozenset[str] = frozenset()


def plan_of(graph: Graph, lock: dict[str, str], loosenable: frozenset[str] = LOOSE) -> Plan:
    return Planner(graph, graph, lock, loosenable).security()


def changed(plan: Plan) -> dict[str, str | None]:
    return {each.package: each.new for each in plan.changes}


def reasons(plan: Plan) -> dict[str, str]:
    return {each.package: each.reason for each in plan.uncleared}


@pytest.mark.parametrize("seed", range(40))
def test_a_plan_is_the_smallest_of_all_changes(seed: int) -> None:
    graph, lock = generated(seed)
    plan = plan_of(graph, lock)
    assert plan.smallest
    left = frozenset((one.package, id) for one in plan.uncleared for id in one.ids)
    every = [other for other in graph.every_lock() if graph.cost(lock, other) is not None]
    clean = [
        other
        for other in every
        if not any(is_hidden(graph, name, version, left) for name, version in other.items())
    ]
    assert plan.versions in clean
    assert graph.cost(lock, plan.versions) == min(graph.cost(lock, other) for other in clean)
    # What is said to stay, stays: no lock is without it and without all that is cleared.
    for one in plan.uncleared:
        less = left - {(one.package, id) for id in one.ids}
        assert not any(
            not any(is_hidden(graph, name, version, less) for name, version in other.items())
            for other in every
        )


def test_generated_graphs_have_something_to_solve() -> None:
    plans = [plan_of(*generated(seed)) for seed in range(40)]
    sizes = [len(plan.changes) for plan in plans]
    assert sum(size >= 2 for size in sizes) >= 8
    assert sum(bool(plan.uncleared) for plan in plans) >= 3
    assert sum(bool(plan.changes) for plan in plans) >= 25
    assert max(plan.asked for plan in plans) < 200


def chain() -> Graph:
    """Return app -> middle -> deep, where only middle 2.0 takes the deep that is mended."""
    return Graph(
        {
            "app": {"1.0": ["middle"], "2.0": ["middle"]},
            "middle": {"1.0": ["deep<2"], "1.1": ["deep<2"], "2.0": ["deep"], "3.0": ["deep"]},
            "deep": {"1.0": [], "1.5": [], "2.0": [], "2.1": [], "3.0": []},
            "other": {"1.0": [], "2.0": []},
        },
        ["app", "other"],
        {("deep", v): [finding("deep", v, "GHSA-1", fixed=("2.0",))] for v in ("1.0", "1.5")},
    )


LOCK = {"app": "1.0", "middle": "1.0", "deep": "1.0", "other": "1.0"}


def test_what_stands_in_the_way_changes_with_it_and_nothing_else() -> None:
    plan = plan_of(chain(), LOCK)
    assert changed(plan) == {"middle": "2.0", "deep": "2.0"}
    middle = next(each for each in plan.changes if each.package == "middle")
    deep = next(each for each in plan.changes if each.package == "deep")
    assert (middle.step, middle.passed, middle.clears) == ("major", 2, ())
    assert (deep.step, deep.passed, deep.clears) == ("major", 2, ("GHSA-1",))
    assert plan.versions["other"] == "1.0" and not plan.uncleared


def test_a_requirement_is_changed_only_if_there_is_no_other_way() -> None:
    graph = chain()
    graph.required = ["app", "other==1.0", "middle<2"]
    strict = plan_of(graph, LOCK)
    assert not strict.changes
    assert reasons(strict) == {
        "deep": "excluded: middle==1.0 needs deep<2; middle==1.1 needs deep<2; "
        "middle==2.0 needs deep; middle==3.0 needs deep"
    }
    loose = plan_of(graph, LOCK, frozenset({"other", "middle", "app"}))
    assert loose.loosened == ("middle",)
    assert changed(loose) == {"middle": "2.0", "deep": "2.0"}


def test_what_cannot_be_cleared_is_named_and_keeps_nothing_from_the_rest() -> None:
    graph = chain()
    graph.holes["other", "1.0"] = [finding("other", "1.0", "GHSA-2", score=9.8)]
    graph.holes["other", "2.0"] = [finding("other", "2.0", "GHSA-2", score=9.8)]
    plan = plan_of(graph, LOCK)
    assert changed(plan) == {"middle": "2.0", "deep": "2.0"}
    assert reasons(plan) == {"other": "no version is fixed"}


def test_the_reasons_for_which_holes_stay() -> None:
    graph = chain()
    for version in ("2.0", "2.1", "3.0"):
        graph.refused["deep", version] = f"deep {version} is too young."
    assert reasons(plan_of(graph, LOCK)) == {"deep": "deep 2.0 is too young."}
    graph = chain()
    del graph.releases["deep"]["2.0"], graph.releases["deep"]["2.1"], graph.releases["deep"]["3.0"]
    assert "fixed in 2.0, which no index has" in reasons(plan_of(graph, LOCK))["deep"]
    graph = chain()
    for version in ("2.0", "2.1", "3.0"):
        graph.holes["deep", version] = [finding("deep", version, "GHSA-9")]
    said = "versions without it have other vulnerabilities: GHSA-9"
    assert reasons(plan_of(graph, LOCK)) == {"deep": said}


def test_of_two_that_exclude_each_other_the_graver_is_cleared() -> None:
    graph = Graph(
        {
            "left": {"1.0": [], "2.0": ["shared<2"]},
            "right": {"1.0": [], "2.0": ["shared>=2"]},
            "shared": {"1.0": [], "2.0": []},
        },
        ["left", "right"],
        {
            ("left", "1.0"): [finding("left", "1.0", "GHSA-L", score=5.0)],
            ("right", "1.0"): [finding("right", "1.0", "GHSA-R", score=9.0)],
        },
    )
    plan = plan_of(graph, {"left": "1.0", "right": "1.0"})
    assert changed(plan) == {"right": "2.0", "shared": "2.0"}
    assert [each.id for each in plan.uncleared] == ["GHSA-L"]


def test_down_only_where_nothing_later_is_without() -> None:
    graph = Graph(
        {"evil": {"1.0": [], "1.1": [], "1.2": [], "1.3": []}},
        ["evil"],
        {("evil", v): [finding("evil", v, "MAL-1")] for v in ("1.2", "1.3")},
    )
    plan = plan_of(graph, {"evil": "1.2"})
    (change,) = plan.changes
    assert (change.new, change.down, change.passed) == ("1.1", True, 1)
    graph.releases["evil"]["1.4"] = []
    assert changed(plan_of(graph, {"evil": "1.2"})) == {"evil": "1.4"}


def test_a_pin_that_may_not_be_installed_any_more_is_told() -> None:
    graph = chain()
    graph.refused["other", "1.0"] = "other 1.0 was yanked."
    plan = plan_of(graph, LOCK)
    assert changed(plan) == {"middle": "2.0", "deep": "2.0", "other": "2.0"}
    assert {each.package: each.why for each in plan.changes}["other"] == "other 1.0 was yanked."


def test_without_holes_nothing_is_asked_and_nothing_changes() -> None:
    graph = chain()
    graph.holes.clear()
    plan = plan_of(graph, LOCK)
    assert (plan.changes, plan.uncleared, graph.asked) == ((), (), 0)


def test_what_cannot_be_met_at_all_is_an_error() -> None:
    graph = chain()
    del graph.releases["other"]
    with pytest.raises(NoSolutionError, match="can no longer be met"):
        plan_of(graph, LOCK)


def test_the_newest_are_without_holes() -> None:
    graph = chain()
    graph.holes["other", "2.0"] = [finding("other", "2.0", "GHSA-3")]
    plan = Planner(graph, graph, LOCK, LOOSE).newest()
    assert changed(plan) == {"app": "2.0", "middle": "3.0", "deep": "3.0"}


def test_a_search_that_is_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "casemate.repair.planning.Questions", lambda ask, most=7: Questions(ask, most=most)
    )
    graph, lock = chain(), LOCK
    for number in range(4):
        graph.releases[f"more{number}"] = {"1.0": [], "2.0": []}
        graph.required.append(f"more{number}")
    lock = {**LOCK, **{f"more{number}": "1.0" for number in range(4)}}
    plan = plan_of(graph, lock)
    assert not plan.smallest
    assert set(changed(plan)) == {"middle", "deep"}


def test_many_holes_at_once_take_few_questions() -> None:
    names = [f"n{number}" for number in range(25)]
    versions = [f"1.{number}" for number in range(16)]
    releases: dict[str, dict[str, list[str]]] = {
        name: {version: [] for version in versions} for name in names
    }
    holes = {
        (name, version): [finding(name, version, f"GHSA-{name}")]
        for name in names
        for version in versions[:12]
    }
    graph = Graph(releases, list(names), holes)
    plan = plan_of(graph, dict.fromkeys(names, "1.3"))
    assert set(changed(plan).values()) == {"1.12"} and len(plan.changes) == 25
    assert plan.smallest and plan.asked < 40


def test_nothing_is_repaired_by_a_pre_release() -> None:
    """As httpx 0.18.1 was by 1.0.dev1, which needs less, so that fewer versions changed."""
    releases = {
        "web": {"0.18.1": ["deep"], "0.19.0": ["deep"], "1.0.dev1": []},
        "deep": {"1.0": [], "2.0": []},
    }
    holes = {
        ("web", "0.18.1"): [finding("web", "0.18.1", "GHSA-W")],
        ("deep", "1.0"): [finding("deep", "1.0", "GHSA-D")],
    }
    plan = plan_of(Graph(releases, ["web"], holes), {"web": "0.18.1", "deep": "1.0"})
    assert changed(plan) == {"web": "0.19.0", "deep": "2.0"}
    # One that is locked may be followed by another.
    releases["web"]["1.0.dev2"] = []
    holes["web", "1.0.dev1"] = [finding("web", "1.0.dev1", "GHSA-W")]
    plan = plan_of(Graph(releases, ["web>=1.0.dev1"], holes), {"web": "1.0.dev1"})
    assert changed(plan) == {"web": "1.0.dev2"}
