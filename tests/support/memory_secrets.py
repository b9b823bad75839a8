"""Secrets of a vault in memory: their versions, and who has set them, as rotation sees them."""

from __future__ import annotations

import time

from casemate.model.errors import ConflictError
from casemate.model.vault import NewValue, SecretInfo, SecretVersion


class MemorySecrets:
    """What rotation asks of a vault."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], list[SecretVersion]] = {}
        self.fails: Exception | None = None
        """Raised when one is to be in use."""

    def put(self, project: str, name: str, by: str = "user:ada") -> SecretVersion:
        """Have a person set one."""
        versions = self._used(project, name)
        version = self._made(project, name, by)
        self.held[project, name] = [*versions, version]
        return version

    def _used(self, project: str, name: str) -> list[SecretVersion]:
        return [one for one in self.held.get((project, name), []) if not one.pending]

    def _made(
        self, project: str, name: str, by: str, *, pending: bool = False, value_of: int = 0
    ) -> SecretVersion:
        versions = self.held.get((project, name), [])
        return SecretVersion(
            project=project,
            name=name,
            version=versions[-1].version + 1 if versions else 1,
            created_at=time.time(),
            created_by=by,
            pending=pending,
            value_of=value_of,
        )

    def in_use(self, project: str, name: str) -> int:
        """Return which version is in use; 0: none."""
        used = self._used(project, name)
        return used[-1].version if used else 0

    async def secrets(self, project: str | None) -> tuple[SecretInfo, ...]:
        return tuple(
            SecretInfo(project=of, name=name, versions=tuple(versions))
            for (of, name), versions in sorted(self.held.items())
            if project in (None, of)
        )

    async def prepare_secret(
        self, project: str, name: str, made: NewValue | int, expected: int, by: str
    ) -> SecretVersion:
        used = self.in_use(project, name)
        if used != expected:
            raise ConflictError(f"version {used}, expected {expected}")
        last = self.held.get((project, name), [])[-1:]
        if last and last[0].pending:
            return last[0]
        of = made if isinstance(made, int) else 0
        version = self._made(project, name, by, pending=True, value_of=of)
        self.held.setdefault((project, name), []).append(version)
        return version

    async def finish_secret(
        self, project: str, name: str, version: int, overlap: float
    ) -> SecretVersion:
        if self.fails is not None:
            raise self.fails
        now = time.time()
        versions = self.held[project, name]
        if versions[-1].version != version:
            raise ConflictError("another one")
        if versions[-1].pending:
            before = [
                SecretVersion(
                    project=project,
                    name=name,
                    version=one.version,
                    created_at=one.created_at,
                    created_by=one.created_by,
                    until=now + overlap if number == len(versions) - 2 else now,
                    value_of=one.value_of,
                )
                for number, one in enumerate(versions[:-1])
            ]
            done = versions[-1]
            finished = SecretVersion(
                project=project,
                name=name,
                version=version,
                created_at=done.created_at,
                created_by=done.created_by,
                value_of=done.value_of,
            )
            self.held[project, name] = [*before, finished]
        return self.held[project, name][-1]
