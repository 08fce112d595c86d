"""What a licence's credential says: visible claims, concealed ones, and rounded times (design §4)."""

from datetime import UTC, datetime, time, timedelta

from credentials.catalogue import LicenceType
from credentials.issuance.formats.sd_jwt_vc import PreparedCredential
from credentials.keys.formats.jwk import PublicJwk
from credentials.registry import SHANGHAI, Licence
from credentials.status import StatusReference

CREDENTIAL_LIFETIME = timedelta(days=365)  # a wallet fetches anew once a year even what is long-term


def licence_claims(licence: Licence) -> dict[str, object]:
    """The claims of a licence's credential, by the names of its type metadata."""
    claims: dict[str, object] = {
        "holder_name": "、".join(holder.name for holder in licence.holders),
        "certificate_number": licence.number,
        "certificate_identifier": licence.identifier,
        "issuing_authority_name": licence.authority_name,
        "issued_on": licence.issued_on.isoformat(),
        "valid_until": licence.valid_until and licence.valid_until.isoformat(),  # null: long-term
    }
    return claims | dict(licence.items)


def prepare(
    licence: Licence,
    kind: LicenceType,
    holder_key: PublicJwk,
    status: StatusReference,
    issuer: str,
    issued_at_s: int,
    expires_at_s: int,
) -> PreparedCredential:
    """A credential of a licence, ready to be signed.

    It has as many digests as its type has disclosable claims, whether or not this licence has them all: how many
    there are tells nothing of the holder.
    """
    visible = {item.name for item in kind.items if not item.selectively_disclosable}
    claims = licence_claims(licence)
    return PreparedCredential(
        issuer=issuer,
        vct=kind.vct(issuer),
        holder_key=holder_key,
        status=status,
        issued_at_s=issued_at_s,
        not_before_s=issued_at_s,
        expires_at_s=expires_at_s,
        plain={name: value for name, value in claims.items() if name in visible},
        concealed={name: value for name, value in claims.items() if name not in visible},
        by_element=frozenset(item.name for item in kind.items if item.elements_disclosable),
        digest_count=len(kind.common_claims) + len(kind.items) - len(visible),
    )


def credential_expiry(licence: Licence, now: datetime, certified_until: datetime) -> datetime:
    """When a credential ends; a midnight (linkability), but on the last day of a certificate.

    The end of the licence's last day, or of a credential's longest life, or the last midnight at which the certificate
    of the signing key holds: a credential that outlived it would be refused although its licence is in force.
    """
    certified = datetime.fromtimestamp(midnight_s(certified_until), UTC)
    year = datetime.fromtimestamp(midnight_s(now), UTC) + CREDENTIAL_LIFETIME
    longest = min(year, certified if certified > now else certified_until)
    if licence.valid_until is None or licence.valid_until > longest.date():  # 9999-12-31 has no day after
        return longest
    day_after = licence.valid_until + timedelta(days=1)
    return min(longest, datetime.combine(day_after, time(), SHANGHAI).astimezone(UTC))


def midnight_s(now: datetime) -> int:
    """The last midnight in UTC, in seconds since 1970."""
    return int(now.timestamp()) // 86_400 * 86_400
