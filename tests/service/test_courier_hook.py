"""Kratos' courier hands mail over, as often as it likes."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select

from integration.db import mailbox, members
from integration.db.tables import OutboxEffect
from integration.tasks import sweeps
from integration.tasks.deliver import deliver


def mail(**changes):
    body = {
        "recipient": "Ada@example.test",
        "template": "verification_code_valid",
        "subject": "Please verify your email address",
        "body": "Hi, your code is 123456",
        "identity_id": str(uuid4()),
        "code": "123456",
        "link": "http://kleis.test/self-service/verification?code=123456&flow=x",
    }
    return body | changes


def read(services, to=None):
    with services.transaction() as session:
        return mailbox.mails(session, to=to)


def deliver_all(services):
    with services.transaction() as session:
        ids = list(session.scalars(select(OutboxEffect.id).where(OutboxEffect.lane == "mail")))
    for effect_id in ids:
        deliver(services, effect_id)


def test_a_mail_handed_over_twice_arrives_once(hooks, services):
    body = mail()

    for _ in range(2):
        assert hooks.post("/hooks/courier", json=body).status_code == 204
    deliver_all(services)
    deliver_all(services)

    [arrived] = read(services, to="ada@example.test")
    assert "123456" in arrived.text
    assert "123456" in arrived.html
    assert body["link"] in arrived.text


def test_a_new_code_is_a_new_mail(hooks, services):
    for code in ("123456", "654321"):
        hooks.post("/hooks/courier", json=mail(code=code, body=f"Hi, your code is {code}"))
    deliver_all(services)

    assert len(read(services)) == 2


def test_codes_are_forgotten_once_the_mail_has_left(hooks, services):
    hooks.post("/hooks/courier", json=mail())
    deliver_all(services)

    with services.transaction() as session:
        [row] = session.scalars(select(OutboxEffect))
    assert row.done_at is not None
    assert row.payload == {}


def test_a_mail_we_have_no_words_for_leaves_in_kratos_own(hooks, services):
    body = mail(template="something_new", code="", link="", body="Kratos says <hello>")
    hooks.post("/hooks/courier", json=body)
    deliver_all(services)

    [arrived] = read(services)
    assert arrived.subject == body["subject"]
    assert "Kratos says <hello>" in arrived.text
    assert "&lt;hello&gt;" in arrived.html


def test_a_verification_mail_brings_an_expired_member_back(hooks, services, traits, clock):
    identity_id = uuid4()
    hooks.post(
        "/hooks/registration/completed",
        json={
            "flow_id": str(uuid4()),
            "identity_id": str(identity_id),
            "traits": traits,
            "verified": False,
        },
    )
    clock.advance(timedelta(days=1, seconds=1))
    assert sweeps.expire_unverified(services) == 1

    hooks.post("/hooks/courier", json=mail(identity_id=str(identity_id)))

    with services.transaction() as session:
        member = members.get(session, identity_id)
        arrows = [(item.trigger, item.target) for item in members.history(session, identity_id)]
    assert member.status == "pending_verification"
    assert arrows[2:] == [
        ("verification_timeout", "expired"),
        ("resend_verification", "pending_registration"),
        ("resume_registration", "pending_verification"),
    ]


def test_codes_keep_no_registration_alive_beyond_a_month(hooks, services, traits, clock):
    identity_id = uuid4()
    body = {"flow_id": str(uuid4()), "identity_id": str(identity_id)}
    body |= {"traits": traits, "verified": False}
    hooks.post("/hooks/registration/completed", json=body)

    def status() -> str:
        with services.transaction() as session:
            return members.get(session, identity_id).status

    for day in range(0, 70, 2):
        hooks.post("/hooks/courier", json=mail(identity_id=str(identity_id), code=f"{day:06}"))
        clock.advance(timedelta(days=2))
        sweeps.sweep(services)

    assert status() == "deleted"
