"""Measure what importing a standard library module costs, and write it as CSV.

`python data/measure_imports.py python3.11 python3.13 > data/stdlib-imports.csv`

For Linux with pages of 4 KiB. Each import happens in a fresh interpreter. A module that a Python
version no longer has leaves its measurements empty.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import UTC, datetime

ROUNDS = 3
MODULES_TEXT = (
    "argparse ast asyncio base64 bisect calendar cgi collections concurrent.futures configparser "
    "contextlib csv ctypes dataclasses datetime decimal difflib email.message enum fractions "
    "functools gzip hashlib heapq hmac html.parser http.client http.server importlib.metadata "
    "inspect io ipaddress itertools json logging lzma math mimetypes multiprocessing numbers "
    "operator pathlib pickle platform pprint queue random re secrets selectors shelve shutil "
    "smtplib socket sqlite3 ssl statistics string struct subprocess tarfile telnetlib tempfile "
    "textwrap threading time tomllib traceback typing unicodedata unittest urllib.parse "
    "urllib.request uuid venv weakref xml.etree.ElementTree zipfile zoneinfo"
)
COLUMNS = "measured_at,python,module,round,milliseconds,modules_loaded,memory_kib"
CHILD = """
import importlib, sys, time
def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4
before = len(sys.modules), resident()
start = time.perf_counter()
try:
    importlib.import_module(sys.argv[1])
except ModuleNotFoundError:
    print(",,")
else:
    spent = (time.perf_counter() - start) * 1000
    print(f"{spent:.3f},{len(sys.modules) - before[0]},{resident() - before[1]}")
"""
"""Names nothing but what the interpreter has loaded anyway, so that nothing is paid in advance."""


def main(interpreters: list[str]) -> None:
    """Write one row for every module, interpreter and round."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS.split(","))
    for interpreter in interpreters:
        version = _run(interpreter, "import platform; print(platform.python_version())")
        for number in range(1, ROUNDS + 1):
            for module in MODULES_TEXT.split():
                now = datetime.now(UTC).isoformat(timespec="seconds")
                measured = _run(interpreter, CHILD, module).split(",")
                out.writerow([now, version, module, number, *measured])


def _run(interpreter: str, code: str, *arguments: str) -> str:
    command = [interpreter, "-I", "-W", "ignore", "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:] or [sys.executable])
