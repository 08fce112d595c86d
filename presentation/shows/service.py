"""Giving a device what it needs to show a licence without a network: passes, a few days ahead."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from presentation.shows.errors import PassRequestInvalid
from presentation.shows.formats.live_code import PassClaims, encode_pass
from presentation.shows.masking import mask_name, mask_number
from presentation.shows.models import DeviceKey, Profile, ShowableLicence, ShowPass
from presentation.shows.ports import Clock, Licences, Signers

SHANGHAI = ZoneInfo("Asia/Shanghai")
PASS_LIFETIME_S = 86_400  # a wrongly issued licence dies with its strips
STEP_S = 82_800  # the next strip starts an hour or so before the last one ends
JITTER_S = 1_800  # so that starts do not tell when a wallet was on line, nor all wallets come at once
MAX_DAYS = 7
HOLDER_NAME, NUMBER = 0, 1


class Shows:
    """Makes passes.

    Args:
        signer: gives the active pass key at the time of asking, so that a rotation takes effect.
    """

    def __init__(self, licences: Licences, signer: Signers, clock: Clock) -> None:
        self._licences = licences
        self._signer = signer
        self._clock = clock

    async def issue_passes(
        self, session: AsyncSession, licence_id: str, holder_id: str, key: DeviceKey, profile: Profile, days: int
    ) -> Sequence[ShowPass]:
        """Passes that together cover the next `days` days (1 to 7), never beyond the licence's own last day.

        Raises:
            PassRequestInvalid: `days` is out of range.
            NotShowable: the licence is not in force.
            DeviceKeyUnknown: no credential of the licence was issued to this key.
        """
        if not 1 <= days <= MAX_DAYS:
            raise PassRequestInvalid(f"passes are issued for 1 to {MAX_DAYS} days")
        licence = await self._licences.showable(session, licence_id, holder_id, key.thumbprint)
        windows = list(_windows(self._clock.now(), days, licence.valid_until))
        signer = self._signer()
        expiries = [datetime.fromtimestamp(expires_at_s, UTC) for _, expires_at_s in windows]
        places = await self._licences.reserve_status(session, licence, profile, key.thumbprint, signer.kid, expiries)
        items = pass_items(licence, profile)
        return [
            ShowPass(
                token=encode_pass(
                    PassClaims(
                        not_before_s=not_before_s,
                        expires_at_s=expires_at_s,
                        key=key,
                        type_code=licence.type_code,
                        type_version=licence.type_version,
                        profile=profile,
                        valid_until=licence.valid_until,
                        items=items,
                        status=place,
                    ),
                    signer.kid,
                    signer.sign,
                ),
                profile=profile,
                not_before_s=not_before_s,
                expires_at_s=expires_at_s,
            )
            for (not_before_s, expires_at_s), place in zip(windows, places, strict=True)
        ]


def pass_items(licence: ShowableLicence, profile: Profile) -> Mapping[int, object]:
    """The items of a profile (`FORMAT.md` §3.1, §3.2)."""
    if profile is Profile.FACE:
        return {HOLDER_NAME: licence.holder_name, NUMBER: licence.number, **licence.face_items}
    if not licence.held_by_persons:
        return {HOLDER_NAME: licence.holder_name, NUMBER: licence.number}
    return {HOLDER_NAME: mask_name(licence.holder_name), NUMBER: mask_number(licence.number)}


def _windows(now: datetime, days: int, valid_until: date | None) -> list[tuple[int, int]]:
    """(nbf, exp) of each strip, in seconds since 1970, with jittered starts; the first covers now."""
    end = end_of(valid_until)
    start = int(now.timestamp()) - secrets.randbelow(JITTER_S)
    covered_until = int(now.timestamp()) + days * 86_400
    windows = []
    while start < covered_until and start < end:
        windows.append((start, min(start + PASS_LIFETIME_S, end)))
        start += STEP_S - secrets.randbelow(JITTER_S)
    return windows


def end_of(valid_until: date | None) -> int:
    """The instant at which a licence's last Shanghai day is over, in seconds since 1970."""
    if valid_until is None or valid_until == date.max:  # 9999-12-31 has no day after
        return 2**53
    return int(datetime.combine(valid_until + timedelta(days=1), time(), SHANGHAI).timestamp())
