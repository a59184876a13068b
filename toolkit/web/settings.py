"""Who may reach the server, with what, and how much of it."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from toolkit.errors import ConfigurationError
from toolkit.sandbox.sandbox import SandboxLimits

TOKEN_VARIABLE = "TOOLKIT_TOKEN"  # noqa: S105 - the name of a variable
_SHORTEST_TOKEN = 16
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - to be recognised


@dataclass(frozen=True, slots=True)
class WebLimits:
    """How much one request, and all of them together, may take.

    Attributes:
        json_bytes: Of a JSON body.
        json_depth: How deep objects and lists may be nested in it.
        picture_bytes: Of a picture; its pixels are limited where it is decoded.
        models_in_merge: How many may be merged.
        merge_seconds: How long a merge may take.
        guesses: The most that ``top`` may ask for.
        recognisers: Models that are kept ready.
        retry_after_s: What a client is told to wait while another one's heavy job runs.
    """

    json_bytes: int = 64 << 10
    json_depth: int = 8
    picture_bytes: int = 10_000_000
    models_in_merge: int = 32
    merge_seconds: float = 3600.0
    guesses: int = 100
    recognisers: int = 4
    retry_after_s: int = 10


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the server listens and whom it answers.

    Attributes:
        host: Address to listen on.
        port: 0 for any that is free.
        token: What a client must send as ``Authorization: Bearer``; None on loopback alone.
        trusted_hosts: What the Host header may say, beside the server's own names.
        limits: Of every kind.
        trial: What a model file may take of the child process that reads it first; None to read
            files in the server's own process alone, where all of them are known to be good.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    token: str | None = field(default=None, repr=False)
    trusted_hosts: tuple[str, ...] = ()
    limits: WebLimits = WebLimits()
    trial: SandboxLimits | None = field(default_factory=SandboxLimits)

    def __post_init__(self) -> None:
        token = self.token
        if token is None:
            if not is_loopback(self.host):
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
        cls,
        host: str = "127.0.0.1",
        port: int = 5000,
        trusted_hosts: Iterable[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> WebSettings:
        """With the token that the environment has.

        Raises:
            ConfigurationError: If the address needs a token and there is none, or a poor one.
        """
        variables = os.environ if environ is None else environ
        return cls(host, port, variables.get(TOKEN_VARIABLE) or None, tuple(trusted_hosts))

    @property
    def allowed_hosts(self) -> list[str]:
        """Every name that a Host header may have, without the port."""
        own = (
            [socket.gethostname(), socket.getfqdn()] if self.host in _EVERYWHERE else [_bracketed(self.host)]
        )
        return list(dict.fromkeys([*_LOOPBACK, *own, *self.trusted_hosts]))


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
