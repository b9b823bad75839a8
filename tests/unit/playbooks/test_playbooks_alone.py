"""What playbooks do by themselves: once, in bounds, resumed, taken back; and what they never do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import pytest
from msgspec.structs import replace
from playbooks_world import ADA, World, finding, noticed

from casemate.model.account import PolicyFile
from casemate.model.deployment import Trial
from casemate.model.errors import ConflictError
from casemate.model.playbook import PlaybookRun, Step
from casemate.model.principal import Action, Principal, PrincipalKind, RoleBinding
from casemate.monitor.errors import MonitorUnavailableError
from casemate.operations.incidents import Incident
from casemate.operations.quarantine import QuarantineFunction
from casemate.playbooks import needs
from casemate.playbooks.acting import need_of
from casemate.playbooks.bounding import (
    KEPT_FOR_FIRST,
    MAX_OF_NODE,
    MAX_OF_OWNER,
    MAX_OF_PROJECT,
)
from casemate.playbooks.errors import PlaybookError
from casemate.playbooks.kept import MAX_WAITING, MAX_WAITING_OF_PROJECT
from casemate.playbooks.matching import run_id
from support.monitor import incident


def running(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return run


def only(world: World) -> PlaybookRun:
    [run] = world.playbooks.runs
    return run


def put(rule: str = "mount-tried", do: str = "quarantine", approval: str = "none") -> str:
    return (
        f'title = "t"\napproval = "{approval}"\n[when]\nrules = ["{rule}"]\n[bounds]\ntargets = 2\n'
        f'[[actions]]\ndo = "{do}"\n'
    )


@running
async def test_an_escape_is_contained_and_on_record_before_and_after() -> None:
    world = await World().loaded()
    await world.find(finding())
    run = only(world)
    assert (run.state, run.alone, run.incident) == (Step.DONE, True, "inc_1")
    assert world.control.held["shop/pay"].by == "playbook:escape-tried"
    assert [(each.step, each.by) for each in world.steps] == [
        ("begins", "playbook:escape-tried"),
        ("done", "playbook:escape-tried"),
    ]
    assert world.waited == 1  # on record before it was done
    assert (world.steps[-1].project, world.steps[-1].function) == ("shop", "pay")
    assert world.steps[-1].undo == "casemate release shop/pay --reason TEXT"


@running
async def test_it_acts_once_however_often_it_is_told_and_after_a_start() -> None:
    world = await World().loaded()
    found = finding()
    await world.find(found, found, found)
    again = await World(world.store, world.control).loaded()
    await again.find(found)
    assert world.control.done == ["quarantine shop/pay"]


@pytest.mark.parametrize("died", ["begun", "done"])
@running
async def test_what_was_begun_when_the_node_died_is_finished(died: str) -> None:
    world = await World().loaded()
    if died == "begun":
        world.control.fails = asyncio.CancelledError()
    else:
        done = world.control.quarantine

        async def die(operation: Any, **named: Any) -> Any:
            await done(operation, **named)
            raise asyncio.CancelledError

        world.control.quarantine = die  # type: ignore[method-assign]
    await world.find(finding())
    assert only(world).state is Step.BEGINS
    again = await World(world.store).loaded()
    again.control.held = world.control.held
    again.playbooks.start()
    while only(again).state is Step.BEGINS:
        await asyncio.sleep(0.01)
    await again.playbooks.close()
    assert only(again).state is Step.DONE and "shop/pay" in again.control.held
    undone = await again.playbooks.undo(only(again).id, None, "it was us", ADA)
    assert undone.state is Step.UNDONE and not again.control.held


@running
async def test_a_rollback_that_was_cut_short_goes_back_no_further() -> None:
    world = await World().loaded()
    await world.playbooks.files.put("back", put("mount-tried", "roll-back"), ADA)
    await world.playbooks.files.put("escape-tried", put("ports-tried"), ADA)
    await world.find(finding(at=time.time() + 1))
    run = only(world)
    assert world.control.live["shop/pay"] == ((1, 100),)
    # Again, as if the end had not been kept: its aim was found out before it was begun.
    book = world.playbooks.files.usable("back")[1]
    cut = replace(run, acts=(replace(run.acts[0], state=Step.BEGINS),))
    await world.playbooks._performing.perform(cut, book)
    assert world.control.live["shop/pay"] == ((1, 100),)
    await world.playbooks.undo(run.id, None, "r", ADA)
    assert world.control.live["shop/pay"] == ((2, 90), (1, 10))


@running
async def test_a_trial_that_was_rolled_back_does_not_come_back_as_a_share_that_stays() -> None:
    world = await World().loaded()
    world.control.trial = Trial(version=2, back=1, until=time.time() + 60)
    await world.playbooks.files.put("escape-tried", put("ports-tried"), ADA)
    await world.playbooks.files.put("back", put("mount-tried", "roll-back"), ADA)
    await world.find(finding(at=time.time() + 1))
    run = only(world)
    assert world.control.live["shop/pay"] == ((1, 100),)
    await world.playbooks.undo(run.id, None, "r", ADA)
    assert world.control.live["shop/pay"] == ((1, 100),)


@running
async def test_who_touches_a_decoy_is_stopped_whoever_it_is() -> None:
    world = await World().loaded()
    await world.find(
        finding("decoy-secret-asked", "", who="token:ab12", project="shop"),
        finding("decoy-row-read", "", who="user:eve", project="shop"),
        finding("decoy-secret-asked", "pay", who="function:shop/pay"),
    )
    assert world.kept.done == [
        "revoke ab12 by playbook:decoy-touched",
        "end eve by playbook:decoy-touched",
    ]
    assert list(world.control.held) == ["shop/pay"]


# -- what must not be done -------------------------------------------------------------------


@running
async def test_what_a_caller_can_cause_about_others_waits_for_a_person() -> None:
    """Injection, guessing, floods, use of a budget, a metadata address: all about a victim."""
    world = await World().loaded()
    for rule in (
        *("injection-burst", "injection-let-through", "credentials-stuffed", "flood"),
        *("budget-used-up", "cost-anomaly", "metadata-tried", "attack-chain", "blocked-often"),
        *("token-from-new-addresses", "people-locked-out", "decoy-host-asked", "protocol-violated"),
    ):
        await world.find(finding(rule, who="user:victim"))
    assert world.control.done == [] and world.kept.done == []
    asked = {run.state for run in world.playbooks.runs if not run.reason.endswith("asks it")}
    assert asked == {Step.WAITS}
    assert {step.step for step in world.steps} == {"waits"}


@running
async def test_what_waits_in_an_incident_is_asked_once() -> None:
    """Before: as many questions waited as there were findings, each with the same answer."""
    world = await World().loaded()
    for n in range(5):
        await world.find(finding("blocked-often", count=n))
    (waiting,) = [run for run in world.playbooks.runs if run.state is Step.WAITS]
    others = [run for run in world.playbooks.runs if run is not waiting]
    assert {(run.state, run.reason) for run in others} == {
        (Step.DISMISSED, f"{waiting.id} asks it")
    }
    assert len(others) == 4 and [step.step for step in world.steps] == ["waits"]
    # Another function, and another incident, are other questions.
    await world.find(finding("blocked-often", "other"))
    await world.find(finding("blocked-often", count=6), incident="inc_2")
    await world.find(finding("blocked-often", count=7), incident="")
    await world.find(finding("blocked-often", count=8), incident="")
    assert [step.step for step in world.steps] == ["waits"] * 5
    # So is what is found once it was answered; what was found before is not asked then.
    await world.playbooks.dismiss(waiting.id, "our scanner", ADA)
    again = await World(world.store).loaded()
    for run in others:
        assert again.playbooks.runs.get(run.id) == run
    await world.find(finding("blocked-often", count=9))
    assert world.steps[-1].step == "waits"


@running
async def test_what_waits_in_an_incident_is_asked_once_by_whichever_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An incident is named anew when an earlier finding of it comes to be known."""
    world = await World().loaded()
    one = incident(id="inc_2", finding_ids=())
    known = {"inc_1": one, "inc_2": one, "inc_3": incident(id="inc_3", finding_ids=())}

    async def named(id: str) -> Incident:
        return known[id]

    monkeypatch.setattr(world.monitor, "incident", named)
    await world.find(finding("blocked-often", count=1))
    await world.find(finding("blocked-often", count=2), incident="inc_2")
    assert [step.step for step in world.steps] == ["waits"]
    await world.find(finding("blocked-often", count=3), incident="inc_3")
    assert [step.step for step in world.steps] == ["waits"] * 2

    async def away(_id: str) -> Incident:
        raise MonitorUnavailableError

    # What cannot be known is asked once too often.
    monkeypatch.setattr(world.monitor, "incident", away)
    await world.find(finding("blocked-often", count=4), incident="inc_2")
    assert [step.step for step in world.steps] == ["waits"] * 3


@running
async def test_texts_of_attackers_are_no_targets() -> None:
    """The entity of a finding holds what was sent: names of others in it count for nothing."""
    world = await World().loaded()
    sent = "unmapped.decoy=x resources.0.name=shop/victim actor.user.name=token:victim"
    await world.find(finding("decoy-row-read", "", entity=sent, who="anonymous:public"))
    await world.find(finding("mount-tried", "", entity=sent, project=""))
    assert list(world.playbooks.runs) == [] and world.control.done == []


@running
async def test_findings_about_many_are_bounded_in_each_project_by_itself() -> None:
    world = await World().loaded()
    await world.find(*(finding(function=f"f{n}") for n in range(6)))
    assert len(world.control.held) == 3
    waiting = [run for run in world.playbooks.runs if run.state is Step.WAITS]
    assert len(waiting) == 3 and "without a person" in waiting[0].reason
    # The bound of `shop` is used up, that of another project is not.
    await world.find(finding(function="other", project="mine"))
    assert "mine/other" in world.control.held
    # The same function again is no further one.
    await world.find(finding("ports-tried", "f0"))
    assert sum("shop/f0" in each for each in world.control.done) == 2


@running
async def test_the_whole_node_is_bounded() -> None:
    world = await World().loaded()
    await world.find(*(finding(function="f", project=f"p{n}") for n in range(MAX_OF_NODE + 5)))
    assert len(world.control.held) == MAX_OF_NODE


@running
async def test_one_project_does_not_use_up_what_the_node_does_for_others() -> None:
    """Whoever has it find what he likes in projects of his own, whatever rules find it."""
    world = await World().loaded()
    for n in range(MAX_OF_NODE):
        await world.find(finding("mount-tried", f"f{n}", project="evil"))
        await world.find(finding("decoy-row-read", f"g{n}", project="evil"))
        await world.find(finding("malicious-package-live", f"h{n}", project="evil"))
    assert len(world.control.held) == MAX_OF_PROJECT
    # Many projects leave what is kept for those in which nothing was done yet.
    for n in range(MAX_OF_NODE):
        await world.find(finding("mount-tried", f"f{n}", project="more"))
        await world.find(finding("decoy-row-read", f"g{n}", project="more"))
    assert len(world.control.held) <= MAX_OF_NODE - KEPT_FOR_FIRST
    before = len(world.control.held)
    others = [finding(function="f", project=f"p{n}") for n in range(KEPT_FOR_FIRST)]
    await world.find(*others)
    assert len(world.control.held) == before + KEPT_FOR_FIRST


@running
async def test_one_owner_does_not_use_up_what_the_node_does_for_others() -> None:
    """Whoever may deploy anywhere has as many projects as he likes."""
    world = await World().loaded()
    world.owners = {f"evil{n}": "user:eve" for n in range(40)}
    await world.find(*(finding(function="f", project=f"evil{n}") for n in range(40)))
    assert len(world.control.held) == MAX_OF_OWNER
    waits = [run.reason for run in world.playbooks.runs if run.state is Step.WAITS]
    assert waits and all("user:eve" in each for each in waits)
    await world.find(*(finding(function="f", project=f"p{n}") for n in range(5)))
    assert len(world.control.held) == MAX_OF_OWNER + 5


@running
async def test_bounds_hold_over_a_start() -> None:
    world = await World().loaded()
    await world.find(*(finding(function=f"f{n}") for n in range(3)))
    again = await World(world.store).loaded()
    await again.find(finding(function="f9"))
    assert again.control.done == []


@running
async def test_one_project_does_not_use_up_what_may_wait() -> None:
    world = await World().loaded()
    most = MAX_WAITING_OF_PROJECT
    await world.find(*(finding("blocked-often", f"f{n}") for n in range(most + 3)))
    states = [run.state for run in world.playbooks.runs]
    assert states.count(Step.WAITS) == most and states.count(Step.FAILED) == 3
    assert [each.reason for each in world.steps if each.step == "failed"] == [
        "too many runs wait for a person"
    ] * 3
    await world.find(finding("blocked-often", "g", project="mine"))
    assert world.steps[-1].step == "waits"


@running
async def test_several_projects_do_not_use_up_what_may_wait() -> None:
    """Of one owner or of many: of each other project a few find room."""
    for owners in (lambda _n: "user:eve", lambda n: f"user:e{n}", lambda _n: ""):
        world = await World().loaded()
        for n in range(12):
            world.owners[f"e{n}"] = owners(n)
            every = [finding("blocked-often", f"f{i}", project=f"e{n}") for i in range(33)]
            await world.find(*every)
        waiting = [run for run in world.playbooks.runs if run.state is Step.WAITS]
        assert len(waiting) < MAX_WAITING
        await world.find(finding("blocked-often", "g", project="mine"))
        assert world.steps[-1].step == "waits"


@running
async def test_a_flood_of_findings_pushes_out_nothing_that_was_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("casemate.playbooks.kept.MAX_RUNS", 40)
    world = await World().loaded()
    await world.find(finding())
    [done] = world.playbooks.runs
    most = MAX_WAITING_OF_PROJECT + 20
    await world.find(*(finding("blocked-often", f"f{n}", project="mine") for n in range(most)))
    assert len(list(world.playbooks.runs)) == 40
    assert world.playbooks.found(done.id).state is Step.DONE
    await world.playbooks.undo(done.id, None, "r", ADA)
    assert "shop/pay" not in world.control.held


@running
async def test_what_there_was_no_room_for_is_done_by_hand() -> None:
    """Who fills what may wait keeps no person from acting."""
    world = await World().loaded()
    names = [f"f{n}" for n in range(MAX_WAITING_OF_PROJECT + 1)]
    await world.find(*(finding("blocked-often", name) for name in names))
    [full] = [run for run in world.playbooks.runs if run.state is Step.FAILED]
    found = finding("blocked-often", names[-1])
    planned = world.playbooks.planned(full.playbook, replace(found, id=full.finding), "inc_1")
    done = await world.playbooks.run_by_hand(planned, ADA)
    assert done.state is Step.DONE
    with pytest.raises(ConflictError, match="done already"):
        await world.playbooks.run_by_hand(planned, ADA)


@running
async def test_one_of_which_a_part_holds_is_not_done_again() -> None:
    world = await World().loaded()
    text = put("blocked-often", approval="person") + '[[actions]]\ndo = "roll-back"\n'
    await world.playbooks.files.put("both", text, ADA)

    async def none(_project: str, _function: str) -> int:
        raise ConflictError("There is no stable version before.")

    world.control.stable_before = none  # type: ignore[method-assign]
    found = finding("blocked-often", at=time.time() + 1)
    planned = world.playbooks.planned("both", found, "inc_1")
    assert (await world.playbooks.run_by_hand(planned, ADA)).state is Step.FAILED
    with pytest.raises(ConflictError, match="failed already"):
        await world.playbooks.run_by_hand(planned, ADA)
    await world.playbooks.undo(planned.id, None, "r", ADA)
    assert (await world.playbooks.run_by_hand(planned, ADA)).state is Step.FAILED


@running
async def test_what_playbooks_do_starts_none() -> None:
    world = await World().loaded()
    for name, rule in (("a", "mount-tried"), ("b", "alias-moved-often")):
        await world.playbooks.files.put(name, put(rule, approval="person"), ADA)
    later = time.time() + 1
    await world.find(finding("alias-moved-often", who="playbook:b", at=later))
    await world.find(finding("playbook-waits", at=later), finding("function-quarantined", at=later))
    assert list(world.playbooks.runs) == []


@running
async def test_old_findings_and_those_before_a_playbook_was_put_are_not_acted_on() -> None:
    world = await World().loaded()
    await world.find(finding(at=time.time() - 3600))
    assert only(world).state is Step.WAITS and world.control.done == []
    other = await World().loaded()
    found = finding("ports-tried")
    await other.playbooks.files.put("escape-tried", put("ports-tried"), ADA)
    await other.find(found)
    assert other.control.done == []


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
@running
async def test_a_clock_that_is_set_has_no_playbook_sleep(
    jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was put just before acts on what is found just after."""
    world = await World().loaded()
    await world.playbooks.files.put("escape-tried", put(), ADA)
    genuine = time.time
    monkeypatch.setattr(time, "time", lambda: genuine() + jump)
    await world.find(finding(at=time.time() + 0.001))
    assert only(world).state is Step.DONE and world.control.done == ["quarantine shop/pay"]


@running
async def test_a_paused_project_is_left_alone_and_no_other() -> None:
    world = await World().loaded()
    world.playbooks.files.pause("shop", 60, "a drill", ADA)
    await world.find(finding(), finding(project="mine"))
    assert list(world.control.held) == ["mine/pay"]
    assert [(c.change, c.project, c.seconds) for c in world.changes] == [("pause", "shop", 60)]
    world.playbooks.files.pause("shop", 0, "over", ADA)
    await world.find(finding("ports-tried"))
    assert "shop/pay" in world.control.held
    left = next(run for run in world.playbooks.runs if run.state is Step.DISMISSED)
    assert left.reason == "playbooks were paused: a drill"


@running
async def test_what_was_found_in_a_pause_is_not_done_by_a_node_that_starts_anew() -> None:
    world = await World().loaded()
    world.playbooks.files.pause("shop", 60, "a drill", ADA)
    found = finding()
    await world.find(found)
    again = await World(world.store).loaded()
    await again.find(found)
    assert again.control.done == []
    await again.find(finding("ports-tried"))  # it acts on what comes then
    assert "shop/pay" in again.control.held


@running
async def test_nothing_is_done_where_the_node_was_told_so() -> None:
    world = await World().loaded()
    world.playbooks.acts = False
    await world.find(finding())
    assert list(world.playbooks.runs) == []


@running
async def test_what_was_begun_is_not_finished_where_the_node_is_told_to_do_nothing() -> None:
    """Whoever starts it so because a playbook does harm is not to wait for its end."""
    world = await World().loaded()
    await world.playbooks.files.put("q", put("blocked-often", approval="person"), ADA)
    world.control.fails = asyncio.CancelledError()
    await world.find(finding())
    await world.find(finding("blocked-often", "other", at=time.time() + 1))
    by_hand = run_id("q", next(r.finding for r in world.playbooks.runs if r.playbook == "q"))
    with pytest.raises(asyncio.CancelledError):
        await world.playbooks.approve(by_hand, ADA)
    again = await World(world.store).loaded()
    again.playbooks.acts = False
    owner = RoleBinding(role="owner")
    again.playbooks._person = lambda _who: Principal(
        kind=PrincipalKind.USER, id="ada", bindings=(owner,)
    )
    await again.playbooks._resume()
    [alone] = [run for run in again.playbooks.runs if run.alone]
    assert alone.state is Step.FAILED and "do nothing" in alone.reason
    assert again.control.done == ["quarantine shop/other"], "a person said so"


@running
async def test_policy_can_forbid_a_playbook_what_its_file_says() -> None:
    world = await World().loaded()
    text = (
        'forbid (principal == Casemate::Playbook::"escape-tried", action, '
        'resource in Casemate::Project::"shop");'
    )
    file = PolicyFile(name="hold", text=text, changed_at=1.0, changed_by="user:ada")
    world.policy.replace([file])
    await world.find(finding(), finding(project="mine"))
    assert list(world.control.held) == ["mine/pay"]
    [refused] = [run for run in world.playbooks.runs if run.state is Step.FAILED]
    assert "may not function:quarantine" in refused.acts[0].problem


@pytest.mark.parametrize("action", Action)
def test_a_playbook_may_do_its_action_and_nothing_else(action: Action) -> None:
    """Each action but those that contain is denied, said or not; those only where its file says."""
    policy = World().policy
    by = Principal(kind=PrincipalKind.PLAYBOOK, id="escape-tried")
    kinds = {"quarantine", "roll-back", "revoke-token", "end-sessions", "limit-calls"}
    kinds |= {"freeze-alias", "cut-egress", "block-address", "withhold-secrets", "seal-evidence"}
    kinds |= {"rotate-secret", "page"}
    contain = {need_of(do, "function:shop/pay").action for do in kinds}
    for do in kinds:
        need = need_of(do, "function:shop/pay")
        assert policy.allows(by, action, need.resource, granted=True) in (
            {True, False} if action in contain else {False}
        )
        assert not policy.allows(by, action, need.resource)


@running
async def test_an_action_that_is_not_in_the_file_is_not_done() -> None:
    world = await World().loaded()
    playbook = world.playbooks.files.usable("escape-tried")[1]
    await world.find(finding())
    run = only(world)
    forged = replace(
        run, id="run_2", acts=(replace(run.acts[0], do="roll-back", state=Step.PLANNED),)
    )
    done = await world.playbooks._performing.perform(forged, playbook)
    assert done.state is Step.FAILED and world.control.done == ["quarantine shop/pay"]


@running
async def test_what_a_playbook_would_have_done_before_it_was_changed_is_not_approved() -> None:
    world = await World().loaded()
    await world.find(finding("leaked"), finding("blocked-often"))
    [run] = world.playbooks.runs
    await world.playbooks.files.put(run.playbook, put("blocked-often", approval="person"), ADA)
    with pytest.raises(ConflictError) as caught:
        await world.playbooks.approve(run.id, ADA)
    # Such an option there is: `run` is for an incident.
    assert (
        caught.value.next_step
        == f"Run it again: casemate playbook run {run.playbook} --incident inc_1"
    )
    assert world.control.done == []


# -- what goes wrong -------------------------------------------------------------------------


@running
async def test_an_action_that_fails_keeps_no_other_from_being_done() -> None:
    world = await World().loaded()
    await world.playbooks.files.put(
        "both",
        put("blocked-often", approval="person") + '[[actions]]\ndo = "limit-calls"\ncalls = 5\n',
        ADA,
    )
    world.control.gone.add("pay")
    await world.find(finding("blocked-often", at=time.time() + 1))
    id = run_id("both", next(r.finding for r in world.playbooks.runs if r.playbook == "both"))
    done = await world.playbooks.approve(id, ADA)
    assert [act.state for act in done.acts] == [Step.FAILED, Step.DONE]
    assert done.state is Step.FAILED and "no function" in done.acts[0].problem
    assert [name for name in world.kept.done if name.startswith("quota shop/playbook-")]


@running
async def test_one_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.playbooks.playbooks.LATE_SECONDS", 0.05)
    world = await World().loaded()
    quarantine, hang = world.control.quarantine, asyncio.Event()

    async def slow(operation: Any, **named: Any) -> Any:
        if operation.function == "slow":
            await hang.wait()
        return await quarantine(operation, **named)

    world.control.quarantine = slow  # type: ignore[method-assign]
    await world.find(finding(function="slow"), finding(function="quick"))
    assert list(world.control.held) == ["shop/quick"]
    with pytest.raises(ConflictError):  # two at once on one run
        slow_id = next(run.id for run in world.playbooks.runs if run.state is Step.BEGINS)
        await world.playbooks.undo(slow_id, None, "", ADA)
    hang.set()
    await asyncio.sleep(0.05)
    assert "shop/slow" in world.control.held


@running
async def test_what_was_in_quarantine_before_is_not_released() -> None:
    world = await World().loaded()
    await world.playbooks.files.put("q", put("blocked-often", approval="person"), ADA)
    await world.find(finding())
    await world.find(finding("blocked-often", at=time.time() + 1))
    [second] = [run for run in world.playbooks.runs if run.playbook == "q"]
    done = await world.playbooks.approve(second.id, ADA)
    undone = await world.playbooks.undo(done.id, None, "r", ADA)
    assert "was in quarantine before, by playbook:escape-tried" in undone.acts[0].problem
    assert "shop/pay" in world.control.held


@running
async def test_what_people_did_since_is_not_taken_back() -> None:
    """Neither their quarantine nor the version that mends what it was rolled back for."""
    world = await World().loaded()
    await world.playbooks.files.put("back", put("mount-tried", "roll-back"), ADA)
    await world.find(finding(at=time.time() + 1))
    held, back = sorted(world.playbooks.runs, key=lambda run: run.playbook != "escape-tried")
    await world.control.release(
        QuarantineFunction(project="shop", function="pay", reason="r"), by=ADA
    )
    await world.control.quarantine(
        QuarantineFunction(project="shop", function="pay", reason="mine"), by=ADA
    )
    world.control.live["shop/pay"] = ((9, 100),)
    undone = await world.playbooks.undo(held.id, None, "r", ADA)
    assert undone.state is Step.DONE and "by user:ada since" in undone.acts[0].problem
    assert world.control.held["shop/pay"].by == "user:ada"
    undone = await world.playbooks.undo(back.id, None, "r", ADA)
    assert undone.state is Step.DONE and "elsewhere since" in undone.acts[0].problem
    assert world.control.live["shop/pay"] == ((9, 100),)


@running
async def test_a_revoked_token_stays_so_and_that_is_said() -> None:
    world = await World().loaded()
    await world.find(finding("decoy-secret-asked", "", who="token:ab12"))
    undone = await world.playbooks.undo(only(world).id, None, "r", ADA)
    assert undone.state is Step.DONE and "for ever" in undone.acts[0].problem


@running
async def test_the_monitors_word_is_looked_at_and_retried() -> None:
    world = await World().loaded()
    world.playbooks.start()
    world.monitor.gone = True
    world.playbooks.wake()
    await asyncio.sleep(0.02)
    world.monitor.gone = False
    world.monitor.lately = [noticed(finding(), 7)]
    for _ in range(200):
        if world.control.held:
            break
        await asyncio.sleep(0.01)
    await world.playbooks.close()
    assert "shop/pay" in world.control.held


@running
async def test_what_nobody_foresaw_ends_no_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.playbooks.playbooks.RETRY_SECONDS", 0.01)
    world = await World().loaded()
    lately = world.monitor.noticed

    async def broken(_after: int) -> Any:
        raise RuntimeError("not foreseen")

    world.monitor.noticed = broken  # type: ignore[method-assign]
    world.monitor.lately = [noticed(finding(), 7)]
    world.playbooks.start()
    world.playbooks.wake()
    await asyncio.sleep(0.02)
    world.monitor.noticed = lately  # type: ignore[method-assign]
    for _ in range(200):
        if world.control.held:
            break
        await asyncio.sleep(0.01)
    await world.playbooks.close()
    assert "shop/pay" in world.control.held


@running
async def test_rights_that_a_person_needs_are_those_of_doing_it_by_hand() -> None:
    world = await World().loaded()
    await world.find(finding())
    run = only(world)
    [need], [back] = needs(run), needs(run, undo=True)
    assert (need.action, need.resource.text) == (Action.FUNCTION_QUARANTINE, "function:shop/pay")
    assert back.action is Action.FUNCTION_RELEASE
    assert needs(run, undo=True, only="roll-back") == []


@running
async def test_two_people_at_once_do_it_once() -> None:
    world = await World().loaded()
    await world.find(finding("blocked-often"))
    waiting = [run.id for run in world.playbooks.runs]
    id = waiting[0]
    calls = [world.playbooks.approve(id, ADA), world.playbooks.approve(id, ADA)]
    calls.append(world.playbooks.dismiss(id, "no", ADA))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each).__name__ for each in outcomes].count("ConflictError") == 2
    assert len(set(world.control.done)) == len(world.control.done)
    assert world.playbooks.found(id).state in (Step.DONE, Step.FAILED)


@running
async def test_a_store_that_fails_is_tried_again_and_then_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("casemate.playbooks.playbooks.RETRY_SECONDS", 0.0)
    world = await World().loaded()
    take, times = world.playbooks.runs.take, 0

    async def fail(run: PlaybookRun, node: str) -> PlaybookRun:
        nonlocal times
        times += 1
        if times < 3:
            raise ConflictError("the disk is full")
        return await take(run, node)

    monkeypatch.setattr(world.playbooks.runs, "take", fail)
    await world.playbooks._look(noticed(finding()))
    assert world.control.done == ["quarantine shop/pay"]
    times = -1000
    await world.playbooks._look(noticed(finding(function="other")))
    assert (world.steps[-1].step, world.steps[-1].reason) == ("failed", "the disk is full")
    assert world.control.done == ["quarantine shop/pay"]


@running
async def test_a_file_for_a_rule_that_is_not_there_is_refused() -> None:
    world = await World().loaded()
    with pytest.raises(PlaybookError, match="there is no rule mount-tired") as refused:
        await world.playbooks.files.put("own", put("mount-tired", approval="person"), ADA)
    assert "detect ls" in str(refused.value.next_step)
    world.monitor.gone = True
    with pytest.raises(MonitorUnavailableError):
        await world.playbooks.files.put("own", put("mount-tried"), ADA)
    assert world.playbooks.books.get("own") is None and world.changes == []
