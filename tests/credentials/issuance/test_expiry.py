"""When a credential ends: with its licence, after a year, or with the certificate that vouches for it."""

from datetime import UTC, date, datetime, timedelta

import pytest

from credentials.issuance.content import credential_expiry
from credentials.registry import CertState, Licence

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
FAR = NOW + timedelta(days=1000)


@pytest.mark.parametrize(
    ("valid_until", "certified_until", "expires_at"),
    [
        (None, FAR, datetime(2027, 11, 23, tzinfo=UTC)),
        (date(9999, 12, 31), FAR, datetime(2027, 11, 23, tzinfo=UTC)),
        (date(2026, 12, 31), FAR, datetime(2026, 12, 31, 16, tzinfo=UTC)),
        (None, datetime(2027, 3, 1, 12, 5, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)),
        (date(2026, 12, 31), datetime(2026, 12, 20, 12, 5, tzinfo=UTC), datetime(2026, 12, 20, tzinfo=UTC)),
        (None, NOW + timedelta(hours=2), NOW + timedelta(hours=2)),
    ],
    ids=[
        "long-term",
        "the last day there is",
        "with the licence",
        "with the certificate",
        "certificate before licence",
        "on the certificate's last day",
    ],
)
def test_a_credential_ends_with_what_ends_first(
    valid_until: date | None, certified_until: datetime, expires_at: datetime
) -> None:
    licence = Licence(
        id="1", identifier="", type_code="t", type_version=1, version=1, number="", authority_code="",
        authority_name="",
        area_code=None, holder_ids=(), holders=(), issued_on=NOW.date(), valid_from=NOW.date(), valid_until=valid_until,
        state=CertState.VALID, predecessor_id=None, source_system="", source_record_id="", source_version=1, items={},
    )  # fmt: skip
    assert credential_expiry(licence, NOW, certified_until) == expires_at
