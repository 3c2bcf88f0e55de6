"""Settings: requests that the service makes to others on the word of a client."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import msgspec

from app.config.values import parse_path, setting


def parse_outgoing_network(text: str) -> str:
    """An IP address or a network in CIDR notation; its text."""
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError("is neither an IP address nor a network without host bits") from None


class OutgoingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Outgoing requests"""

    outgoing_allowed_networks: Annotated[
        tuple[str, ...],
        setting(
            "Networks that a client's `jwks_uri` may lie in though they are not public. All other loopback, private, "
            "link-local (metadata services) and reserved addresses are refused, whatever name they hide behind.",
            allowed="addresses and networks such as 10.20.0.0/16, separated by commas or spaces",
            parse=parse_outgoing_network,
        ),
    ] = ()
    outgoing_ca_file: Annotated[
        Path | None,
        setting(
            "Authorities (PEM) that are trusted for `jwks_uri` beside the system's; read at start.",
            allowed="the path of a readable file",
            parse=parse_path,
        ),
    ] = None
