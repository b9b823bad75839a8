"""Builds the path of a call, what keeps events, and what brings kept ones to it."""

from __future__ import annotations

import os

from casemate.admission import Admission
from casemate.capabilities import Broker, Operations
from casemate.delivery import Delivery
from casemate.delivery.acceptance import Acceptance
from casemate.delivery.admitted import AdmissionMarks
from casemate.delivery.keepers import Keepers
from casemate.delivery.keeping import Keeping
from casemate.delivery.subscriptions import Subscriptions
from casemate.dispatch import Dispatcher
from casemate.gateway.foundations import Foundations
from casemate.gateway.rotators import Rotators
from casemate.gateway.running_logs import RunningLogs
from casemate.invocation import LoadRefusals, Pipeline
from casemate.rotations import Rotations
from casemate.sandbox.client import SandboxClient


class CallPath:
    """The stages of an invocation, put together, and those who send calls through them."""

    def __init__(self, base: Foundations, client: SandboxClient, url: str) -> None:
        """Have calls run by `client`; `url` is the node's address."""
        self._base = base
        config, happened = base.config, base.facts.happened
        self.dispatcher = Dispatcher(client, resting_memory=config.resting_memory)
        self.subscriptions = Subscriptions(base.data, base.catalogue)
        admission = Admission(
            base.catalogue, base.accounts, base.policy, happened, base.restrictions.blocks
        )
        marks = AdmissionMarks()
        ensure, answerable = self.subscriptions.ensure, base.accounts.answerable
        keeping = Keeping(admission, base.seal, base.data, ensure, marks, answerable, self._trouble)
        broker = Broker(
            policy=base.policy,
            deployed=base.catalogue,
            operations=Operations(base.data, base.vault, url),
            facts=base.facts,
            baselines=base.baselines,
            keep=keeping.keep,
            withholds=base.restrictions.withholds,
            learn=config.learn,
        )
        self.refusals = LoadRefusals(base.seal, base.policy, happened, base.loop)
        pipeline = Pipeline(
            admission,
            self.dispatcher,
            broker,
            base.seal,
            self.refusals,
            base.allowance,
            self._trouble,
            base.recordings.offer,
        )
        self.rotators = Rotators(base.catalogue, pipeline.finish)
        self.rotations = Rotations(
            base.store,
            base.vault,
            base.facts,
            base.recorder.durable,
            self.rotators.ask,
            node=base.nodes.name,
        )
        self.running_logs = RunningLogs(self.dispatcher, base.seal)
        self.acceptance = Acceptance(keeping, base.data, pipeline.finish)
        self.delivery = Delivery(
            base.data,
            base.catalogue,
            pipeline.finish,
            base.loop,
            marks,
            cores=len(os.sched_getaffinity(0)),
            refusal=base.nodes.standing.refusal,
            coordination=base.data.coordination,
            deleting=base.deleting.running,
            refused=Keepers(base.accounts, base.policy, base.catalogue, happened).refusal,
        )
        keeping.hand_to(self.delivery)
        base.nodes.standing.on_rest = self.delivery.rest
        base.nodes.standing.on_return = self.delivery.resume

    def _trouble(self) -> str:
        """Return why nothing can run, for anybody; empty: it can."""
        if self._base.recorder.trouble():
            return "Nothing can be recorded now."  # why is for the operator: the node's health
        return self._base.nodes.standing.stale()
