"""All channels of a node's settings, made before the monitor gives up its rights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from casemate.egress.routes import OwnAddresses
from casemate.model.facts import Fact
from casemate.monitor.deadman import Deadman
from casemate.monitor.exports.exporting import Exporting, exporting
from casemate.monitor.outlet import Outlet, Send
from casemate.monitor.places.checkpoints import Checkpoints, Places
from casemate.monitor.reaching import Reach, tls_context
from casemate.monitor.settings import Channel, Mail, MonitorSettings, Webhook
from casemate.monitor.syslog import SyslogChannel
from casemate.monitor.webhook import WebhookChannel
from casemate.vault.monitor_client import MonitorVault


class Channels:
    """Makes what the settings name."""

    def __init__(
        self, settings: MonitorSettings, own_addresses: tuple[str, ...], own_folder: int
    ) -> None:
        """Read the host's authorities, open files, and ask the kernel for its own addresses.

        `own_folder` is a descriptor of the monitor's folder.
        """
        self.settings = settings
        if any(isinstance(each, Mail) for each in settings.alerts.values()):
            # While modules can be imported. Who has no mail does without those that write it.
            from casemate.monitor import mail  # noqa: F401
        self._places = Places(settings.checkpoints, own_folder)
        self._reach: Reach | None = None
        if settings.reached:
            hosts = any(not each.ca for each in settings.reached)
            self._reach = Reach(
                OwnAddresses(own_addresses),
                tls_context() if hosts else None,
                places=len(settings.reached),
            )
            for each in settings.reached:
                self._reach.context(each)

    def outlets(
        self, vault: MonitorVault, *, node: str, tell: Callable[[Fact], None]
    ) -> Mapping[str, Outlet]:
        """Return each channel, by its name; what becomes of alerts is told to `tell`."""
        return {
            name: Outlet(
                name,
                settings,
                self._send(settings, place, vault),
                node=node,
                tell=tell,
            )
            for place, (name, settings) in enumerate(self.settings.alerts.items())
        }

    def _send(self, settings: Channel, place: int, vault: MonitorVault) -> Send:
        if self._reach is None:
            raise RuntimeError("there is a channel, and no way to it")
        if isinstance(settings, Webhook):
            return WebhookChannel(settings, self._reach, place, vault.sign_hmac).send
        if isinstance(settings, Mail):
            from casemate.monitor.mail import MailChannel

            return MailChannel(settings, self._reach, place, vault.password).send
        return SyslogChannel(settings, self._reach, place).send

    def exporting(self, vault: MonitorVault, node: str) -> Exporting:
        """Return what exports records and numbers."""
        return exporting(self.settings.export, self._reach, vault.password, node)

    def checkpoints(self, vault: MonitorVault, node: str) -> Checkpoints:
        """Return what sends checkpoints of the journal to second places."""
        return self._places.checkpoints(self._reach, vault, node)

    def deadman(self, well: Callable[[], bool]) -> Deadman | None:
        """Return what sends signs of life while all is `well`, None where nobody waits for any."""
        if self.settings.deadman is None or self._reach is None:
            return None
        return Deadman(self.settings.deadman, self._reach, well)
