"""What leaves Kleis: mail to a mail server, events to the application; both are played here."""

import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest
from pydantic import AnyHttpUrl, SecretStr
from sqlalchemy import select

from integration import effects
from integration.db import outbox
from integration.db.tables import OutboxEffect
from integration.tasks import events, relay
from integration.tasks.deliver import deliver
from policies.decisions import PublishEvent

SECRET = "a-secret-of-events"


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP as taking one mail needs."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailHandler)
        self.taken: list[str] = []
        self.answer_to_mail = b"250 ok"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _MailHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say(b"220 ready")
        while line := self.rfile.readline().strip():
            command = line[:4].upper()
            if command == b"DATA":
                self._say(b"354 go on")
                self._take()
            elif command == b"QUIT":
                self._say(b"221 bye")
                return
            elif command == b"MAIL":
                self._say(self.server.answer_to_mail)
            else:
                self._say(b"250 ok")

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.decode())
        self.server.taken.append("".join(lines))
        self._say(b"250 taken")

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


class Consumer(HTTPServer):
    """Where the application takes events."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ConsumerHandler)
        self.taken: list[tuple[dict[str, str], str]] = []
        self.status = 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/events"


class _ConsumerHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.taken.append((headers, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def serving(server) -> Iterator:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    yield from serving(MailServer())


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    yield from serving(Consumer())


def with_settings(services, **changes):
    return replace(services, settings=services.settings.model_copy(update=changes))


@pytest.fixture
def mail_effect(services, clock):
    payload = {
        "template": "verification_code",
        "to": "ada@example.test",
        "facts": {"code": "123456", "link": "http://kleis.test/v"},
        "subject": "",
        "text": "",
    }
    with services.transaction() as session:
        return outbox.add(
            session,
            lane="mail",
            kind=effects.COURIER_MAIL,
            identity_id=None,
            payload=payload,
            now=clock.now,
        )


@pytest.fixture
def event_effect(services, clock):
    event = PublishEvent("member.registered", (("default_playlists", True),))
    with services.transaction() as session:
        effects.record(session, uuid4(), (event,), now=clock.now)
        return session.scalar(select(OutboxEffect.id))


def row_of(services, effect_id):
    with services.transaction() as session:
        return session.get(OutboxEffect, effect_id)


def test_a_mail_reaches_the_server_with_both_parts_and_a_lasting_id(
    services, mail_server, mail_effect
):
    sending = with_settings(services, smtp_url=SecretStr(mail_server.url))

    assert deliver(sending, mail_effect) is True

    [mail] = mail_server.taken
    assert f"Message-ID: <{mail_effect}@kleis.invalid>" in mail
    assert "To: ada@example.test" in mail
    assert "Content-Type: text/plain" in mail
    assert "Content-Type: text/html" in mail
    assert mail.count("123456") == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [(b"450 later", "upstream_unavailable"), (b"550 never", "upstream_refused")],
)
def test_a_mail_the_server_does_not_take_is_tried_again(
    services, mail_server, mail_effect, answer, code
):
    sending = with_settings(services, smtp_url=SecretStr(mail_server.url))
    mail_server.answer_to_mail = answer
    assert deliver(sending, mail_effect) is False
    assert row_of(services, mail_effect).last_error.startswith(code)

    mail_server.answer_to_mail = b"250 ok"

    assert deliver(sending, mail_effect) is True
    assert len(mail_server.taken) == 1


def test_without_a_mail_server_outside_the_embedded_stack_mail_waits(services, mail_effect):
    sending = with_settings(services, embedded=False)

    assert deliver(sending, mail_effect) is False
    assert "KLEIS_SMTP_URL" in row_of(services, mail_effect).last_error


def test_an_event_that_waited_goes_to_the_consumer_once_there_is_one(
    services, consumer, event_effect, clock, rung
):
    clock.advance(outbox.HEAD_START)
    assert relay.relay(services) == 0
    assert deliver(services, event_effect) is False
    ready = with_settings(
        services, events_url=AnyHttpUrl(consumer.url), events_secret=SecretStr(SECRET)
    )
    assert relay.relay(ready) == 1

    assert deliver(ready, event_effect) is True

    [(headers, body)] = consumer.taken
    assert headers["webhook-id"] == str(event_effect)
    expected = events.sign(SECRET, str(event_effect), headers["webhook-timestamp"], body)
    assert headers["webhook-signature"] == expected
    said = json.loads(body)
    assert said["type"] == "member.registered"
    assert said["data"]["default_playlists"] is True
    assert "email" not in body


def test_a_consumer_that_fails_is_asked_again_under_the_same_name(services, consumer, event_effect):
    ready = with_settings(
        services, events_url=AnyHttpUrl(consumer.url), events_secret=SecretStr(SECRET)
    )
    consumer.status = 503
    assert deliver(ready, event_effect) is False
    consumer.status = 200
    assert deliver(ready, event_effect) is True

    assert len({headers["webhook-id"] for headers, _ in consumer.taken}) == 1
