"""Steps of an owner's token in other hands: people, rights, data, and what is noticed."""

from __future__ import annotations

from typing import Any

from casemate.drills.actors import Actors
from casemate.drills.node import OPENED

_PEOPLE = 5
_TOKENS = 11


def people(actors: Actors) -> None:
    """Make people, raise them, reset them, make tokens, and lock them all out."""
    names = [f"drill-{actors.mark}-{number}" for number in range(_PEOPLE)]
    roles = [f"invoker@{actors.project}"]
    try:
        for name in names:
            actors.owner("POST /users", {"name": name, "roles": roles})
        for name in names:
            actors.owner(f"PUT /users/{name}/roles", {"roles": roles})
        for name in names[:3]:
            actors.owner(f"POST /users/{name}/reset")
        made = []
        for number in range(_TOKENS):
            wanted = {"name": f"drill-{actors.mark}-t{number}", "roles": roles}
            made.append(actors.owner("POST /tokens", wanted).json()["token"]["id"])
        for id in made:
            actors.owner(f"DELETE /tokens/{id}")
    finally:
        for name in names:
            actors.owner(f"DELETE /users/{name}")


def policies(actors: Actors) -> None:
    """Change what is allowed, who has routes and signs, what is told and let in; take it back."""
    name = f"drill-{actors.mark}"
    forbid = (
        'forbid (principal is Casemate::Function, action == Casemate::Action::"secret:read", '
        f'resource in Casemate::Project::"{actors.project}");'
    )
    try:
        actors.owner(f"PUT /policies/{name}", {"text": forbid})
        actors.invoke("holder", {"do": "secret"})
    finally:
        actors.owner(f"DELETE /policies/{name}")
    routes = f"drill-{actors.mark}"
    actors.owner(f"PUT /route-claims/{routes}", {"prefixes": [f"/{routes}"]})
    actors.owner(f"PUT /route-claims/{routes}", {"prefixes": []})
    # One without keys, which asks for nothing: it can hold up no deploy.
    actors.owner("PUT /projects/{p}/signing", {"keys": []})
    silence: dict[str, Any] = {"rule": "playbook-changed", "seconds": 60, "reason": "a drill"}
    actors.owner("POST /alerts/silences", silence)
    actors.owner("POST /alerts/silences", {**silence, "seconds": 0})
    exceptions = "/functions/{p}/holder/advisory-exceptions"
    made = actors.owner(f"POST {exceptions}", {"reason": "a drill", "seconds": 60}).json()
    actors.owner(f"POST {exceptions}/{made['id']}/end")


def data(actors: Actors) -> None:
    """Replace and delete objects and items by hand, and drop what there is."""
    for number in range(205):
        path = f"PUT /buckets/{{p}}/scratch/object?key=k{number % 55}"
        actors.owner(path, {"n": number})
        item = {"id": f"k{number % 55}", "n": number}
        actors.owner("POST /tables/{p}/scratch/put", {"value": item})
    for number in range(55):
        actors.owner(f"DELETE /buckets/{{p}}/scratch/object?key=k{number}")
        actors.owner("POST /tables/{p}/scratch/delete", {"key": f"k{number}"})
    # Where nothing is left, nothing is lost by dropping it.
    actors.owner("PUT /buckets/{p}/scratch/object?key=last", {"n": 1})
    actors.owner("POST /tables/{p}/scratch/put", {"value": {"id": "last"}})
    actors.owner("POST /queues/{p}/jobs/send", {"message": 1, "delay": 600})
    actors.owner("POST /queues/{p}/jobs/purge")
    actors.owner("DELETE /tables/{p}/scratch")
    actors.owner("DELETE /buckets/{p}/scratch")


def secrets(actors: Actors) -> None:
    """Set secrets, have a function collect them, and delete them."""
    names = [f"drill-{number}" for number in range(11)]
    for name in names:
        actors.node.put_secret(actors.project, name, b"drill-value")
    try:
        actors.invoke("holder", {"do": "collect", "names": names})
        actors.invoke("holder", {"do": "connect", "to": [("collected.drill.example", 443)]})
    finally:
        for name in names:
            actors.owner(f"DELETE /secrets/{{p}}/{name}")


def aliases(actors: Actors) -> None:
    """Point aliases here and there, go back again and again, and call what was replaced."""

    def newest() -> int:
        versions = actors.owner("GET /functions/{p}/careless").json()["versions"]
        return max(int(each["number"]) for each in versions)

    first = newest()
    actors.node.deploy(poisoned=True)
    both = (newest(), first)
    actors.invoke(f"careless@{first}", {"how": "well"})
    for number in range(8):
        targets = [{"version": both[number % 2], "weight": 100}]
        actors.owner("PUT /functions/{p}/careless/aliases/drill", {"targets": targets})
        actors.owner("POST /functions/{p}/careless/rollback", {"to": both[number % 2]})


def letters(actors: Actors) -> None:
    """Have what was blocked tried again, and delete it."""
    hostile = {"text": "sql x' OR '1'='1"}
    actors.invoke("victim", hostile, prefer="respond-async")
    for _ in range(12):
        actors.owner("POST /functions/{p}/victim/dead-letters/redrive", {})
    actors.owner("POST /functions/{p}/victim/dead-letters/purge", {})


def budget(actors: Actors) -> None:
    """Use a hard budget and a soft one up, and lift the hard one."""
    name = f"drill-{actors.mark}"
    path = f"/budgets/{{p}}/{name}"
    soft = f"{path}-soft"
    used = actors.owner("GET /usage?project={p}").json()["rows"]
    known = sum(row["requests"] for row in used if row.get("function") == "leaver")
    wanted = {"unit": "requests", "per": "day", "function": "leaver", "amount": 2 * known + 10}
    try:
        actors.owner(f"PUT {path}", {**wanted, "hard": True})
        actors.owner(f"PUT {soft}", {**wanted, "amount": 2 * known + 9})
        for _ in range(known + 12):
            actors.invoke("leaver", {"look": "global"})
        actors.owner(f"POST {path}/lift", {"seconds": 1, "reason": "a drill"})
    finally:
        actors.owner(f"DELETE {path}")
        actors.owner(f"DELETE {soft}")


def decoys(actors: Actors) -> None:
    """Find out where decoys are, touch each, and turn them off."""
    found = actors.owner("GET /decoys?project={p}").json()["decoys"]
    places = {each["kind"]: each["place"] for each in found}
    if host := places.get("host"):
        actors.invoke("holder", {"do": "connect", "to": [[host, 443]]})
    if secret := places.get("secret"):
        actors.invoke("holder", {"do": "collect", "names": [secret]})
    if row := places.get("row"):
        actors.owner(f"POST /tables/{{p}}/{row}/query", {"key": "1"})
    if token := places.get("token"):
        headers = {"authorization": f"Bearer cm_{token}_" + "A" * 43}
        actors.node.as_stranger("GET", "/api/v1/functions", headers=headers)
    kinds = ("host", "secret", "row")
    try:
        for kind in kinds:
            actors.owner(
                f"POST /decoys/{{p}}/{kind}/disable", {"reason": f"a drill turns {kind} off"}
            )
    finally:
        for kind in kinds:
            actors.owner(f"POST /decoys/{{p}}/{kind}/enable")
    actors.owner("POST /decoys/{p}/rotate")


def baselines(actors: Actors) -> None:
    """Have a function learn what is usual anew, and lock it before anything is."""
    actors.invoke("strict-b", {"how": "well"})
    actors.owner("POST /functions/{p}/strict-b/baseline/reset")
    actors.owner("POST /functions/{p}/strict-b/baseline/lock")
    actors.invoke("strict-b", {"how": "well"})


def wider(actors: Actors) -> None:
    """Deploy what wants more than was granted, until somebody approves it."""
    # Where one alone may approve, nobody is told of it: there is somebody else meanwhile.
    name = f"drill-{actors.mark}-other"
    actors.owner("POST /users", {"name": name, "roles": [f"operator@{actors.project}"]})
    try:
        for _ in range(5):
            actors.node.deploy_wider(approve=False)
        actors.node.deploy_wider(approve=True)
        # By whoever has deployed it: the same person is what is found.
        actors.node.exchange("DELETE", f"/api/v1/functions/{actors.project}/{OPENED}")
    finally:
        actors.owner(f"DELETE /users/{name}")
    actors.invoke("holder", {"do": "mount"})


def removal(actors: Actors) -> None:
    """Raise somebody, and remove one function after the other."""
    name = f"drill-{actors.mark}-more"
    roles = [f"invoker@{actors.project}"]
    actors.owner("POST /users", {"name": name, "roles": roles})
    try:
        actors.owner(f"PUT /users/{name}/roles", {"roles": roles})
        for function in ("strict-a", "strict-b", "strict-c", "strict-d", "strict-e", "sleeper"):
            actors.owner(f"DELETE /functions/{{p}}/{function}")
    finally:
        actors.owner(f"DELETE /users/{name}")
