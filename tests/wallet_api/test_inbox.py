"""The inbox and the devices of a signed-in holder, over HTTP."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from credentials.registry import IntakeSource
from notifications import Bilingual, Choices, Contact, Notice, Outbox, OutgoingMessage
from notifications.channels.web_push import VapidKey
from tests.credentials.rows import driving_row, step_row
from tests.fakes import FakeClock
from tests.notifications.fakes import sent
from tests.notifications.far_end import serving
from tests.notifications.test_web_push import Browser, PushService
from tests.wallet_api.running import Running, Wallet, unverified
from tests.wallet_api.signing_in import SigningWallet
from wallet_api.cli import app
from wallet_api.database import Database
from wallet_api.migrations import upgrade
from wallet_api.routes import inbox as routes
from wallet_api.settings import Settings
from wallet_api.wiring import Platform

WEB_PUSH = {"endpoint": "https://push.example/abc", "keys": {"auth": "A" * 22, "p256dh": VapidKey.new().public}}


async def signed_in(running: Running, *, dpop: bool = True) -> SigningWallet:
    await running.take(driving_row(1))
    wallet = SigningWallet(running)
    answer = await wallet.exchange(await wallet.code(), dpop=dpop)
    wallet.take(answer)
    return wallet


async def receive(running: Running, wallet: Wallet, *keys: int) -> None:
    async with running.platform.database.snapshot() as session:
        holder_id = (await running.platform.registry.licence(session, await running.licence_id())).holder_ids[0]
    for key in keys:
        message = OutgoingMessage(f"{key:032x}", holder_id, "test", "标题", f"正文 {key}")
        await sent(running.platform.inbox, message, Contact())
        running.clock.forward(seconds=1)


async def test_a_holder_reads_and_deletes_messages(running: Running) -> None:
    wallet = await signed_in(running)
    assert (await wallet.call("GET", "/api/v1/me/inbox")).json() == {"messages": [], "unread": 0, "next_cursor": None}
    await receive(running, wallet, 1, 2, 3)
    first = (await wallet.call("GET", "/api/v1/me/inbox?limit=2")).json()
    assert [one["text"] for one in first["messages"]] == ["正文 3", "正文 2"]
    assert first["unread"] == 3
    assert (await wallet.call("POST", f"/api/v1/me/inbox/{2:032x}/read")).status_code == 204
    assert (await wallet.call("DELETE", f"/api/v1/me/inbox/{3:032x}")).status_code == 204
    rest = (await wallet.call("GET", f"/api/v1/me/inbox?limit=2&cursor={first['next_cursor']}")).json()
    assert [one["text"] for one in rest["messages"]] == ["正文 1"]
    unread = (await wallet.call("GET", "/api/v1/me/inbox?unread=true")).json()
    assert [one["text"] for one in unread["messages"]] == ["正文 1"]
    assert (await wallet.call("POST", "/api/v1/me/inbox/read-all")).json() == {"read": 1}


async def test_another_holder_s_message_is_not_found(running: Running) -> None:
    owner = await signed_in(running)
    await receive(running, owner, 1)
    other = await running.wallet(2)
    for wallet, status in ((other, 403), (Wallet(running, "made-up"), 401)):
        answer = await wallet.call("DELETE", f"/api/v1/me/inbox/{1:032x}")
        assert answer.status_code == status
    gone = await owner.call("DELETE", f"/api/v1/me/inbox/{2:032x}")
    assert (gone.status_code, gone.json()["code"]) == (404, "message_not_found")


async def test_a_cursor_is_good_for_its_holder_and_list_even_when_the_message_it_stands_on_is_gone(
    running: Running,
) -> None:
    wallet = await signed_in(running)
    await receive(running, wallet, 1, 2)
    cursor = (await wallet.call("GET", "/api/v1/me/inbox?limit=1")).json()["next_cursor"]
    assert (await wallet.call("DELETE", f"/api/v1/me/inbox/{2:032x}")).status_code == 204
    rest = (await wallet.call("GET", f"/api/v1/me/inbox?cursor={cursor}")).json()
    assert ([one["text"] for one in rest["messages"]], rest["next_cursor"]) == (["正文 1"], None)
    for other in (f"cursor={cursor}&unread=true", f"cursor={cursor[:-4]}AAAA", f"cursor={2:032x}"):
        answer = await wallet.call("GET", f"/api/v1/me/inbox?{other}")
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid"), other


def test_the_command_says_when_there_are_older_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    identifier = asyncio.run(_store_with_messages(20))
    full = CliRunner().invoke(app, ["inbox", identifier]).output
    assert (full.count("标题"), "older" in full) == (20, False)
    asyncio.run(_store_with_messages(21))
    cut = CliRunner().invoke(app, ["inbox", identifier]).output
    assert (cut.count("标题"), "the newest 20" in cut) == (20, True)


async def _store_with_messages(count: int) -> str:
    platform = Platform.of(Settings())
    await upgrade(platform.database)
    row = json.dumps(driving_row(1)).encode()
    await platform.intake.take_all(platform.database, IntakeSource("test", None), [row])
    async with platform.database.snapshot() as session:
        (licence,) = await platform.registry.by_number(session, "driving-licence", driving_row(1)["certificate_number"])
    for key in range(count):
        message = OutgoingMessage(f"{key:032x}", licence.holder_ids[0], "test", "标题", "正文")
        await sent(platform.inbox, message, Contact())
    await platform.close()
    return licence.identifier


async def test_a_code_for_one_licence_does_not_open_its_holder_s_inbox(running: Running) -> None:
    wallet = await running.wallet()
    for path in ("/api/v1/me/inbox", "/api/v1/me/inbox/events", "/api/v1/me/devices"):
        answer = await wallet.call("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_a_bearer_token_does_not_open_the_inbox(running: Running) -> None:
    bearer = await signed_in(running, dpop=False)
    headers = {"Authorization": f"Bearer {bearer.token}"}
    answer = await running.get("/api/v1/me/inbox", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_a_query_out_of_form_is_refused(running: Running) -> None:
    wallet = await signed_in(running)
    for query in ("cursor=" + "0" * 32, "cursor=zz", "cursor=%00", "limit=0", "limit=101", "limit=x", "unread=perhaps"):
        assert (await wallet.call("GET", f"/api/v1/me/inbox?{query}")).status_code == 422, query


async def test_an_open_wallet_hears_of_a_new_message(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "LOOK_EVERY_S", 0.01)
    wallet = await signed_in(running)
    async with running.platform.database.snapshot() as session:
        holder_id = (await running.platform.registry.licence(session, await running.licence_id())).holder_ids[0]
    events = routes.inbox_events(running.platform, holder_id)
    assert json.loads(str((await anext(events)).data)) == {"unread": 0, "newest_id": None}
    waiting = asyncio.ensure_future(anext(events))
    await receive(running, wallet, 7)
    assert json.loads(str((await waiting).data)) == {"unread": 1, "newest_id": f"{7:032x}"}
    await events.aclose()


async def test_events_are_served_as_an_event_stream(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(routes, "STREAM_LIFE_S", 0.05)
    answer = await (await signed_in(running)).call("GET", "/api/v1/me/inbox/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert 'data: {"unread": 0, "newest_id": null}' in answer.text


async def test_head_says_what_a_stream_of_events_is_and_ends(running: Running) -> None:
    async with asyncio.timeout(60):  # the stream itself goes on for ten minutes
        answer = await (await signed_in(running)).call("HEAD", "/api/v1/me/inbox/events")
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["Content-Type"].startswith("text/event-stream")


async def test_a_holder_has_a_handful_of_streams_at_a_time(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "STREAM_LIFE_S", 0.05)
    monkeypatch.setattr(routes, "LOOK_EVERY_S", 0.01)
    wallet = await signed_in(running)
    async with running.platform.database.snapshot() as session:
        holder_id = (await running.platform.registry.licence(session, await running.licence_id())).holder_ids[0]
    monkeypatch.setattr(routes, "MAX_STREAMS", 2)
    streams = [routes.inbox_events(running.platform, holder_id) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    refused = await wallet.call("GET", "/api/v1/me/inbox/events")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    await streams[0].aclose()
    assert (await wallet.call("GET", "/api/v1/me/inbox/events")).status_code == 200
    await streams[1].aclose()
    assert not running.platform.streams


async def test_a_receipt_for_no_push_writes_nothing(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed: list[str] = []

    async def confirm(_outbox: Outbox, _session: object, message_id: str) -> None:
        confirmed.append(message_id)

    monkeypatch.setattr(Outbox, "confirm_push", confirm)
    assert (await running.post(f"/api/v1/push-receipts/{1:032x}")).status_code == 204
    assert confirmed == []


async def test_the_language_that_a_holder_chose_counts_before_that_of_the_device(running: Running) -> None:
    wallet = await signed_in(running)
    await wallet.call("POST", "/api/v1/me/devices", json={"fcm": "x" * 22, "language": "zh"})
    chosen = await wallet.call("PUT", "/api/v1/me/notification-settings", json={"language": "en"})
    assert chosen.json()["language"] == "en"
    await running.take(step_row(1, 2, "03"))
    await running.remind()
    (message,) = (await wallet.call("GET", "/api/v1/me/inbox")).json()["messages"]
    assert "was suspended" in message["text"]
    wrong = await wallet.call("PUT", "/api/v1/me/notification-settings", json={"language": "fr"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "request_invalid")


async def test_a_silent_type_that_left_the_catalogue_can_be_put_back(running: Running) -> None:
    wallet, path = await signed_in(running), "/api/v1/me/notification-settings"
    async with running.platform.database.transaction() as session:
        holder_id = (await running.platform.registry.licence(session, await running.licence_id())).holder_ids[0]
        await running.platform.preferences.choose(session, holder_id, Choices(silent_types=frozenset({"gone"})))
    held = (await wallet.call("GET", path)).json()
    assert (await wallet.call("PUT", path, json=held)).json() == held
    other = await wallet.call("PUT", path, json={"silent_types": ["gone", "never-there"]})
    assert (other.status_code, other.json()["code"]) == (422, "type_unknown")


async def test_devices_are_registered_listed_and_removed(running: Running) -> None:
    wallet = await signed_in(running)
    phone = (await wallet.call("POST", "/api/v1/me/devices", json={"fcm": "x" * 22})).json()["id"]
    browser = await wallet.call("POST", "/api/v1/me/devices", json={"web_push": WEB_PUSH, "language": "en"})
    assert browser.status_code == 201
    listed = await wallet.call("GET", "/api/v1/me/devices")
    assert {(one["kind"], one["language"]) for one in listed.json()["devices"]} == {("fcm", "zh"), ("web-push", "en")}
    assert "push.example" not in listed.text
    assert (await wallet.call("DELETE", f"/api/v1/me/devices/{phone}")).status_code == 204
    again = await wallet.call("DELETE", f"/api/v1/me/devices/{phone}")
    assert (again.status_code, again.json()["code"]) == (404, "device_not_found")


@pytest.mark.parametrize(
    ("public_url", "subject"),
    [
        ("https://wallet.example:8443/city", "https://wallet.example:8443/city"),
        ("http://127.0.0.1:8000", "mailto:nobody@liangzheng.invalid"),
    ],
)
async def test_a_registered_browser_gets_what_is_pushed(
    tmp_path: Path, clock: FakeClock, sqlite_database: Database, public_url: str, subject: str
) -> None:
    running = await Running.start(tmp_path, clock, sqlite_database, public_url)
    wallet = await signed_in(running)
    platform = running.platform
    title, text = Bilingual("标题", "Title"), Bilingual("正文", "Text")
    with serving(PushService()) as service:
        browser = Browser(service)
        assert (await wallet.call("POST", "/api/v1/me/devices", json={"web_push": browser.subscription})).is_success
        async with platform.database.transaction() as session:
            notice = Notice(await wallet.holder_id(), "licence_news", "news", title, text, channels=("push",))
            await platform.outbox.notify(session, [notice])
        await platform.outbox.deliver(platform.database)
        ((_, headers, body),) = service.received
    assert browser.read(body)["title"] == "标题"
    assert unverified(headers["Authorization"].partition("t=")[2].partition(",")[0])[1]["sub"] == subject
    await running.http.aclose()
    await platform.channels.close()


async def test_a_device_out_of_form_is_refused(running: Running) -> None:
    wallet = await signed_in(running)
    for body in (
        {},
        {"fcm": "x" * 22, "web_push": WEB_PUSH},
        {"fcm": "short"},
        {"fcm": 5},
        {"web_push": {}},
        {"web_push": {**WEB_PUSH, "endpoint": "file:///etc/passwd"}},
        {"web_push": {**WEB_PUSH, "keys": None}},
        {"fcm": "x" * 22, "language": "fr"},
        {"fcm": "x" * 22, "more": 1},
        [],
        None,
    ):
        answer = await wallet.call("POST", "/api/v1/me/devices", json=body)
        assert (answer.status_code, answer.json()["code"] in ("request_invalid", "device_malformed")) == (422, True), (
            body
        )


async def test_a_receipt_for_an_unknown_message_is_not_found(running: Running) -> None:
    answer = await (await signed_in(running)).call("POST", f"/api/v1/me/receipts/{1:032x}")
    assert (answer.status_code, answer.json()["code"]) == (404, "message_not_found")


# ---- a grant for the inbox alone


async def test_a_grant_for_the_inbox_opens_the_inbox_and_nothing_of_licences(running: Running) -> None:
    await running.take(driving_row(1))
    wallet = await SigningWallet(running).signed_in(scope="inbox")
    for _ in ("granted", "refreshed"):
        assert (wallet.last["scope"], wallet.last["token_type"]) == ("inbox", "DPoP")
        for path in ("inbox", "inbox?unread=true", "devices", "notification-settings"):
            assert (await wallet.call("GET", f"/api/v1/me/{path}")).status_code == 200, path
        for path in ("licences", f"licences/{await running.licence_id()}/face.svg", "offers", "access-log"):
            answer = await wallet.call("GET", f"/api/v1/me/{path}")
            assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), path
        for path in ("passes", "live-codes"):
            body = {"jwk": wallet.key.export_public(as_dict=True)} if path == "passes" else {}
            answer = await wallet.call("POST", f"/api/v1/me/{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), path
        assert (await wallet.ask_credential()).status_code == 403
        wallet.take(await wallet.refresh())
    assert (await wallet.refresh(scope="driving-licence")).json()["error"] == "invalid_scope"


async def test_the_inbox_asked_for_beside_licences_adds_nothing(running: Running) -> None:
    await running.take(driving_row(1))
    wallet = await SigningWallet(running).signed_in(scope="inbox driving-licence")
    assert wallet.last["scope"] == "driving-licence"
    assert (await wallet.call("GET", "/api/v1/me/inbox")).status_code == 200


async def test_a_code_for_the_inbox_gives_no_licence_by_details(running: Running) -> None:
    await running.take(driving_row(1))
    wallet = SigningWallet(running)
    details = [{"type": "openid_credential", "credential_configuration_id": "driving-licence"}]
    refused = await wallet.exchange(await wallet.code(scope="inbox"), authorization_details=json.dumps(details))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details")


async def test_who_holds_nothing_in_force_still_reaches_the_inbox(running: Running) -> None:
    """News of a licence that has ended is read there."""
    await running.take({**driving_row(1), "certificate_validate_end": "2026-11-01"})
    wallet = await SigningWallet(running).signed_in(scope="inbox")
    assert (await wallet.call("GET", "/api/v1/me/inbox")).status_code == 200
