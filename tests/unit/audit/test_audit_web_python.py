"""What frameworks of Python leave open to browsers and networks, beside what only looks like it."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, python, told

from casemate.audit.finding import Severity
from casemate.audit.rules.examples import Files, service

_DJANGO = "ROOT_URLCONF = 'shop.urls'\n"


def files(**texts: str) -> Files:
    """Return a service with files of Python: `shop__settings` is shop/settings.py."""
    named = {f"{name.replace('__', '/')}.py": text for name, text in texts.items()}
    return {**service(), **named}


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "settings", "found"),
    [
        ("PY-031", "SESSION_COOKIE_SECURE = False", 1),
        ("PY-031", "CSRF_COOKIE_SECURE = False\nSESSION_COOKIE_HTTPONLY = False", 2),
        ("PY-031", "SESSION_COOKIE_SECURE = True\nCSRF_COOKIE_HTTPONLY = False", 0),
        ("PY-031", "SESSION_COOKIE_SECURE = not DEBUG", 0),
        ("PY-031", "if DEBUG:\n    SESSION_COOKIE_SECURE = False", 0),
        ("PY-033", "ALLOWED_HOSTS = ['*']", 1),
        ("PY-033", "ALLOWED_HOSTS = ('shop.example', '*')", 1),
        ("PY-033", "ALLOWED_HOSTS = ['.shop.example']", 0),
        ("PY-033", "if STAGE == 'dev':\n    ALLOWED_HOSTS = ['*']", 0),
        ("PY-025", "CORS_ALLOW_ALL_ORIGINS = True\nCORS_ALLOW_CREDENTIALS = True", 1),
        ("PY-025", "CORS_ORIGIN_ALLOW_ALL = True\nCORS_ALLOW_CREDENTIALS = True", 1),
        ("PY-025", "CORS_ALLOW_ALL_ORIGINS = True", 0),
        ("PY-025", "CORS_ALLOW_ALL_ORIGINS = True\nCORS_ALLOW_CREDENTIALS = False", 0),
        ("PY-024", "SECRET_KEY = 'django-insecure-7w$kq3!u2'", 1),
        ("PY-024", "SECRET_KEY = os.environ['KEY']", 0),
        ("PY-024", "SECRET_KEY = ''", 0),
        ("PY-024", "SECRET_KEY = 'for-the-build'\nSECRET_KEY = read()", 0),
        ("PY-024", "if DEBUG:\n    SECRET_KEY = 'for-my-machine'", 0),
        ("PY-024", "SECRET_KEY = os.environ.get('KEY', 'for-my-machine')", 1),
        ("PY-024", "SECRET_KEY = os.getenv('KEY') or 'for-my-machine'", 1),
        ("PY-024", "SECRET_KEY = os.environ.get('KEY', '')", 0),
        ("PY-024", "PAGE_SIZE = os.environ.get('PAGE_SIZE', 'twenty')", 0),
    ],
)
def test_settings_of_django(rule: str, settings: str, found: int) -> None:
    text = f"import os\n\n{_DJANGO}{settings}\n"
    assert told(files(shop__settings=text), rule) == found
    assert told(files(shop__settings__development=text), rule) == 0


@pytest.mark.parametrize(
    ("rule", "base"),
    [
        ("PY-024", "SECRET_KEY = 'for-my-machine'"),
        ("PY-024", "SECRET_KEY = os.environ.get('KEY', 'for-my-machine')"),
        ("PY-031", "SESSION_COOKIE_SECURE = False"),
        ("PY-033", "ALLOWED_HOSTS = ['*']"),
    ],
)
@pytest.mark.parametrize(
    ("name", "begins", "found"),
    [
        ("production", "from .base import *", 0),
        ("production", "from .other import *", 1),
        ("development", "from .base import *", 1),
    ],
)
def test_settings_that_another_file_replaces(
    rule: str, base: str, name: str, begins: str, found: int
) -> None:
    setting = base.partition(" ")[0]
    more = {
        "shop__settings__base": f"import os\n\n{_DJANGO}{base}\n",
        f"shop__settings__{name}": f"{begins}\n\n{setting} = read()\n",
    }
    assert told(files(**more), rule) == found


_SESSIONS = "'django.contrib.sessions.middleware.SessionMiddleware'"
_SIGNED_IN = "'django.contrib.auth.middleware.AuthenticationMiddleware'"
_GUARD = "'django.middleware.csrf.CsrfViewMiddleware'"


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        (f"MIDDLEWARE = [{_SESSIONS}, {_SIGNED_IN}]", 1),
        (f"MIDDLEWARE = [{_SESSIONS}, {_GUARD}, {_SIGNED_IN}]", 0),
        (f"MIDDLEWARE = [{_SESSIONS}]", 0),
        (f"MIDDLEWARE = [{_SESSIONS}, {_SIGNED_IN}]\nMIDDLEWARE += [{_GUARD}]", 0),
        (f"MIDDLEWARE = [{_SESSIONS}, {_SIGNED_IN}, *MORE]", 0),
    ],
)
def test_middleware_against_forged_requests(middleware: str, found: int) -> None:
    assert told(files(settings=middleware + "\n"), "PY-032") == found


_VIEW = "from django.views.decorators.csrf import csrf_exempt\n\n\n"


@pytest.mark.parametrize(
    ("view", "found"),
    [
        ("@csrf_exempt\n@login_required\ndef a(request):\n    save(request.POST['a'])\n", 1),
        ("@csrf_exempt\ndef a(request):\n    save(request.user, request.POST['a'])\n", 1),
        ("@csrf_exempt\ndef a(request):\n    save(request.POST['a'])\n", 0),
        ("@csrf_exempt\ndef a(request, code):\n    Item.objects.create(name='a')\n", 0),
        ("@csrf_exempt\n@authorize\ndef a(request):\n    Item.objects.create(name='a')\n", 0),
        ("@csrf_exempt\ndef a(request):\n    Item.objects.create(name='a')\n", 1),
        ("@method_decorator(csrf_exempt, name='dispatch')\nclass A(View):\n"
         "    def post(self, request):\n        keep(request.user, request.body)\n", 1),
        ("def a(request):\n    save(request.POST['a'])\n", 0),
        ("@csrf_exempt\ndef a(request):\n    return render(request, 'a.html')\n", 0),
        ("@csrf_exempt\n@require_GET\ndef a(request):\n    Item.objects.create(name='a')\n", 0),
        ("@csrf_exempt\ndef a(request):\n    stripe.Webhook.construct_event(request.body, s, k)\n", 0),
        ("@csrf_exempt\ndef a(request):\n    check(request)\n    save(request.body)\n\n\n"
         "def check(request):\n    hmac.compare_digest(a, b)\n", 0),
        ("@csrf_exempt\ndef a(request):\n    key = request.headers['Authorization']\n"
         "    save(request.body)\n", 0),
        ("@csrf_exempt\n@require_api_key\ndef a(request):\n    save(request.body)\n", 0),
    ],
)  # fmt: skip
def test_views_that_are_exempt(view: str, found: int) -> None:
    assert told(files(views=_VIEW + view), "PY-032") == found


@pytest.mark.parametrize(
    ("rule", "settings", "found"),
    [
        ("PY-031", "app.config['SESSION_COOKIE_SECURE'] = False", 1),
        ("PY-031", "app.config.update(SESSION_COOKIE_HTTPONLY=False)", 1),
        ("PY-031", "app.config.update({'REMEMBER_COOKIE_SECURE': False})", 1),
        ("PY-031", "class Config:\n    SESSION_COOKIE_SECURE = False", 1),
        ("PY-031", "class DevelopmentConfig:\n    SESSION_COOKIE_SECURE = False", 0),
        ("PY-031", "app.config['SESSION_COOKIE_SECURE'] = True", 0),
        ("PY-024", "app.config['SECRET_KEY'] = 'super-secret'", 1),
        ("PY-024", "app.config.update(SECRET_KEY=os.getenv('K', 'super-secret'))", 1),
        ("PY-024", "app.config.from_mapping(SECRET_KEY='dev')", 0),
        ("PY-024", "app.secret_key = os.environ.get('K', 'super-secret')", 1),
        ("PY-024", "class Settings(BaseSettings):\n    secret_key: str = 'super-secret'", 1),
        ("PY-024", "class Settings(BaseSettings):\n    secret_key: str", 0),
        ("PY-024", "class TestConfig:\n    SECRET_KEY = 'super-secret'", 0),
        ("PY-032", "app.config['WTF_CSRF_ENABLED'] = False", 1),
        ("PY-032", "class TestingConfig:\n    WTF_CSRF_ENABLED = False", 0),
    ],
)
def test_settings_of_flask(rule: str, settings: str, found: int) -> None:
    text = f"import os\nfrom flask import Flask\n\napp = Flask(__name__)\n{settings}\n"
    assert told(files(app=text), rule) == found


def test_a_key_of_last_resort_is_milder() -> None:
    text = "import os\n\nSECRET_KEY = os.environ.get('KEY', 'for-my-machine')\n"
    [finding] = findings(files(app=text), "PY-024")
    assert finding.severity is Severity.MEDIUM


# -- cookies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("response.set_cookie('session', key)", 1),
        ("response.set_cookie(key='access_token', value=key, httponly=True)", 1),
        ("response.set_cookie('sid', key, secure=False, httponly=False)", 1),
        ("response.set_cookie('a', session_token)", 1),
        ("response.set_cookie(NAME, key)", 1),
        ("response.set_cookie('session', key, secure=True, httponly=True)", 0),
        ("response.set_cookie('session', key, secure=not DEBUG, httponly=True)", 0),
        ("response.set_cookie('session', key, **OPTIONS)", 0),
        ("response.set_cookie('session', '', max_age=0)", 0),
        ("response.set_cookie('csrf_token', key, secure=True)", 0),
        ("response.set_cookie('theme', 'dark')", 0),
        ("response.set_cookie('side', 'left')", 0),
        ("return {'headers': {'Set-Cookie': f'session={key}; Path=/'}}", 1),
        ("return {'headers': {'Set-Cookie': f'session={key}; Secure; HttpOnly'}}", 0),
        ("return {'headers': {'Set-Cookie': 'session=; Max-Age=0'}}", 0),
        ("return {'headers': {'Set-Cookie': 'theme=dark'}}", 0),
    ],
)
def test_cookies_of_sessions(call: str, found: int) -> None:
    text = f"NAME = 'session_id'\n\n\ndef enter(response, key, session_token):\n    {call}\n"
    assert told(python(text), "PY-031") == found


# -- answers for any site --------------------------------------------------------------------------

_ANY = "allow_origins=['*'], allow_credentials=True"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (f"app.add_middleware(CORSMiddleware, {_ANY})", 1),
        (f"app = FastAPI(middleware=[Middleware(CORSMiddleware, {_ANY})])", 1),
        ("app.add_middleware(CORSMiddleware, allow_origins=ANY, allow_credentials=True)", 1),
        ("app.add_middleware(CORSMiddleware, allow_origin_regex='.*', allow_credentials=True)", 1),
        ("app.add_middleware(CORSMiddleware, allow_origins=['*'])", 0),
        ("app.add_middleware(CORSMiddleware, allow_origins=OWN, allow_credentials=True)", 0),
        ("app.add_middleware(CORSMiddleware, allow_origins=read(), allow_credentials=True)", 0),
        ("CORS(app, supports_credentials=True)", 1),
        ("CORS(app, origins='*', supports_credentials=True)", 1),
        ("CORS(app, resources={'/a': {'origins': '*'}}, supports_credentials=True)", 1),
        ("CORS(app)", 0),
        ("CORS(app, origins=['https://a.example'], supports_credentials=True)", 0),
        ("CORS(app, resources={'/a': {'origins': OWN}}, supports_credentials=True)", 0),
    ],
)
def test_middleware_for_any_site(code: str, found: int) -> None:
    head = (
        "from fastapi import FastAPI\nfrom fastapi.middleware.cors import CORSMiddleware\n"
        "from flask_cors import CORS\n\nANY = ['*']\nOWN = ['https://a.example']\n"
    )
    assert told(python(head + code + "\n"), "PY-025") == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("h['Access-Control-Allow-Origin'] = request.headers.get('Origin', '*')", 1),
        ("h['Access-Control-Allow-Origin'] = request.headers['Origin']", 1),
        ("h['Access-Control-Allow-Origin'] = 'https://a.example'", 0),
        ("if request.headers['Origin'] in OWN:\n"
         "        h['Access-Control-Allow-Origin'] = request.headers['Origin']", 0),
    ],
)  # fmt: skip
def test_an_origin_that_is_said_back(body: str, found: int) -> None:
    code = f"def after(h, request):\n    {body}\n"
    code += "    h['Access-Control-Allow-Credentials'] = 'true'\n"
    assert told(python(code), "PY-025") == found


# -- certificates, archives, tokens ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("session = requests.Session()\nsession.verify = False", 1),
        ("self.session.verify = False", 1),
        ("tls = Tls(validate=ssl.CERT_NONE)", 1),
        ("client = MongoClient(tlsAllowInvalidCertificates=True)", 1),
        ("client = Redis(ssl_cert_reqs='none')", 1),
        ("pool = urllib3.PoolManager(cert_reqs='CERT_NONE')", 1),
        ("context.check_hostname = False", 1),
        ("session.verify = '/etc/ssl/ca.pem'", 0),
        ("tls = Tls(validate=ssl.CERT_REQUIRED)", 0),
        ("client = MongoClient(tls=True)", 0),
        ("context.check_hostname = True", 0),
    ],
)
def test_certificates_that_are_not_checked(code: str, found: int) -> None:
    head = "import ssl\nimport requests\nimport urllib3\nfrom ldap3 import Tls\n\n"
    assert told(python(head + code + "\n"), "PY-008") == found


def test_a_switch_of_something_else_is_none_of_certificates() -> None:
    assert told(python("form.verify = False\n"), "PY-008") == 0


@pytest.mark.parametrize(("filter", "found"), [("fully_trusted", 1), ("data", 0), ("tar", 0)])
def test_a_filter_of_archives_that_trusts_all(filter: str, found: int) -> None:
    code = f"import tarfile\n\ntarfile.open('a.tar').extractall('/tmp/a', filter='{filter}')\n"
    assert told(python(code), "PY-019") == found


_CHOSEN = "''.join(random.choice(LETTERS) for _ in range(8))"


@pytest.mark.parametrize(
    ("helper", "use", "found"),
    [
        (f"def reset_code():\n    return {_CHOSEN}", "pass", 1),
        ("def make_api_key():\n    return '%032x' % random.getrandbits(128)", "pass", 1),
        (f"def random_text():\n    return {_CHOSEN}", "token = random_text()", 1),
        (f"def random_text():\n    return {_CHOSEN}", "self.token = random_text()", 1),
        (f"def random_text():\n    return {_CHOSEN}", "d['otp'] = random_text()", 1),
        (f"def random_text():\n    return {_CHOSEN}", "keep(password=random_text())", 1),
        (f"def random_text():\n    return {_CHOSEN}", "colour = random_text()", 0),
        ("def random_text():\n    return secrets.token_hex()", "token = random_text()", 0),
        ("def greeting():\n    return random.choice(['Hello', 'Hi'])", "token = read()", 0),
        ("def token_count():\n    return random.randint(1, 9)", "pass", 0),
    ],
)
@pytest.mark.parametrize("brought", ["from helpers import random_text", "from .helpers import *"])
def test_tokens_of_a_helper_of_another_file(
    helper: str, use: str, found: int, brought: str
) -> None:
    made = f"import random\nimport secrets\n\n\n{helper}\n"
    brought = brought.replace("*", "random_text")
    used = f"{brought}\n\n\ndef work(self, d, keep, read):\n    {use}\n"
    assert told(files(main=used, helpers=made), "PY-016") == found
