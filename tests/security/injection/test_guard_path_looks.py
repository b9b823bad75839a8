"""Paths that are only looked at, and files that libraries open in C."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("apsw", "duckdb", "lxml.etree", "numpy", "pandas")

HEAD = (
    "import os, shutil\n"
    "from pathlib import Path\n"
    "import tempfile\n"
    "BASE=tempfile.mkdtemp()\n"
    "open(BASE+'/a.txt','w').write('x')\n"
    "def handler(event, context):\n"
    "    "
)

VULNERABLE: Cases = {
    "in a thread": (
        "import asyncio, os\nasync def go(f): return await asyncio.to_thread(os.path.exists, '/srv/d/'+f)\ndef handler(event, context):\n    return asyncio.run(go(event['f']))",
        {"f": "../../etc/passwd"},
    ),
    "mapped": (
        "import os\nreturn list(map(os.path.exists, ['/srv/d/'+f for f in event['f']]))",
        {"f": ["../../etc/passwd"]},
    ),
    "exists": (
        HEAD + "return os.path.exists(os.path.join(BASE, event['f']))",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "isfile": (
        HEAD + "return os.path.isfile(f\"{BASE}/{event['f']}\")",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "isdir": (
        HEAD + "return os.path.isdir(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "getsize": (
        HEAD + "return os.path.getsize(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "lexists": (
        HEAD + "return os.path.lexists(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "islink": (
        HEAD + "return os.path.islink(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "stat": (
        HEAD + "return os.stat(BASE+'/'+event['f']).st_size",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "access": (
        HEAD + "return os.access(os.path.join(BASE,event['f']), os.R_OK)",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "P exists": (
        HEAD + "return (Path(BASE)/event['f']).exists()",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "P is_file": (
        HEAD + "return Path(BASE, event['f']).is_file()",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "P is_dir": (
        HEAD + "return Path(BASE).joinpath(event['f']).is_dir()",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "P stat": (
        HEAD + "return Path(BASE).joinpath(event['f']).stat().st_size",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "P is_symlink": (
        HEAD + "return Path(BASE).joinpath(event['f']).is_symlink()",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "whole": (
        HEAD + "return os.path.exists(event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "disk_usage": (
        HEAD + "return shutil.disk_usage(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "readlink": (
        HEAD + "return os.readlink(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "owner": (
        HEAD + "return (Path(BASE)/event['f']).owner()",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "getmtime": (
        HEAD + "return os.path.getmtime(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "getxattr": (
        HEAD + "return os.listxattr(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "mkfifo": (
        HEAD + "return os.mkfifo(BASE+'/'+event['f']+'x')",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "lxml parse": (
        HEAD + "from lxml import etree; return etree.parse(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "lxml iterparse": (
        HEAD + "from lxml import etree; return list(etree.iterparse(BASE+'/'+event['f']))",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "apsw": (
        HEAD + "import apsw; return apsw.Connection(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "duck read": (
        HEAD + "import duckdb; return duckdb.read_csv(BASE+'/'+event['f']).fetchall()",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "duck con read": (
        HEAD + "import duckdb; return duckdb.connect().read_csv(BASE+'/'+event['f']).fetchall()",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "duck connect": (
        HEAD + "import duckdb; return duckdb.connect(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "pandas": (
        HEAD + "import pandas as pd; return pd.read_csv(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "numpy": (
        HEAD + "import numpy as np; return np.fromfile(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
    "numpy mm": (
        HEAD + "import numpy as np; return np.memmap(BASE+'/'+event['f'])",
        {"f": "../../../../../../../../etc/passwd"},
    ),
}

SAFE: Cases = {
    "one leaves, the next one is checked": (
        HEAD + "found = []\n"
        "    for name in event['f']:\n"
        "        p = (Path(BASE) / name).resolve()\n"
        "        if p.is_relative_to(BASE):\n"
        "            found.append(p.is_file())\n"
        "    return found",
        {"f": ["..", "a.txt", "../../etc/passwd", "b.txt"]},
    ),
    "exists": (HEAD + "return os.path.exists(os.path.join(BASE, event['f']))", {"f": "a.txt"}),
    "stat": (HEAD + "return (Path(BASE)/event['f']).stat().st_size", {"f": "a.txt"}),
    "resolved check": (
        HEAD
        + "p=(Path(BASE)/event['f']).resolve()\n    if not p.is_relative_to(BASE): return 404\n    return p.is_file()",
        {"f": "../../../etc/passwd"},
    ),
    "realpath check": (
        HEAD
        + "p=os.path.realpath(os.path.join(BASE, event['f']))\n    if not p.startswith(BASE+'/'): return 404\n    return os.path.exists(p)",
        {"f": "../../../etc/passwd"},
    ),
    "resolved strict": (
        HEAD
        + "p=(Path(BASE)/event['f']).resolve(strict=True)\n    if not p.is_relative_to(BASE): return 404\n    return p.is_file()",
        {"f": "a.txt"},
    ),
    "basename": (
        HEAD + "return os.path.isfile(os.path.join(BASE, os.path.basename(event['f'])))",
        {"f": "../../a.txt"},
    ),
    "exists own": (
        HEAD + "return os.path.exists(BASE), shutil.which('ls'), os.path.exists('/tmp')",
        {"f": "/tmp"},
    ),
    "copy": (
        HEAD
        + "shutil.copy(os.path.join(BASE,event['f']), BASE+'/b.txt'); return shutil.rmtree(BASE)",
        {"f": "a.txt"},
    ),
    "apsw memory": (
        HEAD
        + "import apsw; c=apsw.Connection(':memory:'); return c.execute('select ?',(event['f'],)).fetchall(), isinstance(c, apsw.Connection)",
        {"f": ":memory:"},
    ),
    "duck": (
        HEAD
        + "import duckdb; return duckdb.connect().execute('select ?', [event['f']]).fetchall()",
        {"f": "a"},
    ),
    "lxml file": (
        HEAD
        + "open(BASE+'/a.xml','w').write('<a/>');from lxml import etree; return etree.parse(BASE+'/'+event['f']).getroot().tag",
        {"f": "a.xml"},
    ),
}


def test_attacks_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"path"}, PRELOAD)


def test_harmless_uses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)
