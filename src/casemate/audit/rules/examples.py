"""Short ways to write the two examples of a rule, each a small application of its own."""

from __future__ import annotations

from collections.abc import Mapping

Files = Mapping[str, str]

_HEAD = (
    "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\nResources:\n"
)


def _indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.strip("\n").split("\n") if line)


def resource(kind: str, properties: str = "", more: str = "") -> Files:
    """Return a template with one resource, `Thing`, and others as they are written."""
    body = f"  Thing:\n    Type: {kind}\n"
    if properties:
        body += "    Properties:\n" + _indented(properties, 6)
    return {"template.yaml": _HEAD + body + (_indented(more, 2) if more else "")}


def function(properties: str = "", more: str = "", *, event: str = "", code: str = "") -> Files:
    """Return a template of SAM with one function, `Thing`, and its code."""
    runtime = "" if "Runtime:" in properties else "Runtime: python3.13\n"
    body = f"{runtime}Handler: app.handler\nCodeUri: src/\n" + properties.strip("\n")
    if event:
        body += "\nEvents:\n  Call:\n" + _indented(event, 4)
    files = dict(resource("AWS::Serverless::Function", body, more))
    files["src/app.py"] = code or "def handler(event, context):\n    return {'statusCode': 204}\n"
    return files


def statement(text: str) -> Files:
    """Return a function with one statement of its policy."""
    inner = _indented(text, 6).removeprefix("      ")
    return function(f"Policies:\n  - Statement:\n    - {inner}")


def python(code: str) -> Files:
    """Return a function with that code, called over HTTP."""
    return function(
        event="Type: Api\nProperties: {Path: /thing, Method: get}", code=code.strip("\n") + "\n"
    )


def javascript(code: str) -> Files:
    """Return a function of Node.js with that code."""
    body = "Runtime: nodejs22.x\nHandler: app.handler\nCodeUri: src/"
    files = dict(resource("AWS::Serverless::Function", body))
    files["src/app.js"] = code.strip("\n") + "\n"
    return files


def project(settings: str = "", more: str = "") -> Files:
    """Return a project of Casemate with one function, `thing`."""
    manifest = (
        '[project]\nname = "demo"\n\n[function.thing]\nhandler = "app:handler"\n'
        + settings.strip("\n")
        + ("\n" + more.strip("\n") if more else "")
        + "\n"
    )
    return {"casemate.toml": manifest, "app.py": "def handler(event, context):\n    return None\n"}


def requirements(text: str) -> Files:
    """Return a function with those requirements."""
    return {**function(), "src/requirements.txt": text.strip("\n") + "\n"}


def stack(settings: str = "", gateway: str = "http://127.0.0.1:8080") -> Files:
    """Return a stack of OpenFaaS with one function."""
    return {
        "stack.yml": f"version: 1.0\nprovider:\n  name: openfaas\n  gateway: {gateway}\nfunctions:\n"
        "  thing:\n    lang: python3-http\n    handler: ./thing\n    image: registry.example/thing:1.0.2\n"
        + (_indented(settings, 4) if settings else ""),
        "thing/handler.py": "def handle(event, context):\n    return {'statusCode': 204}\n",
    }


def service(container: str = "", template: str = "") -> Files:
    """Return a service of Knative."""
    return {
        "service.yaml": "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: thing\n"
        "spec:\n  template:\n"
        + (_indented(template, 4) if template else "")
        + "    spec:\n      containers:\n        - image: registry.example/thing@sha256:"
        + "0" * 64
        + "\n"
        + (_indented(container, 10) if container else "")
    }


def workload(container: str = "", pod: str = "", more: str = "") -> Files:
    """Return a deployment of Kubernetes with one container, and other objects behind it."""
    return {
        "deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: thing\nspec:\n"
        "  selector:\n    matchLabels: {app: thing}\n  template:\n    metadata:\n"
        "      labels: {app: thing}\n    spec:\n"
        + (_indented(pod, 6) if pod else "")
        + "      containers:\n        - name: thing\n"
        + ("" if "image:" in container else _IMAGE)
        + (_indented(container, 10) if container else "")
        + (f"---\n{more.strip()}\n" if more else "")
    }


_IMAGE = "          image: registry.example/thing@sha256:" + "0" * 64 + "\n"


def manifest(kind: str, api: str, body: str, *more: str) -> Files:
    """Return an object of Kubernetes, `thing`, and others behind it."""
    head = f"apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: thing\n"
    return {"manifest.yaml": "---\n".join((head + body.strip("\n") + "\n", *more))}
