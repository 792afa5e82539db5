"""Address of a Looker instance, however it is written."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from tap_looker_tasks.errors import SettingsError


def read_instance_url(text: str) -> str:
    """Return scheme, host and port of the instance, without a path.

    Raises:
        SettingsError: not a URL of http or https, or http to another machine.
    """
    hint = "expected the instance's address, like https://example.cloud.looker.com"
    try:
        url = urlsplit(text.strip())
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if url.scheme not in {"http", "https"} or not host or url.username or url.query:
        msg = f"base_url: {hint}"
        raise SettingsError(msg)
    if url.path.strip("/") and not re.fullmatch(r"/+api(/.*)?", url.path):
        msg = f"base_url: {hint}, without the path {url.path!r}"
        raise SettingsError(msg)
    if url.scheme == "http" and not _is_loopback(host):
        msg = f"base_url: http would send the credentials in the clear to {host}; use https"
        raise SettingsError(msg)
    bracketed = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{bracketed}" + (f":{port}" if port else "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
