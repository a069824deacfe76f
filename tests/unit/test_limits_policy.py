"""How often something may be tried: the rules by themselves."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.limits import counters, rules, unlocking
from integration.limits.counters import Counters
from integration.limits.devices import Device, Devices
from integration.settings.limits import LimitSettings
from policies import limits
from policies.limits import BUSY_WAIT, Record, Rule, Tier

MINUTE = 60_000
NOW = 1_800_000_000_000
SEED = rules.rules_of(LimitSettings())
ADDRESS = SEED[rules.ADDRESS]
ACCOUNT = SEED[rules.ACCOUNT]
NAMES = Counters.of("a secret of enough length")
ADA, EVE = b"ada-ada-", b"eve-eve-"

lockouts = st.builds(
    lambda limit, window, block, growth: Rule(
        "r", (Tier(limit, window),), block=block, longest=block * growth
    ),
    st.integers(1, 6),
    st.integers(1, 1000),
    st.integers(1, 1000),
    st.integers(1, 8),
)
moments = st.lists(st.integers(0, 5000), min_size=1, max_size=30).map(sorted)


def test_the_specifications_rule_is_the_default():
    assert ADDRESS.tiers == (Tier(5, 15 * MINUTE),)
    assert ADDRESS.block == ADDRESS.longest == 30 * MINUTE


def test_the_fifth_failure_blocks_for_half_an_hour():
    record = Record()
    for number in range(4):
        assert limits.count(ADDRESS, record, NOW + number) == 0
        assert limits.wait_for(ADDRESS, record, NOW + number) == 0
    assert limits.count(ADDRESS, record, NOW + 4) == 30 * MINUTE
    assert limits.wait_for(ADDRESS, record, NOW + 5) == 30 * MINUTE - 1
    assert limits.wait_for(ADDRESS, record, NOW + 4 + 30 * MINUTE) == 0


def test_failures_older_than_the_window_do_not_count():
    record = Record()
    for number in range(4):
        limits.count(ADDRESS, record, NOW + number)
    assert limits.count(ADDRESS, record, NOW + 15 * MINUTE + 3) == 0


def test_what_is_under_way_takes_room_until_its_lease_ends():
    record = Record()
    for _ in range(5):
        assert limits.wait_for(ADDRESS, record, NOW) == 0
        limits.reserve(record, NOW, 40_000)
    assert limits.wait_for(ADDRESS, record, NOW) == BUSY_WAIT
    assert limits.wait_for(ADDRESS, record, NOW + 39_999) == BUSY_WAIT
    assert limits.wait_for(ADDRESS, record, NOW + 40_000) == 0


def test_waits_of_an_account_grow_and_end():
    record, now, waits = Record(), NOW, []
    for _ in range(30):
        now += limits.wait_for(ACCOUNT, record, now)
        limits.count(ACCOUNT, record, now)
        waits.append(limits.wait_for(ACCOUNT, record, now) // MINUTE)
    assert waits[:19] == [0] * 19
    assert waits[19:25] == [1, 2, 4, 8, 15, 15]
    assert max(waits) == 15


def test_after_a_long_peace_waits_start_small_again():
    record = Record()
    for _ in range(22):
        limits.count(ACCOUNT, record, NOW)
    later = NOW + 2 * ACCOUNT.window
    assert limits.count(ACCOUNT, record, later) == 0
    for number in range(19):
        last = limits.count(ACCOUNT, record, later + number)
    assert last == MINUTE


def test_an_allowance_waits_until_the_oldest_leaves_the_window():
    mail, record = SEED[rules.MAIL], Record()
    limits.count(mail, record, NOW)
    assert limits.wait_for(mail, record, NOW + 10_000) == 50_000
    for number in range(1, 5):
        assert limits.wait_for(mail, record, NOW + number * MINUTE) == 0
        limits.count(mail, record, NOW + number * MINUTE)
    assert limits.wait_for(mail, record, NOW + 5 * MINUTE) == 55 * MINUTE


def test_the_same_password_is_recognised_and_another_is_not():
    record = Record()
    mark = NAMES.mark(ADA, "Wrong")
    limits.count(ADDRESS, record, NOW, mark)
    assert limits.is_repeated(ADDRESS, record, NOW + 1, mark)
    assert not limits.is_repeated(ADDRESS, record, NOW + 1, NAMES.mark(ADA, "wrong"))
    assert not limits.is_repeated(ADDRESS, record, NOW + 1, NAMES.mark(EVE, "Wrong"))
    assert not limits.is_repeated(ADDRESS, record, NOW + ADDRESS.keep, mark)


@given(rule=lockouts, at=moments)
def test_never_more_failures_in_a_window_than_the_limit_without_a_block(rule, at):
    record, passed = Record(), []
    for now in at:
        if limits.wait_for(rule, record, now) == 0:
            blocked = limits.count(rule, record, now)
            passed.append(now)
            window = [t for t in passed if t > now - rule.window]
            assert blocked or len(window) < rule.tiers[0].limit


@given(rule=lockouts, at=moments)
def test_no_wait_is_longer_than_the_longest_block(rule, at):
    record = Record()
    for now in at:
        limits.count(rule, record, now)
        assert limits.wait_for(rule, record, now) <= rule.longest
        assert limits.wait_for(rule, record, now + rule.longest) == 0


@given(rule=lockouts, at=moments, times=st.integers(0, 10_000))
def test_a_record_past_its_end_says_nothing(rule, at, times):
    record = Record()
    for now in at:
        limits.count(rule, record, now)
    late = limits.end_of(rule, record) + times
    assert limits.wait_for(rule, record, late) == 0
    fresh = Record()
    assert limits.count(rule, record, late) == limits.count(rule, fresh, late)


@given(st.text(max_size=40))
def test_canonical_names_are_a_fixed_point_and_cover_what_kratos_folds(name):
    canonical = limits.canonical_identifier(name)
    assert limits.canonical_identifier(canonical) == canonical
    assert limits.canonical_identifier(limits.kratos_identifier(name)) == canonical


@pytest.mark.parametrize(
    "spelling",
    [
        "ADA@Example.Test",
        "  ada@example.test\n",
        "ada@example.te\u200bst",
        "\uff41\uff44\uff41@example.test",
        unicodedata.normalize("NFD", "ada@example.test"),
        "ada@example.te\u017ft",
    ],
)
def test_spellings_of_a_name_are_one_account(spelling):
    assert NAMES.account(None, spelling) == NAMES.account(None, "ada@example.test")


def test_kratos_own_folding_of_odd_letters_is_followed():
    # U+212A is lower k, U+0130 is lower i, one character for one.
    assert limits.kratos_identifier("\u212aim\u0130") == "kimi"


@pytest.mark.parametrize("written", ["1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304"])
def test_an_ipv4_address_is_one_however_it_is_written(written):
    key = counters.of_address(rules.ADDRESS, written)
    assert key == counters.of_address(rules.ADDRESS, "1.2.3.4")
    assert counters.of_network(written) == counters.of_network("1.2.3.250")


def test_networks_are_24_and_64_bits():
    assert counters.of_network("2001:db8::1") == counters.of_network("2001:db8::ffff:1")
    assert counters.of_network("2001:db8::1") != counters.of_network("2001:db8:0:1::1")
    assert counters.of_network("1.2.3.4") != counters.of_network("1.2.4.4")


def test_every_counter_of_an_account_and_of_an_address_is_found():
    mine = [
        counters.of_account(rules.ACCOUNT, ADA),
        counters.of_account(rules.MAIL, ADA),
        counters.of_pair("1.2.3.4", ADA),
        counters.of_device(b"d" * 16, ADA),
        counters.of_pass("1.2.3.4", ADA),
    ]
    assert all(counters.is_of_account(key, ADA) for key in mine)
    assert not any(counters.is_of_account(key, EVE) for key in mine)
    here = [
        counters.of_address(rules.ADDRESS, "1.2.3.4"),
        counters.of_address(rules.MAIL, "1.2.3.4"),
        counters.of_network("1.2.3.4"),
        counters.of_pair("1.2.3.4", ADA),
        counters.of_pass("1.2.3.4", ADA),
    ]
    assert all(counters.is_of_address(key, "::ffff:1.2.3.4") for key in here)
    assert not any(counters.is_of_address(key, "4.3.2.1") for key in here)


def test_a_device_is_known_to_the_accounts_it_logged_in_and_no_other():
    assert limits.passes_blocks(ADA, (ADA,))
    assert not limits.passes_blocks(EVE, (ADA,))
    assert not limits.passes_blocks(None, (ADA,))
    assert not limits.passes_blocks(ADA, ())


@pytest.fixture
def devices() -> Devices:
    return Devices("a secret of enough length", lifetime_seconds=1000, is_secure=True)


def value_of(cookie: str) -> str:
    return cookie.partition(";")[0]


def test_the_device_cookie_says_whom_it_knows(devices):
    first = devices.cookie(None, ADA, now=0)
    assert "HttpOnly" in first
    assert "Secure" in first
    known = devices.read(f"a=b; {value_of(first)}", now=10)
    assert known is not None
    both = devices.read(value_of(devices.cookie(known, EVE, now=10)), now=20)
    assert both == Device(known.id, (ADA, EVE))
    assert devices.read(value_of(first), now=1001) is None


def test_a_cookie_of_another_installation_or_a_changed_one_proves_nothing(devices):
    other = Devices("another secret of that length", lifetime_seconds=1000, is_secure=True)
    assert devices.read(value_of(other.cookie(None, ADA, now=0)), now=1) is None
    name, _, value = value_of(devices.cookie(None, ADA, now=0)).partition("=")
    for place in range(len(value)):
        changed = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
        found = devices.read(f"{name}={changed}", now=1)
        # The last character has bits that base64 does not read.
        assert found is None or place == len(value) - 1


@given(st.text(max_size=300))
def test_no_cookie_breaks_the_reader(text):
    devices = Devices("a secret of enough length", lifetime_seconds=1000, is_secure=False)
    assert devices.read(f"kleis_device={text}") is None


@given(st.text(max_size=100))
def test_no_ticket_can_be_guessed(text):
    assert unlocking.read("a secret of enough length", text) is None


@pytest.mark.parametrize(
    "wrong",
    ["5", "0/PT1M/PT1M", "5/PT15M", "5/PT15M/PT0S", "x/PT1M/PT1M", "5/PT1M/PT2M/PT1M", "5/1/PT1M/"],
)
def test_a_lockout_that_makes_no_sense_is_refused_at_start(wrong):
    with pytest.raises(ValueError, match="limit_address"):
        LimitSettings(limit_address=wrong)


def test_numbers_are_settings_and_profiles():
    assert rules.rules_of(LimitSettings(limit_address="3/PT1M/PT2M"))[b"a"].tiers[0].limit == 3
    strict = rules.rules_of(LimitSettings(limits_profile="strict"))
    assert all(
        mine.tiers[0].limit <= SEED[letter].tiers[0].limit for letter, mine in strict.items()
    )


def test_the_factor_for_loopback_leaves_lockouts_alone():
    local = rules.rules_of(LimitSettings(limit_loopback_factor=100))
    assert local[rules.LOOPBACK[rules.MAIL]].tiers[0].limit == 100
    assert local[rules.MAIL].tiers[0].limit == 1
    assert local[rules.ADDRESS] == ADDRESS


@given(rule=lockouts, story=moments, chance=st.randoms(use_true_random=False))
def test_failures_told_late_are_kept_in_order_and_block_as_long(rule, story, chance):
    story = story[: rule.most + 1]
    shuffled, told_late = list(story), Record()
    chance.shuffle(shuffled)
    for at in shuffled:
        limits.count(rule, told_late, at)
    assert told_late.failures == story[-rule.most :]
    (tier,) = rule.tiers
    for first, last in zip(story, story[tier.limit - 1 :], strict=False):
        if last - first < tier.window:
            assert told_late.blocked_until >= last + rule.block
