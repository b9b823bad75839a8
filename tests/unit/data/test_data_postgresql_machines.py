"""The same models of objects, tables, queues and inboxes, kept in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import test_data_fencing_machine
import test_data_machine
import test_data_queue_machine
from data_support import Data, shared
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine

from support.database import Server

SERVERS: list[Server] = []


@pytest.fixture(autouse=True)
def _server(postgresql_server: Server) -> Iterator[None]:
    SERVERS.append(postgresql_server)
    yield
    SERVERS.pop()


def make(folder: Path) -> Data:
    return shared(SERVERS[-1], folder)


class ObjectMachine(test_data_machine.ObjectMachine):
    make = staticmethod(make)


class TableMachine(test_data_machine.TableMachine):
    make = staticmethod(make)


class QueueMachine(test_data_queue_machine.QueueMachine):
    make = staticmethod(make)


class InboxMachine(test_data_queue_machine.InboxMachine):
    make = staticmethod(make)


class FencingMachine(test_data_fencing_machine.FencingMachine):
    make = staticmethod(make)


MACHINES = (ObjectMachine, TableMachine, QueueMachine, InboxMachine, FencingMachine)


def run(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    case = machine.TestCase()
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()


@pytest.mark.parametrize("machine", (TableMachine, InboxMachine))
def test_a_few_of_them(machine: type[RuleBasedStateMachine]) -> None:
    run(machine, 1, 25)


@pytest.mark.storm
@pytest.mark.parametrize("machine", MACHINES)
def test_all_of_them(machine: type[RuleBasedStateMachine]) -> None:
    run(machine, 20, 40)
