"""Ended sessions: how soon their tokens are refused, and what happens when nobody can tell."""

import logging
from contextlib import closing

import pytest

from kleis_client import RevocationFeed
from kleis_client.errors import RevocationsUnknownError, TokenRevokedError
from tests.kit.conftest import eventually

PATH = "/api/tokens/revocations"


def is_refused(verifier, token):
    try:
        verifier.verify(token)
    except TokenRevokedError:
        return True
    return False


def test_a_session_that_ended_before_we_started_is_refused_from_the_first_token_on(
    issuer, make_verifier, feed
):
    claims = issuer.claims()
    issuer.revoke(claims["sid"])
    verifier = make_verifier(revocations=feed)
    with pytest.raises(TokenRevokedError):
        verifier.verify(issuer.keys[0].sign(claims))
    verifier.verify(issuer.token())


def test_a_session_that_ends_is_refused_although_its_token_was_remembered(
    issuer, make_verifier, feed
):
    verifier = make_verifier(revocations=feed)
    claims = issuer.claims()
    token = issuer.keys[0].sign(claims)
    verifier.verify(token)
    assert len(verifier._verified) == 1
    issuer.revoke(claims["sid"])
    eventually(lambda: is_refused(verifier, token))
    assert len(verifier._verified) == 0


def test_a_quiet_issuer_is_asked_once_a_poll(issuer, make_verifier, feed):
    verifier = make_verifier(revocations=feed)
    verifier.verify(issuer.token())
    eventually(lambda: issuer.asked[PATH] >= 3)
    heard = feed._poll.heard_at
    eventually(lambda: feed._poll.heard_at > heard)
    verifier.verify(issuer.token())


def test_after_too_long_a_silence_every_token_is_refused_until_the_issuer_is_back(
    issuer, make_verifier, feed, timer, caplog
):
    verifier = make_verifier(revocations=feed)
    token = issuer.token()
    verifier.verify(token)
    issuer.stop()
    eventually(lambda: feed._poll.failing)
    verifier.verify(token)
    timer.ahead += 61
    with pytest.raises(RevocationsUnknownError):
        verifier.verify(token)
    assert [record.levelno for record in caplog.records if "not heard" in record.message] == [
        logging.WARNING
    ]
    issuer.start()
    eventually(lambda: not feed._poll.failing)
    verifier.verify(token)


def test_without_a_first_list_nothing_is_believed(issuer, make_verifier, feed):
    verifier = make_verifier(revocations=feed)
    token = issuer.token()
    verifier._keys.pending("key-1").result(30)
    issuer.stop()
    with pytest.raises(RevocationsUnknownError):
        verifier.verify(token)


def test_who_allows_stale_lists_goes_on_with_the_last_one(issuer, make_verifier, timer):
    with closing(RevocationFeed(issuer.url, wait=0.5, allow_stale=True, timer=timer)) as feed:
        verifier = make_verifier(revocations=feed)
        ended = issuer.claims()
        issuer.revoke(ended["sid"])
        token = issuer.token()
        verifier.verify(token)
        issuer.stop()
        timer.ahead += 250
        verifier.verify(token)
        with pytest.raises(TokenRevokedError):
            verifier.verify(issuer.keys[0].sign(ended))


def test_a_feed_that_was_closed_is_not_taken_for_a_quiet_one(issuer, make_verifier, feed):
    verifier = make_verifier(revocations=feed)
    token = issuer.token()
    verifier.verify(token)
    feed.close()
    with pytest.raises(RevocationsUnknownError):
        verifier.verify(token)


def test_a_verifier_that_closes_leaves_a_feed_that_was_given_to_others(issuer, make_verifier, feed):
    first, second = make_verifier(revocations=feed), make_verifier(revocations=feed)
    token = issuer.token()
    first.verify(token)
    first.close()
    second.verify(token)


def test_a_verifier_listens_by_itself_unless_told_otherwise(issuer, make_verifier):
    ended = issuer.claims()
    issuer.revoke(ended["sid"])
    token = issuer.keys[0].sign(ended)
    with pytest.raises(TokenRevokedError):
        make_verifier(check_revocations=True).verify(token)
    make_verifier(check_revocations=False).verify(token)


def test_silence_may_not_be_shorter_than_a_quiet_poll(issuer):
    with pytest.raises(ValueError, match="max_silence"):
        RevocationFeed(issuer.url, max_silence=20)
    with pytest.raises(ValueError, match="wait"):
        RevocationFeed(issuer.url, wait=26)


def test_a_list_that_is_none_counts_as_silence(issuer, make_verifier, feed, timer):
    verifier = make_verifier(revocations=feed)
    token = issuer.token()
    verifier.verify(token)
    issuer.revoked.append(["not a session"])
    issuer.version += 1
    issuer._ring()
    eventually(lambda: feed._poll.failing)
    timer.ahead += 61
    with pytest.raises(RevocationsUnknownError):
        verifier.verify(token)
