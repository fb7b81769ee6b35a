"""Public addresses: everything special is refused, also inside another notation."""

import ipaddress
import socket

import pytest

from beam_preprocess.media.web.addresses import allowed_addresses
from beam_preprocess.media.web.rules import FetchError


def allowed(*found: str, allow_loopback: bool = False) -> list[str]:
    return allowed_addresses("a host", 443, resolve=lambda host, port: list(found), allow_loopback=allow_loopback)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.8.9.10",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
        ),
        *("169.254.169.254", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
    ],
)
def test_a_special_address_is_refused(address):
    with pytest.raises(FetchError) as caught:
        allowed(address)
    assert caught.value.kind == "refused_address"


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_a_public_address_is_allowed(address):
    assert allowed(address) == [address]


def test_one_address_that_is_not_public_refuses_the_name():
    with pytest.raises(FetchError, match="10.0.0.1, which is not a public address"):
        allowed("93.184.216.34", "10.0.0.1")


def test_loopback_is_opened_for_tests_alone():
    assert allowed("127.0.0.1", "::1", allow_loopback=True) == ["127.0.0.1", "::1"]
    with pytest.raises(FetchError):
        allowed("10.0.0.1", allow_loopback=True)


@pytest.mark.parametrize(("code", "is_transient"), [(socket.EAI_AGAIN, True), (socket.EAI_NONAME, False)])
def test_a_name_without_an_address_is_an_error(code, is_transient):
    def resolve(host, port):
        raise socket.gaierror(code, "no such name")

    with pytest.raises(FetchError) as caught:
        allowed_addresses("none.example", 443, resolve=resolve, allow_loopback=False)
    assert (caught.value.kind, caught.value.is_transient) == ("unknown_host", is_transient)


def test_every_network_of_the_registry_of_special_addresses_is_refused():
    # https://www.iana.org/assignments/iana-ipv4-special-registry: those that are not globally reachable.
    for network in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"):
        for address in (ipaddress.ip_network(network)[1], ipaddress.ip_network(network)[-2]):
            with pytest.raises(FetchError):
                allowed(str(address))
