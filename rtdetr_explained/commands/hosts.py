"""Who is answered: only who asks for the app under an address or a name that it is served under.

Otherwise a page of anybody could let its own name point to this computer (DNS rebinding), and the browser of who looks
at that page would hand it the app as if it were its own. Such a request carries the stranger's name as its host.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

REFUSAL = (
    "This app is not served under the name or from the page that was asked for. Open it under the address that it "
    "printed when it was started; to serve it under another name, start it with --host NAME.\n"
)


class KnownHosts:
    """ASGI middleware that refuses what is asked for under other hosts, or by pages of other hosts.

    Args:
        app: what answers the rest.
        names: names that the app is served under, next to "localhost" and the addresses of the loopback.
        addresses: whether it is served under all addresses of this computer. Nobody can let an address point elsewhere,
            and behind a router it may be one that this computer does not know of, so every address is right then.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]], names: Iterable[str], addresses: bool):
        self.app = app
        self.names = {name.lower() for name in names}
        self.addresses = addresses

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
            hosts, origins = ([value for name, value in headers if name == kind] for kind in (b"host", b"origin"))
            if len(hosts) != 1 or not self.serves(hosts[0]) or not all(self.is_own(o, hosts[0]) for o in origins):
                return await refuse(scope, send)
            # The page was checked here. Streamlit, where it cannot tell by itself, would ask an outside service for the
            # address of this computer.
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"origin"]}
        await self.app(scope, receive, send)

    def serves(self, host: str) -> bool:
        """Whether the app is served under this host, with or without a port."""
        name = host_name(host)
        if name == "localhost" or name in self.names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return self.addresses or address.is_loopback

    def is_own(self, origin: str, host: str) -> bool:
        """Whether a page is of the app itself; behind a proxy it has one of the names, whatever the host is then."""
        place = urlsplit(origin).netloc if "://" in origin else ""
        return place.lower() == host.lower() or host_name(place) in self.names


def host_name(host: str) -> str:
    """The name or address in "name", "name:port" or "[address]:port", in lower case; "" when there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


async def refuse(scope: Message, send: Send) -> None:
    """Answer with one sentence; what was asked for is not repeated in it."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 421, "headers": headers})  # misdirected request
    await send({"type": "http.response.body", "body": REFUSAL.encode()})
