"""What a holder goes through in the browser between a wallet's pushed request and its code.

Every step needs the secret of the browser that opened the request first, and moves the request on by one statement.
A redirect URI is answered after the person's own decision only: no request that merely opens a page leads elsewhere.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from credentials.registry import Holder, Licence
from credentials.registry.ports import Clock
from wallet_api.database import Database
from wallet_api.oauth import repository
from wallet_api.oauth.errors import SignInRefused
from wallet_api.oauth.ports import Holders, Offers
from wallet_api.oauth.redirect_uris import authorization_response, shown_target
from wallet_api.oauth.service import REQUEST_URI_PREFIX

SIGN_IN_LIFETIME = timedelta(minutes=15)  # to find one's phone and password, and read the page
OWN_PAGE = "/inbox"  # under the public URL; its answers reach nobody but a page of ours
CODE_LIFETIME = timedelta(seconds=60)  # FAPI 2.0 Security Profile §5.3.2.1
_OPEN = ("opened", "signed_in")


@dataclass(frozen=True)
class Choice:
    """Someone to act for: the person themself or an organisation, and what would be issued to the wallet."""

    holder: Holder
    licences: Sequence[Licence]


@dataclass(frozen=True)
class Consent:
    """What a person decides about.

    Attributes:
        client_id: what the wallet calls itself; an attester vouches for it when `is_attested`.
        is_ours: the answer goes to the platform's own page, whoever asked.
        target: the host or scheme that the answer goes to.
        configuration_ids: the credential configurations that are asked for; none where only the inbox is.
        person: who signed in, or None when the store holds nothing of them.
        choices: those who hold something that is asked for (for the inbox: all whom the person may act for), the
            person first; none, and there is nothing to grant.
    """

    client_id: str
    is_attested: bool
    is_ours: bool
    target: str
    configuration_ids: Sequence[str]
    person: Holder | None
    choices: Sequence[Choice]


class SignIns:
    """Authorization requests on their way through a browser.

    `browser` is the secret in the browser's cookie, everywhere.
    """

    def __init__(self, database: Database, offers: Offers, holders: Holders, clock: Clock, issuer: str) -> None:
        self._database = database
        self._offers = offers
        self._holders = holders
        self._clock = clock
        self._issuer = issuer

    async def open(self, request_uri: str, client_id: str, browser: str) -> str:
        """The id of a pushed request, bound to this browser from now on. Opening it again there changes nothing.

        Raises:
            SignInRefused: unknown, over, decided, another client's, or open in another browser.
        """
        reference = request_uri.removeprefix(REQUEST_URI_PREFIX)
        if reference == request_uri or "\x00" in client_id:
            raise SignInRefused("request_unknown")
        where = {"request_uri_hash": _hash(reference), "client_id": client_id}
        now = self._clock.now()
        bound = {"stage": "opened", "browser_hash": _hash(browser), "expires_at": now + SIGN_IN_LIFETIME}
        async with self._database.transaction() as session:
            row = await repository.move_request(session, ["pushed"], now, where, bound)
            row = row or await repository.request_where(session, _OPEN, now, {**where, "browser_hash": _hash(browser)})
        if row is None:
            raise SignInRefused("request_unknown")
        return str(row.id)

    async def wanted(self, request_id: str, browser: str) -> Sequence[str]:
        """The credential configurations that a request asks for.

        Raises:
            SignInRefused: no such request is open in this browser.
        """
        async with self._database.snapshot() as session:
            configuration_ids: list[str] = (await self._opened(session, request_id, browser)).configuration_ids
        return configuration_ids

    async def is_signed_in(self, request_id: str, browser: str) -> bool:
        """Whether somebody has signed in for a request that is open in this browser.

        Raises:
            SignInRefused: it is not.
        """
        async with self._database.snapshot() as session:
            return (await self._opened(session, request_id, browser)).person_id is not None

    async def begin(self, request_id: str, browser: str) -> str:
        """A fresh `state` to go to the city's provider with; an earlier one is good for nothing any more.

        Raises:
            SignInRefused: no such request is open in this browser.
        """
        state = secrets.token_urlsafe(32)
        await self._move(request_id, browser, {"sign_in_hash": _hash(state)})
        return state

    async def returned(self, state: str, browser: str) -> str:
        """The id of the request that a `state` was made for, in this browser. It counts once.

        Raises:
            SignInRefused: not ours, used, over, or another browser's.
        """
        where = {"sign_in_hash": _hash(state), "browser_hash": _hash(browser)}
        async with self._database.transaction() as session:
            row = await repository.move_request(session, _OPEN, self._clock.now(), where, {"sign_in_hash": None})
        if row is None:
            raise SignInRefused("sign_in_unknown")
        return str(row.id)

    async def sign_in(self, request_id: str, browser: str, holder_id: str) -> None:
        """Note who signed in.

        Raises:
            SignInRefused: no such request is open in this browser.
        """
        await self._move(request_id, browser, {"stage": "signed_in", "person_id": holder_id})

    async def consent(self, request_id: str, browser: str, *, is_known: bool = True) -> Consent:
        """What the person who signed in is asked.

        Args:
            is_known: False for somebody who signed in, but of whom the store holds nothing.

        Raises:
            SignInRefused: no such request is open in this browser, or nobody known has signed in for it.
        """
        async with self._database.snapshot() as session:
            row = await self._opened(session, request_id, browser)
            if is_known and row.person_id is None:
                raise SignInRefused("request_unknown")
            person = await self._holders.holder(session, row.person_id) if is_known else None
            return Consent(
                client_id=row.client_id,
                is_attested=row.instance_jkt is not None,
                is_ours=row.redirect_uri == f"{self._issuer}{OWN_PAGE}",
                target=shown_target(row.redirect_uri),
                configuration_ids=row.configuration_ids,
                person=person,
                choices=await self._choices(session, row) if is_known else (),
            )

    async def approve(self, request_id: str, browser: str, holder_id: str) -> str:
        """Grant what is asked, for oneself or an organisation: where to send the browser, with a code.

        Raises:
            SignInRefused: nobody has signed in for such a request here, or they may not act for this holder.
        """
        code, now = secrets.token_urlsafe(32), self._clock.now()
        async with self._database.transaction() as session:
            row = await self._opened(session, request_id, browser)
            chosen = [choice for choice in await self._choices(session, row) if choice.holder.id == holder_id]
            if not chosen:
                raise SignInRefused("nothing_to_grant")
            held = {licence.type_code for licence in chosen[0].licences}
            granted = {
                "stage": "approved",
                "holder_id": holder_id,
                "configuration_ids": [one for one in row.configuration_ids if one in held],
                "detailed_ids": [one for one in row.detailed_ids if one in held],
                "code_hash": _hash(code),
                "expires_at": now + CODE_LIFETIME,
            }
            where = {"id": request_id, "browser_hash": _hash(browser), "person_id": row.person_id}
            if await repository.move_request(session, ["signed_in"], now, where, granted) is None:
                raise SignInRefused("request_unknown")
        return self._answer(row, {"code": code})

    async def decline(self, request_id: str, browser: str) -> str:
        """Grant nothing: where to send the browser, with `access_denied`.

        Raises:
            SignInRefused: no such request is open in this browser.
        """
        row = await self._move(request_id, browser, {"stage": "declined"})
        return self._answer(row, {"error": "access_denied", "error_description": "the holder declined"})

    async def _move(self, request_id: str, browser: str, values: Mapping[str, object]) -> Row[Any]:
        where = {"id": request_id, "browser_hash": _hash(browser)}
        if "\x00" in request_id:  # PostgreSQL takes none in a text
            raise SignInRefused("request_unknown")
        async with self._database.transaction() as session:
            row = await repository.move_request(session, _OPEN, self._clock.now(), where, values)
        if row is None:
            raise SignInRefused("request_unknown")
        return row

    async def _opened(self, session: AsyncSession, request_id: str, browser: str) -> Row[Any]:
        where = {"id": request_id, "browser_hash": _hash(browser)}
        row = None
        if "\x00" not in request_id:
            row = await repository.request_where(session, _OPEN, self._clock.now(), where)
        if row is None:
            raise SignInRefused("request_unknown")
        return row

    async def _choices(self, session: AsyncSession, row: Row[Any]) -> Sequence[Choice]:
        if row.person_id is None:
            return ()
        person = await self._holders.holder(session, row.person_id)
        choices = []
        for holder in (person, *await self._holders.represented_by(session, person.id)):
            held = await self._offers.holdings(session, holder.id, row.configuration_ids)
            ids = [
                licence_id
                for configuration_id in row.configuration_ids
                for licence_id in held.get(configuration_id, ())[: None if configuration_id in row.detailed_ids else 1]
            ]
            if ids or not row.configuration_ids:
                licences = [await self._holders.licence(session, licence_id) for licence_id in ids]
                choices.append(Choice(holder, licences))
        return choices

    def _answer(self, row: Row[Any], parameters: Mapping[str, str]) -> str:
        return authorization_response(row.redirect_uri, {**parameters, "state": row.state, "iss": self._issuer})


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
