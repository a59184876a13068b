"""Settings of the server: address, token, allowed hosts, limits."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import field

from toolkit.errors import ConfigurationError
from toolkit.records import dataclass
from toolkit.sandbox.sandbox import SandboxLimits

TOKEN_VARIABLE = "TOOLKIT_TOKEN"  # noqa: S105 - the name of a variable
_SHORTEST_TOKEN = 16
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared only


@dataclass(frozen=True)
class WebLimits:
    """Limits of a request and of the server.

    Attributes:
        predictions: Largest value of ``top``.
    """

    json_bytes: int = 64 << 10
    json_depth: int = 8
    picture_bytes: int = 10_000_000
    models_in_merge: int = 32
    merge_seconds: float = 3600.0
    predictions: int = 100
    classifiers: int = 4
    retry_after_s: int = 10


@dataclass(frozen=True)
class WebSettings:
    """Where the server listens and whom it answers.

    Attributes:
        port: 0 for any that is free.
        token: Clients send it as ``Authorization: Bearer``; None is allowed on loopback only.
        trusted_hosts: Allowed in the Host header, beside the server's own names.
        sandbox: Limits of the child process that reads a model file first; None if all are trusted.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    token: str | None = field(default=None, repr=False)
    trusted_hosts: tuple[str, ...] = ()
    limits: WebLimits = WebLimits()
    sandbox: SandboxLimits | None = field(default_factory=SandboxLimits)

    def __post_init__(self) -> None:
        token = self.token
        if token is None:
            if not _is_loopback(self.host):
                raise ConfigurationError(
                    f"{self.host or 'every address'} is reachable from other machines, and no token is set",
                    hint=f"set {TOKEN_VARIABLE} to a long random text, or serve on 127.0.0.1",
                )
        elif len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError(
                f"{TOKEN_VARIABLE} is not {_SHORTEST_TOKEN} or more ASCII characters without spaces",
                hint="make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
            )

    @classmethod
    def from_environment(
        cls, host: str = "127.0.0.1", port: int = 5000, trusted_hosts: Iterable[str] = ()
    ) -> WebSettings:
        """Settings with the token from the environment."""
        return cls(host, port, os.environ.get(TOKEN_VARIABLE) or None, tuple(trusted_hosts))

    @property
    def allowed_hosts(self) -> list[str]:
        """Every allowed Host header, without the port."""
        own = [f"[{self.host}]" if ":" in self.host else self.host]
        if self.host in _EVERYWHERE:
            own = [socket.gethostname(), socket.getfqdn()]
        return list(dict.fromkeys([*_LOOPBACK, *own, *self.trusted_hosts]))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
