"""When a process looks for garbage, and gives memory back."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, time
from casemate.child.collecting import YOUNG_OBJECTS, spare_collections
kept = [[n] for n in range(200_000)]
spare_collections()
assert gc.get_freeze_count() > 200_000
runs = []
gc.callbacks.append(lambda phase, _: runs.append(phase))
rows = [[n] for n in range(YOUNG_OBJECTS - 1000)]  # what waits to be on record
assert not runs, runs
for n in range(2 * YOUNG_OBJECTS):
    cycle = []
    cycle.append(cycle)
assert runs and sum(type(one) is list for one in gc.get_objects()) < 3 * YOUNG_OBJECTS
"""


def test_what_is_loaded_is_not_looked_through_and_garbage_goes_all_the_same() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=50)


LOADED = """
import gc
from casemate.child.collecting import YOUNG_OBJECTS, collect_later, keep_loaded
collect_later()
runs = []
gc.callbacks.append(lambda phase, _: runs.append(phase))
kept = [[n] for n in range(200_000)]
assert not runs, runs
keep_loaded()
assert gc.get_freeze_count() > 200_000 and gc.get_threshold()[0] == YOUNG_OBJECTS
more = [[n] for n in range(2 * YOUNG_OBJECTS)]
assert runs
"""


def test_no_garbage_is_looked_for_until_all_is_loaded() -> None:
    subprocess.run([sys.executable, "-c", LOADED], check=True, timeout=50)


FREEING = """
from casemate.child.collecting import give_back
def held():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))
pieces = [bytes(bytearray(4096)) for _ in range(8000)]
last = bytes(bytearray(4096))  # so that what is freed is not the end of the memory
full = held()
del pieces
before = held()
give_back()
assert full - before < 8_000 and full - held() > 24_000, (full, before, held())
"""


def test_what_is_freed_between_is_given_back() -> None:
    subprocess.run([sys.executable, "-c", FREEING], check=True, timeout=50)
