"""Which names the operators' listener answers to.

A page of another site can give its own name the listener's address for a moment (DNS rebinding) and then ask it from an
operator's browser as if it were its own server: the browser sees one origin. What such a page cannot do is to have
another name in the Host header. So a host is good if

- it is an IP address, for which no name is asked;
- it is ``localhost`` or ends so, which browsers resolve by themselves (RFC 6761 section 6.3);
- an operator says so: ``ADMIN_ALLOWED_HOSTS``, and the host of ``ADMIN_ADDR``.

The port does not count: ``kubectl port-forward`` takes any.
"""

from collections.abc import Iterable
from ipaddress import ip_address


class OperatorHosts:
    """The names that the listener answers to, beside addresses."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.lower() for name in names)

    def allow(self, host: str | None) -> bool:
        """Whether a request with this Host header may be answered."""
        name = _name_of(host or "")
        if name == "localhost" or name.endswith(".localhost") or name in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _name_of(host: str) -> str:
    """Without port and brackets, in lower case (RFC 9110 section 7.2)."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name, _, port = host.partition(":")
    return name.lower() if ":" not in port else ""
