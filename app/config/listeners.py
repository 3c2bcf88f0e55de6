"""Settings: where the service listens, who may reach it, and what it is called from outside."""

from pathlib import Path
from typing import Annotated

import msgspec

from app.config.values import (
    Address,
    parse_address,
    parse_base_url,
    parse_host,
    parse_network,
    parse_origin,
    parse_path,
    setting,
)

_ADDRESS = "host:port, or [IP address]:port; port 0 lets the system choose"


class ListenerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Listeners"""

    bind_addr: Annotated[
        Address, setting("Where the public listener binds.", allowed=_ADDRESS, parse=parse_address)
    ] = Address("127.0.0.1", 8080)
    metrics_addr: Annotated[
        Address,
        setting(
            "Where `/metrics` and the health routes are served for Prometheus and kubelet. Worker *i* of several "
            "adds *i* to the port.",
            allowed=_ADDRESS,
            parse=parse_address,
        ),
    ] = Address("127.0.0.1", 9464)
    admin_addr: Annotated[
        Address,
        setting(
            "Where `/admin/…` is served; keep it on loopback. Worker *i* of several adds *i* to the port.",
            allowed=_ADDRESS,
            parse=parse_address,
        ),
    ] = Address("127.0.0.1", 9465)
    admin_token_file: Annotated[
        Path | None,
        setting(
            "The file that holds the operators' token for `/admin/…`: 32 characters or more, but where `ADMIN_ADDR` is "
            "loopback. Without it only access tokens of this service with the scope `auth-service:admin` are let in; a "
            "client with `audiences` must list the issuer there.",
            allowed="the path of a readable file",
            parse=parse_path,
        ),
    ] = None
    admin_allowed_hosts: Annotated[
        tuple[str, ...],
        setting(
            "The names that browsers and tools reach `/admin/…` by. IP addresses, `localhost` and the host of "
            "`ADMIN_ADDR` are good already; any other `Host` is refused with 421, so that no page of another site can "
            "reach the listener through an operator's browser.",
            allowed="host names, separated by commas or spaces",
            parse=parse_host,
        ),
    ] = ()
    tls_cert_file: Annotated[
        Path | None,
        setting(
            "The certificate of the public listener and those that lead to its authority (PEM), read again when it "
            "changes. With it the listener speaks TLS alone.",
            allowed="the path of a readable file",
            parse=parse_path,
            default="no TLS",
        ),
    ] = None
    tls_key_file: Annotated[
        Path | None,
        setting(
            "The private key (PEM, not encrypted) of `TLS_CERT_FILE`.",
            allowed="the path of a readable file",
            parse=parse_path,
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        setting(
            "The proxies in front, each of which appends its client's address to `X-Forwarded-For` or `Forwarded`. The "
            "rightmost address there that is not in this list is the client's, for limits, log and audit.",
            allowed="addresses and networks such as 10.0.0.0/8, separated by commas or spaces",
            parse=parse_network,
        ),
    ] = ()
    external_base_url: Annotated[
        str,
        setting(
            "The issuer: the URL under which clients reach the service. It stands in tokens and metadata.",
            allowed="an absolute http or https URL without query and fragment",
            parse=parse_base_url,
            default="`http://`, with `TLS_CERT_FILE` `https://`, and `BIND_ADDR`",
        ),
    ] = "http://127.0.0.1:8080"
    allowed_origins: Annotated[
        tuple[str, ...],
        setting(
            "The web origins whose scripts may call the service (CORS).",
            allowed="origins such as https://app.example.com, separated by commas or spaces",
            parse=parse_origin,
        ),
    ] = ()
