"""A mail to a mail server."""

import smtplib
import ssl
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit
from uuid import UUID

from integration.errors import UpstreamRefusedError, UpstreamUnavailableError
from integration.mail.composing import Mail

_PORTS = {"smtp": 587, "smtps": 465}


def send(
    mail: Mail, mail_id: UUID, *, smtp_url: str, sender: str, timeout: timedelta, now: datetime
) -> None:
    """Hand one mail to the server at `smtp_url`.

    Its Message-ID is made of `mail_id`, so that a mail sent twice is shown once.

    Args:
        smtp_url: `smtp://user:password@host:587` uses STARTTLS when the server offers it, and
            insists on it when there is a password; `smtps://` is TLS from the first byte.

    Raises:
        UpstreamUnavailableError: no answer, or one that says to try again later (4xx).
        UpstreamRefusedError: the server will not take this mail (5xx).
    """
    message = _message(mail, mail_id, sender, now)
    try:
        _transmit(message, smtp_url, timeout.total_seconds())
    except smtplib.SMTPResponseException as error:
        detail = f"{error.smtp_code}"
        if error.smtp_code >= 500:
            raise UpstreamRefusedError("The mail server refused.", detail=detail) from error
        raise UpstreamUnavailableError("The mail server is busy.", detail=detail) from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        if all(code >= 500 for code in codes):
            raise UpstreamRefusedError("The mail server knows no such address.") from error
        raise UpstreamUnavailableError("The mail server is busy.") from error
    except (OSError, smtplib.SMTPException) as error:
        raise UpstreamUnavailableError(
            "The mail server did not answer.", detail=type(error).__name__
        ) from error


def _message(mail: Mail, mail_id: UUID, sender: str, now: datetime) -> EmailMessage:
    name, address = parseaddr(sender)
    user, _, domain = address.rpartition("@")
    message = EmailMessage()
    message["From"] = Address(name, user, domain)
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{mail_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _transmit(message: EmailMessage, smtp_url: str, timeout: float) -> None:
    url = urlsplit(smtp_url)
    host, port = url.hostname or "localhost", url.port or _PORTS[url.scheme]
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if url.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=timeout)
    with server:
        server.ehlo()
        if url.scheme == "smtp" and (server.has_extn("starttls") or url.password):
            server.starttls(context=context)
            server.ehlo()
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)
