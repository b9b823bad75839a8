"""A node that knows of grants, as its client sees it: no network, no other part of ours."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from casemate.admission.grants import WideningError, require_approval
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials
from casemate.model.denial import Denial, GrantApproval, GrantUse, PackageUse
from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Version
from casemate.model.function import FunctionSpec
from casemate.model.invocation import InvocationRecord, Outcome, RunningInvocation
from casemate.model.metrics import FunctionMetrics, Metrics
from casemate.model.vault import SecretInfo
from casemate.signing.keys import key_id

_GRANTS = re.compile(r"/api/v1/functions/shop/([a-z]+)/grants")
_VERSIONS = re.compile(r"/api/v1/functions/shop/([a-z]+)/versions")


_INVOCATION = InvocationRecord(
    id="inv_1",
    project="shop",
    function="cart",
    version=1,
    trigger="invoke",
    outcome=Outcome.OK,
    status=200,
    started_at=1.0,
    queued_ms=0.0,
    run_ms=1.0,
    cold=False,
    request_bytes=0,
    response_bytes=0,
)

_RUNNING = RunningInvocation(
    id="inv_2", project="shop", function="cart", version=1, trigger="invoke", started_at=1.0
)


@dataclass
class GrantsNode:
    """Functions of the project `shop`. `specs` are those of the bundles that may be deployed."""

    specs: dict[str, FunctionSpec] = field(default_factory=dict)
    versions: dict[str, list[Version]] = field(default_factory=dict)
    uses: list[GrantUse] = field(default_factory=list)
    packages: list[PackageUse] = field(default_factory=list)
    denials: list[Denial] = field(default_factory=list)
    approvals: list[GrantApproval] = field(default_factory=list)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    may_see_grants: bool = True
    forget_difference: bool = False
    invoked: bool = True
    running: list[int] = field(default_factory=list)
    """How many calls run, each time that it is asked; none from then on."""
    inbox: list[int] = field(default_factory=list)
    """The same of events that are kept."""

    secrets: tuple[str, ...] | None = ("other",)
    """Names of the secrets that are set; None: who asks may not list them."""

    def connect(self) -> NodeClient:
        return NodeClient(Credentials(url="http://127.0.0.1:1", key="cm_k_" + "a" * 43))

    def deploy(self, spec: FunctionSpec) -> Version:
        known = self.versions.setdefault(spec.name, [])
        version = Version(
            project="shop",
            function=spec.name,
            number=len(known) + 1,
            digest=f"{len(known) + 1:064x}",
            spec=spec,
            created_at=1.0,
            created_by="user:ada",
        )
        known.append(version)
        return version

    def use(self, grant: str, action: str, prefix: str = "", *, version: int = 1) -> None:
        self.uses.append(
            GrantUse(
                project="shop",
                function="cart",
                version=version,
                grant=grant,
                action=action,
                prefix=prefix,
                first_at=1.0,
                last_at=2.0,
                count=3,
            )
        )

    def exchange(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        """Stand in for `NodeClient.exchange`."""
        if path.endswith("/attestation"):
            digest = path.split("/")[-2]
            signed = base64.b64decode(msgspec.json.decode(rest["content"])["public"])
            return self._json({"digest": digest, "statement": digest, "keys": [key_id(signed)]})
        body = msgspec.json.decode(rest["content"]) if method == "POST" else None
        if path == "/api/v1/policy/decide":
            decided = {
                "granted": False,
                "allowed": True,
                "reasons": (),
                "errors": (),
                "revision": 1,
            }
            return self._json({**body, **decided})
        self.requests.append((method, path, body))
        if method == "HEAD":
            return httpx2.Response(200)
        if path == "/api/v1/whoami":
            return self._json({"principal": "user:ada", "roles": ["owner"]})
        if path == "/api/v1/functions":
            return self._json({"functions": [self._deployed(name) for name in self.versions]})
        if path == "/api/v1/secrets/shop":
            if self.secrets is None:
                return self._problem(403, "You may not list secrets.")
            found = [SecretInfo(project="shop", name=n, versions=()) for n in self.secrets]
            return self._json({"secrets": found})
        if path == "/api/v1/invocations":
            running = [_RUNNING] * (self.running.pop(0) if self.running else 0)
            found = [_INVOCATION] if self.invoked else []
            return self._json({"running": running, "invocations": found})
        if path == "/api/v1/metrics":
            inbox = self.inbox.pop(0) if self.inbox else 0
            one = FunctionMetrics(
                project="shop", function="cart", calls=0, outcomes={}, inbox=inbox
            )
            return self._json(Metrics(at=1.0, started_at=1.0, functions=(one,)))
        if match := _GRANTS.fullmatch(path):
            return self._grants(match[1], rest.get("params", {}))
        if match := _VERSIONS.fullmatch(path):
            return self._deploy(match[1], body)
        if path == "/api/v1/deployments":
            return self._deploy_all(body)
        return self._problem(404, "There is no such path.")

    def _deployed(self, name: str) -> DeployedFunction:
        newest = AliasTarget(version=len(self.versions[name]), weight=100)
        alias = Alias(project="shop", function=name, name="live", targets=(newest,), changed_at=1.0)
        return DeployedFunction(
            project="shop", name=name, versions=tuple(self.versions[name]), aliases=(alias,)
        )

    def _grants(self, name: str, query: dict[str, Any]) -> httpx2.Response:
        if not self.may_see_grants:
            return self._problem(403, "You may not.")
        if name not in self.versions:
            return self._problem(404, "There is no such function.")
        number = int(query.get("version", len(self.versions[name])))
        version = self.versions[name][number - 1]
        return self._json(
            {
                "project": "shop",
                "function": name,
                "version": number,
                "deployed_at": version.created_at,
                "granted": version.spec.grants,
                "uses": [u for u in self.uses if (u.function, u.version) == (name, number)],
                "others": [u for u in self.uses if u.function == name and u.version != number],
                "packages": self.packages,
                "approvals": self.approvals,
                "denials": self.denials,
            }
        )

    def _deploy_all(self, body: dict[str, Any]) -> httpx2.Response:
        before = {name: list(versions) for name, versions in self.versions.items()}
        made = []
        for one in body["functions"]:
            name = one["function"]
            answer = self._deploy(name, {**one, "approve": body.get("approve", False)})
            if not answer.is_success:
                self.versions = before
                problem = {**json.loads(answer.content), "function": f"shop/{name}"}
                return httpx2.Response(
                    answer.status_code,
                    content=json.dumps(problem).encode(),
                    headers={"content-type": "application/problem+json"},
                )
            made.append(self.versions[name][-1])
        return self._json({"versions": made}, 201)

    def _deploy(self, name: str, body: dict[str, Any]) -> httpx2.Response:
        live = self.versions[name][-1].spec if name in self.versions else None
        spec = self.specs[body["digest"]]
        try:
            require_approval(live, spec, body.get("approve", False))
        except WideningError as error:
            grants = {} if self.forget_difference else {"grants": error.difference}
            return self._problem(409, error.message, **grants)
        return self._json(self.deploy(spec), 201)

    def _json(self, value: Any, status: int = 200) -> httpx2.Response:
        return httpx2.Response(
            status,
            content=msgspec.json.encode(value),
            headers={"content-type": "application/json"},
        )

    def _problem(self, status: int, detail: str, **more: Any) -> httpx2.Response:
        return httpx2.Response(
            status,
            content=msgspec.json.encode({"detail": detail, "status": status, **more}),
            headers={"content-type": "application/problem+json"},
        )
