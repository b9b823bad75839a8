"""The same models of objects, tables, queues and inboxes, of a project in a second database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import test_data_machine
import test_data_queue_machine
from data_placed import PlacedData
from data_support import Data
from hypothesis import HealthCheck, settings

from support.database import Server

SERVERS: list[Server] = []
pytestmark = pytest.mark.storm


@pytest.fixture(autouse=True)
def _server(postgresql_server: Server) -> Iterator[None]:
    SERVERS.append(postgresql_server)
    yield
    SERVERS.pop()


def make(folder: Path) -> Data:
    return PlacedData(folder, SERVERS[-1])


class ObjectMachine(test_data_machine.ObjectMachine):
    make = staticmethod(make)


class TableMachine(test_data_machine.TableMachine):
    make = staticmethod(make)


class QueueMachine(test_data_queue_machine.QueueMachine):
    make = staticmethod(make)


@pytest.mark.parametrize("machine", [ObjectMachine, TableMachine, QueueMachine])
def test_a_project_in_a_second_database_behaves_as_the_model(machine) -> None:
    case = machine.TestCase()
    case.settings = settings(
        max_examples=4,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()
