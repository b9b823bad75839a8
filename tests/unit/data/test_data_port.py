"""The port of the data is its operations: all of them are performed, and they are values."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from data_support import Data

from casemate.data import ports
from casemate.data.interface import ProjectData
from casemate.data.sqlite import SqliteProjectData
from casemate.operations import (
    delivery,
    inboxes,
    invocations,
    items,
    leases,
    messages,
    objects,
    positions,
    resources,
    samples,
)
from casemate.operations.catalogue import operations_of
from casemate.operations.form import form_of
from casemate.operations.items import GetItem, PutItem
from casemate.operations.objects import GetObject

FOR_SQLITE_ALONE: frozenset[str] = frozenset()

FAMILIES = (resources, objects, items, messages, leases, inboxes, invocations, positions, delivery)
OF_HTTP = {
    objects.GetObject,
    objects.PutObject,
    items.WriteItem,
    messages.SendToQueue,
    messages.PublishToTopic,
    delivery.ShowInvocationStatus,
    delivery.ShowFunctionDeadLetter,
    delivery.ShowQueueDeadLetter,
    delivery.ListDeadLetterPlaces,
    delivery.RedriveFunctionDeadLetters,
    delivery.RedriveQueueDeadLetters,
}
"""What the API makes of other operations, for its streams and for what it leaves out."""
PERFORMED = {**ports.PERFORMED.reads, **ports.PERFORMED.changes}
FORMS = [form_of(kind) for kind in PERFORMED]


def test_every_operation_on_data_is_performed_and_no_other() -> None:
    declared = {kind for family in FAMILIES for kind in operations_of(family)}
    assert set(PERFORMED) == declared - OF_HTTP


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.id)
def test_a_method_takes_what_it_is_found_by(form: Any) -> None:
    method = PERFORMED[form.kind]
    taken = typing.get_type_hints(method)["operation"]
    assert form.kind in (typing.get_args(taken) or (taken,))
    # A method that is overridden would not be the one that is found.
    assert getattr(SqliteProjectData, method.__name__) is method


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.id)
def test_what_crosses_the_port_can_leave_the_process(form: Any) -> None:
    asked = samples.request_of(form)
    sent = msgspec.msgpack.encode(asked)
    assert msgspec.msgpack.decode(sent, type=form.kind) == asked
    answer = samples.answer_of(form)
    if answer is not None:
        answer = msgspec.convert(answer, form.answer)
        told = msgspec.msgpack.encode(answer)
        assert msgspec.msgpack.decode(told, type=form.answer) == answer


def test_nothing_else_is_of_the_port() -> None:
    names = {name for name in vars(ProjectData) if not name.startswith("_")}
    assert names == {"read", "change", "recent", "watch", "faults", "close", "coordination"}
    assert all(callable(getattr(SqliteProjectData, name)) for name in names - {"coordination"})


def test_an_operation_is_refused_by_the_wrong_call_and_nothing_is_done(data: Data) -> None:
    put = PutItem(project="p", table="plain", content=b'{"id": 1}')
    with pytest.raises(TypeError, match="wrong one"):
        data.run(data.port.read(put))
    assert data.query_items("p", "plain").items == ()
    with pytest.raises(TypeError, match="wrong one"):
        data.run(data.port.change(GetItem(project="p", table="plain", key=1)))
    with pytest.raises(TypeError, match="not among"):
        data.run(data.port.read(GetObject(project="p", bucket="files", key="k")))
