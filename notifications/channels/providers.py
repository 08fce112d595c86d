"""Several providers behind one channel: who may be asked now, and who takes over.

    asked = AskedBook(database)
    sms = FailOver("sms", [Gated(one, gate, GatePolicy(per_second=100), asked) for one in (aliyun, smpp)])

A provider's limit and its rest after failures are kept in the database, so that all workers share them. What may not
go now is given back as `held`; nobody waits here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import case, literal, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.channels.tables import ProviderGateRow
from notifications.errors import THROTTLED, ChannelUnavailable
from notifications.models import Delivery, OutgoingMessage, Receipt
from notifications.ports import Asked, Channel, Clock, Provider, SendOutcome, UnitOfWork

RESTING = "provider_resting"

_gates = ProviderGateRow.metadata.tables["provider_gate"]
_g = _gates.c
_MILLION = 1_000_000  # instants are microseconds and tokens millionths: whole numbers are alike in every database
_SKEW = 60 * _MILLION  # by so much workers' clocks may differ; servers' do by far less


@dataclass(frozen=True)
class GatePolicy:
    """What one provider is asked for.

    Args:
        per_second: messages a second, of all workers together, at least 1; None: no limit.
        failures: after so many calls in a row in which nothing was taken it is left alone
        rest_s: for so long; then one message tries.
    """

    per_second: int | None = None
    failures: int = 5
    rest_s: float = 30


@dataclass(frozen=True)
class Admission:
    """How many messages may go now; for the others, why not, and when to come back."""

    granted: int
    code: str = THROTTLED
    retry_after_s: float = 0.0


class Gate:
    """Limits and rests of providers, each moved by one statement."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        self._uow = uow
        self._clock = clock

    async def admit(self, name: str, wanted: int, policy: GatePolicy) -> Admission:
        """Take as many of `wanted` messages as the provider may be given now.

        A provider that rests gets none; when its rest is over one message tries, and if nothing is heard of it the
        rest goes on.
        """
        now = self._now()
        async with self._uow.transaction() as session:
            connection = await session.connection()
            taken = (await connection.execute(_taking(name, wanted, policy, now))).first()
            if taken is None:
                await self._open(connection, name, policy, now)
                taken = (await connection.execute(_taking(name, wanted, policy, now))).one()
        if taken.granted >= wanted:
            return Admission(taken.granted)
        if taken.failures >= policy.failures:
            return Admission(taken.granted, RESTING, max((taken.rests_until - now) / _MILLION, 0.05))
        return Admission(
            taken.granted, THROTTLED, max((_MILLION - taken.tokens) / _MILLION / (policy.per_second or 1), 0.05)
        )

    async def _open(self, connection: AsyncConnection, name: str, policy: GatePolicy, now: int) -> None:
        full = (policy.per_second or 0) * _MILLION
        gate = {"name": name, "tokens": full, "refilled_at": now, "granted": 0, "failures": 0, "rests_until": 0}
        await connection.execute(insert(_gates).values(gate).on_conflict_do_nothing(index_elements=["name"]))

    async def note(self, name: str, policy: GatePolicy, *, failed: bool) -> None:
        """Count a call in which nothing was taken, or end the count."""
        statement = update(_gates).where(_g.name == name)
        if failed:
            weak = _g.failures + 1 >= policy.failures
            rests_until = case((weak, self._now() + int(policy.rest_s * _MILLION)), else_=_g.rests_until)
            statement = statement.values(failures=_g.failures + 1, rests_until=rests_until)
        else:
            statement = statement.where(_g.failures > 0).values(failures=0, rests_until=0)
        async with self._uow.transaction() as session:
            await (await session.connection()).execute(statement)

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * _MILLION)


def _taking(name: str, wanted: int, policy: GatePolicy, now: int) -> Any:
    """Refill a provider's tokens, take what is wanted and there, and begin a trial when a rest is over.

    The newest instant of any worker counts: one that comes later with an older one refills nothing. What lies further
    ahead than clocks may differ was written by a clock that has been set back since, and counts no more.
    """
    rate, rest, latest = policy.per_second, int(policy.rest_s * _MILLION), now + _SKEW
    stock: Any = _g.tokens
    there: Any = literal(wanted)
    if rate is not None:
        elapsed: Any = case((_g.refilled_at < now, now - _g.refilled_at), else_=0)
        refilled = _g.tokens + elapsed * rate
        stock = case((refilled > rate * _MILLION, rate * _MILLION), else_=refilled)
        there = case((stock < wanted * _MILLION, stock // _MILLION), else_=wanted)
    weak = _g.failures >= policy.failures
    rests = _g.rests_until.between(now + 1, latest + rest)
    granted = case((rests, 0), (weak & (there > 1), 1), else_=there)
    return (
        update(_gates)
        .where(_g.name == name)
        .values(
            granted=granted,
            tokens=stock - granted * _MILLION if rate is not None else stock,
            refilled_at=case((_g.refilled_at.between(now, latest), _g.refilled_at), else_=now),
            rests_until=case((rests, _g.rests_until), (weak & (there > 0), now + rest), else_=0),
        )
        .returning(_g.granted, _g.tokens, _g.failures, _g.rests_until)
    )


class Gated:
    """A provider behind its gate. Its name is written into what it answers.

    Whom it does not reach costs nothing and waits for nothing: that answer needs no provider.

    Args:
        asked: told of what the provider is about to get; needed where another one could take over from a dead worker.
    """

    def __init__(self, provider: Provider, gate: Gate, policy: GatePolicy, asked: Asked | None = None) -> None:
        self._provider = provider
        self._gate = gate
        self._policy = policy
        self._asked = asked

    @property
    def name(self) -> str:
        """The provider's."""
        return self._provider.name

    @property
    def batch(self) -> int:
        """The provider's."""
        return self._provider.batch

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """Give the provider what it may have now; the rest is `held`, as `provider_throttled` or `provider_resting`."""
        reached = [at for at, delivery in enumerate(deliveries) if self._provider.reaches(delivery.contact)]
        admission = await self._gate.admit(self.name, len(reached), self._policy) if reached else Admission(0)
        asked, held = reached[: admission.granted], reached[admission.granted :]
        outcomes: dict[int, SendOutcome] = dict.fromkeys(held, self._held(admission))
        outcomes |= await self._answers(deliveries, sorted({*range(len(deliveries))} - {*reached}))
        if asked:
            await self._announce([deliveries[at].message for at in asked])
            outcomes |= await self._noted(deliveries, asked)
        return [outcomes[at] for at in range(len(deliveries))]

    async def _announce(self, messages: Sequence[OutgoingMessage]) -> None:
        keys = [message.idempotency_key for message in messages if message.provider != self.name]
        if self._asked is not None and keys:
            await self._asked.note(self.name, keys)

    async def _noted(self, deliveries: Sequence[Delivery], asked: Sequence[int]) -> Mapping[int, SendOutcome]:
        failed = True
        try:
            answers = await self._answers(deliveries, asked)
            failed = all(isinstance(answer, ChannelUnavailable) for answer in answers.values())
        finally:
            await self._gate.note(self.name, self._policy, failed=failed)
        return answers

    async def _answers(self, deliveries: Sequence[Delivery], asked: Sequence[int]) -> Mapping[int, SendOutcome]:
        """What the provider says of the deliveries at these places."""
        if not asked:
            return {}
        answers = await self._provider.send([deliveries[at] for at in asked])
        return {at: self._signed(answer) for at, answer in zip(asked, answers, strict=True)}

    def _signed(self, answer: SendOutcome) -> SendOutcome:
        if isinstance(answer, Receipt):
            return replace(answer, provider=answer.provider or self.name)
        if isinstance(answer, ChannelUnavailable):
            answer.provider = self.name
        return answer

    def _held(self, admission: Admission) -> ChannelUnavailable:
        why = "it rests after failures" if admission.code == RESTING else "its limit is used up"
        return ChannelUnavailable(
            admission.code, f"{self.name}: {why}", retry_after_s=admission.retry_after_s, held=True
        )


class FailOver:
    """A channel whose providers stand in for one another, in their order.

    A message goes on to the next provider when one does not take it now, unless it may have taken it all the same:
    then it waits, and goes to that provider again and to no other. Who died while it was asked left its name (`Gated`).
    """

    def __init__(self, name: str, providers: Sequence[Channel]) -> None:
        self.name = name
        self.batch = min(provider.batch for provider in providers)
        self._providers = providers

    async def send(self, deliveries: Sequence[Delivery]) -> Sequence[SendOutcome]:
        """What the last provider that was asked said of each message."""
        names = {provider.name for provider in self._providers}
        outcomes: dict[int, SendOutcome] = {}
        for provider in self._providers:
            mine = [
                at
                for at, delivery in enumerate(deliveries)
                if _goes_on(outcomes.get(at)) and _may_have(delivery, names) in (None, provider.name)
            ]
            if mine:
                answers = await provider.send([deliveries[at] for at in mine])
                outcomes.update(zip(mine, answers, strict=True))
        return [outcomes[at] for at in range(len(deliveries))]


def _goes_on(outcome: SendOutcome | None) -> bool:
    return outcome is None or (isinstance(outcome, ChannelUnavailable) and not outcome.uncertain)


def _may_have(delivery: Delivery, names: set[str]) -> str | None:
    """The provider that may have the message, if it is still one of ours."""
    return delivery.message.provider if delivery.message.provider in names else None
