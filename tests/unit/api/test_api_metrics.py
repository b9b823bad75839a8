"""How functions do is told to those who may read their invocations."""

from __future__ import annotations

from api_fake_control import Client, Parts
from msgspec.structs import replace

from casemate.model.metrics import FunctionMetrics, Metrics

ASKED: list[tuple[str | None, str | None]] = []


async def counted(project: str | None, function: str | None, node: str | None) -> Metrics:
    ASKED.append((project, function))
    one = FunctionMetrics(project="shop", function="cart", calls=3, outcomes={"ok": 3})
    return Metrics(at=2.0, started_at=1.0, functions=(one,))


def client(parts: Parts) -> Client:
    ASKED.clear()
    object.__setattr__(parts.service, "metrics", counted)
    return Client(parts, parts.service.spool)


def test_they_are_told_as_they_are_asked_for(parts) -> None:
    ask = client(parts)
    answer = ask("GET", "/metrics?project=shop&function=cart")
    assert answer.status_code == 200
    (one,) = answer.json()["functions"]
    assert (one["calls"], one["outcomes"], len(one["run"]["counts"])) == (3, {"ok": 3}, 15)
    ask("GET", "/metrics?project=shop")
    ask("GET", "/metrics")
    assert ASKED == [("shop", "cart"), ("shop", None), (None, None)]


def test_a_function_needs_its_project(parts) -> None:
    assert client(parts)("GET", "/metrics?function=cart").status_code == 400
    assert ASKED == []


def test_one_who_may_not_see_invocations_sees_no_numbers(parts) -> None:
    ask = client(parts)
    shop = parts.accounts.add("cm_shop_" + "a" * 43, "auditor@shop")
    invoker = parts.accounts.add("cm_invoker2_" + "a" * 43, "invoker")
    assert ask("GET", "/metrics?project=shop", key=shop).status_code == 200
    assert ask("GET", "/metrics?project=other", key=shop).status_code == 403
    assert ask("GET", "/metrics", key=shop).status_code == 403
    assert ask("GET", "/metrics?project=shop&function=cart", key=invoker).status_code == 403
    assert ask("GET", "/metrics", key=None).status_code == 401
    assert ASKED == [("shop", None)]


def test_a_service_without_counts_has_none(parts) -> None:
    assert replace(Metrics(at=1.0, started_at=0.0, functions=())).functions == ()
    assert Client(parts, parts.service.spool)("GET", "/metrics").json()["functions"] == []
