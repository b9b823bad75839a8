"""The thread that redacts answers each that asks, whatever the others ask."""

from __future__ import annotations

import select
import threading
from collections.abc import Sequence

from casemate.model.errors import CasemateError
from casemate.vault.redaction import Redactor
from casemate.vault.redaction_worker import RedactionWorker


class Held(Redactor):
    """Redacts once it may."""

    def __init__(self) -> None:
        super().__init__([("key", b"hunter2hunter2")])
        self.may = threading.Event()

    def redact(self, text: bytes) -> bytes:
        assert self.may.wait(10)
        return super().redact(text)


def answers(held: Held, asked: Sequence[tuple[str, bytes]]) -> list[tuple[bytes, ...]]:
    """Ask all of it while the first is worked on; return what is answered."""
    worker, found = RedactionWorker(), list[tuple[bytes, ...]]()

    def answer(result: tuple[bytes, ...] | CasemateError) -> None:
        assert not isinstance(result, CasemateError)
        found.append(result)

    for project, text in asked:
        worker.submit(project, held, (text,), answer)
    held.may.set()
    while len(found) < len(asked):
        assert select.select([worker.fileno()], [], [], 5)[0], f"{len(found)} of {len(asked)}"
        worker.deliver()
    assert worker._project_bytes == {} and worker._bytes == 0
    return found


def test_texts_without_a_byte_wait_with_others() -> None:
    """A check asks so of each project. Before: that ended the thread, and with it each redaction
    of the node for ever, so that its gateway was started again every half a minute."""
    asked = [("shop", b"a hunter2hunter2"), ("shop", b""), ("shop", b"")]
    asked += [("mail", b""), ("mail", b"x")]
    clean = [(b"a [redacted:key]",), (b"",), (b"",), (b"",), (b"x",)]
    assert sorted(answers(Held(), asked)) == sorted(clean)
    between = [("shop", b""), ("shop", b"x"), ("shop", b"")]
    assert answers(Held(), between) == [(b"",), (b"x",), (b"",)]
