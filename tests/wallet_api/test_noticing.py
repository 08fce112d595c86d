"""News of licences, showings, and codes by SMS: who hears what, and who does not."""

import json
from datetime import timedelta

import pytest

from credentials.registry import SHANGHAI
from notifications import Choices
from tests.credentials.rows import driving_row, step_row
from tests.wallet_api.running import Running
from tests.wallet_api.showing import Device, inspector, refusal
from wallet_api.noticing import LOOK_BACK


def fresh_row(running: Running, number: int = 1) -> dict[str, object]:
    today = running.clock.now().astimezone(SHANGHAI).date()
    return driving_row(number, certificate_issued_date=today.isoformat())


async def inbox(running: Running, number: int = 1) -> list[tuple[str, str]]:
    platform = running.platform
    async with platform.database.snapshot() as session:
        holder_id = (await platform.registry.licence(session, await running.licence_id(number))).holder_ids[0]
        page = await platform.inbox.list(session, holder_id, limit=100)
    return [(message.kind, message.text) for message in page.messages]


async def test_a_licence_granted_today_is_news_and_one_of_long_ago_is_not(running: Running) -> None:
    await running.take(fresh_row(running, 1), driving_row(2))
    for _ in range(2):
        await running.remind()
    ((kind, text),) = await inbox(running, 1)
    assert (kind, "机动车驾驶证》已签发" in text) == ("licence_news", True)
    assert await inbox(running, 2) == []


async def test_each_step_in_a_licences_life_is_told_once(running: Running) -> None:
    await running.take(driving_row(1))
    await running.take(step_row(1, 2, "03"))
    await running.remind()
    await running.take(step_row(1, 3, "06"))
    await running.take(step_row(1, 4, "05", cert_state="07"))
    for _ in range(2):
        await running.remind()
    texts = [text for _, text in await inbox(running)]
    assert [any(word in text for text in texts) for word in ("暂扣", "发还", "吊销")] == [True, True, True]
    assert len(texts) == 3
    assert not any("张" in text or "3101" in text for text in texts), "neither name nor number"


@pytest.mark.parametrize(("operate_type", "word"), [("02", "延续"), ("09", "变更")])
async def test_a_new_version_is_news_once(running: Running, operate_type: str, word: str) -> None:
    await running.take(driving_row(1))
    await running.remind()
    await running.take(fresh_row(running) | {"source_version": 2, "operate_type": operate_type})
    for _ in range(2):
        await running.remind()
    ((kind, text),) = await inbox(running)
    assert (kind, word in text) == ("licence_news", True)


async def test_what_happened_while_nobody_looked_is_no_news(running: Running) -> None:
    await running.take(driving_row(1))
    await running.take(step_row(1, 2, "03"))
    running.clock.forward(days=3)
    await running.remind()
    assert await inbox(running) == []


async def test_a_showing_is_told_once_an_hour_and_only_where_the_holder_wants_it(running: Running) -> None:
    await running.take(driving_row(1))
    device, police = await Device.of(running), await inspector(running)
    for _ in range(3):
        await police.check(device.code())
    for _ in range(2):
        await running.remind()
    assert [kind for kind, _ in await inbox(running)] == ["licence_shown"]
    async with running.platform.database.snapshot() as session:
        assert {channel for channel, _ in await running.platform.outbox.counts(session)} == {"inbox"}
    running.clock.forward(hours=1)
    await running.remind()
    assert len(await inbox(running)) == 1, "nothing was shown since"
    async with running.platform.database.transaction() as session:
        holder_id = (await running.platform.registry.licence(session, await running.licence_id(1))).holder_ids[0]
        silent = Choices({"licence_shown": frozenset({"inbox", "push", "sms"})})
        await running.platform.preferences.choose(session, holder_id, silent)
    device = await Device.of(running)
    await police.check(device.code())
    await running.remind()
    assert len(await inbox(running)) == 1
    assert timedelta(minutes=5) < LOOK_BACK < timedelta(hours=1)


async def test_a_showing_at_the_end_of_an_hour_is_not_told_again_in_the_next(running: Running) -> None:
    await running.take(driving_row(1))
    running.clock.forward(minutes=55)
    device, police = await Device.of(running), await inspector(running)
    await police.check(device.code())
    for minutes in (0, 6, 6):
        running.clock.forward(minutes=minutes)
        await running.remind()
    assert [kind for kind, _ in await inbox(running)] == ["licence_shown"]
    device, police = await Device.of(running), await inspector(running, client_id="second")
    await police.check(device.code())
    await running.remind()
    assert [kind for kind, _ in await inbox(running)] == ["licence_shown", "licence_shown"]


async def test_a_transaction_code_goes_to_the_holders_phone_and_nowhere_else(running: Running) -> None:
    nobody = {**driving_row(2)["certificate_holders"][0]}
    del nobody["mobile"]
    await running.take(driving_row(1), driving_row(2, certificate_holders=[nobody]))
    department = await running.department()
    async with running.platform.database.snapshot() as session:
        licences = [await running.platform.registry.licence(session, await running.licence_id(n)) for n in (1, 2)]
    answers = [
        await department.post(
            "/api/v1/credential-offers", {"certificate_identifier": one.identifier, "tx_code_delivery": "sms"}
        )
        for one in licences
    ]
    assert (answers[0].status_code, answers[0].json()["tx_code"]) == (201, None)
    assert refusal(answers[1])[:2] == (409, "no_phone")
    await running.remind()
    sink = (running.platform.settings.data_dir / "sink.ndjson").read_text().splitlines()
    assert [json.loads(line)["channel"] for line in sink] == ["sms"]
    assert "验证码" in json.loads(sink[0])["text"]
    assert await inbox(running) == []


async def test_a_code_that_no_sms_can_carry_is_not_promised(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await running.take(driving_row(1))
    department = await running.department()
    async with running.platform.database.snapshot() as session:
        licence = await running.platform.registry.licence(session, await running.licence_id(1))
    asked = {"certificate_identifier": licence.identifier, "tx_code_delivery": "sms"}
    for contradiction in ({"tx_code": False}, {"push": True}):
        answer = await department.post("/api/v1/credential-offers", asked | contradiction)
        assert refusal(answer)[:2] == (422, "request_invalid")
    monkeypatch.delitem(running.platform.outbox._configured, "sms")
    answer = await department.post("/api/v1/credential-offers", asked)
    assert refusal(answer)[:2] == (409, "sms_unavailable")
    assert await running.count("credential_offer") == 0
