"""Playing one attack: how each way is gone, and what must have come of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from casemate.drills.actors import Actors
from casemate.drills.catalogue import chosen
from casemate.drills.containing import ByItself
from casemate.drills.detections import STEPS
from casemate.drills.drill import Drill, Outcome, Way
from casemate.drills.events import PUSH
from casemate.drills.holding_back import HOLDING, Holding
from casemate.drills.keeping_safe import KEEPING_SAFE
from casemate.drills.lease import LEASE_MINUTES
from casemate.drills.node import Answer, Began, Node, Records, until
from casemate.drills.noticing import FOUND_SECONDS, Noticed
from casemate.drills.recorded import found_on_record
from casemate.model.errors import CasemateError
from casemate.model.invocation import Outcome as Ended
from casemate.operations.functions import RemoveFunction, Rollback
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction
from casemate.operations.tokens import AddToken, RevokeToken
from casemate.operations.triggers import FireTrigger

MARKS = (
    "drill-planted-text",
    "planted_table",
    "Traceback",
    "PlantedError",
    "careless.py",
    "/function/",
)
"""What `careless` plants: none of it may reach a caller."""
_LOOKS = 4
_INVOCATION = "x-request-id"
_STRANGERS = {
    "wrong": "Bearer nobody",
    "shaped": "Bearer cm_" + "A" * 43,
    "unsigned": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyOm93bmVyIn0.",
    "basic": "Basic b3duZXI6b3duZXI=",
}
SOON_SECONDS = 3.0
"""How long one waits for a finding of what was done before."""
_OK = 200


def _body(answer: Answer) -> dict[str, Any]:
    """Return an answer's object; nothing of what is none."""
    body = answer.json()
    return body if isinstance(body, dict) else {}


class _Found(msgspec.Struct):
    """What is known of an attack so far."""

    prevented: bool = False
    detected: bool = False
    detected_seconds: float | None = None
    contained_seconds: float | None = None
    restored_seconds: float | None = None
    evidence: str = ""
    problem: str = ""


class Player:
    """Plays attacks on one project of one node."""

    def __init__(self, node: Node, project: str) -> None:
        """Attack `project`, in a run that begins now. Raises CasemateError."""
        self._node = node
        self._project = project
        self.actors = Actors(node, project)
        self._noticed = Noticed(node, Began(node))
        self._played: set[str] = set()
        """Ids of attacks, and names of steps."""
        self._records = Records(node, project)
        self._ways: dict[Way, Callable[[Drill, _Found], None]] = {
            Way.CALL: self._call,
            Way.EVENT: self._event,
            Way.REQUEST: self._request,
            Way.ERROR: self._error,
            Way.RESIDUE: self._residue,
            Way.CONTAINMENT: self._containment,
            Way.MISUSE: self._misuse,
            Way.RECORDED: self._recorded,
        }

    def play(self, drill: Drill) -> Outcome:
        """Return what becomes of an attack. Never raises but for Ctrl-C."""
        found = _Found()
        self._played.add(drill.id)
        try:
            self._ways[drill.way](drill, found)
        except CasemateError as error:
            found.problem = f"It could not be played: {error.message}"
        except Exception as error:  # noqa: BLE001 - what cannot be judged has failed
            found.problem = f"The answer was not one that was expected: {type(error).__name__}."
        if not found.problem and not (found.prevented or found.detected):
            found.problem = "It was neither prevented nor detected."
        return drill.outcome(**msgspec.structs.asdict(found))

    def _invoke(self, function: str, event: object) -> Answer:
        return self._node.exchange("POST", f"/invoke/{self._project}/{function}", json=event)

    # -- code that runs ----------------------------------------------------------------------------

    def _call(self, drill: Drill, found: _Found) -> None:
        function = str(drill.play["function"])
        began, clock = Began(self._node), time.monotonic()
        answer = self._invoke(function, drill.play["event"])
        found.evidence = answer.headers[_INVOCATION]
        body = _body(answer) if answer.status_code == _OK else {}
        refusals = [body["errno"]] if "errno" in body else body.get("errnos", [])
        refused = bool(refusals) and drill.refused.issuperset(refusals)
        found.prevented = refused or body.get("denied") is True
        if not found.prevented:
            found.problem = f"It was not refused: status {answer.status_code}."
        self._look(drill, found, function, began=began, clock=clock)

    def _look(
        self, drill: Drill, found: _Found, function: str, *, began: Began, clock: float
    ) -> None:
        """See what the node has on record of an attack; without a `function`: by whomever."""
        if drill.denied:
            denial = self._records.denial(
                drill.denied, function=function, invocation=found.evidence, since=began.since
            )
            found.detected = denial is not None
            if denial is None:
                found.problem = found.problem or f"No denial ({drill.denied}) tells of it."
        else:
            found.detected = self._records.ended(found.evidence) is not None
            if not found.detected:
                found.problem = found.problem or "The invocation is not on record."
        if found.detected:
            found.detected_seconds = time.monotonic() - clock

    # -- hostile events ----------------------------------------------------------------------------

    def _event(self, drill: Drill, found: _Found) -> None:
        began, clock = Began(self._node), time.monotonic()
        found.evidence = self._send(drill)
        record = self._records.ended(found.evidence)
        found.prevented = record is not None and record.outcome is Ended.BLOCKED
        if not found.prevented:
            ended = "not on record" if record is None else record.outcome.value
            found.problem = f"It was not blocked; the invocation is {ended}."
        self._look(drill, found, "victim", began=began, clock=clock)

    def _send(self, drill: Drill) -> str:
        """Return the id of the invocation that handles the event."""
        text = drill.play["text"]
        if drill.source in ("http", "async"):
            path = f"/invoke/{self._project}/victim"
            headers = {"prefer": "respond-async"} if drill.source == "async" else {}
            answer = self._node.exchange("POST", path, json={"text": text}, headers=headers)
            return str(answer.headers[_INVOCATION])
        data: dict[str, object] = {"text": text}
        if drill.source == "bucket":
            data = {"key": text}
        elif drill.source == "table":
            data = {"new": {"id": "1", "text": text}}
        elif drill.source == "repository":
            data |= PUSH
        fired = self._node.call(
            FireTrigger(project=self._project, function="victim", trigger=drill.source, data=data)
        )
        return fired.id

    # -- requests without a right ------------------------------------------------------------------

    def _request(self, drill: Drill, found: _Found) -> None:
        play = drill.play
        path = str(play["path"]).replace("{p}", self._project)
        headers = {"content-type": "application/json", **play.get("headers", {})}
        if size := play.get("header"):
            headers["x-filler"] = "x" * size
        ask = self._node.as_stranger
        if (token := play.get("token")) == "own":
            ask = self._node.exchange
        elif token is not None:
            headers["authorization"] = _STRANGERS[token]
        method, body = play.get("method", "POST"), play.get("body", "{}")
        content = {} if method in ("GET", "TRACE") else {"content": body}
        began, clock = Began(self._node), time.monotonic()
        answer = ask(method, path, headers=headers, **content)
        found.prevented = answer.status_code in drill.refused
        if not found.prevented:
            found.problem = f"It was answered with {answer.status_code}."
        if drill.denied:
            self._look(drill, found, "", began=began, clock=clock)

    # -- errors ------------------------------------------------------------------------------------

    def _error(self, drill: Drill, found: _Found) -> None:
        clock = time.monotonic()
        answer = self._invoke("careless", {"how": drill.play["how"]})
        found.evidence = answer.headers[_INVOCATION]
        seen = answer.text + " ".join(f"{k}: {v}" for k, v in answer.headers.items())
        told = [mark for mark in MARKS if mark in seen]
        found.prevented = not told
        if told:
            found.problem = f"The caller is told: {', '.join(told)}."
            return
        identity = str(_body(answer).get("error_id", ""))
        error = self._records.error(identity) if identity else None
        found.detected = error is not None
        if error is None:
            found.problem = "The owner cannot look it up: there is no error id."
            return
        found.evidence = identity
        found.detected_seconds = time.monotonic() - clock

    # -- what a call leaves ------------------------------------------------------------------------

    def _residue(self, drill: Drill, found: _Found) -> None:
        name, clock = drill.play["name"], time.monotonic()
        planted = self._invoke("leaver", {"plant": name})
        found.evidence = planted.headers[_INVOCATION]
        if planted.status_code != _OK or planted.json() != {"there": True}:
            found.problem = "It could not be planted, so that nothing is proven."
            return
        for _ in range(_LOOKS):
            looked = self._invoke("leaver", {"look": name})
            if looked.status_code != _OK or looked.json() != {"there": False}:
                found.problem = "The next call finds it."
                return
        found.prevented = True
        found.detected = self._records.ended(found.evidence) is not None
        found.detected_seconds = time.monotonic() - clock

    # -- what rules of detection find --------------------------------------------------------------

    def _misuse(self, drill: Drill, found: _Found) -> None:
        clock = time.monotonic()
        seconds = FOUND_SECONDS if self._do(drill.play) else SOON_SECONDS
        found.evidence, found.problem = self._noticed.by(drill.rule, seconds)
        if found.evidence:
            found.detected = True
            found.detected_seconds = time.monotonic() - clock

    def _do(self, play: dict[str, Any]) -> bool:
        """Do what a rule is to find, unless this run has done it; tell whether it was done now."""
        if (name := play.get("steps")) is not None:
            if name in self._played:
                return False
            self._played.add(name)
            STEPS[name][0](self.actors)
            return True
        missing = [each for each in chosen([play["after"]]) if each.id not in self._played]
        for each in missing:
            self.play(each)
        return bool(missing)

    def _recorded(self, drill: Drill, found: _Found) -> None:
        found.detected, twin = found_on_record(drill.rule)
        if not found.detected or twin:
            found.problem = "The rule does not tell the attack on record from its benign twin."

    # -- what is done about it ---------------------------------------------------------------------

    def _containment(self, drill: Drill, found: _Found) -> None:
        name = str(drill.play["name"])
        if (hold := {**HOLDING, **KEEPING_SAFE}.get(name)) is not None:
            self._held_back(hold, found)
            return
        {
            "revoke-token": self._revoke,
            "roll-back": self._roll_back,
            "quarantine": self._quarantine,
            "by-itself": self._by_itself,
            "remove-attacker": self._remove,
        }[name](found)

    def _status_with(self, token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        path = f"/invoke/{self._project}/honest"
        return self._node.as_stranger(
            "POST", path, headers=headers, json={"how": "well"}
        ).status_code

    def _contained(self, found: _Found, refused: Callable[[], bool], what: str) -> bool:
        clock = time.monotonic()
        if not until(refused):
            found.problem = f"{what} goes on."
            return False
        found.prevented = found.detected = True
        found.contained_seconds = time.monotonic() - clock
        return True

    def _revoke(self, found: _Found) -> None:
        name, roles = f"drill-{self.actors.mark}-x", (f"invoker@{self._project}",)
        wanted = AddToken(name=name, roles=roles, minutes=LEASE_MINUTES)
        stolen = self._node.call(wanted)
        found.evidence = stolen.token.id
        if self._status_with(stolen.text) != _OK:
            found.problem = "The token was of no use before it was revoked."
        self._node.call(RevokeToken(id=stolen.token.id))
        refused = self._contained(found, lambda: self._status_with(stolen.text) != _OK, "The token")
        if not refused:
            return
        clock = time.monotonic()
        other = self._node.call(wanted)
        works = until(lambda: self._status_with(other.text) == _OK)
        self._node.call(RevokeToken(id=other.token.id))
        if works:
            found.restored_seconds = time.monotonic() - clock
        else:
            found.problem = "Another token does not work."

    def _roll_back(self, found: _Found) -> None:
        def answers(text: str) -> bool:
            return text in self._invoke("careless", {"how": "well"}).text

        self._node.deploy(poisoned=True)
        if not until(lambda: answers("poisoned")):
            found.problem = "The poisoned version was not live."
        clock = time.monotonic()
        self._node.call(Rollback(project=self._project, function="careless"))
        if self._contained(found, lambda: answers("true"), "The poisoned version"):
            found.restored_seconds = time.monotonic() - clock

    def _quarantine(self, found: _Found) -> None:
        where = {"project": self._project, "function": "greedy"}

        def status() -> int:
            return self._invoke("greedy", {"use": "secret"}).status_code

        self._node.call(QuarantineFunction(**where, reason="a drill", kill=True))
        contained = self._contained(found, lambda: status() != _OK, "The function")
        clock = time.monotonic()
        self._node.call(ReleaseFunction(**where, reason="a drill"))
        if contained and until(lambda: status() == _OK):
            found.restored_seconds = time.monotonic() - clock
        elif contained:
            found.problem = "It takes no calls after its release."

    def _held_back(self, hold: Holding, found: _Found) -> None:
        played = hold(self._node, self._project)
        found.problem = played.problem
        found.prevented = found.detected = not played.problem
        found.contained_seconds = played.contained_seconds
        found.restored_seconds = played.restored_seconds

    def _by_itself(self, found: _Found) -> None:
        played = ByItself(self._node, self._project)
        found.problem = played.play()
        found.prevented = found.detected = not found.problem
        found.evidence = played.evidence
        found.contained_seconds = played.contained_seconds
        found.restored_seconds = played.restored_seconds

    def _remove(self, found: _Found) -> None:
        self._node.call(RemoveFunction(project=self._project, function="attacker"))

        def gone() -> bool:
            return self._invoke("attacker", {"attack": "identity"}).status_code != _OK

        if self._contained(found, gone, "The attacker"):
            clock = time.monotonic()
            if self._invoke("honest", {"how": "well"}).status_code == _OK:
                found.restored_seconds = time.monotonic() - clock
            else:
                found.problem = "What is honest was hit, too."
