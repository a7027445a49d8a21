"""Who may call the server: by the name that they call it, by the page that calls, and by a token.

On loopback the danger is a web page in a browser of the same machine, which can send requests to any address: under a
name of its own that leads to 127.0.0.1 (DNS rebinding) it could even read the responses.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stages.commands.serving.monitoring import ServerMetrics

# What the page and its parts, and what watches over the server, need no token for: nothing of it is secret.
OPEN_PATHS = frozenset({"/", "/page.css", "/page.js", "/openapi.json", "/v1/health"})
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server at `host`, a name or an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class AccessRules:
    """The `token` of callers, empty for none, and the `hosts` by which they may call the server; None allows any."""

    token: str
    hosts: frozenset[str] | None

    @classmethod
    def of(cls, host: str, names: list[str], token: str) -> "AccessRules":
        """The rules of a server at `host`, which is also called by `names`: any name may be used where none is given
        and the server is reached from elsewhere, for there the token decides.
        """
        if not is_loopback(host) and not names:
            return cls(token, None)
        return cls(token, frozenset({*_LOOPBACK_NAMES, host.lower(), *(name.lower() for name in names)}))

    def refusal(self, path: str, headers: Mapping[str, str]) -> Response | None:
        """Why a request is refused: 421 by the name, 403 by the page that sends it, 401 by its token; or None."""
        host = headers.get("host", "")
        if self.hosts is not None and _host_name(host) not in self.hosts:
            return _refuse(421, "expected a name of this server in `Host`, found another; name it by --allowed-host")
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host.lower():
            return _refuse(403, "expected a request of this server's own page, found another page's")
        if self.token and path not in OPEN_PATHS and not self._has_token(headers.get("authorization", "")):
            return _refuse(401, "expected `Authorization: Bearer TOKEN` with the server's token", "Bearer")
        return None

    def _has_token(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        is_equal = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self.token.encode())
        return is_equal and scheme.lower() == "bearer"


class AccessGuard:
    """ASGI: refuses what the rules refuse, before the body is read; counts responses, and adds security headers."""

    def __init__(self, app: ASGIApp, rules: AccessRules, metrics: ServerMetrics) -> None:
        self._app, self._rules, self._metrics = app, rules, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the events of the server's start and end are passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
                self._metrics.requests.labels(str(message["status"])).inc()
            await send(message)

        refused = self._rules.refusal(scope["path"], Headers(scope=scope))
        await (refused or self._app)(scope, receive, send_guarded)


def _refuse(status: int, detail: str, scheme: str = "") -> Response:
    return JSONResponse({"detail": detail}, status, {"WWW-Authenticate": scheme} if scheme else None)


def _host_name(host: str) -> str:
    """The name in a `Host` header, in lower case, without port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
