"""Mail leaves: to the mail server, or to the mailbox of the embedded stack."""

from uuid import UUID

from integration.db import mailbox, members
from integration.db.tables import OutboxEffect
from integration.errors import UpstreamUnavailableError
from integration.mail import composing, smtp
from integration.mail.composing import Mail
from integration.services import Services
from policies.decisions import SendMail


def send_to_member(
    services: Services, row: OutboxEffect, identity_id: UUID, wanted: SendMail
) -> None:
    """Send one mail of ours; nothing when the member is gone."""
    with services.transaction() as session:
        member = members.get(session, identity_id)
        profile = members.profile(session, identity_id)
        if member is None or member.email is None or profile is None:
            return
        to, display_name = wanted.to or member.email, profile.display_name
    facts = {
        "display_name": display_name,
        "public_url": str(services.settings.public_url),
        **dict(wanted.facts),
    }
    _send(services, row.id, composing.compose(wanted.template, to, facts))


def send_courier_mail(services: Services, row: OutboxEffect) -> None:
    """Send one mail that Kratos' courier asked for (`hooks/courier.py` wrote the payload)."""
    payload = row.payload
    if payload["template"]:
        mail = composing.compose(payload["template"], payload["to"], payload["facts"])
    else:
        mail = composing.frame(payload["to"], payload["subject"], payload["text"])
    _send(services, row.id, mail)


def _send(services: Services, mail_id: UUID, mail: Mail) -> None:
    settings = services.settings
    if settings.smtp_url is not None:
        smtp.send(
            mail,
            mail_id,
            smtp_url=settings.smtp_url.get_secret_value(),
            sender=settings.mail_from,
            timeout=settings.upstream_timeout,
            now=services.now(),
        )
        return
    if not settings.embedded:
        raise UpstreamUnavailableError("No mail server is set: KLEIS_SMTP_URL.")
    with services.transaction() as session:
        mailbox.put(
            session,
            mail_id,
            to=mail.to.lower(),
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            now=services.now(),
        )
