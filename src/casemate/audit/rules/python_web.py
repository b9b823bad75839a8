"""Rules about what pages of Python leave to browsers: cookies, forged requests, names of hosts."""

from __future__ import annotations

from casemate.audit.code.reading import PythonFile
from casemate.audit.finding import Severity
from casemate.audit.rule import Risk
from casemate.audit.rules.code_entries import CodeEntries
from casemate.audit.rules.examples import python
from casemate.audit.rules.looks import look_at
from casemate.audit.rules.python_cookies import cookies
from casemate.audit.rules.python_settings import Found, any_host, exempted, unguarded
from casemate.audit.rules.replaced_settings import unless_replaced

_rule = CodeEntries(look_at, python)
_SETTINGS = "ROOT_URLCONF = 'shop.urls'\n"
_VIEW = """def rename(request):
    request.user.name = request.POST['name']
    request.user.save()
"""


def _forged(file: PythonFile) -> Found:
    yield from unguarded(file)
    yield from exempted(file)


RULES = (
    _rule(
        "PY-031",
        "Cookies of sessions without protection",
        Risk.RESPONSIBILITY,
        "SAS-02",
        614,
        Severity.MEDIUM,
        "Without Secure a browser sends them in clear text, too; without HttpOnly a script of a "
        "page can read them.",
        "Set secure=True and httponly=True (SESSION_COOKIE_SECURE = True).",
        cookies,
        "def enter(response, key):\n    response.set_cookie('session', key)",
        "def enter(response, key):\n"
        "    response.set_cookie('session', key, secure=True, httponly=True)",
        "T1539",
        over=unless_replaced,
    ),
    _rule(
        "PY-032",
        "Requests that other sites can forge",
        Risk.INPUT,
        "SAS-05",
        352,
        Severity.MEDIUM,
        "A page of any site can make the browser of who is signed in send them, with its cookies.",
        "Keep CsrfViewMiddleware and remove csrf_exempt, or let callers prove themselves by a "
        "signature or a token in a header.",
        _forged,
        "from django.views.decorators.csrf import csrf_exempt\n\n\n@csrf_exempt\n" + _VIEW,
        _VIEW,
    ),
    _rule(
        "PY-033",
        "Requests for any host are answered",
        Risk.RESPONSIBILITY,
        "SAS-06",
        644,
        Severity.LOW,
        "Links that Django writes, as for a new password, then lead to the host that a caller "
        "named.",
        "Name the hosts: ALLOWED_HOSTS = ['shop.example'].",
        any_host,
        _SETTINGS + "ALLOWED_HOSTS = ['*']",
        _SETTINGS + "ALLOWED_HOSTS = ['shop.example']",
        over=unless_replaced,
    ),
)
