from ipaddress import ip_address

import pytest

from service.addresses import canonical, not_public, parse_networks, within

SPECIAL = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1
172.31.255.255 192.0.0.1 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1
2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1 fc00::1 fd12::1 fe80::1 fe80::1%eth0 fec0::1
ff02::1 2606:4700::1%eth0
"""
PUBLIC = "8.8.8.8 1.1.1.1 172.32.0.1 100.128.0.1 2606:4700::1111 2a00:1450::1"
STRANGE = "2130706433 0x7f000001 0x7f.1 0177.0.0.1 127.1 127.0.1 1.2.3.4.5 256.0.0.1 017700000001 a.b.0x1 x.7"
NAMES = "hooks.example.com localhost a1 0xcafe.example 1password.com 127.0.0.1.example"


@pytest.mark.parametrize("address", SPECIAL.split())
def test_what_is_not_on_the_public_internet(address):
    assert not_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC.split())
def test_what_is(address):
    assert not_public(ip_address(address)) is None


@pytest.mark.parametrize("text", STRANGE.split())
def test_an_address_in_a_strange_form_is_none(text):
    with pytest.raises(ValueError, match=r"."):
        canonical(text)


@pytest.mark.parametrize("name", NAMES.split())
def test_a_name_is_no_address(name):
    assert canonical(name) is None


def test_networks_that_the_operator_allows():
    networks = parse_networks(" 10.1.0.0/16, fd00:1::/32,")
    assert [str(one) for one in networks] == ["10.1.0.0/16", "fd00:1::/32"]
    inside = ("10.1.2.3", "fd00:1::5")
    assert all(within(ip_address(one), networks) for one in inside)
    assert not any(within(ip_address(one), networks) for one in ("10.2.0.1", "fd00:2::1", "::ffff:10.1.2.3"))
    with pytest.raises(ValueError, match="host bits"):
        parse_networks("10.1.2.3/16")
