"""Where an authorization response may be sent, and how it is written there (RFC 6749 §3.1.2, §4.1.2, RFC 9207)."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlencode, urlsplit

from wallet_api.oauth.errors import OAuthError

MAX_CHARS = 2_048  # what browsers and servers agree to pass on in one address, the answer's parameters beside it
_URI = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")  # RFC 3986 without `#`
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")  # RFC 8252 §7.1: a domain name of the app's maker
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check_redirect_uri(text: str | None, app_schemes: Collection[str] = ()) -> str:
    """A redirect URI that a wallet nobody registered may bring along with its pushed request.

    Taken are `https` URLs (RFC 8252 §7.2), private-use schemes that are a reversed domain name (§7.1), and `http` on
    the person's own machine (§7.3). Whose it is nobody vouches for: the person sees it and decides.

    Args:
        app_schemes: private-use schemes that are taken although they are no domain name: some wallets in wide use have
            such.

    Raises:
        OAuthError: `invalid_request`.
    """
    if text is None:
        raise OAuthError("invalid_request", "redirect_uri is missing")
    if len(text) > MAX_CHARS or not _URI.fullmatch(text):
        raise OAuthError("invalid_request", "redirect_uri is no URI without fragment")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise OAuthError("invalid_request", "redirect_uri is no URI without fragment") from error
    if parts.username is not None:
        raise OAuthError("invalid_request", "redirect_uri names a user")
    if parts.scheme in ("https", "http"):
        if not parts.hostname or (parts.scheme == "http" and parts.hostname not in _LOOPBACK):
            raise OAuthError("invalid_request", "redirect_uri is https, or http on this machine")
    elif not (_PRIVATE_USE.fullmatch(parts.scheme) or parts.scheme in app_schemes) or not (parts.netloc or parts.path):
        raise OAuthError("invalid_request", "the scheme of redirect_uri is neither https nor a reversed domain name")
    return text


def shown_target(redirect_uri: str) -> str:
    """The part of a checked redirect URI that tells a person where they are sent: its host, or the app's scheme."""
    parts = urlsplit(redirect_uri)
    return parts.netloc if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def authorization_response(redirect_uri: str, parameters: Mapping[str, str | None]) -> str:
    """A checked redirect URI with an answer added to its query; what is None is left out."""
    answer = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{answer}"
