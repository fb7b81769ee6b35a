"""Network addresses that may be asked: public ones alone, checked after the name was resolved."""

import ipaddress
import socket
from collections.abc import Callable, Sequence

from beam_preprocess.media.web.rules import FetchError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
# Networks that Python counts as global and that are no places of media: protocol assignments, tunnels, documentation,
# and a metadata service of a cloud.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")
        + ("64:ff9b:1::/48", "100::/64", "2001::/23", "2002::/16", "3fff::/20", "5f00::/16"),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def system_resolver(host: str, port: int) -> list[str]:
    """Returns the addresses of a host, as the system knows them.

    Raises:
      OSError: It knows none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def allowed_addresses(host: str, port: int, *, resolve: Resolver, allow_loopback: bool) -> list[str]:
    """Returns the addresses of a host, all of which may be asked.

    Raises:
      FetchError: unknown_host, or refused_address when one of them is not public.
    """
    try:
        found = list(resolve(host, port))
    except (OSError, UnicodeError) as error:
        may_pass = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise FetchError("unknown_host", f"{host} has no address", is_transient=may_pass) from error
    if not found:
        raise FetchError("unknown_host", f"{host} has no address")
    for text in found:
        address = _meant(ipaddress.ip_address(text.partition("%")[0]))
        if not (is_public(address) or (allow_loopback and address.is_loopback)):
            raise FetchError("refused_address", f"{host} is {address}, which is not a public address")
    return found


def is_public(address: Address) -> bool:
    """Returns whether an address is of the public network: not loopback, private, link-local or another special one."""
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    special = special or address.is_link_local or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address carries, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address
