"""Paths in handlers of every style: data that leaves its folder, and data that does not."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from support.guard_cases import Cases, placed, run

UP = "../../../../../../../../../../etc/hostname"


def _zip(*names: str) -> str:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return base64.b64encode(made.getvalue()).decode()


def _tar(*members: tuple[str, str]) -> str:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, link in members:
            member = tarfile.TarInfo(name)
            if link:
                member.type, member.linkname = tarfile.SYMTYPE, link
                archive.addfile(member)
            else:
                member.size = 1
                archive.addfile(member, io.BytesIO(b"x"))
    return base64.b64encode(made.getvalue()).decode()


def _in_folder(body: str, head: str = "") -> str:
    lines = "\n".join("    " + line for line in body.split("\n"))
    return (
        "import io, os, shutil, glob, json, base64, zipfile, tarfile, re, tempfile\n"
        "from pathlib import Path\nfrom urllib.parse import unquote, unquote_plus, parse_qs\n"
        f"{head}\n"
        "def handler(event, context):\n"
        "  with tempfile.TemporaryDirectory() as BASE:\n"
        "    open(BASE + '/a.txt', 'w').write('content')\n"
        "    os.mkdir(BASE + '/sub'); os.symlink('/etc', BASE + '/link')\n"
        f"{lines}\n"
    )


VULNERABLE: Cases = {
    "open f-string": (_in_folder("return open(f'{BASE}/{event[\"f\"]}').read()"), {"f": UP}),
    "open concatenation": (_in_folder("return open(BASE + '/' + event['f']).read()"), {"f": UP}),
    "open percent": (_in_folder("return open('%s/%s' % (BASE, event['f'])).read()"), {"f": UP}),
    "open format": (_in_folder("return open('{}/{}'.format(BASE, event['f'])).read()"), {"f": UP}),
    "open join": (_in_folder("return open(os.path.join(BASE, event['f'])).read()"), {"f": UP}),
    "open join absolute": (
        _in_folder("return open(os.path.join(BASE, event['f'])).read()"),
        {"f": "/etc/hostname"},
    ),
    "constant folder": ("return open('/srv/files/' + event['f']).read()", {"f": UP}),
    "one step": ("return open('/srv/files/' + event['f']).read()", {"f": "../secret"}),
    "extension added": (
        _in_folder("return open(f'{BASE}/{event[\"f\"]}.txt').read()"),
        {"f": "../secret"},
    ),
    "user folder left": (
        _in_folder('return open(f\'{BASE}/{event["u"]}/files/{event["f"]}\').read()'),
        {"u": "ada", "f": "../../bob/files/x"},
    ),
    "prefix left": (
        _in_folder("return open(f'{BASE}/user-{event[\"u\"]}.json').read()"),
        {"u": "x/../../secret"},
    ),
    "after thousands of joins": (
        _in_folder(
            "name = event['f'].replace(':', '.')\n"
            "for number in range(5000): os.path.join('/usr/share', 'own')\n"
            "return open(os.path.join(BASE, name)).read()"
        ),
        {"f": "::/secret"},
    ),
    "in the middle": (
        _in_folder("return open(f'{BASE}/{event[\"u\"]}/config.json').read()"),
        {"u": ".."},
    ),
    "Path division": (_in_folder("return (Path(BASE) / event['f']).read_text()"), {"f": UP}),
    "Path division absolute": (
        _in_folder("return (Path(BASE) / event['f']).read_text()"),
        {"f": "/etc/hostname"},
    ),
    "Path joinpath": (_in_folder("return Path(BASE).joinpath(event['f']).read_bytes()"), {"f": UP}),
    "Path of parts": (_in_folder("return Path(BASE, 'sub', event['f']).open().read()"), {"f": UP}),
    "Path whole": (
        "from pathlib import Path\nreturn Path(event['f']).read_text()",
        {"f": "/etc/hostname"},
    ),
    "open whole": ("return open(event['f']).read()", {"f": "/etc/hostname"}),
    "open whole relative": ("return open(event['f']).read()", {"f": UP}),
    "resolved, unchecked": (
        _in_folder("return (Path(BASE) / event['f']).resolve().read_text()"),
        {"f": UP},
    ),
    "normpath, unchecked": (
        _in_folder("return open(os.path.normpath(os.path.join(BASE, event['f']))).read()"),
        {"f": UP},
    ),
    "abspath, unchecked": (
        _in_folder("return open(os.path.abspath(BASE + '/' + event['f'])).read()"),
        {"f": UP},
    ),
    "realpath, unchecked": (
        _in_folder("return open(os.path.realpath(f'{BASE}/{event[\"f\"]}')).read()"),
        {"f": UP},
    ),
    "checked before it is resolved": (
        _in_folder(
            "p = os.path.join(BASE, event['f'])\nif not p.startswith(BASE): raise ValueError\nreturn open(p).read()"
        ),
        {"f": UP},
    ),
    "home": ("import os\nreturn open(os.path.expanduser(event['f'])).read()", {"f": "~/.bashrc"}),
    "replaced once": (
        _in_folder("return open(BASE + '/' + event['f'].replace('../', '')).read()"),
        {"f": "....//....//....//....//....//etc/hostname"},
    ),
    "lstrip": (
        _in_folder("return open(BASE + '/' + event['f'].lstrip('/')).read()"),
        {"f": "/" + UP},
    ),
    "symbolic link": (
        _in_folder("return open(os.path.join(BASE, event['f'])).read()"),
        {"f": "link/hostname"},
    ),
    "io.open": (_in_folder("return io.open(BASE + '/' + event['f']).read()"), {"f": UP}),
    "os.open": (
        _in_folder("return os.read(os.open(BASE + '/' + event['f'], os.O_RDONLY), 9)"),
        {"f": UP},
    ),
    "write": (
        _in_folder("open(BASE + '/' + event['f'], 'w').write('x')"),
        {"f": "../../../../tmp/never.txt"},
    ),
    "write_text": (
        _in_folder("(Path(BASE) / event['f']).write_text('x')"),
        {"f": "../../never.txt"},
    ),
    "remove": (_in_folder("os.remove(os.path.join(BASE, event['f']))"), {"f": "../../never/x"}),
    "unlink": (_in_folder("(Path(BASE) / event['f']).unlink()"), {"f": "../../never/x"}),
    "rmtree": (
        _in_folder("shutil.rmtree(os.path.join(BASE, event['f']))"),
        {"f": "../never-there"},
    ),
    "rename": (
        _in_folder("os.rename(BASE + '/a.txt', BASE + '/' + event['f'])"),
        {"f": "../never-there"},
    ),
    "mkdir": (_in_folder("os.makedirs(os.path.join(BASE, event['f']))"), {"f": "../never-there/x"}),
    "listdir": (_in_folder("return os.listdir(os.path.join(BASE, event['f']))"), {"f": "../.."}),
    "scandir": (_in_folder("return list(os.scandir(f'{BASE}/{event[\"f\"]}'))"), {"f": ".."}),
    "walk": (_in_folder("return list(os.walk(event['f']))"), {"f": "/etc/apt"}),
    "iterdir": (
        _in_folder("return [str(p) for p in (Path(BASE) / event['f']).iterdir()]"),
        {"f": "../../etc"},
    ),
    "glob": (
        _in_folder("return glob.glob(os.path.join(BASE, event['f'], '*'))"),
        {"f": "../../etc"},
    ),
    "pathlib glob": (_in_folder("return list(Path(BASE).glob(event['f']))"), {"f": "../../etc/*"}),
    "copy": (_in_folder("shutil.copy(BASE + '/' + event['f'], BASE + '/b')"), {"f": UP}),
    "copy to": (
        _in_folder("shutil.copy(BASE + '/a.txt', BASE + '/' + event['f'])"),
        {"f": "../never.txt"},
    ),
    "chmod": (_in_folder("os.chmod(BASE + '/' + event['f'], 0o777)"), {"f": "../never-there"}),
    "symlink": (_in_folder("os.symlink(event['t'], BASE + '/x')"), {"t": "/etc/shadow"}),
    "sqlite": (
        _in_folder("import sqlite3\nreturn sqlite3.connect(BASE + '/' + event['f'])"),
        {"f": "../never.db"},
    ),
    "zip slip": (
        _in_folder(
            "z = zipfile.ZipFile(io.BytesIO(base64.b64decode(event['z'])))\nfor n in z.namelist():\n    open(os.path.join(BASE, n), 'wb').write(z.read(n))"
        ),
        {"z": _zip("a.txt", "../../never.txt")},
    ),
    "zip slip of info": (
        _in_folder(
            "z = zipfile.ZipFile(io.BytesIO(base64.b64decode(event['z'])))\nfor i in z.infolist():\n    p = Path(BASE) / i.filename\n    p.parent.mkdir(parents=True, exist_ok=True)\n    p.write_bytes(z.read(i))"
        ),
        {"z": _zip("/tmp/never.txt")},
    ),
    "tar slip": (
        _in_folder(
            "tarfile.open(fileobj=io.BytesIO(base64.b64decode(event['z']))).extractall(BASE, filter='fully_trusted')"
        ),
        {"z": _tar(("../never.txt", ""))},
    ),
    "tar link": (
        _in_folder(
            "tarfile.open(fileobj=io.BytesIO(base64.b64decode(event['z']))).extractall(BASE, filter='fully_trusted')"
        ),
        {"z": _tar(("l", "/tmp"), ("l/never.txt", ""))},
    ),
    "tar by hand": (
        _in_folder(
            "t = tarfile.open(fileobj=io.BytesIO(base64.b64decode(event['z'])))\nfor m in t:\n    open(BASE + '/' + m.name, 'wb').write(t.extractfile(m).read())"
        ),
        {"z": _tar(("../../never.txt", ""))},
    ),
    "URL-encoded key": (
        _in_folder(
            "return open(os.path.join(BASE, unquote_plus(event['Records'][0]['s3']['object']['key']))).read()"
        ),
        {"Records": [{"s3": {"object": {"key": quote(UP, safe="")}}}]},
    ),
    "double URL-encoded": (
        _in_folder("return open(BASE + '/' + unquote(unquote(event['f']))).read()"),
        {"f": quote(quote(UP, safe=""), safe="")},
    ),
    "JSON in a string": (
        _in_folder("return open(BASE + '/' + json.loads(event['body'])['f']).read()"),
        {"body": json.dumps({"f": UP})},
    ),
    "base64": (
        _in_folder("return open(BASE + '/' + base64.b64decode(event['f']).decode()).read()"),
        {"f": base64.b64encode(UP.encode()).decode()},
    ),
    "bytes": (
        _in_folder("return open(BASE.encode() + b'/' + base64.b64decode(event['f'])).read()"),
        {"f": base64.b64encode(UP.encode()).decode()},
    ),
    "query string": (
        _in_folder("return open(BASE + '/' + parse_qs(event['q'])['f'][0]).read()"),
        {"q": "f=" + quote(UP, safe="")},
    ),
    "parts": (
        _in_folder("return open(BASE + '/' + event['a'] + event['b']).read()"),
        {"a": "..", "b": "/../etc/hostname"},
    ),
    "list of parts": (
        _in_folder("return open('/'.join([BASE, *event['parts']])).read()"),
        {"parts": ["..", "..", "etc", "hostname"]},
    ),
    "in a class": (
        """
        from pathlib import Path
        class Store:
            def __init__(self, root):
                self.root = Path(root)
            def path(self, name):
                return self.root / "files" / name
            def get(self, name):
                return self.path(name).read_text()
        def handler(event, context):
            return Store("/srv/data").get(event["name"])
        """,
        {"name": "../../../etc/hostname"},
    ),
    "decorated helper": (
        """
        import functools, os
        @functools.lru_cache
        def full(name, base="/srv/data"):
            return os.path.join(base, name)
        def handler(event, context):
            with open(full(event["name"])) as f:
                return f.read()
        """,
        {"name": "../../etc/hostname"},
    ),
    "more: pathlib Path whole tail": (
        "from pathlib import Path\nD=Path('/var/data')\nreturn D.joinpath('x', event['a'], event['b']).read_text()",
        {"a": "..", "b": "../../../../../../etc/hostname"},
    ),
    "more: os.sep join": (
        "import os\nreturn open(os.sep.join(['/var/data',event['a']])).read()",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: gzip open": (
        "import gzip\nreturn gzip.open('/var/data/'+event['a']).read()",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: codecs open": (
        "import codecs\nreturn codecs.open('/var/data/'+event['a'],'r','utf8').read()",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: csv via pandas": (
        "import pandas\nreturn pandas.read_csv('/var/data/'+event['a'])",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: np.load path": (
        "import numpy\nreturn numpy.fromfile('/var/data/'+event['a'])",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: config": (
        "import configparser\nc=configparser.ConfigParser()\nc.read('/var/data/'+event['a'])\nreturn c.sections()",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: urlopen file": (
        "import shutil\nreturn shutil.copyfile('/var/data/'+event['a'],'/tmp/q')",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: zipfile path": (
        "import zipfile\nreturn zipfile.ZipFile('/var/data/'+event['a']).namelist()",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: fileinput": (
        "import fileinput\nreturn list(fileinput.input('/var/data/'+event['a']))",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: strip ext check": (
        "f=event['a']\nif not f.endswith('.txt'): f += '.txt'\nreturn open('/var/data/'+f).read()",
        {"a": "../../etc/x"},
    ),
    "more: startswith flawed": (
        "import os\np=os.path.abspath(os.path.join('/var/data',event['a']))\nif not p.startswith('/var/data'): raise ValueError\nreturn open(p).read()",
        {"a": "../data-secret/x"},
    ),
    "more: path in json body whole": (
        "import json\nwith open(json.loads(event['body'])['path']) as f:\n    return f.read()",
        {"body": '{"path": "/etc/hostname"}'},
    ),
    "more: path from headers": (
        "return open('/var/data/' + event['headers']['x-file']).read()",
        {"headers": {"x-file": "../../../../../../etc/hostname"}},
    ),
    "more: template name": (
        "import os\nT='/var/templates'\nreturn open(os.path.join(T, event['lang'] + '.html')).read()",
        {"lang": "../../etc/passwd"},
    ),
    "more: mixed sep": (
        "return open('/var/data/' + event['a'].replace('\\\\', '/')).read()",
        {"a": "..\\..\\etc\\hostname"},
    ),
    "more: double dots stripped": (
        "return open('/var/data/' + event['a'].replace('\\\\', '/')).read()",
        {"a": "..\\..\\etc\\hostname"},
    ),
    "more: Path exp": (
        "from pathlib import Path\nreturn Path(event['a']).expanduser().read_text()",
        {"a": "~/secret"},
    ),
    "more: with os.fdopen": (
        "import os\nwith os.fdopen(os.open(os.path.join('/var/data',event['a']),os.O_RDONLY)) as f:\n    return f.read()",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: removedirs": ("import os\nos.removedirs('/var/data/'+event['a'])", {"a": "../never"}),
    "more: tmp from event name": (
        "import tempfile\nreturn tempfile.NamedTemporaryFile(dir='/tmp', prefix=event['a'])",
        {"a": "../../never/x"},
    ),
    "more: logging file": (
        "import logging\nlogging.FileHandler('/var/log/app/'+event['a']+'.log')",
        {"a": "../../../tmp/never2"},
    ),
    "more: os.path.join multi": (
        "import os\nreturn os.listdir(os.path.join('/srv','tenants',event['t'],'files'))",
        {"t": "../../../etc"},
    ),
    "more: pathlib rel parent": (
        "from pathlib import Path\nreturn (Path('/srv') / event['t'] / 'config.json').read_text()",
        {"t": "../etc"},
    ),
    "more: path str()": (
        "from pathlib import Path\nreturn open(str(Path('/srv/data') / event['f'])).read()",
        {"f": "../../../../../../etc/hostname"},
    ),
    "more: path fstring Path": (
        "from pathlib import Path\nB=Path('/srv/data')\nreturn open(f\"{B}/{event['f']}\").read()",
        {"f": "../../../../../../etc/hostname"},
    ),
    "more: path PurePosixPath": (
        "from pathlib import PurePosixPath\nreturn open(PurePosixPath('/srv/data') / event['f']).read()",
        {"f": "../../../../../../etc/hostname"},
    ),
    "more: path as_posix": (
        "from pathlib import Path\nreturn open((Path('/srv/data') / event['f']).as_posix()).read()",
        {"f": "../../../../../../etc/hostname"},
    ),
    "more: path relpath": (
        "import os\nreturn open(os.path.relpath(os.path.join('/srv/data',event['f']),'/')).read()",
        {"f": "../../../../../../etc/hostname"},
    ),
    "more: path unquote twice join": (
        "import os\nfrom urllib.parse import unquote\nreturn open(os.path.join('/srv/data',unquote(unquote(event['f'])))).read()",
        {"f": "%252e%252e%252f%252e%252e%252fetc%252fhostname"},
    ),
    "more: path overlong sanit": (
        "f=event['f']\nwhile f.startswith('../'):\n    f=f[3:]\nreturn open('/srv/data/'+f).read()",
        {"f": "a/../../../etc/hostname"},
    ),
    "more: path rstrip": (
        "return open('/srv/data/'+event['f'].rstrip('/')).read()",
        {"f": "../../../../../../etc/hostname/"},
    ),
    "more: path lru": (
        "import os\nreturn os.stat and open(os.path.join('/srv/data', event['dir'], event['f'])).read()",
        {"dir": "..", "f": "../etc/hostname"},
    ),
    "more: path shutil tree": (
        "import shutil\nshutil.copytree('/srv/data/'+event['t'],'/tmp/out')",
        {"t": "../../etc"},
    ),
    "more: tar add": (
        "import tarfile\nwith tarfile.open('/tmp/o.tar','w') as t:\n    t.add('/etc/../srv/'+event['f'])",
        {"f": "../../etc/hostname"},
    ),
    "more: zip write": (
        "import zipfile\nwith zipfile.ZipFile('/tmp/o.zip','w') as z:\n    z.write('/srv/'+event['f'])",
        {"f": "../etc/hostname"},
    ),
    "more: np save": (
        "import numpy\nnumpy.save('/srv/out/'+event['f'],[1])",
        {"f": "../../tmp/never3"},
    ),
}

BENIGN: Cases = {
    "plain name": (_in_folder("return open(f'{BASE}/{event[\"f\"]}').read()"), {"f": "a.txt"}),
    "plain join": (
        _in_folder("return open(os.path.join(BASE, event['f'])).read()"),
        {"f": "a.txt"},
    ),
    "plain Path": (_in_folder("return (Path(BASE) / event['f']).read_text()"), {"f": "a.txt"}),
    "stays inside": (
        _in_folder("return open(f'{BASE}/{event[\"f\"]}').read()"),
        {"f": "sub/../a.txt"},
    ),
    "dots in a name": (
        _in_folder("open(f'{BASE}/{event[\"f\"]}', 'w').write('')"),
        {"f": "report..2024...txt"},
    ),
    "basename": (
        _in_folder("return open(os.path.join(BASE, os.path.basename(event['f']))).read()"),
        {"f": "../../etc/a.txt"},
    ),
    "Path.name": (
        _in_folder("return (Path(BASE) / Path(event['f']).name).read_text()"),
        {"f": "/etc/a.txt"},
    ),
    "resolved and checked": (
        _in_folder(
            "root = Path(BASE).resolve()\np = (root / event['f']).resolve()\nif not p.is_relative_to(root): raise ValueError\nreturn p.read_text()"
        ),
        {"f": "sub/../a.txt"},
    ),
    "relative_to": (
        _in_folder(
            "p = (Path(BASE) / event['f']).resolve()\np.relative_to(Path(BASE).resolve())\nreturn p.read_text()"
        ),
        {"f": "./sub/../a.txt"},
    ),
    "realpath and startswith": (
        _in_folder(
            "p = os.path.realpath(os.path.join(BASE, event['f']))\nif not p.startswith(os.path.realpath(BASE) + os.sep): raise ValueError\nreturn open(p).read()"
        ),
        {"f": "a.txt"},
    ),
    "commonpath": (
        _in_folder(
            "p = os.path.abspath(os.path.join(BASE, event['f']))\nif os.path.commonpath([BASE, p]) != BASE: raise ValueError\nreturn open(p).read()"
        ),
        {"f": "sub/../a.txt"},
    ),
    "parents": (
        _in_folder(
            "p = (Path(BASE) / event['f']).resolve()\nif Path(BASE).resolve() not in p.parents: raise ValueError\nreturn p.read_text()"
        ),
        {"f": "a.txt"},
    ),
    "refused by the code": (
        _in_folder(
            "root = Path(BASE).resolve()\np = (root / event['f']).resolve()\nif not p.is_relative_to(root): return 'refused'\nreturn p.read_text()"
        ),
        {"f": UP},
    ),
    "refused by a pattern": (
        _in_folder(
            "if not re.fullmatch(r'[\\w-]+\\.txt', event['f']): return 'refused'\nreturn open(BASE + '/' + event['f']).read()"
        ),
        {"f": UP},
    ),
    "matched": (
        _in_folder(
            "if not re.fullmatch(r'\\w+\\.txt', event['f']): return 'refused'\nreturn open(BASE + '/' + event['f']).read()"
        ),
        {"f": "a.txt"},
    ),
    "allow-list": (
        _in_folder("FILES = {'hosts': '/etc/hosts'}\nreturn open(FILES[event['f']]).read()"),
        {"f": "hosts"},
    ),
    "checked whole path": (
        _in_folder(
            "if event['f'] not in ('/etc/hosts', '/etc/hostname'): raise ValueError\nreturn open(event['f']).read()"
        ),
        {"f": "/etc/hosts"},
    ),
    "absolute, checked": (
        _in_folder(
            "p = os.path.realpath(event['f'])\nif not p.startswith('/etc/'): raise ValueError\nreturn open(p).read()"
        ),
        {"f": "/etc/hosts"},
    ),
    "absolute, relative checked": (
        "from pathlib import Path\nROOT = Path('/usr/share')\np = Path(event['f']).resolve()\nif not p.is_relative_to(ROOT): raise ValueError\nreturn len(list(p.iterdir()))",
        {"f": "/usr/share/doc"},
    ),
    "nothing of the event": (_in_folder("return open(BASE + '/a.txt').read()"), {"f": UP}),
    "temporary file": (
        "import tempfile\nwith tempfile.NamedTemporaryFile() as f:\n    f.write(event['t'].encode())\n    f.flush()\n    return open(f.name).read()",
        {"t": UP, "d": "/tmp"},
    ),
    "temporary prefix": (
        "import os, tempfile\nfd, p = tempfile.mkstemp(prefix=event['p'])\nos.close(fd)\nos.remove(p)\nreturn 1",
        {"p": "report-"},
    ),
    "suffix": (
        _in_folder("return open(os.path.join(BASE, event['f'] + '.txt')).read()"),
        {"f": "a"},
    ),
    "key to folders": (
        _in_folder(
            "p = os.path.join(BASE, unquote_plus(event['k']))\nos.makedirs(os.path.dirname(p), exist_ok=True)\nopen(p, 'w').write('')\nreturn os.listdir(BASE)"
        ),
        {"k": "in/2024%2F01/a+b.csv"},
    ),
    "sanitised": (
        _in_folder("n = re.sub(r'[^\\w.-]', '_', event['f'])\nopen(BASE + '/' + n, 'w').write('')"),
        {"f": UP},
    ),
    "replaced": (
        _in_folder(
            "n = event['f'].replace('/', '_').replace('..', '_')\nopen(BASE + '/' + n, 'w').write('')"
        ),
        {"f": UP},
    ),
    "split": (
        _in_folder("n = event['f'].split('/')[-1]\nreturn open(BASE + '/' + n).read()"),
        {"f": "../../a.txt"},
    ),
    "zip": (
        _in_folder(
            "z = zipfile.ZipFile(io.BytesIO(base64.b64decode(event['z'])))\nz.extractall(BASE)\nreturn sorted(os.listdir(BASE))"
        ),
        {"z": _zip("n.txt", "dir/b.txt")},
    ),
    "zip by hand": (
        _in_folder(
            "z = zipfile.ZipFile(io.BytesIO(base64.b64decode(event['z'])))\nfor n in z.namelist():\n    open(os.path.join(BASE, n), 'wb').write(z.read(n))"
        ),
        {"z": _zip("n.txt", "sub/b.txt")},
    ),
    "zip that cleans itself": (
        _in_folder(
            "zipfile.ZipFile(io.BytesIO(base64.b64decode(event['z']))).extractall(BASE)\nreturn sorted(os.listdir(BASE))"
        ),
        {"z": _zip("../../n.txt")},
    ),
    "tar": (
        _in_folder(
            "tarfile.open(fileobj=io.BytesIO(base64.b64decode(event['z']))).extractall(BASE)\nreturn sorted(os.listdir(BASE))"
        ),
        {"z": _tar(("n.txt", ""), ("d/m.txt", ""), ("l", "n.txt"))},
    ),
    "tar filter": (
        _in_folder(
            "try:\n    tarfile.open(fileobj=io.BytesIO(base64.b64decode(event['z']))).extractall(BASE, filter='data')\nexcept tarfile.FilterError:\n    return 'refused'"
        ),
        {"z": _tar(("../never.txt", ""))},
    ),
    "archives made": (
        _in_folder(
            "with zipfile.ZipFile(BASE + '/o.zip', 'w') as z:\n    z.writestr(event['f'], event['t'])\nreturn 1"
        ),
        {"f": "x/y.txt", "t": UP},
    ),
    "number": (_in_folder("open(f'{BASE}/{event[\"id\"]}.json', 'w').write('{}')"), {"id": 12345}),
    "user and file": (
        _in_folder(
            "p = Path(BASE) / event['u'] / 'files'\np.mkdir(parents=True)\n(p / event['f']).write_text('x')\nreturn (p / event['f']).read_text()"
        ),
        {"u": "ada", "f": "notes.txt"},
    ),
    "glob": (_in_folder("return glob.glob(os.path.join(BASE, event['p']))"), {"p": "*.txt"}),
    "pathlib glob": (
        _in_folder("return [p.name for p in Path(BASE).glob(event['p'])]"),
        {"p": "*.txt"},
    ),
    "library reads": (
        "import zoneinfo\nreturn str(zoneinfo.ZoneInfo(event['tz']))",
        {"tz": "Europe/Berlin"},
    ),
    "late import": (
        "import colorsys\nimport xml.dom.minidom\nreturn colorsys.rgb_to_hsv(0, 0, 0)",
        {"module": "colorsys", "path": "/usr/lib/python3"},
    ),
    "exists": ("import os\nreturn os.path.exists('/srv/' + event['f'])", {"f": "a"}),
    "StringIO": ("import io\nreturn io.StringIO(event['f']).read()", {"f": UP}),
    "own code's folder": (
        "import os\nHERE = os.path.dirname(__file__)\nreturn len(open(os.path.join(HERE, event['f'])).read())",
        {"f": "app.py"},
    ),
    "more: startswith correct": (
        "import os\nR='/usr/share'\np=os.path.realpath(os.path.join(R,event['a']))\nif os.path.commonpath([R,p])!=R: raise ValueError\nreturn len(os.listdir(p))",
        {"a": "doc"},
    ),
    "more: absolute inside": (
        "import os\nR='/usr/share'\np=os.path.realpath(os.path.join(R,event['a']))\nif not p.startswith(R + os.sep): raise ValueError\nreturn len(os.listdir(p))",
        {"a": "/usr/share/doc"},
    ),
    "more: secure_filename": (
        "import re,os\ndef secure_filename(n):\n    n=re.sub(r'[^A-Za-z0-9_.-]','',n.replace('/',' '))\n    return n.strip('._')\nopen('/tmp/'+secure_filename(event['a']),'w').close()\nreturn 1",
        {"a": "../../../../../../etc/hostname"},
    ),
    "more: tmp download": (
        "import os\nkey=event['k']\nlocal='/tmp/'+key.replace('/','-')\nopen(local,'w').write('x')\nreturn open(local).read()",
        {"k": "in/a/b.csv"},
    ),
    "more: tmp basename": (
        "import os\np=os.path.join('/tmp/',os.path.basename(event['k']))\nopen(p,'w').write('x')\nos.remove(p)",
        {"k": "in/a/../b.csv"},
    ),
    "more: key dirs tmp": (
        "import pathlib\np=pathlib.Path('/tmp/in')/event['k']\np.parent.mkdir(parents=True,exist_ok=True)\np.write_text('x')\nreturn p.read_text()",
        {"k": "in/a/b.csv"},
    ),
    "more: uuid file": (
        "import uuid,os\np=f'/tmp/{uuid.uuid4()}'\nopen(p,'w').write(event['d'])\nos.remove(p)",
        {"d": "../../etc"},
    ),
    "more: date path": (
        "import os,datetime\nd=datetime.date.fromisoformat(event['d'])\nos.makedirs(f'/tmp/guard-/{d:%Y/%m}',exist_ok=True)",
        {"d": "2024-05-06"},
    ),
    "more: lang file": (
        "import json,os\nL={'en','de'}\nlang=event['l'] if event['l'] in L else 'en'\np=f'/tmp/{lang}.json'\nopen(p,'w').write('{}')\nreturn json.load(open(p))",
        {"l": "../../../../../../etc/hostname"},
    ),
    "more: zoneinfo": (
        "import zoneinfo\ntry:\n    return str(zoneinfo.ZoneInfo(event['tz']))\nexcept (ValueError,KeyError):\n    return 'bad'",
        {"tz": "../../etc/passwd"},
    ),
    "more: mimetypes": (
        "import mimetypes\nreturn mimetypes.guess_type(event['n'])",
        {"n": "/etc/a.txt"},
    ),
    "more: safe join function": (
        "import os\ndef safe_join(base,*p):\n    f=os.path.normpath(os.path.join(base,*p))\n    if f != base and not f.startswith(base+'/'): raise PermissionError\n    return f\ntry:\n    return open(safe_join('/srv/x',event['p'])).read()\nexcept PermissionError:\n    return 'no'\nexcept FileNotFoundError:\n    return 'nf'",
        {"p": "../../../../../../etc/hostname"},
    ),
    "more: safe join inside": (
        "import os\ndef safe_join(base,*p):\n    f=os.path.normpath(os.path.join(base,*p))\n    if f != base and not f.startswith(base+'/'): raise PermissionError\n    return f\ntry:\n    return open(safe_join('/srv/x',event['p'])).read()\nexcept FileNotFoundError:\n    return 'nf'",
        {"p": "a/../b.txt"},
    ),
    "more: dotdot refused": (
        "if '..' in event['p'] or event['p'].startswith('/'): return 'no'\ntry:\n    return open('/srv/x/'+event['p']).read()\nexcept FileNotFoundError:\n    return 'nf'",
        {"p": "a/b.txt"},
    ),
    "more: mkdtemp event prefix": (
        "import tempfile,shutil\nd=tempfile.mkdtemp(prefix=event['p'])\nshutil.rmtree(d)",
        {"p": "job-"},
    ),
    "more: sqlite in tmp": (
        "import sqlite3,os\np=os.path.join('/tmp/',f\"{event['t']}.db\")\nc=sqlite3.connect(p)\nc.close()\nos.remove(p)",
        {"t": "tenant1"},
    ),
    "more: path allow dict": (
        "F={'terms':'/usr/share/doc/x','etc':'/etc/hostname'}\nreturn open(F[event['f']]).read()",
        {"f": "etc"},
    ),
    "more: path suffix check": (
        "from pathlib import Path\nB=Path('/tmp/guard-up')\nB.mkdir(exist_ok=True)\nn=Path(event['f']).name\nif Path(n).suffix not in {'.png','.txt'}: raise ValueError\n(B/n).write_text('x')\nreturn (B/n).read_text()",
        {"f": "../../x/a.txt"},
    ),
    "more: path resolve strict relative": (
        "from pathlib import Path\nB=Path('/usr/share').resolve()\np=(B/event['f']).resolve()\ntry:\n    p.relative_to(B)\nexcept ValueError:\n    return 'no'\nreturn p.is_dir()",
        {"f": "../../etc"},
    ),
    "more: path commonprefix dirs": (
        "import os\nB='/usr/share'\np=os.path.realpath(os.path.join(B,event['f']))\nif os.path.commonprefix([p,B+'/'])!=B+'/': return 'no'\nreturn os.listdir(p)[:1]",
        {"f": "doc/../doc"},
    ),
    "more: is_relative in helper": (
        "from pathlib import Path\nclass S:\n    def __init__(self,r): self.r=Path(r).resolve()\n    def p(self,n):\n        c=(self.r/n).resolve()\n        if self.r != c and self.r not in c.parents: raise PermissionError\n        return c\nreturn len(list(S('/usr/share').p(event['n']).iterdir()))",
        {"n": "doc"},
    ),
    "more: abs event inside allowed dir via parents": (
        "from pathlib import Path\nB=Path('/usr/share')\np=Path(event['n']).resolve()\nif B not in p.parents: raise PermissionError\nreturn len(list(p.iterdir()))",
        {"n": "/usr/share/doc"},
    ),
    "more: os.walk const": (
        "import os\nreturn sum(len(f) for _,_,f in os.walk('/usr/share/doc/bash'))",
        {"n": "/usr/share/doc"},
    ),
    "more: s3 key download extract": (
        "import os,zipfile,io\nkey=event['Records'][0]['s3']['object']['key']\np='/tmp/'+os.path.basename(key)\nwith zipfile.ZipFile(p,'w') as z: z.writestr('a/b.txt','x')\nwith zipfile.ZipFile(p) as z: z.extractall('/tmp/guard-x')\nreturn open('/tmp/guard-x/a/b.txt').read()",
        {"Records": [{"s3": {"object": {"key": "in/a.zip"}}}]},
    ),
    "more: tar safe members": (
        "import tarfile,io,os\nb=io.BytesIO()\nt=tarfile.open(fileobj=b,mode='w')\ni=tarfile.TarInfo('d/x.txt');i.size=1\nt.addfile(i,io.BytesIO(b'x'));t.close();b.seek(0)\nos.makedirs('/tmp/guard-t',exist_ok=True)\nroot=os.path.realpath('/tmp/guard-t')\nwith tarfile.open(fileobj=b) as t:\n    for m in t.getmembers():\n        if not os.path.realpath(os.path.join(root,m.name)).startswith(root+os.sep): raise ValueError\n    t.extractall(root)\nreturn os.listdir(root)",
        {"n": "d"},
    ),
}


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def test_data_that_leaves_its_folder_is_stopped(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(VULNERABLE, tmp_path))
    missed = {n: a.result + a.trace for n, a in answers.items() if a.outcome != "blocked"}
    assert not missed
    for name, answer in answers.items():
        assert answer.records[0]["sink"] == "path", f"{name}: {answer}"
        assert answer.records[0]["fix"], name
        assert "could not be checked" not in str(answer.records), name


def test_data_that_stays_in_its_folder_passes(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(BENIGN, tmp_path))
    wrong = {
        n: (a.result, a.records, a.trace)
        for n, a in answers.items()
        if a.outcome != "ok" or a.records
    }
    assert not wrong


def test_nothing_was_written_outside(tmp_path: Path) -> None:
    run(tmp_path, placed(VULNERABLE, tmp_path))
    assert not Path("/tmp/never.txt").exists()
    assert not Path("/never.txt").exists()


def test_a_file_of_the_functions_own_code_is_not_chosen(tmp_path: Path) -> None:
    code = "import os\nos.chdir(os.path.dirname(__file__))\nreturn open(event['f']).read()"
    answer = run(tmp_path, {"case": (code, {"f": "app.py"})})["case"]
    assert answer.outcome == "blocked"
