"""Sources are shown to who may read their functions."""

from __future__ import annotations

from api_fake_control import GUEST_TEXT

from casemate.model.source import SourceStatus


def status(project: str, function: str) -> SourceStatus:
    return SourceStatus(
        project=project,
        function=function,
        trigger="valkey-1",
        kind="valkey",
        server="h.example.org:6379",
        connected=True,
        since=1.0,
        events=3,
    )


def names(response) -> list[str]:
    assert response.status_code == 200, response.text
    return [f"{s['project']}/{s['function']}" for s in response.json()["sources"]]


def test_an_owner_sees_all_or_those_of_a_project(ask, parts) -> None:
    parts.sources = (status("blog", "tell"), status("shop", "ship"))
    assert names(ask("GET", "/sources")) == ["blog/tell", "shop/ship"]
    assert names(ask("GET", "/sources?project=shop")) == ["shop/ship"]
    (first,) = ask("GET", "/sources?project=blog").json()["sources"]
    assert first["server"] == "h.example.org:6379" and first["events"] == 3


def test_others_see_those_of_functions_that_they_may_read(ask, parts) -> None:
    parts.sources = (status("blog", "tell"), status("shop", "ship"))
    assert names(ask("GET", "/sources", key=GUEST_TEXT)) == []
    reader = parts.accounts.add("cm_reader_" + "a" * 43, "developer@shop")
    assert names(ask("GET", "/sources", key=reader)) == ["shop/ship"]


def test_nobody_without_a_token_and_no_other_query(ask) -> None:
    assert ask("GET", "/sources", key=None).status_code == 401
    assert ask("GET", "/sources?project=No+Name").status_code == 400
    assert ask("GET", "/sources?what=1").status_code == 400
