"""Addresses that the service may call on somebody's behalf: public ones, and networks that the operator allows."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The ranges of IPv4 that are of no single host on the public internet: IANA's registries of special-purpose and of
# multicast addresses. Python's `is_global` knows some of them only, and by version.
_SPECIAL_IPV4: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier's customers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "a relay of 6to4"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        # Public by its number, and inside one cloud the address of the host beneath a machine.
        ("168.63.129.16/32", "the platform of a cloud"),
    )
)
# Of IPv6 only this block is handed out to hosts; what embeds an IPv4 address outside of it (mapped, NAT64) is refused
# with the rest, so that no translator leads back inside.
_UNICAST = IPv6Network("2000::/3")
_SPECIAL_IPV6: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("2001::/23", "reserved, Teredo among it"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "6to4, which embeds an IPv4 address"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "for documentation"),
    )
)
_NAMED_IPV6: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("::1/128", "loopback"),
        ("::/128", "this host"),
        ("::ffff:0:0/96", "an IPv4 address in disguise"),
        ("64:ff9b::/96", "NAT64, which embeds an IPv4 address"),
        ("64:ff9b:1::/48", "NAT64, which embeds an IPv4 address"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks that are separated by commas; ValueError for what is none, or has bits of a host."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def within(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether the address lies in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)


def not_public(address: Address) -> str | None:
    """Why the address is of no host on the public internet, in a few words; None for one that is."""
    if isinstance(address, IPv4Address):
        return _named(address, _SPECIAL_IPV4)
    if address.scope_id is None and address in _UNICAST:
        return _named(address, _SPECIAL_IPV6)
    return _named(address, _NAMED_IPV6) or "reserved"


def _named(address: Address, networks: tuple[tuple[Network, str], ...]) -> str | None:
    return next((what for network, what in networks if address in network), None)


def canonical(text: str) -> Address | None:
    """The address that is written here in its plain form; None for a name, ValueError for one in a strange form.

    Programs disagree on what 0177.1, 0x7f000001 or 2130706433 mean; nobody has to write an address like that.
    """
    if ":" in text:
        return ip_address(text)
    last = text.rpartition(".")[2]
    if last.isdigit() or last.lower().startswith("0x"):
        return IPv4Address(text)
    return None
