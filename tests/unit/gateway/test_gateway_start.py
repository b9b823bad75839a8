"""What a gateway tells when it starts, and that what listens in it is put together."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from casemate.facts import FactStream
from casemate.gateway.objects import Gateway
from casemate.model.facts import RiskAccepted


async def _nothing(*_: object, **__: object) -> tuple[()]:
    return ()


def test_each_risk_that_the_operator_accepted_is_told() -> None:
    facts, told = FactStream(), list[RiskAccepted]()
    facts.listen(RiskAccepted, told.append)
    base = SimpleNamespace(
        config=SimpleNamespace(accepted_risks=("landlock", "shared-uid"), accepted_losses=()),
        state=SimpleNamespace(own=None),
        shipping=None,
        facts=facts,
        data=SimpleNamespace(projects=tuple),
        known=SimpleNamespace(require=_nothing),
        store=SimpleNamespace(read=_nothing, change=_nothing),
        nodes=SimpleNamespace(follow=_nothing, start=lambda: None),
        policy=SimpleNamespace(prepare=lambda stored: stored, activate=lambda prepared: None),
        recorder=SimpleNamespace(),
        begin_recording=_nothing,
        accounts=SimpleNamespace(load=_nothing),
        catalogue=SimpleNamespace(projects=tuple, live_versions=tuple),
        signatures=SimpleNamespace(load=_nothing),
        decoys=SimpleNamespace(load=_nothing, ensure_all=_nothing),
        baselines=SimpleNamespace(load=_nothing),
        projects=SimpleNamespace(load=_nothing),
        restrictions=SimpleNamespace(load=_nothing),
    )
    gateway: Any = SimpleNamespace(
        base=base,
        sweeps=None,
        _followed=lambda: None,
        control=SimpleNamespace(load=_nothing),
        observing=SimpleNamespace(budgets=SimpleNamespace(load=_nothing), start=lambda: None),
        advisories=SimpleNamespace(gate=SimpleNamespace(load=_nothing), clean=_nothing),
        watch=SimpleNamespace(start=_nothing),
        response=SimpleNamespace(
            evidences=SimpleNamespace(load=_nothing),
            holds=SimpleNamespace(load=_nothing),
            playbooks=SimpleNamespace(load=_nothing, start=lambda: None),
            others=None,
        ),
        path=SimpleNamespace(
            rotations=SimpleNamespace(load=_nothing, start=lambda: None),
            running_logs=SimpleNamespace(start=lambda: None),
        ),
        sandboxes=SimpleNamespace(used=SimpleNamespace(start=lambda: None)),
        health=SimpleNamespace(start=lambda: None),
        audit=SimpleNamespace(start=lambda: None),
    )
    asyncio.run(Gateway.load(gateway))
    assert [fact.risk for fact in told] == ["landlock", "shared-uid"]
    assert all(fact.at > 1_700_000_000 for fact in told)


def test_a_gateway_loads_nothing_that_builds_or_asks_an_index() -> None:
    """It starts faster that way, and parses no answers of an index and no code."""
    code = (
        "import sys, casemate.gateway.process\n"
        "print(sorted({'casemate.build.bundle', 'casemate.package_index', 'casemate.sbom.imports', "
        "'casemate.advisories.importing', 'casemate.advisories.locks', 'http.server'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
