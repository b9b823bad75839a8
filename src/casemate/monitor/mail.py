"""Alerts by mail: SMTP (RFC 5321) over TLS, one connection for each message.

Written out because a library that takes a connection which was checked verifies no name, and reads
answers without a bound.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import formatdate

from casemate.egress.starting_tls import SaidInClearError, start_tls
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.messages import Message, plain, text
from casemate.monitor.reaching import Reach
from casemate.monitor.settings import Mail

_MAX_LINES = 64
"""Of one answer."""
_NAME = "casemate.invalid"
"""What we call ourselves: of this host nothing is told."""

Password = Callable[[str], Awaitable[str]]
"""Returns the value of a secret."""


class _Conversation:
    """Commands and their answers, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self, *expected: int) -> list[str]:
        """Return the texts of the next answer. Raises UndeliveredError for any but `expected`."""
        lines: list[str] = []
        for _ in range(_MAX_LINES):
            try:
                line = (await self.reader.readline()).decode("utf-8", "replace").rstrip("\r\n")
            except ValueError:
                raise UndeliveredError("A line of its answer is too long.") from None
            if not (line[:3].isascii() and line[:3].isdecimal()) or line[3:4] not in (" ", "-", ""):
                raise UndeliveredError("What answers is no mail server.")
            lines.append(line[4:])
            if line[3:4] != "-":
                if int(line[:3]) in expected:
                    return lines
                raise UndeliveredError(f"It answers {plain(line)}")
        raise UndeliveredError("Its answer has no end.")

    async def ask(self, line: str, *expected: int) -> list[str]:
        """Send a line and return the answer to it."""
        self.writer.write(line.encode("ascii") + b"\r\n")
        await self.writer.drain()
        return await self.answer(*expected)


class MailChannel:
    """Sends messages by one server."""

    def __init__(self, settings: Mail, reach: Reach, place: int, password: Password) -> None:
        """Sign in with what `password` returns, where the settings say so."""
        self._settings = settings
        self._reach = reach
        self._place = place
        self._password = password

    async def send(self, message: Message) -> None:
        """Deliver a message. Raises UndeliveredError, VaultError, OSError."""
        settings = self._settings
        reader, writer = await self._reach.open(self._place, settings, tls=not settings.starttls)
        try:
            talk = _Conversation(reader, writer)
            await talk.answer(220)
            offered = await talk.ask(f"EHLO {_NAME}", 250)
            if settings.starttls:
                if "STARTTLS" not in (each.upper() for each in offered):
                    raise UndeliveredError("It does not offer STARTTLS.")
                await talk.ask("STARTTLS", 220)
                await self._secure(talk)
                await talk.ask(f"EHLO {_NAME}", 250)
            await self._sign_in(talk)
            await self._hand_over(talk, message)
            writer.write(b"QUIT\r\n")  # it has it; its good-bye is not waited for
            writer.close()
        except BaseException:
            # At once: who does not read what is sent would keep the connection, and all of it.
            writer.transport.abort()
            raise

    async def _secure(self, talk: _Conversation) -> None:
        context = self._reach.context(self._settings)
        try:
            await start_tls(talk.reader, talk.writer, context, self._settings.target.host)
        except SaidInClearError as error:
            raise UndeliveredError(error.message) from error

    async def _sign_in(self, talk: _Conversation) -> None:
        settings = self._settings
        if settings.password is None:
            return
        password = await self._password(settings.password)
        secret = base64.b64encode(f"\0{settings.user}\0{password}".encode()).decode()
        await talk.ask(f"AUTH PLAIN {secret}", 235)

    async def _hand_over(self, talk: _Conversation, message: Message) -> None:
        settings = self._settings
        await talk.ask(f"MAIL FROM:<{settings.sender}>", 250)
        for each in settings.to:
            await talk.ask(f"RCPT TO:<{each}>", 250, 251)
        await talk.ask("DATA", 354)
        data = _composed(settings, message).as_bytes().replace(b"\r\n", b"\n")
        for line in data.split(b"\n"):
            talk.writer.write((b"." if line.startswith(b".") else b"") + line + b"\r\n")
        await talk.ask(".", 250)


def _composed(settings: Mail, message: Message) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.to)
    # A text that looks like an encoded word (RFC 2047) would be read as one, with the line breaks
    # that it spells.
    mail["Subject"] = f"Casemate {message.subject}".replace("=?", "= ?")
    mail["Date"] = formatdate()
    # The same for each attempt: who gets it twice can tell.
    mail["Message-ID"] = f"<{message.id}@{_NAME}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text(message), charset="utf-8", cte="quoted-printable")
    return mail
