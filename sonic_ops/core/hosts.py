"""Hosts that no input comes from: what a cloud tells its own machines, keys among it."""

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

_METADATA = {ip_address("100.100.100.200"), ip_address("fd00:ec2::254"), ip_address("192.0.0.192")}
"""Metadata services that are not in the range of addresses that never leave a cable."""


def require_public(url: str) -> None:
    """Raise OSError for the address of a metadata service, however it is written.

    Other private addresses are allowed: many people read from a server of their own.
    """
    with suppress(ValueError, UnicodeError, socket.gaierror):  # said by the one who connects
        host = urlsplit(url).hostname or ""
        for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            if _is_metadata(ip_address(str(address[0]).partition("%")[0])):
                raise OSError("the host is a metadata service of the network, and no server")


def _is_metadata(ip: IPv4Address | IPv6Address) -> bool:
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_link_local or ip in _METADATA
