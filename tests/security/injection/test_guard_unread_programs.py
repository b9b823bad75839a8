"""What a fourth set of programs showed, whose author had not read the guard: classes, not cases."""

from __future__ import annotations

import itertools
from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

PRELOAD = ("sqlite3", "django.db.models")

_FOLDER = "import os, sqlite3\nfrom pathlib import Path\nos.makedirs('/tmp/in', exist_ok=True)\n"
_NAMED = "os.listdir('/tmp/')\nopen('/tmp/out.txt', 'w').close()\n"
_JOINS = {
    "os.path": "path = os.path.join('/tmp/in', {name})\n",
    "three": "path = os.path.join('/tmp/in', 'a', {name})\n",
    "pathlib": "path = Path('/tmp/in') / {name}\n",
    "joinpath": "path = Path('/tmp/in').joinpath('a', {name})\n",
    "made": "path = Path('/tmp/in', {name})\n",
    "suffix": "path = (Path('/tmp/in') / {name}).with_suffix('.csv')\n",
    "tenant": "path = os.path.join(os.path.abspath('/tmp/in/' + event['t']), {name})\n",
}
_USES = {
    "write": "open(path, 'w').close()",
    "makedirs": "os.makedirs(path, exist_ok=True)",
    "replace": "os.replace('/tmp/out.txt', path)",
}
_DATABASES = {
    "uri": "sqlite3.connect(f\"file:/tmp/in/{event['n']}.db?mode=rwc\", uri=True).close()",
    "uri joined": "sqlite3.connect('file:' + '/tmp/in/' + event['n'] + '?mode=rwc', uri=True).close()",
    "attach": "sqlite3.connect(':memory:').execute(f\"ATTACH '/tmp/in/{event['n']}.db' AS t\")",
    "attach value": (
        "sqlite3.connect(':memory:').execute('ATTACH ? AS t', (f\"/tmp/in/{event['n']}.db\",))"
    ),
    "attach named": (
        "sqlite3.connect(':memory:').execute('ATTACH :f AS t', {'f': f\"/tmp/in/{event['n']}.db\"})"
    ),
    "vacuum": "sqlite3.connect(':memory:').execute(f\"VACUUM INTO '/tmp/in/{event['n']}'\")",
}
_OUT, _ENCODED = "../x", "%2e%2e/x"
_BODY = "import json, sqlite3\nbody = json.loads(event['body'])\n"

DJANGO = """
import django
from django.conf import settings
if not settings.configured:
    settings.configure(DATABASES={'default':{'ENGINE':'django.db.backends.sqlite3','NAME':':memory:'}}, INSTALLED_APPS=[])
    django.setup()
from django.db import connection, models
from django.db.models import Q
class Sale(models.Model):
    region = models.CharField(max_length=9)
    sold = models.IntegerField(default=1)
    token = models.CharField(max_length=9, default='t')
    class Meta:
        app_label = 'sales'
with connection.schema_editor() as editor:
    editor.create_model(Sale)
def handler(event, context):
    found = Sale.objects.all()
    return """

VULNERABLE: Cases = {
    **{
        f"{join} {use}": (
            _FOLDER + _NAMED + code.format(name="event['n']") + _USES[use],
            {"n": "/tmp/other", "t": "ada"},
        )
        for (join, code), use in itertools.product(_JOINS.items(), _USES)
    },
    **{name: (_FOLDER + code, {"n": _OUT}) for name, code in _DATABASES.items()},
    "uri encoded": (_FOLDER + _DATABASES["uri"], {"n": _ENCODED}),
    "uri query": (_FOLDER + _DATABASES["uri"], {"n": "x?mode=memory&y="}),
    "uri fragment": (_FOLDER + _DATABASES["uri joined"], {"n": "x#"}),
    "dj written": (
        DJANGO + "found.filter(**event['f']).order_by('id').update(sold=2)",
        {"f": {"region": "eu"}},
    ),
    "dj removed": (DJANGO + "found.filter(Q(**event['f'])).delete()", {"f": {"sold__gte": 1}}),
    "dj hidden": (DJANGO + "list(found.filter(**event['f']))", {"f": {"token__startswith": "t"}}),
    "dj pattern": (DJANGO + "list(found.filter(**event['f']))", {"f": {"region__regex": "(a+)+"}}),
    "dj option": (DJANGO + "list(found.filter(Q(**event['f'])))", {"f": {"_connector": "OR"}}),
    "a formula that reaches attributes": (
        "return str(eval(event['f'], {'__builtins__': {}}, {'price': 2}))",
        {"f": "price.__class__"},
    ),
    "a formula that the code begins": (
        "return eval('price * ' + event['f'], {'__builtins__': {}}, {'price': 2})",
        {"f": "0 or 7"},
    ),
    "own beside the event's": (
        "import sqlite3\nt = 'People'.lower() + event['n']\n"
        "sqlite3.connect(':memory:').execute('CREATE TABLE ' + t + ' (a)')",
        {"n": "(b); --"},
    ),
    "own that the event replaces": (
        "import sqlite3\nt = 'a{}'.lower().format(event['n']).strip()\n"
        "sqlite3.connect(':memory:').execute('SELECT ' + t)",
        {"n": " UNION SELECT 1"},
    ),
}

SAFE: Cases = {
    **{
        f"{join} {use} {value}": (
            _FOLDER + _NAMED + code.format(name="event['n']") + (
                "os.makedirs(os.path.dirname(path), exist_ok=True)\n" + _USES[use]
            ),
            {"n": value, "t": "ada"},
        )
        for (join, code), use, value in itertools.product(
            _JOINS.items(), ("write", "replace"), ("b/c.txt", "..d", "it's (1).txt")
        )
    },
    **{f"{name} {n}": (_FOLDER + code, {"n": value}) for name, code in _DATABASES.items()
       for n, value in enumerate(("bea", "guest-list_2026.v2", "it is"))},
    "uri quoted": (
        _FOLDER + "from urllib.parse import quote\n"
        "sqlite3.connect(f\"file:/tmp/in/{quote(event['n'], safe='')}.db?mode=rwc\", uri=True).close()",
        {"n": "50% off?"},
    ),
    "json names what a library quotes": (
        _BODY + 'c = sqlite3.connect(":memory:")\n'
        "c.execute('CREATE TABLE t (' + ', '.join(map('\"{}\" TEXT'.format, ('title', 'total'))) + ')')\n",
        {"body": '{"order": "title DESC", "sums": ["total", "customer"]}'},
    ),
    "the code's own in lower case": (
        "import sqlite3\nclass Contact: pass\n"
        "sqlite3.connect(':memory:').execute(f\"CREATE TABLE {Contact.__name__.lower()} (name)\")",
        {"name": "contact"},
    ),
    "a dedented template": (
        "import sqlite3, textwrap\n"
        "sql = textwrap.dedent('\\n  SELECT {c}\\n  FROM (SELECT 1 AS total)').format(c='total')\n"
        "sqlite3.connect(':memory:').execute(sql)",
        {"x": ["total", "SELECT"]},
    ),
    "a formula": (
        "return eval(event['f'].strip(), {'__builtins__': {}}, {'price': 2, 'max': max})",
        {"f": " max(price, 3) * 1.5 "},
    ),
    "dj compared": (DJANGO + "list(found.filter(**event['f']))", {"f": {"sold__gte": 1}}),
    "dj excluded": (
        DJANGO + "list(found.exclude(Q(**event['f']) | Q(sold=3)))",
        {"f": {"region__icontains": "a"}},
    ),
    "dj read, then others written": (
        DJANGO + "list(found.filter(**event['f'])), found.filter(sold=3).update(sold=4)",
        {"f": {"region": "eu"}},
    ),
}  # fmt: skip


def test_attacks_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(VULNERABLE, tmp_path), {"code", "path", "sql"}, PRELOAD)


def test_harmless_uses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(SAFE, tmp_path), PRELOAD)
