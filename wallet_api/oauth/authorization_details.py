"""`authorization_details` of the type `openid_credential` (RFC 9396, OpenID4VCI 1.0 §5.1.1, §6.2)."""

import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence

from wallet_api.oauth.errors import OAuthError

OPENID_CREDENTIAL = "openid_credential"
MAX_ENTRIES = 100  # DoS bound: a city has a few dozen licence types, each asked for once


def read_authorization_details(text: str, configurations: Collection[str], issuer: str) -> tuple[str, ...]:
    """The credential configurations that are asked for, each once, in their order. Members unknown here are ignored.

    Args:
        text: the parameter's value.
        configurations: the ids that may be asked for.
        issuer: the Credential Issuer Identifier, which `locations` must name where it is given.

    Raises:
        OAuthError: `invalid_authorization_details`.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused("authorization_details are no JSON") from error
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_ENTRIES:
        raise _refused(f"authorization_details is an array of 1 to {MAX_ENTRIES} objects")
    asked: dict[str, None] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("type") != OPENID_CREDENTIAL:
            raise _refused("only objects of the type openid_credential are understood")
        locations = entry.get("locations", [issuer])
        if not isinstance(locations, list) or issuer not in locations:
            raise _refused("locations does not name this credential issuer")
        configuration_id = entry.get("credential_configuration_id")
        if not isinstance(configuration_id, str) or configuration_id not in configurations:
            raise _refused("credential_configuration_id is not among the issuer's")
        asked[configuration_id] = None
    return tuple(asked)


def new_identifiers(configuration_id: str, licence_ids: Iterable[str]) -> dict[str, str]:
    """A `credential_identifier` for each licence: the configuration's id and a random part."""
    return {f"{configuration_id}.{secrets.token_hex(8)}": licence_id for licence_id in licence_ids}


def authorization_details(credential_identifiers: Iterable[str]) -> Sequence[Mapping[str, object]]:
    """The member of a token response (OpenID4VCI 1.0 §6.2), of identifiers that `new_identifiers` made."""
    by_configuration: dict[str, list[str]] = {}
    for identifier in credential_identifiers:
        by_configuration.setdefault(identifier.rpartition(".")[0], []).append(identifier)
    return [
        {
            "type": OPENID_CREDENTIAL,
            "credential_configuration_id": configuration_id,
            "credential_identifiers": identifiers,
        }
        for configuration_id, identifiers in by_configuration.items()
    ]


def _refused(detail: str) -> OAuthError:
    return OAuthError("invalid_authorization_details", detail)
