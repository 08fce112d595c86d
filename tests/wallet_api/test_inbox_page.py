"""The inbox page in a real browser: signing in as a wallet, messages as they come, push, settings, signing out.

The platform of these tests wants a nonce in every DPoP proof, so that the page's first proof is always refused. Signing
in, calls, events and the service worker are the real ones. Push is not: Chromium has none in a private profile, and the
makers' push services are not on this machine. `subscribing` says what takes their place.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, CDPSession, Locator, Page, Route, expect
from sqlalchemy import update

from credentials.registry import Holder
from notifications import Bilingual, Choices, MessageState, Notice, Selection
from notifications.preferences import CODE, KINDS, NEWS, SHOWN
from tests.notifications import far_end
from tests.notifications.test_web_push import Browser as Subscriber
from tests.notifications.test_web_push import PushService
from tests.wallet_api.page_site import Site, Visit, sample_site, serving, shown_by_worker, visit
from wallet_api.oauth import repository
from wallet_api.routes import pages

SETTINGS = "**/api/v1/me/notification-settings"
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
KEPT = """async () => {
    const opening = indexedDB.open(`liangzheng.inbox ${document.getElementById("inbox").dataset.issuer}`);
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const store = opening.result.transaction("kept").objectStore("kept");
    const asked = [store.getAllKeys(), store.get("session")];
    await new Promise((resolve) => (store.transaction.oncomplete = resolve));
    opening.result.close();
    const [names, session] = asked.map((one) => one.result);
    const key = session?.key.privateKey;
    const pulled = key ? await crypto.subtle.exportKey("pkcs8", key).then(() => "out", (error) => error.name) : null;
    return { names, pulled, tokens: session ? [session.token, session.refresh] : [] };
}"""
WORKERS = """async () => (await navigator.serviceWorker.getRegistrations())
    .map((one) => [one.scope, one.active.scriptURL])"""
OVER = """async () => {
    const opening = indexedDB.open(`liangzheng.inbox ${document.getElementById("inbox").dataset.issuer}`);
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const store = opening.result.transaction("kept", "readwrite").objectStore("kept");
    const asked = store.get("session");
    asked.onsuccess = () => store.put({ ...asked.result, until_ms: 0 }, "session");
    await new Promise((resolve) => (store.transaction.oncomplete = resolve));
    opening.result.close();
}"""

CLICK = """async () => {
    const did = [];
    Clients.prototype.openWindow = async (url) => did.push(`opened ${url}`);
    WindowClient.prototype.focus = async function () { did.push(`focused ${this.url}`); };
    let until;
    const click = Object.defineProperties(new ExtendableEvent("notificationclick"), {
        notification: { value: { close: () => did.push("closed") } },
        waitUntil: { value: (promise) => (until = promise) },
    });
    self.dispatchEvent(click);
    await until;
    return did;
}"""


def subscribing(subscription: object = None, refusal: str = "") -> str:
    """A script that stands in for the browser maker's push service, at the browser's edge: `subscribe`,
    `getSubscription` and `unsubscribe`. Whether there is a subscription outlives a reload."""
    return """(([subscription, refusal]) => {
        const kept = {
            options: { get applicationServerKey() { return Uint8Array.from(JSON.parse(localStorage.stub)).buffer; } },
            toJSON: () => ({ expirationTime: null, ...subscription }),
            unsubscribe: async () => { delete localStorage.stub; return true; },
        };
        PushManager.prototype.getSubscription = async () => (localStorage.stub ? kept : null);
        PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
            if (refusal) throw new DOMException("no", refusal);
            if (userVisibleOnly !== true) throw new TypeError("userVisibleOnly");
            localStorage.stub = JSON.stringify([...applicationServerKey]);
            return kept;
        };
    })(ARGUMENTS)""".replace("ARGUMENTS", json.dumps([subscription, refusal]))


@pytest.fixture(scope="module")
def site(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sample_site(runner, tmp_path_factory.mktemp("inbox"), dpop_nonce_required=True) as site:
        yield site


@pytest.fixture(scope="module")
def served(runner: asyncio.Runner, site: Site) -> Iterator[Site]:
    with serving(runner, site) as served:
        yield served


@pytest.fixture(scope="module")
def anybody(runner: asyncio.Runner, site: Site) -> Iterator[Holder]:
    """Sample citizens, one after the other: each sign-in has a holder of its own."""
    return iter(runner.run(citizens(site)))


async def citizens(site: Site) -> Sequence[Holder]:
    async with site.platform.database.snapshot() as session:
        return [one for one in await site.platform.registry.holders(session, 1000) if one.code_type == "111"]


Open = Callable[..., Any]


@pytest.fixture
def open_inbox(browser: Browser, served: Site, anybody: Iterator[Holder]) -> Open:
    """Opens the page, signed in as a sample holder; gives the visit and the holder's id."""

    @asynccontextmanager
    async def opened(**more: Any) -> AsyncIterator[tuple[Visit, str]]:
        async with visit(browser, served, "/inbox", refusals=True, **more) as seen:
            holder_id = await sign_in(seen.page, next(anybody))
            yield seen, holder_id

    return opened


def button(page: Page, name: str) -> Locator:
    return page.locator(f"[data-do={name}]")


async def is_told(place: Locator, text: str) -> None:
    """What is hidden has all its texts as its inner text."""
    await expect(place).to_be_visible()
    await expect(place).to_contain_text(text, use_inner_text=True)


async def sign_in(page: Page, holder: Holder) -> str:
    await button(page, "sign-in").click()
    await page.get_by_role("searchbox").fill(holder.name)
    await page.keyboard.press("Enter")
    await page.locator(f".person[value='{holder.id}']").click()
    await page.locator("button[value=approve]").click()
    await expect(page.locator("#inbox")).to_have_attribute("data-state", "signed-in")
    return holder.id


async def tell(site: Site, holder_id: str, *subjects: str, channels: tuple[str, ...] = ("inbox",)) -> None:
    """Write notices that go out at any hour, and deliver them."""
    notices = []
    for subject in subjects:
        title, text = Bilingual(f"标题 {subject}", f"Title {subject}"), Bilingual("<b>正文</b>", "<b>Text</b>")
        notices.append(Notice(holder_id, "licence_news", subject, title, text, channels=channels, urgent=True))
    async with site.platform.database.transaction() as session:
        await site.platform.outbox.notify(session, notices)
    await site.platform.outbox.deliver(site.platform.database)


async def hold_first_answer(page: Page, pattern: str) -> tuple[asyncio.Event, asyncio.Event]:
    """The first answer to such a request waits; gives what says that it was asked for, and what lets it go."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(route: Route) -> None:
        answer = await route.fetch()
        if not asked.is_set():
            asked.set()
            await may_answer.wait()
        await route.fulfill(response=answer)

    await page.route(pattern, slowly)
    return asked, may_answer


async def devices(site: Site, holder_id: str) -> int:
    async with site.platform.database.snapshot() as session:
        return len(await site.platform.devices.of_holder(session, holder_id))


# ---- signing in and out


@pytest.mark.browser
async def test_key_and_tokens_stay_where_no_page_and_no_address_shows_them(open_inbox: Open, served: Site) -> None:
    async with open_inbox() as (seen, _):
        page = seen.page
        assert page.url == f"{served.settings.public_url}/inbox"
        kept = await page.evaluate(KEPT)
        assert (kept["names"], kept["pulled"]) == (["session"], "InvalidAccessError")
        stored = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        secrets = [*kept["tokens"], *(f"{token[:12]}" for token in kept["tokens"])]
        places = (stored, *seen.asked, await page.content())
        assert not any(secret in place for secret in secrets for place in places)
        await page.reload()
        await expect(page.locator("#inbox")).to_have_attribute("data-state", "signed-in")
        await button(page, "sign-out").click()
        await expect(page.locator("#inbox")).to_have_attribute("data-state", "signed-out")
        assert await page.evaluate(KEPT) == {"names": [], "pulled": None, "tokens": []}
        await page.reload()
        await expect(button(page, "sign-in")).to_be_visible()


@pytest.mark.browser
async def test_signing_out_in_one_tab_signs_the_others_out(open_inbox: Open, served: Site) -> None:
    async with open_inbox() as (seen, holder_id):
        await tell(served, holder_id, "tab")
        other = await seen.page.context.new_page()
        await other.goto("/inbox")
        await expect(other.locator(".message")).to_have_count(1)
        await button(seen.page, "sign-out").click()
        await expect(other.locator("#inbox")).to_have_attribute("data-state", "signed-out")
        await expect(other.locator(".message")).to_have_count(0)
        assert await other.title() == await seen.page.title() == "消息 Inbox · 亮证 Liangzheng"


@pytest.mark.browser
@pytest.mark.parametrize("held", ["**/api/v1/me/inbox?*", "**/api/v1/me/inbox/*/read"])
async def test_an_answer_that_comes_after_signing_out_is_not_shown(open_inbox: Open, served: Site, held: str) -> None:
    async with open_inbox() as (seen, holder_id):
        page = seen.page
        await tell(served, holder_id, f"late {held}")
        await expect(page.locator(".message")).to_have_count(1, timeout=15_000)
        asked, may_answer = await hold_first_answer(page, held)
        await page.get_by_role("button", name="Mark as read").click()
        await asked.wait()
        await button(page, "sign-out").click()
        await expect(button(page, "sign-in")).to_be_visible()
        async with page.expect_response(held):
            may_answer.set()
        await asyncio.sleep(0.2)
        await expect(page.locator(".message")).to_have_count(0)
        await expect(page.locator("#sign-in-problem")).to_be_hidden()


@pytest.mark.browser
async def test_who_declines_is_told_and_may_try_again(
    browser: Browser, served: Site, anybody: Iterator[Holder]
) -> None:
    async with visit(browser, served, "/inbox", refusals=True) as seen:
        page = seen.page
        await button(page, "sign-in").click()
        await page.locator(".person").first.click()
        await expect(page.locator("#wallet")).to_contain_text("this platform's own page", use_inner_text=True)
        await expect(page.locator("#unverified")).to_have_count(0)
        await page.locator("button[value=decline]").click()
        await is_told(page.locator("#sign-in-problem"), "You declined")
        assert urlsplit(page.url).query == ""
        await sign_in(page, next(anybody))


@pytest.mark.browser
async def test_an_answer_that_this_browser_did_not_ask_for_is_not_used(browser: Browser, served: Site) -> None:
    """A link with another person's code must not sign anybody in as them."""
    issuer = served.settings.public_url
    async with visit(browser, served, f"/inbox?code=theirs&state=made-up&iss={issuer}") as seen:
        await is_told(seen.page.locator("#sign-in-problem"), "not used")
        assert seen.page.url == f"{issuer}/inbox"
        assert not any(urlsplit(url).path == "/oauth/token" for url in seen.asked)


@pytest.mark.browser
async def test_a_token_that_is_over_is_exchanged_and_a_grant_that_has_ended_is_told(
    open_inbox: Open, served: Site
) -> None:
    async with open_inbox() as (seen, holder_id):
        page = seen.page
        before = (await page.evaluate(KEPT))["tokens"]
        await page.evaluate(OVER)
        await page.reload()
        await expect(page.locator("#live")).to_have_attribute("data-state", "ok")
        assert not set(before) & set((await page.evaluate(KEPT))["tokens"])
        async with served.platform.database.transaction() as session:
            ended = update(repository.GRANT).where(repository.GRANT.c.holder_id == holder_id)
            await session.execute(ended.values(revoked_at=served.platform.clock.now()))
        await page.reload()
        await is_told(page.locator("#sign-in-problem"), "has ended")
        assert (await page.evaluate(KEPT))["names"] == []


@pytest.mark.browser
@pytest.mark.parametrize("minutes", [-20, 20])
async def test_a_clock_that_is_wrong_does_not_keep_anybody_out(open_inbox: Open, minutes: int) -> None:
    wrong = f"{{ const now = Date.now; Date.now = () => now() + {minutes} * 60_000; }}"
    async with open_inbox(script=wrong) as (seen, _):
        await expect(seen.page.locator("#live")).to_have_attribute("data-state", "ok")


@pytest.mark.browser
async def test_a_browser_that_keeps_nothing_is_told_so(browser: Browser, served: Site) -> None:
    forbidden = "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };"
    async with visit(browser, served, "/inbox", script=forbidden) as seen:
        await expect(seen.page.locator("#inbox > [data-when=unable]")).to_be_visible()


@pytest.mark.browser
async def test_another_name_of_this_machine_leads_to_the_platform_s_own_address(browser: Browser, served: Site) -> None:
    elsewhere = served.settings.public_url.replace("127.0.0.1", "localhost")
    session = await browser.new_context()
    page = await session.new_page()
    await page.goto(f"{elsewhere}/inbox")
    await page.locator("#inbox a").click()
    await expect(button(page, "sign-in")).to_be_visible()
    assert page.url == f"{served.settings.public_url}/inbox"
    await session.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"deployment": "production"}, "no-sign-in"),
        ({"wallet_attestation_required": True}, "attested-only"),
    ],
)
async def test_where_the_page_cannot_be_a_wallet_it_says_so(site: Site, settings: dict[str, object], told: str) -> None:
    other = replace(site.platform, settings=site.settings.model_copy(update=settings))
    async with site.client(other) as client:
        text = (await client.get("/inbox")).text
    assert f'id="{told}"' in text
    assert 'id="inbox"' not in text
    assert "inbox.js" not in text


# ---- messages


@pytest.mark.browser
async def test_messages_come_by_themselves_and_are_read_and_deleted(open_inbox: Open, served: Site) -> None:
    async with open_inbox() as (seen, holder_id):
        page = seen.page
        items, unread = page.locator(".message"), page.locator("[data-unread]")
        await expect(page.locator("#no-message")).to_be_visible()
        await expect(page.locator("#live")).to_have_attribute("data-state", "ok")
        await tell(served, holder_id, "one", "two")
        await expect(items).to_have_count(2, timeout=15_000)
        await expect(unread).to_have_text("2")
        assert (await page.title()).startswith("(2) ")
        await expect(items.first.locator("[data-text]")).to_have_text("<b>正文</b>")
        await expect(items.first.locator("[data-kind]")).to_have_text("News of a licence", use_inner_text=True)
        first = items.filter(has_text="标题 one")
        await first.get_by_role("button", name="Mark as read").click()
        await expect(unread).to_have_text("1")
        await expect(first.get_by_role("button", name="Mark as read")).to_be_hidden()
        await first.get_by_role("button", name="Delete", exact=True).click()
        await first.get_by_role("button", name="Keep it").click()
        await first.get_by_role("button", name="Delete", exact=True).focus()
        await page.keyboard.press("Enter")
        await first.get_by_role("button", name="Delete it").click()
        await expect(items).to_have_count(1)
        await expect(items.get_by_role("button", name="Delete", exact=True)).to_be_focused()
        await button(page, "read-all").click()
        await expect(page.locator("#unread")).to_be_hidden()
        await expect(button(page, "read-all")).to_be_disabled()


@pytest.mark.browser
async def test_older_messages_are_fetched_when_asked_for_and_stay_when_a_new_one_comes(
    open_inbox: Open, served: Site
) -> None:
    async with open_inbox() as (seen, holder_id):
        items = seen.page.locator(".message")
        await tell(served, holder_id, *(f"{number:02}" for number in range(23)))
        await seen.page.reload()
        await expect(items).to_have_count(20)
        await button(seen.page, "older").click()
        await expect(items).to_have_count(23)
        await expect(button(seen.page, "older")).to_be_hidden()
        await tell(served, holder_id, "new")
        await expect(items.first).to_contain_text("标题 new", timeout=15_000)
        assert await items.count() >= 23


@pytest.mark.browser
async def test_what_is_shown_stays_also_where_it_is_more_than_the_api_gives_at_once(
    open_inbox: Open, served: Site
) -> None:
    async with open_inbox() as (seen, holder_id):
        page, items = seen.page, seen.page.locator(".message")
        await tell(served, holder_id, *(f"many {n:03}" for n in range(130)))
        await page.reload()
        await expect(items).to_have_count(20)
        for shown in range(40, 140, 20):
            await button(page, "older").click()
            await expect(items).to_have_count(shown)
        await items.last.get_by_role("button", name="Mark as read").click()
        await expect(page.locator("[data-unread]")).to_have_text("129")
        assert len(set(await page.locator(".message [data-title]").all_inner_texts())) == 120
        await expect(items.last.get_by_role("button", name="Mark as read")).to_be_hidden()
        await button(page, "older").click()
        await expect(items).to_have_count(130)
        await expect(button(page, "older")).to_be_hidden()


@pytest.mark.browser
async def test_what_was_not_done_is_told_with_the_platform_s_code(open_inbox: Open, served: Site) -> None:
    async with open_inbox() as (seen, holder_id):
        page, problem = seen.page, seen.page.locator("#problem")
        await tell(served, holder_id, "stubborn")
        await expect(page.locator(".message")).to_have_count(1, timeout=15_000)
        await page.route("**/api/v1/me/inbox/*/read", lambda route: refuse(route, 503, "database_unavailable"))
        await page.get_by_role("button", name="Mark as read").click()
        await is_told(problem, "database_unavailable")
        await page.route("**/api/v1/me/inbox?*", lambda route: route.abort())
        await button(page, "reload").click()
        await is_told(problem, "did not answer")
        await page.unroute_all()
        await button(page, "reload").click()
        await expect(problem).to_be_hidden()


async def refuse(route: Route, status: int, code: str) -> None:
    await route.fulfill(status=status, json={"code": code}, content_type="application/problem+json")


@pytest.mark.browser
async def test_a_broken_stream_is_told_and_opened_again(open_inbox: Open) -> None:
    async with open_inbox() as (seen, _):
        page, live = seen.page, seen.page.locator("#live")
        await page.route("**/inbox/events", lambda route: route.abort())
        await page.reload()
        await expect(live).to_have_attribute("data-state", "unreachable")
        await page.unroute_all()
        await expect(live).to_have_attribute("data-state", "ok", timeout=15_000)


@pytest.mark.browser
async def test_a_message_that_was_deleted_elsewhere_goes_when_it_is_marked_as_read(
    open_inbox: Open, served: Site
) -> None:
    async with open_inbox() as (seen, holder_id):
        page, items = seen.page, seen.page.locator(".message")
        await tell(served, holder_id, "deleted elsewhere")
        await page.route("**/inbox/events", lambda route: route.abort())
        await page.reload()
        await expect(items).to_have_count(1)
        async with served.platform.database.transaction() as session:
            (message,) = (await served.platform.inbox.list(session, holder_id)).messages
            await served.platform.inbox.delete(session, holder_id, message.id)
        await items.get_by_role("button", name="Mark as read").click()
        await expect(items).to_have_count(0)
        await expect(page.locator("#problem")).to_be_hidden()


@pytest.mark.browser
async def test_a_message_that_comes_while_older_ones_are_fetched_leaves_no_gap(open_inbox: Open, served: Site) -> None:
    async with open_inbox() as (seen, holder_id):
        page = seen.page
        await expect(page.locator("#live")).to_have_attribute("data-state", "ok")
        await tell(served, holder_id, *(f"gap {n:02}" for n in range(30)))
        await expect(page.locator("[data-unread]")).to_have_text("30", timeout=15_000)
        await page.reload()
        await expect(page.locator(".message")).to_have_count(20, timeout=15_000)
        asked, may_answer = await hold_first_answer(page, "**/api/v1/me/inbox?*cursor=*")
        await button(page, "older").click()
        await asked.wait()
        await tell(served, holder_id, "gap new")
        await expect(page.locator("[data-unread]")).to_have_text("31", timeout=15_000)
        may_answer.set()
        await expect(page.locator(".message")).to_have_count(31)
        titles = await page.locator(".message [data-title]").all_inner_texts()
        missing = [n for n in range(30) if not any(f"gap {n:02}" in title for title in titles)]
        assert missing == []


@pytest.mark.browser
async def test_an_older_answer_does_not_take_a_newer_message_away(open_inbox: Open, served: Site) -> None:
    async with open_inbox() as (seen, holder_id):
        page = seen.page
        await expect(page.locator("#live")).to_have_attribute("data-state", "ok")
        await tell(served, holder_id, "stale one")
        await expect(page.locator(".message")).to_have_count(1, timeout=15_000)
        asked, may_answer = await hold_first_answer(page, "**/api/v1/me/inbox?*")
        await page.get_by_role("button", name="Mark as read").click()
        await asked.wait()
        await tell(served, holder_id, "stale two")
        await expect(page.locator(".message")).to_have_count(2, timeout=15_000)
        async with page.expect_response("**/api/v1/me/inbox?*"):
            may_answer.set()
        await asyncio.sleep(0.5)
        await expect(page.locator(".message")).to_have_count(2)


# ---- push


@pytest.mark.browser
async def test_a_browser_is_subscribed_and_shows_what_the_platform_pushes(open_inbox: Open, served: Site) -> None:
    """From the button to the notification and its receipt. Stubbed is the maker's push service alone: the subscription
    is one at a service on this machine, and what that was given (sealed for the subscription's keys, opened with them
    here) is brought into the browser by the developer tools' protocol."""
    with far_end.serving(PushService()) as service:
        subscriber = Subscriber(service)
        script = subscribing(subscriber.subscription)
        async with open_inbox(script=script, permissions=["notifications"]) as (seen, holder_id):
            page, push = seen.page, seen.page.locator("#push")
            tools, registrations = await worker_tools(page)
            await page.get_by_role("button", name="Receive reminders in this browser").click()
            await expect(push).to_have_attribute("data-state", "on")
            assert await devices(served, holder_id) == 1
            await page.reload()
            await expect(push).to_have_attribute("data-state", "on")
            assert await devices(served, holder_id) == 1

            await tell(served, holder_id, "pushed", channels=("push",))
            ((_, _, body),) = service.received
            data = json.dumps(subscriber.read(body))
            origin = served.settings.public_url
            pushed = {"origin": origin, "registrationId": registrations[-1], "data": data}
            notifications = await shown_by_worker(page, tools, pushed)
            message = await delivered(served, holder_id)
            icon = f"{origin}/assets/mark.svg"
            assert [[title, tag, icon] for title, _, tag, icon in notifications] == [["Title pushed", message, icon]]

            await page.get_by_role("button", name="Stop reminders in this browser").click()
            await expect(push).to_have_attribute("data-state", "off")
            assert await devices(served, holder_id) == 0
            assert await page.evaluate("localStorage.stub") is None
            await page.reload()
            await expect(push).to_have_attribute("data-state", "off")


@pytest.mark.browser
@pytest.mark.parametrize(("at", "led_to"), [("/", "opened"), ("/inbox#later", "focused")])
async def test_a_click_on_a_notification_leads_to_the_inbox_once(
    browser: Browser, served: Site, at: str, led_to: str
) -> None:
    """Stubbed: the desktop's click, and what only a real click may do, to open and to focus a window."""
    async with visit(browser, served, at) as seen:
        async with seen.page.context.expect_event("serviceworker") as begun:
            await seen.page.evaluate("navigator.serviceWorker.register('/push-worker.js')")
        did = await (await begun.value).evaluate(CLICK)
    inbox = f"{served.settings.public_url}/inbox"
    assert did == ["closed", f"{led_to} {inbox}{at.removeprefix('/inbox') if led_to == 'focused' else ''}"]


async def worker_tools(page: Page) -> tuple[CDPSession, list[str]]:
    """The developer tools of the page's service workers, and the ids of registrations, the newest last."""
    tools = await page.context.new_cdp_session(page)
    registrations: list[str] = []
    tools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.extend(one["registrationId"] for one in event["registrations"]),
    )
    await tools.send("ServiceWorker.enable")
    return tools, registrations


async def delivered(site: Site, holder_id: str) -> str:
    """The id of the holder's push, once the worker has said that it arrived."""
    for _ in range(100):
        async with site.platform.database.snapshot() as session:
            found = await site.platform.outbox.list(session, Selection(channel="push", state=MessageState.DELIVERED))
        if found:
            return found[0].id
        await asyncio.sleep(0.05)
    raise AssertionError("the push was not confirmed")


@pytest.mark.browser
async def test_signing_out_ends_push_and_the_next_person_does_not_inherit_it(
    open_inbox: Open, served: Site, anybody: Iterator[Holder]
) -> None:
    """Stubbed: the subscription (see `subscribing`)."""
    with far_end.serving(PushService()) as service:
        script = subscribing(Subscriber(service).subscription)
        async with open_inbox(script=script, permissions=["notifications"]) as (seen, first):
            page, push = seen.page, seen.page.locator("#push")
            await button(page, "subscribe").click()
            await expect(push).to_have_attribute("data-state", "on")
            await button(page, "sign-out").click()
            await expect(button(page, "sign-in")).to_be_visible()
            assert (await devices(served, first), await page.evaluate("localStorage.stub")) == (0, None)
            await sign_in(page, next(anybody))
            await button(page, "subscribe").click()
            await expect(push).to_have_attribute("data-state", "on")
            async with served.platform.database.transaction() as session:
                ended = update(repository.GRANT).values(revoked_at=served.platform.clock.now())
                await session.execute(ended)
            await page.reload()
            await expect(button(page, "sign-in")).to_be_visible()
            assert await page.evaluate("localStorage.stub") is not None  # reminders go on for whose they are
            await sign_in(page, next(anybody))
            await expect(push).to_have_attribute("data-state", "off")
            assert await page.evaluate("localStorage.stub") is None


@pytest.mark.browser
async def test_a_subscription_under_an_old_key_is_replaced(open_inbox: Open, served: Site) -> None:
    """Stubbed: the subscription (see `subscribing`)."""
    with far_end.serving(PushService()) as service:
        script = subscribing(Subscriber(service).subscription)
        async with open_inbox(script=script, permissions=["notifications"]) as (seen, holder_id):
            page, push = seen.page, seen.page.locator("#push")
            await button(page, "subscribe").click()
            await expect(push).to_have_attribute("data-state", "on")
            made = await page.evaluate("localStorage.stub")
            await page.evaluate("localStorage.stub = '[4, 5, 6]'")
            await page.reload()
            await expect(push).to_have_attribute("data-state", "on")
            assert await page.evaluate("localStorage.stub") == made
            assert await devices(served, holder_id) == 1


REFUSALS: dict[str, tuple[str, str, str]] = {
    "a push service out of reach": (subscribing(refusal="AbortError"), "failed", "push_service_unreachable"),
    "a browser's own reason": (subscribing(refusal="InvalidStateError"), "failed", "InvalidStateError"),
    "a platform that does not take it": (
        subscribing({"endpoint": "ftp://x", "keys": {}}),
        "failed",
        "device_malformed",
    ),
    "a browser without push": ("delete window.PushManager", "unsupported", "add the page to the home screen"),
    "a question that was not answered": (
        "Object.defineProperty(Notification, 'permission', { get: () => 'default' });"
        "Notification.requestPermission = async () => 'default';",
        "dismissed",
        "still off",
    ),
    "a browser that forbids it": (
        "Object.defineProperty(Notification, 'permission', { get: () => 'denied' });",
        "denied",
        "set Notifications to Allow",
    ),
}


@pytest.mark.browser
@pytest.mark.parametrize(("script", "state", "told"), REFUSALS.values(), ids=REFUSALS)
async def test_push_that_cannot_be_had_is_told_with_its_reason(
    open_inbox: Open, served: Site, script: str, state: str, told: str
) -> None:
    """Stubbed: the subscription, or what the browser says of permission."""
    async with open_inbox(script=script, permissions=["notifications"]) as (seen, holder_id):
        page, push = seen.page, seen.page.locator("#push")
        if state in ("failed", "dismissed"):
            await button(page, "subscribe").click()
        await expect(push).to_have_attribute("data-state", state)
        await expect(push).to_contain_text(told, use_inner_text=True)
        await expect(button(page, "subscribe")).to_be_visible(visible=state in ("failed", "dismissed"))
        assert await devices(served, holder_id) == 0
        assert await page.evaluate("localStorage.stub") is None


@pytest.mark.browser
async def test_a_platform_without_web_push_says_so(open_inbox: Open) -> None:
    async with open_inbox() as (seen, _):
        await seen.page.route("**/api/v1/push-key", lambda route: refuse(route, 404, "web_push_unavailable"))
        await seen.page.reload()
        await expect(seen.page.locator("#push")).to_have_attribute("data-state", "unavailable")


# ---- under a path


@pytest.fixture
def served_under_a_path(runner: asyncio.Runner, tmp_path: Path) -> Iterator[Site]:
    with sample_site(runner, tmp_path, path="/city", dpop_nonce_required=True) as site, serving(runner, site) as served:
        yield served


@pytest.mark.browser
async def test_under_a_path_nothing_is_asked_for_outside_it(browser: Browser, served_under_a_path: Site) -> None:
    """Stubbed: the subscription, and the push service's last step (see the first test of push)."""
    site = served_under_a_path
    public_url = site.settings.public_url
    with far_end.serving(PushService()) as service:
        subscriber = Subscriber(service)
        script = subscribing(subscriber.subscription)
        allowed: dict[str, Any] = {"script": script, "permissions": ["notifications"]}
        async with visit(browser, site, f"{public_url}/inbox", refusals=True, **allowed) as seen:
            page, push = seen.page, seen.page.locator("#push")
            tools, registrations = await worker_tools(page)
            holder_id = await sign_in(page, (await citizens(site))[0])
            assert page.url == f"{public_url}/inbox"
            await button(page, "subscribe").click()
            await expect(push).to_have_attribute("data-state", "on")
            assert await page.evaluate(WORKERS) == [[f"{public_url}/", f"{public_url}/push-worker.js"]]
            await tell(site, holder_id, "path", channels=("inbox", "push"))
            await expect(page.locator(".message")).to_have_count(1, timeout=15_000)
            data = json.dumps(subscriber.read(service.received[0][2]))
            pushed = {"origin": site.settings.url_origin, "registrationId": registrations[-1], "data": data}
            ((*_, tag, icon),) = await shown_by_worker(page, tools, pushed)
            assert (tag, icon) == (await delivered(site, holder_id), f"{public_url}/assets/mark.svg")
            await button(page, "sign-out").click()
            await expect(button(page, "sign-in")).to_be_visible()
            assert await devices(site, holder_id) == 0
    assert [url for url in seen.asked if not url.startswith(f"{public_url}/")] == []


# ---- settings


def test_every_kind_of_message_is_told_in_words() -> None:
    words = pages._pages.get_template("kinds.html").module.kind_name
    assert not [kind for kind in (*KINDS, CODE) if kind in words(kind)]


@pytest.mark.browser
async def test_switches_hold_and_a_statutory_notice_says_why_its_cannot_be_turned(
    open_inbox: Open, served: Site
) -> None:
    async with open_inbox() as (seen, holder_id):
        page = seen.page
        shown, expiry = (
            page.get_by_role("group", name=name) for name in ("A licence was checked", "Licences that run out")
        )
        await expect(shown.get_by_role("switch", name="Push")).not_to_be_checked()
        await shown.get_by_role("switch", name="Push").check()
        await expiry.get_by_role("switch", name="SMS").focus()
        await page.keyboard.press("Space")
        statutory = expiry.get_by_role("switch", name="Inbox")
        await expect(statutory).to_be_checked()
        await expect(statutory).to_be_disabled()
        await expect(statutory).to_have_accessible_description(
            "The law or the authority owes you this notice: it always reaches this inbox. Push and SMS may be off."
        )
        await page.locator("summary").click()
        await page.get_by_role("checkbox", name=served.platform.catalogue.get("driving-licence").name.en).check()
        async with page.expect_response(lambda answer: '"language":"en"' in (answer.request.post_data or "")):
            await page.get_by_role("combobox", name="Language of messages").select_option("en")
        await expect(page.locator("#saving")).to_have_text("Saved", use_inner_text=True)
        await page.reload()
        await expect(page.get_by_role("combobox", name="Language of messages")).to_have_value("en")
        await expect(shown.get_by_role("switch", name="Push")).to_be_checked()
        await expect(expiry.get_by_role("switch", name="SMS")).not_to_be_checked()
    async with served.platform.database.snapshot() as session:
        choices = (await served.platform.preferences.of(session, [holder_id]))[holder_id]
    assert choices.muted[SHOWN] == {"sms"}
    assert choices.muted["licence_expiry"] == {"sms"}
    assert choices.silent_types == {"driving-licence"}
    assert choices.language == "en"


@pytest.mark.browser
async def test_a_setting_that_was_not_saved_goes_back(open_inbox: Open) -> None:
    async with open_inbox() as (seen, _):
        page = seen.page

        async def away(route: Route) -> None:
            await (refuse(route, 503, "database_unavailable") if route.request.method == "PUT" else route.continue_())

        await page.route(SETTINGS, away)
        switch = page.get_by_role("group", name="News of a licence").get_by_role("switch", name="Push")
        await switch.click()
        await expect(page.locator("#saving")).to_contain_text("database_unavailable", use_inner_text=True)
        await expect(switch).to_be_checked()


def switch(page: Page, kind: str, channel: str) -> Locator:
    return page.get_by_role("group", name=kind).get_by_role("switch", name=channel)


async def choices_of(site: Site, holder_id: str) -> Choices:
    async with site.platform.database.snapshot() as session:
        return (await site.platform.preferences.of(session, [holder_id]))[holder_id]


async def choose_elsewhere(site: Site, holder_id: str, choices: Choices) -> None:
    async with site.platform.database.transaction() as session:
        await site.platform.preferences.choose(session, holder_id, choices)


@pytest.mark.browser
@pytest.mark.parametrize("changed", ["a channel", "a type"])
async def test_a_change_leaves_what_another_window_has_changed(open_inbox: Open, served: Site, changed: str) -> None:
    """Among what it has changed is a licence type that the platform has no longer."""
    async with open_inbox() as (seen, holder_id):
        page, news = seen.page, "News of a licence"
        await expect(switch(page, news, "Push")).to_be_enabled()
        elsewhere = Choices({NEWS: frozenset({"push"})}, frozenset({"driving-licence", "no-more"}))
        await choose_elsewhere(served, holder_id, elsewhere)
        await page.locator("summary").click()
        vehicle, driving = (
            page.get_by_role("checkbox", name=served.platform.catalogue.get(code).name.en)
            for code in ("vehicle-licence", "driving-licence")
        )
        await (switch(page, news, "SMS").uncheck() if changed == "a channel" else vehicle.check())
        await expect(page.locator("#saving")).to_have_text("Saved", use_inner_text=True)
        await expect(switch(page, news, "Push")).not_to_be_checked()
        await expect(driving).to_be_checked()
    choices = await choices_of(served, holder_id)
    if changed == "a channel":
        assert (choices.muted[NEWS], choices.silent_types) == ({"push", "sms"}, {"driving-licence", "no-more"})
    else:
        assert choices.muted[NEWS] == {"push"}
        assert choices.silent_types == {"driving-licence", "vehicle-licence", "no-more"}


@pytest.mark.browser
async def test_a_switch_that_waits_for_its_turn_keeps_its_position_when_the_one_before_goes_back(
    open_inbox: Open, served: Site
) -> None:
    async with open_inbox() as (seen, holder_id):
        page, (push, sms) = seen.page, (switch(seen.page, "News of a licence", name) for name in ("Push", "SMS"))
        await expect(push).to_be_enabled()
        puts = [(asyncio.Event(), asyncio.Event()) for _ in range(2)]
        coming = iter(puts)

        async def first_refused(route: Route) -> None:
            if route.request.method == "PUT":
                asked, may_answer = put = next(coming)
                asked.set()
                await may_answer.wait()
                if put is puts[0]:
                    await refuse(route, 503, "database_unavailable")
                    return
            await route.continue_()

        (push_asked, refuse_push), (sms_asked, save_sms) = puts
        await page.route(SETTINGS, first_refused)
        await push.click()
        await push_asked.wait()
        await sms.click()
        refuse_push.set()
        await sms_asked.wait()
        await expect(push).to_be_checked()
        await expect(sms).not_to_be_checked()
        save_sms.set()
        await expect(page.locator("#saving")).to_have_text("Saved", use_inner_text=True)
    assert (await choices_of(served, holder_id)).muted[NEWS] == {"sms"}


@pytest.mark.browser
async def test_while_the_platform_is_away_a_switch_goes_back_and_afterwards_what_holds_is_shown(
    open_inbox: Open, served: Site
) -> None:
    async with open_inbox() as (seen, holder_id):
        page, saving = seen.page, seen.page.locator("#saving")
        push, sms = (switch(page, "News of a licence", name) for name in ("Push", "SMS"))
        await page.route("**/inbox/events", lambda route: route.abort())
        await page.reload()
        await expect(page.locator("#live")).to_have_attribute("data-state", "unreachable")
        await expect(push).to_be_checked()
        await page.route(SETTINGS, lambda route: route.abort())
        await push.click()
        await is_told(saving, "The platform did not answer")
        await expect(saving).not_to_contain_text("unreachable", use_inner_text=True)
        await expect(push).to_be_checked()
        await choose_elsewhere(served, holder_id, Choices({NEWS: frozenset({"sms"})}))
        await page.unroute_all()
        await expect(sms).not_to_be_checked(timeout=15_000)
        await expect(push).to_be_checked()


# ---- on a phone


@pytest.mark.browser
@pytest.mark.parametrize("locale", ["zh-CN", "en-GB"])
async def test_a_small_dark_phone_need_not_scroll_sideways(open_inbox: Open, served: Site, locale: str) -> None:
    async with open_inbox(locale=locale, **PHONE) as (seen, holder_id):
        page = seen.page
        await tell(served, holder_id, f"{locale} {'x' * 60}")
        await expect(page.locator(".message")).to_have_count(1, timeout=15_000)
        await page.locator("[data-message=delete]").click()
        await page.locator("summary").click()
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        paper = await page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
        assert sum(paper) < 150
