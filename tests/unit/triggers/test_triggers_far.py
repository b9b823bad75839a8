"""The tests of the HTTP server once more, where a worker has its connections."""

from __future__ import annotations

import pytest
import test_triggers_buffers
import test_triggers_driven
import test_triggers_exchange
import test_triggers_fuzz
import test_triggers_malformed
import test_triggers_paced
import test_triggers_refusals
import test_triggers_slow
import test_triggers_streaming
import triggers_server

from support.far_server import FarServer

MODULES = (
    test_triggers_buffers,
    test_triggers_driven,
    test_triggers_exchange,
    test_triggers_fuzz,
    test_triggers_malformed,
    test_triggers_paced,
    test_triggers_refusals,
    test_triggers_slow,
    test_triggers_streaming,
)
OF_ONE_PROCESS = {
    # Of a small body nobody is asked: it is read, and the connection stays.
    "test_a_limit_that_is_none_denies",
    "test_the_limit_may_answer_and_keeps_the_connection_without_a_body",
    # Of what is no request a worker speaks for itself.
    "test_problems_come_from_the_given_function",
    # That nothing more is wanted is told, and the iterator closed soon after.
    "test_without_a_body_the_iterator_is_closed_unread",
    # What a worker has passed on is handled, also if that ends meanwhile.
    "test_close_forgets_a_handler_that_had_not_begun",
    "test_an_address_in_use_is_a_clear_error",
}
"""Tests of what a server does in one process alone."""

for _module in MODULES:
    for _name, _test in vars(_module).items():
        if _name.startswith("test_") and callable(_test) and _name not in OF_ONE_PROCESS:
            globals()[_name] = _test


@pytest.fixture(autouse=True)
def _far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers_server, "kind", FarServer)
