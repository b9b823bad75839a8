"""Known holes in real packages: what was affected, from which version on, and where it was fixed.

Facts, written down by hand: each is a vulnerability's id, a package, and pairs of versions
(introduced, fixed). `CASEMATE_OSV_RECORDS` names a folder of OSV records to hold them against.
"""

from __future__ import annotations

from typing import NamedTuple


class Hole(NamedTuple):
    """One vulnerability in one package, a version that has it and one that does not."""

    package: str
    id: str
    ranges: tuple[tuple[str, str], ...]
    holed: str
    clean: str


def _hole(package: str, id: str, fixed: str, holed: str, introduced: str = "0") -> Hole:
    return Hole(package, id, ((introduced, fixed),), holed, fixed)


PYPI = (
    _hole("requests", "CVE-2023-32681", "2.31.0", "2.30.0", "2.3.0"),
    _hole("requests", "CVE-2018-18074", "2.20.0", "2.19.1"),
    Hole("flask", "CVE-2023-30861", (("0", "2.2.5"), ("2.3.0", "2.3.2")), "2.3.1", "2.2.5"),
    _hole("flask", "CVE-2018-1000656", "0.12.3", "0.12.2"),
    _hole("jinja2", "CVE-2019-10906", "2.10.1", "2.10"),
    _hole("jinja2", "CVE-2020-28493", "2.11.3", "2.11.2"),
    _hole("urllib3", "CVE-2021-33503", "1.26.5", "1.26.4"),
    _hole("urllib3", "CVE-2019-11324", "1.24.2", "1.24.1"),
    Hole("urllib3", "CVE-2023-43804", (("0", "1.26.17"), ("2.0.0", "2.0.6")), "2.0.5", "1.26.17"),
    _hole("pyyaml", "CVE-2020-14343", "5.4", "5.3.1"),
    _hole("pyyaml", "CVE-2020-1747", "5.3.1", "5.3", "5.1b7"),
    _hole("pillow", "CVE-2023-50447", "10.2.0", "10.1.0"),
    _hole("pillow", "CVE-2022-22817", "9.0.1", "8.4.0"),
    _hole("cryptography", "CVE-2020-36242", "3.3.2", "3.3.1"),
    _hole("cryptography", "CVE-2023-49083", "41.0.6", "41.0.5", "3.1"),
    _hole("aiohttp", "CVE-2024-23334", "3.9.2", "3.9.1", "1.0.5"),
    _hole("aiohttp", "CVE-2021-21330", "3.7.4", "3.7.3"),
    Hole(
        "django",
        "CVE-2022-28346",
        (("2.2", "2.2.28"), ("3.2", "3.2.13"), ("4.0", "4.0.4")),
        "3.2.12",
        "4.0.4",
    ),
    Hole("django", "CVE-2021-35042", (("3.1", "3.1.13"), ("3.2", "3.2.5")), "3.1.12", "3.2.5"),
    _hole("werkzeug", "CVE-2023-25577", "2.2.3", "2.2.2"),
    _hole("gunicorn", "CVE-2018-1000164", "19.5.0", "19.4.5"),
    _hole("lxml", "CVE-2021-43818", "4.6.5", "4.6.4"),
    _hole("lxml", "CVE-2022-2309", "4.9.1", "4.9.0"),
    _hole("numpy", "CVE-2019-6446", "1.16.3", "1.16.0"),
    _hole("mako", "CVE-2022-40023", "1.2.2", "1.2.1"),
    _hole("bleach", "CVE-2021-23980", "3.3.0", "3.2.3"),
    _hole("setuptools", "CVE-2022-40897", "65.5.1", "65.5.0"),
    _hole("pip", "CVE-2021-3572", "21.1", "21.0.1"),
    _hole("wheel", "CVE-2022-40898", "0.38.1", "0.38.0"),
    _hole("certifi", "CVE-2023-37920", "2023.7.22", "2023.5.7", "2015.4.28"),
    _hole("certifi", "CVE-2022-23491", "2022.12.7", "2022.9.24", "2017.11.5"),
    _hole("tornado", "CVE-2023-28370", "6.3.2", "6.3.1"),
    _hole("twisted", "CVE-2022-24801", "22.4.0", "22.2.0"),
    _hole("starlette", "CVE-2023-29159", "0.27.0", "0.26.1", "0.13.5"),
    _hole("fastapi", "CVE-2021-32677", "0.65.2", "0.65.1"),
    _hole("uvicorn", "CVE-2020-7695", "0.11.7", "0.11.6"),
    _hole("pyjwt", "CVE-2022-29217", "2.4.0", "2.3.0", "1.5.0"),
    _hole("pyjwt", "CVE-2017-11424", "1.5.1", "1.5.0"),
    _hole("rsa", "CVE-2020-25658", "4.7", "4.6"),
    _hole("ecdsa", "CVE-2019-14859", "0.13.3", "0.13.2"),
    _hole("httplib2", "CVE-2021-21240", "0.19.0", "0.18.1"),
    _hole("httpx", "CVE-2021-41945", "0.23.0", "0.19.0"),
    _hole("pygments", "CVE-2021-27291", "2.7.4", "2.7.3", "1.1"),
    _hole("babel", "CVE-2021-42771", "2.9.1", "2.9.0"),
    _hole("waitress", "CVE-2022-24761", "2.1.1", "2.1.0"),
    _hole("gitpython", "CVE-2022-24439", "3.1.30", "3.1.29"),
    _hole("celery", "CVE-2021-23727", "5.2.2", "5.2.1"),
    _hole("sqlparse", "CVE-2021-32839", "0.4.2", "0.4.1", "0.4.0"),
    Hole(
        "pydantic",
        "CVE-2021-29510",
        (("0", "1.6.2"), ("1.7", "1.7.4"), ("1.8", "1.8.2")),
        "1.8.1",
        "1.7.4",
    ),
    _hole("mistune", "CVE-2022-34749", "2.0.3", "2.0.2"),
    _hole("nltk", "CVE-2021-43854", "3.6.5", "3.6.4"),
    _hole("joblib", "CVE-2022-21797", "1.2.0", "1.1.0"),
    _hole("oauthlib", "CVE-2022-36087", "3.2.1", "3.2.0", "3.1.1"),
    _hole("cookiecutter", "CVE-2022-24065", "2.1.1", "2.1.0"),
    _hole("ujson", "CVE-2022-31117", "5.4.0", "5.3.0"),
    _hole("reportlab", "CVE-2023-33733", "3.6.13", "3.6.12"),
    _hole("sqlalchemy", "CVE-2019-7164", "1.3.0", "1.2.17"),
    _hole("pycryptodome", "CVE-2023-52323", "3.19.1", "3.19.0"),
    _hole("markdown2", "CVE-2021-26813", "2.4.0", "2.3.10", "1.0.1.18"),
    _hole("protobuf", "CVE-2022-1941", "3.18.3", "3.18.2"),
    _hole("scrapy", "CVE-2021-41125", "1.8.1", "1.8.0"),
    _hole("notebook", "CVE-2021-32798", "5.7.11", "5.7.10"),
    _hole("tqdm", "CVE-2016-10075", "4.11.2", "4.11.1", "4.4.1"),
    _hole("sanic", "CVE-2022-35920", "20.12.7", "20.12.6"),
    _hole("langchain", "CVE-2023-29374", "0.0.142", "0.0.131"),
)

NPM = (
    _hole("lodash", "CVE-2021-23337", "4.17.21", "4.17.20"),
    _hole("lodash", "CVE-2019-10744", "4.17.12", "4.17.11"),
    Hole("minimist", "CVE-2020-7598", (("0", "0.2.1"), ("1.0.0", "1.2.3")), "1.2.2", "0.2.1"),
    Hole("minimist", "CVE-2021-44906", (("0", "0.2.4"), ("1.0.0", "1.2.6")), "1.2.5", "0.2.4"),
    _hole("axios", "CVE-2021-3749", "0.21.2", "0.21.1"),
    _hole("axios", "CVE-2020-28168", "0.21.1", "0.21.0"),
    _hole("jquery", "CVE-2020-11022", "3.5.0", "3.4.1", "1.2.0"),
    _hole("express", "CVE-2022-24999", "4.17.3", "4.17.2"),
    Hole("node-fetch", "CVE-2022-0235", (("0", "2.6.7"), ("3.0.0", "3.1.1")), "3.1.0", "2.6.7"),
    _hole("moment", "CVE-2022-24785", "2.29.2", "2.29.1"),
    _hole("moment", "CVE-2022-31129", "2.29.4", "2.29.3", "2.18.0"),
    _hole("handlebars", "CVE-2021-23369", "4.7.7", "4.7.6"),
    Hole("json5", "CVE-2022-46175", (("0", "1.0.2"), ("2.0.0", "2.2.2")), "2.2.1", "1.0.2"),
    _hole("tough-cookie", "CVE-2023-26136", "4.1.3", "4.1.2"),
    _hole("glob-parent", "CVE-2020-28469", "5.1.2", "5.1.1"),
    _hole("follow-redirects", "CVE-2022-0155", "1.14.7", "1.14.6"),
    _hole("ini", "CVE-2020-7788", "1.3.6", "1.3.5"),
    _hole("decode-uri-component", "CVE-2022-38900", "0.2.1", "0.2.0"),
    _hole("minimatch", "CVE-2022-3517", "3.0.5", "3.0.4"),
    _hole("word-wrap", "CVE-2023-26115", "1.2.4", "1.2.3"),
    _hole("@babel/traverse", "CVE-2023-45133", "7.23.2", "7.23.0"),
    _hole("ejs", "CVE-2022-29078", "3.1.7", "3.1.6"),
    _hole("nth-check", "CVE-2021-3803", "2.0.1", "2.0.0"),
    _hole("path-parse", "CVE-2021-23343", "1.0.7", "1.0.6"),
    _hole("xml2js", "CVE-2023-0842", "0.5.0", "0.4.23"),
)
