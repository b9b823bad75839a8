"""Processes that the code starts by multiprocessing have the guard, whatever the interpreter does."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_passes, run

METHOD = """
def handler(event, context):
    import multiprocessing
    return multiprocessing.get_start_method()
"""
OWN = METHOD.replace("    return", "    multiprocessing.set_start_method(event['way'])\n    return")
POOL = """
import multiprocessing, sqlite3
def look(name):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (name)")
    return db.execute(f"SELECT name FROM t WHERE name = '{name}'").fetchall()
def handler(event, context):
    with multiprocessing.Pool(1) as pool:
        return pool.map(look, event["names"])
"""


def test_processes_are_forked_unless_the_code_says_otherwise(tmp_path: Path) -> None:
    """From Python 3.14 on another interpreter would be executed."""
    cases: Cases = {"default": (METHOD, {}), "own": (OWN, {"way": "spawn"})}
    answers = run(tmp_path, cases)
    assert {n: a.result for n, a in answers.items()} == {"default": "'fork'", "own": "'spawn'"}


def test_a_pool_works(tmp_path: Path) -> None:
    """What it is stopped by: tests/acceptance/test_guard_waits.py."""
    assert_passes(tmp_path, {"names": (POOL, {"names": ["Ada", "Ann"]})}, ("sqlite3",))
