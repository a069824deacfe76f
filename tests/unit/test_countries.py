"""Countries from a file of this test; whatever is wrong with it, they are unknown."""

from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from integration.countries import Countries


@pytest.fixture
def database(tmp_path) -> Path:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True)
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"country": {"iso_code": "AT"}})
    writer.insert_network(IPSet(["198.51.100.0/24"]), {"country_code": "pt"})
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": "<script>"}})
    writer.insert_network(IPSet(["203.0.114.0/24"]), {"country_code": 7})
    writer.insert_network(IPSet(["2001:db8::/32"]), {"country_code": "IS"})
    path = tmp_path / "countries.mmdb"
    writer.to_db_file(str(path))
    return path


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("192.0.2.7", "AT"),
        ("198.51.100.7", "PT"),
        ("2001:db8::7", "IS"),
        ("203.0.113.7", ""),
        ("203.0.114.7", ""),
        ("127.0.0.1", ""),
        ("::ffff:192.0.2.7", "AT"),
        ("no address", ""),
        ("", ""),
    ],
)
def test_an_address_has_its_country(database, address, country):
    assert Countries(database).of(address) == country


def test_without_a_file_every_country_is_unknown(tmp_path):
    assert Countries(None).of("192.0.2.7") == ""
    assert Countries(tmp_path / "missing.mmdb").of("192.0.2.7") == ""


def test_a_file_that_is_no_database_is_as_good_as_none(tmp_path, database):
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"nothing of use" * 100)
    assert Countries(broken).of("192.0.2.7") == ""
    cut = tmp_path / "cut.mmdb"
    cut.write_bytes(database.read_bytes()[:200])
    assert Countries(cut).of("192.0.2.7") == ""
