"""The proxy for outgoing requests, and the hosts that it is not used for."""

import ipaddress
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """An HTTP proxy.

    Attributes:
        url: its URL, without credentials.
        credentials: user name and password for it.
        exceptions: hosts to which requests are sent directly: names, which stand for the names
            below them, too, addresses, and networks.
    """

    url: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    exceptions: tuple[str, ...] = ()

    @property
    def url_with_credentials(self) -> str:
        """Its URL with the credentials, percent-encoded (RFC 3986 section 3.2.1)."""
        if self.credentials is None:
            return self.url
        user, password = (quote(one, safe="") for one in self.credentials)
        return self.url.replace("://", f"://{user}:{password}@", 1)

    def headers(self) -> dict[str, str]:
        """Return the headers that contain its credentials (RFC 7617)."""
        if self.credentials is None:
            return {}
        encoded = b64encode(":".join(self.credentials).encode()).decode("ascii")
        return {"Proxy-Authorization": f"Basic {encoded}"}

    def is_for(self, host: str) -> bool:
        """Return whether requests to a host go through the proxy.

        Args:
            host: a name or an address, as in a URL.
        """
        name = host.lower().strip("[]").removesuffix(".")
        return not any(_covers(exception.lower(), name) for exception in self.exceptions)


def _covers(exception: str, host: str) -> bool:
    try:
        network = ipaddress.ip_network(exception.strip("[]"), strict=False)
    except ValueError:
        name = exception.removeprefix("*").removeprefix(".").removesuffix(".")
        return host == name or host.endswith(f".{name}")
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False  # Names are not resolved: the proxy may know other addresses.
