"""Reading an authorization request as it is pushed (RFC 6749 §4.1.1, RFC 7636, RFC 9126, RFC 9449 §10)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from wallet_api.oauth.authorization_details import read_authorization_details
from wallet_api.oauth.errors import OAuthError
from wallet_api.oauth.models import INBOX_SCOPE
from wallet_api.oauth.redirect_uris import check_redirect_uri

_SHA256_B64U = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE = re.compile(r"[\x20-\x7e]{1,2048}")  # RFC 6749 appendix A.5; it comes back in an address


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request of the right form.

    Attributes:
        configuration_ids: every credential configuration that is asked for; none where only the inbox is.
        detailed_ids: those among them that were asked for by authorization_details, which win over scope
            (OpenID4VCI 1.0 §5.1.2).
        dpop_jkt: the key that the code is to be bound to, or None.
    """

    client_id: str
    redirect_uri: str
    state: str | None
    code_challenge: str
    configuration_ids: tuple[str, ...]
    detailed_ids: tuple[str, ...]
    dpop_jkt: str | None

    @classmethod
    def from_form(
        cls,
        form: Mapping[str, str],
        *,
        client_id: str,
        configurations: Collection[str],
        issuer: str,
        offered: str | None = None,
        app_schemes: Collection[str] = (),
    ) -> Self:
        """Check the parameters of a pushed request; unknown ones are ignored, and so are unknown scope values.

        Args:
            form: each parameter once.
            client_id: who pushes, authenticated or not.
            configurations: the credential configuration ids that there are; each is a scope value of its own.
            issuer: the Credential Issuer Identifier.
            offered: what the offer of an `issuer_state` is about: asked for where the wallet names nothing itself.
            app_schemes: schemes of redirect URIs to take beside those of RFC 8252.

        Raises:
            OAuthError: with the code that RFC 6749 §4.1.2.1, RFC 9101 §6 or RFC 9396 §5 gives it.
        """
        _check_kind(form)
        if form.get("code_challenge_method") != "S256" or not _SHA256_B64U.fullmatch(form.get("code_challenge", "")):
            raise OAuthError("invalid_request", "a code_challenge with the method S256 is wanted")
        state, dpop_jkt = form.get("state"), form.get("dpop_jkt")
        if state is not None and not _STATE.fullmatch(state):
            raise OAuthError("invalid_request", "state is printable ASCII of at most 2048 characters")
        if dpop_jkt is not None and not _SHA256_B64U.fullmatch(dpop_jkt):
            raise OAuthError("invalid_request", "dpop_jkt is no thumbprint")
        redirect_uri = check_redirect_uri(form.get("redirect_uri"), app_schemes)
        detailed: tuple[str, ...] = ()
        if "authorization_details" in form:
            detailed = read_authorization_details(form["authorization_details"], configurations, issuer)
        scope = form.get("scope", "").split(" ")
        asked = tuple(dict.fromkeys((*detailed, *(value for value in scope if value in configurations))))
        if not asked and INBOX_SCOPE not in scope:
            asked = (offered,) if offered else ()
        if not asked and INBOX_SCOPE not in scope:
            raise OAuthError("invalid_scope", "nothing that is known here is asked for, see the issuer's metadata")
        return cls(client_id, redirect_uri, state, form["code_challenge"], asked, detailed, dpop_jkt)


def _check_kind(form: Mapping[str, str]) -> None:
    if "request_uri" in form:
        raise OAuthError("invalid_request", "request_uri has no place in a pushed request")
    if "request" in form:
        raise OAuthError("request_not_supported", "request objects are not supported")
    if "response_type" not in form:
        raise OAuthError("invalid_request", "response_type is missing")
    if form["response_type"] != "code":
        raise OAuthError("unsupported_response_type", "only the response type code is supported")
    if form.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "only the response mode query is supported")
