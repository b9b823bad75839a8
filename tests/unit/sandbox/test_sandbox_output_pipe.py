"""What is left in an instance's output when its answer comes."""

from __future__ import annotations

import asyncio
import os
import time

from casemate.sandbox.frames import Output
from casemate.sandbox.output_pipe import OutputPipe
from casemate.sandbox.waking import Waking


def test_the_rest_is_taken_and_nothing_is_no_fault() -> None:
    async def scenario() -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        pipe = OutputPipe(reading, asyncio.get_running_loop(), Waking(lambda: None))
        pipe.output = Output(1000)
        before = time.time()
        pipe.read_rest()
        assert pipe.output.entries == []
        os.write(writing, b"line\n")
        pipe.read_rest()
        [(at, level, data)] = pipe.output.entries
        assert (level, data) == ("stdout", b"line\n")
        assert before <= at <= time.time(), "when it was printed, not when the call began"
        os.close(writing)
        pipe.read_rest()
        pipe.close()

    asyncio.run(scenario())
