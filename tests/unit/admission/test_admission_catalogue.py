"""The catalogue: which version a call goes to, by name, qualifier, weight and route."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from casemate.admission import Catalogue
from casemate.admission.routes import Match
from casemate.model.errors import ConflictError
from support.core import deployed, version


def catalogue_of(*functions, choose=random.random) -> Catalogue:
    catalogue = Catalogue(choose)
    catalogue.replace(functions)
    return catalogue


def test_a_call_goes_to_the_live_version_and_not_to_the_newest() -> None:
    catalogue = catalogue_of(deployed(version(1), version(2), version(3), live={2: 100}))
    found = catalogue.find("t", "f")
    assert found is not None and found.number == 2
    assert catalogue.find("t", "f", "live") == found


@pytest.mark.parametrize("weights", [{1: 95, 2: 5}, {1: 50, 2: 30, 3: 20}, {3: 1, 1: 99}])
def test_weights_are_kept_over_many_calls(weights: dict[int, int]) -> None:
    function = deployed(version(1), version(2), version(3), live=weights)
    catalogue = catalogue_of(function, choose=random.Random(20_24).random)
    calls = 20_000
    got = Counter(found.number for _ in range(calls) if (found := catalogue.find("t", "f")))
    assert set(got) == set(weights)
    for number, weight in weights.items():
        assert got[number] / calls == pytest.approx(weight / 100, abs=0.01)


@pytest.mark.parametrize(
    ("point", "number"), [(0.0, 1), (0.9499, 1), (0.95, 2), (0.999999999999, 2)]
)
def test_the_edges_of_the_shares_are_exact(point: float, number: int) -> None:
    function = deployed(version(1), version(2), live={1: 95, 2: 5})
    found = catalogue_of(function, choose=lambda: point).find("t", "f")
    assert found is not None and found.number == number


def test_a_weight_of_zero_is_never_chosen() -> None:
    function = deployed(version(1), version(2), version(3), live={1: 0, 2: 50, 3: 50})
    for point in (0.0, 0.25, 0.5, 0.99):
        found = catalogue_of(function, choose=lambda point=point: point).find("t", "f")
        assert found is not None and found.number != 1


def test_a_qualifier_names_a_version_or_an_alias() -> None:
    function = deployed(version(1), version(2), canary={1: 100})
    catalogue = catalogue_of(function)
    for qualifier, number in (("1", 1), ("2", 2), ("canary", 1), ("live", 2), (None, 2)):
        found = catalogue.find("t", "f", qualifier)
        assert found is not None and found.number == number, qualifier


@pytest.mark.parametrize(
    "qualifier",
    [
        "",
        "0",
        "3",
        "-1",
        "1.0",
        "+1",
        " 1",
        "1 ",
        "\uff11",
        "\u00b2",
        "LIVE",
        "live ",
        "liv",
        "9" * 9,
        "1" * 10,
        "1" * 100_000,
        "\x00",
        "../live",
        "live@1",
    ],
)
def test_any_other_qualifier_leads_nowhere(qualifier: str) -> None:
    catalogue = catalogue_of(deployed(version(1), version(2)))
    assert catalogue.find("t", "f", qualifier) is None


@pytest.mark.parametrize("name", [("t", "g"), ("u", "f"), ("T", "f"), ("", ""), ("t", "f ")])
def test_a_name_is_exact(name: tuple[str, str]) -> None:
    assert catalogue_of(deployed(version(1))).find(*name) is None


def test_without_the_alias_live_a_function_is_found_by_number_only() -> None:
    catalogue = catalogue_of(deployed(version(1, routes=["GET /a"]), live={}))
    assert catalogue.find("t", "f") is None
    assert catalogue.find("t", "f", "1") is not None
    assert catalogue.route("GET", "/a") is None
    assert catalogue.live_versions() == []


def test_replacing_forgets_all_that_is_gone() -> None:
    kept = deployed(version(1, name="g", routes=["GET /g"]))
    catalogue = catalogue_of(deployed(version(1, routes=["GET /f"])), kept)
    assert len(catalogue) == 2
    catalogue.replace([kept])
    assert len(catalogue) == 1
    assert catalogue.find("t", "f") is None
    assert catalogue.route("GET", "/f") is None
    assert isinstance(catalogue.route("GET", "/g"), Match)
    catalogue.replace([])
    assert catalogue.route("GET", "/g") is None
    assert catalogue.digests() == set()


def test_a_replacement_that_fails_changes_nothing() -> None:
    catalogue = catalogue_of(deployed(version(1, routes=["GET /f"])))
    with pytest.raises(KeyError):
        catalogue.replace([deployed(version(1), live={9: 100})])
    assert catalogue.find("t", "f") is not None
    assert isinstance(catalogue.route("GET", "/f"), Match)


def test_routes_are_those_of_the_newest_live_version() -> None:
    versions = [version(n, routes=[f"GET /v{n}"]) for n in (1, 2, 3)]
    catalogue = catalogue_of(deployed(*versions, live={2: 10, 1: 90}))
    assert isinstance(catalogue.route("GET", "/v2"), Match)
    assert catalogue.route("GET", "/v1") is None
    assert catalogue.route("GET", "/v3") is None


def test_digests_name_every_version_and_live_versions_those_that_are_called() -> None:
    function = deployed(version(1, digest="a" * 64), version(2, digest="b" * 64), live={1: 100})
    catalogue = catalogue_of(function, deployed(version(1, name="g", digest="c" * 64)))
    assert catalogue.digests() == {"a" * 64, "b" * 64, "c" * 64}
    assert sorted(v.digest[0] for v in catalogue.live_versions()) == ["a", "c"]


def test_a_function_may_keep_its_own_routes() -> None:
    catalogue = catalogue_of(deployed(version(1, routes=["GET /a", "POST /a"])))
    catalogue.check_routes("t", "f", version(2, routes=["GET /a", "DELETE /a"]))


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        ("GET /a", "GET /a"),
        ("GET /a/{id}", "GET /a/{other}"),
        ("GET /a/{rest...}", "GET /a/{more...}"),
        ("* /a", "* /a"),
        ("* /a", "GET /a"),
        ("GET /a", "* /a"),
        ("GET /", "GET /"),
    ],
)
@pytest.mark.parametrize("project", ["t", "other"])
def test_a_route_of_another_function_is_refused(taken: str, wanted: str, project: str) -> None:
    catalogue = catalogue_of(deployed(version(1, routes=[taken])))
    with pytest.raises(ConflictError, match="t/f"):
        catalogue.check_routes(project, "g", version(1, name="g", routes=[wanted]))


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        ("GET /a", "POST /a"),
        ("GET /a", "GET /b"),
        ("GET /a/{id}", "GET /a/b"),
        ("GET /a/{id}", "GET /a/{rest...}"),
    ],
)
def test_routes_that_differ_live_side_by_side(taken: str, wanted: str) -> None:
    catalogue = catalogue_of(deployed(version(1, routes=[taken])))
    catalogue.check_routes("t", "g", version(1, name="g", routes=[wanted]))


def test_a_route_of_a_version_that_is_not_live_is_free() -> None:
    versions = [version(1, routes=["GET /old"]), version(2)]
    catalogue = catalogue_of(deployed(*versions))
    catalogue.check_routes("t", "g", version(1, name="g", routes=["GET /old"]))


def test_a_node_is_one_projects_until_another_has_a_function() -> None:
    catalogue = Catalogue()
    assert not catalogue.owns_origin("t", "example.com")
    catalogue.replace([deployed(version(name=name)) for name in ("f", "g")])
    assert catalogue.owns_origin("t", "example.com")
    assert not catalogue.owns_origin("u", "example.com")
    catalogue.replace([deployed(version()), deployed(version(project="u"))])
    assert not catalogue.owns_origin("t", "example.com")
    catalogue.replace([])
    assert not catalogue.owns_origin("t", "example.com")


def test_each_replacement_is_another_revision() -> None:
    catalogue = Catalogue()
    before = catalogue.revision
    catalogue.replace([deployed(version())])
    catalogue.replace([deployed(version())])
    assert catalogue.revision == before + 2
