"""Statements beside PEP 249, files in statements, and columns that the event chooses."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("apsw", "duckdb", "django.db.models", "django.contrib.auth")

DJANGO = (
    "import os\n"
    "import django\n"
    "from django.conf import settings\n"
    "if not settings.configured:\n"
    "    settings.configure(DATABASES={'default':{'ENGINE':'django.db.backends.sqlite3','NAME':':memory:'}}, INSTALLED_APPS=['django.contrib.contenttypes','django.contrib.auth'])\n"
    "    django.setup()\n"
    "from django.contrib.auth.models import User\n"
    "from django.contrib.auth.models import Group, Permission\n"
    "from django.contrib.contenttypes.models import ContentType\n"
    "from django.db.models import Q, F\n"
    "from django.db import connection\n"
    "with connection.schema_editor() as editor:\n"
    "    for model in (ContentType, Permission, Group, User):\n"
    "        editor.create_model(model)\n"
    "User.objects.create(username='ada', password='x')\n"
    "def handler(event, context):\n"
    "    return "
)
DUCKDB = (
    "import duckdb\n"
    "def handler(event, context):\n"
    "    r=duckdb.sql(\"select 'a' as name, 1 as n\")\n"
    "    return "
)
APSW = (
    "import apsw\n"
    "def handler(event, context):\n"
    "    c=apsw.Connection(':memory:'); c.execute('create table t(name)')\n"
    "    return "
)

VULNERABLE: Cases = {
    "duck connection": (
        "import duckdb\nreturn duckdb.connect().execute(\"select '\"+event['o']+\"'\").fetchall()",
        {"o": "' || 'x"},
    ),
    "duck cursor": (
        "import duckdb\nreturn duckdb.connect().cursor().execute(\"select '\"+event['o']+\"'\").fetchall()",
        {"o": "x' or '1'='1"},
    ),
    "duck list of files": (
        "import duckdb\nreturn duckdb.sql(f\"select * from read_csv(['/srv/a.csv', '{event['f']}'])\").fetchall()",
        {"f": "/etc/passwd"},
    ),
    "dj filter": (
        DJANGO + "list(User.objects.filter(**event['f']).values('id'))",
        {"f": {"password__startswith": "x"}},
    ),
    "dj filter one": (
        DJANGO + "list(User.objects.filter(**event['f']).values('id'))",
        {"f": {"is_superuser": "x"}},
    ),
    "dj filter key": (
        DJANGO + "list(User.objects.filter(**{event['k']: event['v']}).values('id'))",
        {"k": "password__startswith", "v": "x"},
    ),
    "dj filter fstr": (
        DJANGO
        + "list(User.objects.filter(**{f\"{event['k']}__icontains\": event['v']}).values('id'))",
        {"k": "password", "v": "x"},
    ),
    "dj exclude": (
        DJANGO + "list(User.objects.exclude(**event['f']).values('id'))",
        {"f": {"password__startswith": "x"}},
    ),
    "dj get": (DJANGO + "User.objects.get(**event['f']).id", {"f": {"password__startswith": "x"}}),
    "dj Q": (
        DJANGO + "list(User.objects.filter(Q(**event['f'])).values('id'))",
        {"f": {"password__startswith": "x"}},
    ),
    "dj Q tuple": (
        DJANGO + "list(User.objects.filter(Q((event['k'], event['v']))).values('id'))",
        {"k": "password__startswith", "v": "x"},
    ),
    "dj order_by": (
        DJANGO + "list(User.objects.order_by(event['s']).values('id'))",
        {"s": "is_superuser"},
    ),
    "dj order_by -": (
        DJANGO + "list(User.objects.order_by('-' + event['s']).values('id'))",
        {"s": "groups__name"},
    ),
    "dj values": (DJANGO + "list(User.objects.values(*event['s']))", {"s": ["last_login"]}),
    "dj raw": (
        DJANGO
        + "list(User.objects.raw('select * from auth_user where username = \\'%s\\'' % event['n']))",
        {"n": "x' or 1=1 --"},
    ),
    "dj extra": (
        DJANGO + "list(User.objects.extra(where=[f\"username = '{event['n']}'\"]))",
        {"n": "x' or 1=1 --"},
    ),
    "dj RawSQL": (
        "import os\nimport django\nfrom django.conf import settings\nif not settings.configured:\n    settings.configure(DATABASES={'default':{'ENGINE':'django.db.backends.sqlite3','NAME':':memory:'}}, INSTALLED_APPS=['django.contrib.contenttypes','django.contrib.auth'])\n    django.setup()\nfrom django.contrib.auth.models import User\nfrom django.contrib.auth.models import Group, Permission\nfrom django.contrib.contenttypes.models import ContentType\nfrom django.db.models import Q, F\nfrom django.db import connection\nfrom django.db.models.expressions import RawSQL\nwith connection.schema_editor() as editor:\n    for model in (ContentType, Permission, Group, User):\n        editor.create_model(model)\nUser.objects.create(username='ada', password='x')\ndef handler(event, context):\n    return list(User.objects.annotate(x=RawSQL(f\"select '{event['n']}'\", ())))",
        {"n": "x' || 1 || '"},
    ),
    "dj cursor": (
        DJANGO
        + "connection.cursor().execute(f\"select * from auth_user where username = '{event['n']}'\")",
        {"n": "x' or 1=1 --"},
    ),
    "duck filter": (
        DUCKDB + "r.filter(f\"name = '{event['n']}'\").fetchall()",
        {"n": "x' or '1'='1"},
    ),
    "duck project": (DUCKDB + "r.project(event['n']).fetchall()", {"n": "name, version()"}),
    "duck order": (DUCKDB + "r.order(event['n']).fetchall()", {"n": "version()"}),
    "duck aggregate": (
        DUCKDB + "r.aggregate('sum(n) ' + event['n']).fetchall()",
        {"n": ", version()"},
    ),
    "duck from file": (
        DUCKDB + "duckdb.sql(f\"select * from '{event['n']}'\").fetchall()",
        {"n": "/etc/passwd"},
    ),
    "duck read fn": (
        DUCKDB
        + "duckdb.sql(f\"select * from read_csv_auto('/srv/data/{event['n']}')\").fetchall()",
        {"n": "../../etc/passwd"},
    ),
    "duck read con": (
        DUCKDB
        + "duckdb.connect().execute(\"select * from read_csv_auto('/srv/data/\"+event['n']+\"')\").fetchall()",
        {"n": "../../etc/passwd"},
    ),
    "duck read param": (
        DUCKDB
        + "duckdb.connect().execute(\"select * from read_text(?)\", [event['n']]).fetchall()",
        {"n": "/etc/passwd"},
    ),
    "duck copy": (
        DUCKDB + "duckdb.sql(f\"copy (select 1) to '/srv/data/{event['n']}'\")",
        {"n": "../../tmp/x"},
    ),
    "apsw": (
        APSW + "c.execute(f\"select * from t where name = '{event['n']}'\").fetchall()",
        {"n": "x' or '1'='1"},
    ),
    "apsw cursor": (
        APSW + "c.cursor().execute(\"select * from t where name = '\"+event['n']+\"'\").fetchall()",
        {"n": "x' or '1'='1"},
    ),
    "apsw many": (
        APSW + "c.executemany(\"insert into t values ('\"+event['n']+\"')\", [()])",
        {"n": "x'), ('y"},
    ),
    "pgconn": (
        "class PGconn:\n    def exec_(self, command): return command\ndef handler(event, context):\n    return PGconn().exec_(b\"select '\" + event['n'].encode() + b\"'\")",
        {"n": "x' or '1'='1"},
    ),
}

SAFE: Cases = {
    "dj filter": (
        DJANGO + "list(User.objects.filter(username=event['n']).values('id'))",
        {"n": "x' or 1=1"},
    ),
    "dj filter allowed": (
        DJANGO
        + "list(User.objects.filter(**{k: v for k, v in event.items() if k in {'username','email'}}).values('id'))",
        {"username": "ada", "password__startswith": "x"},
    ),
    "dj Q": (
        DJANGO
        + "list(User.objects.filter(Q(username__icontains=event['q']) | Q(email__icontains=event['q'])).order_by('-id').values('id','username'))",
        {"q": "password__x"},
    ),
    "dj order allowed": (
        DJANGO
        + "list(User.objects.order_by({'name':'username'}.get(event['s'],'id')).values('id'))",
        {"s": "name"},
    ),
    "dj order member": (
        DJANGO
        + "list(User.objects.order_by(event['s'] if event['s'] in ('username','id') else 'id').values('id'))",
        {"s": "username"},
    ),
    "dj order chosen": (
        DJANGO + "list(User.objects.order_by('-' + event['s']).values('id'))",
        {"s": "last_login"},
    ),
    "dj order const": (
        DJANGO + "list(User.objects.order_by('-username').values('username'))",
        {"s": "username"},
    ),
    "dj raw params": (
        DJANGO
        + "list(User.objects.raw('select * from auth_user where username = %s', [event['n']]))",
        {"n": "x' or 1=1"},
    ),
    "dj same name": (
        DJANGO + "list(User.objects.filter(username='ada').values('username'))",
        {"username": "ada", "x": "username"},
    ),
    "duck": (
        DUCKDB
        + "r.filter(\"name = 'a'\").order('n').project('name').fetchall(), duckdb.execute('select ?',[event['n']]).fetchall()",
        {"n": "x' or '1'='1"},
    ),
    "duck literal": (DUCKDB + "r.filter(f\"name = '{event['n']}'\").fetchall()", {"n": "Ada ../x"}),
    "duck literal path": (
        DUCKDB + "duckdb.sql(f\"select '{event['n']}' as p from r\").fetchall()",
        {"n": "/etc/passwd"},
    ),
    "duck where": (
        DUCKDB + "duckdb.sql(f\"select * from r where name in ('a', '{event['n']}')\").fetchall()",
        {"n": "/etc/passwd"},
    ),
    "apsw": (
        APSW
        + "c.execute('select * from t where name = ?', (event['n'],)).fetchall(), c.cursor().execute('select 1').fetchall()",
        {"n": "x' or '1'='1"},
    ),
}


def test_attacks_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"path", "sql"}, PRELOAD)


def test_harmless_uses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)
