"""Signing in and deciding, over HTTP and in a real browser, on SQLite."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from credentials.catalogue import Catalogue
from tests.credentials.rows import business_row, driving_row, organisation_code
from tests.fakes import FakeClock
from tests.wallet_api.running import Running
from tests.wallet_api.sign_in_site import CSRF, PlainBrowser, served
from tests.wallet_api.signing_in import SigningWallet, answer_in
from wallet_api.database import Database
from wallet_api.reference.holder import PROFILES, HeldCredential, HolderWallet

NAMES = {1: "张三丰", 2: "<b>李四</b>"}


@pytest.fixture
def database(runner: asyncio.Runner, tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'sign_in.db'}")
    runner.run(database.create_all())
    yield database
    runner.run(database.close())


@pytest.fixture
def wallet(running: Running, runner: asyncio.Runner) -> SigningWallet:
    runner.run(running.take(*map(person, NAMES)))
    return SigningWallet(running)


def person(number: int) -> dict[str, Any]:
    row = driving_row(number)
    row["certificate_holders"] = [{**row["certificate_holders"][0], "certificate_holder_name": NAMES[number]}]
    return row


async def authorize(wallet: SigningWallet, browser: PlainBrowser, **changes: Any) -> httpx.Response:
    query = {"client_id": wallet.client_id, "request_uri": await wallet.request_uri(**changes)}
    return await browser.open(f"{wallet.running.url}/oauth/authorize?{urlencode(query)}")


async def consent_page(wallet: SigningWallet, browser: PlainBrowser, number: int = 1, **changes: Any) -> httpx.Response:
    demo = await browser.follow(await authorize(wallet, browser, **changes))
    assert demo.status_code == 200
    return await browser.follow(await browser.send(demo, holder=await wallet.holder_id(number)))


def code_of(page: httpx.Response) -> tuple[int, str]:
    """Status and reason of a page that says that it cannot go on."""
    found = re.search(r'id="refused" data-code="(\w+)"', page.text)
    assert found, page.text
    assert "location" not in page.headers
    return page.status_code, found[1]


async def test_a_holder_signs_in_approves_and_the_wallet_fetches_the_licence(wallet: SigningWallet) -> None:
    browser = PlainBrowser.of(wallet.running)
    opened = await authorize(wallet, browser)
    (cookie,) = opened.headers.get_list("set-cookie")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/city/oauth"} <= set(cookie.split("; "))
    page = await browser.follow(await browser.send(await browser.follow(opened), holder=await wallet.holder_id()))
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for shown in (wallet.client_id, "wallet.example.net", NAMES[1], "机动车驾驶证", "2030-02-28", 'id="unverified"'):
        assert shown in page.text
    back = await browser.send(page, decision="approve", holder=await wallet.holder_id())
    assert (back.status_code, back.headers["cache-control"]) == (303, "no-store")
    answer = answer_in(back.headers["location"])
    assert (answer["state"], answer["iss"]) == ("a state & more", wallet.running.url)
    wallet.take(await wallet.exchange(answer["code"]))
    assert (await wallet.credential()).count("~") > 5
    wallet.take(await wallet.refresh())
    assert (await wallet.credential()).count("~") > 5
    assert code_of(await browser.send(page, decision="approve", holder=await wallet.holder_id()))[0] == 400


async def test_declining_sends_access_denied_and_nothing_is_granted(wallet: SigningWallet) -> None:
    browser = PlainBrowser.of(wallet.running)
    back = await browser.send(await consent_page(wallet, browser), decision="decline")
    answer = answer_in(back.headers["location"])
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "a state & more", wallet.running.url)
    assert await wallet.running.count("authorization_request", stage="declined") == 1


async def test_who_holds_nothing_that_is_asked_is_told_so(wallet: SigningWallet) -> None:
    browser = PlainBrowser.of(wallet.running)
    page = await consent_page(wallet, browser, scope="road-transport-certificate")
    assert 'id="nothing"' in page.text
    assert 'value="approve"' not in page.text
    forced = await browser.send(page, decision="approve", holder=await wallet.holder_id())
    assert code_of(forced) == (403, "nothing_to_grant")
    again = await browser.follow(await browser.send(page, decision="again"))
    assert "demo" in str(again.url)
    back = await browser.send(page, decision="decline")
    assert answer_in(back.headers["location"])["error"] == "access_denied"


async def test_opening_a_request_never_leads_away_from_this_server(wallet: SigningWallet) -> None:
    """No open redirector: whatever is wrong is said on a page."""
    browser, stranger = PlainBrowser.of(wallet.running), PlainBrowser.of(wallet.running)
    evil = "https://evil.example/"
    at, uri = f"{wallet.running.url}/oauth/authorize", await wallet.request_uri()
    good = {"client_id": wallet.client_id, "request_uri": uri}
    first = await browser.open(f"{at}?{urlencode({**good, 'redirect_uri': evil, 'state': 'x'})}")
    assert first.headers["location"].startswith(f"{wallet.running.url}/oauth/demo/")
    reload = await browser.open(f"{at}?{urlencode(good)}")
    assert reload.headers["location"] == first.headers["location"]
    missing = {
        "nothing": "",
        "not pushed": urlencode(wallet.request_form(redirect_uri=evil)),
        "no client": urlencode({"request_uri": uri}),
        "reference twice": urlencode([*good.items(), ("request_uri", uri)]),
        "a hundred parameters": urlencode([*good.items(), *((f"x{n}", "1") for n in range(100))]),
        "not UTF-8": f"{urlencode(good)}&x=%FF",
    }
    told = {name: code_of(await browser.open(f"{at}?{query}")) for name, query in missing.items()}
    assert told == dict.fromkeys(missing, (400, "request_missing"))
    unknown = {
        "another client": {**good, "client_id": "another"},
        "NUL in the client": {**good, "client_id": "\x00"},
        "invented reference": {**good, "request_uri": "urn:ietf:params:oauth:request_uri:x"},
        "a URL as reference": {**good, "request_uri": evil},
    }
    told = {name: code_of(await browser.open(f"{at}?{urlencode(query)}")) for name, query in unknown.items()}
    assert told == dict.fromkeys(unknown, (400, "request_unknown"))
    assert code_of(await stranger.open(f"{at}?{urlencode(good)}")) == (400, "request_unknown")
    for page in (first.headers["location"], first.headers["location"].replace("/demo/", "/consent/")):
        assert code_of(await stranger.open(page)) == (400, "request_unknown")
        assert code_of(await stranger.http.post(page, data={"decision": "approve"})) == (400, "request_unknown")
        assert code_of(await browser.open(f"{page}%00")) == (400, "request_unknown")


async def test_a_form_counts_only_from_our_own_page_in_the_same_browser(wallet: SigningWallet) -> None:
    browser, attacker = PlainBrowser.of(wallet.running), PlainBrowser.of(wallet.running)
    page, theirs = await consent_page(wallet, browser), await consent_page(wallet, attacker, 2)
    found = CSRF.search(theirs.text)
    assert found
    approve = {"decision": "approve", "holder": await wallet.holder_id()}
    for csrf in ("", "0" * 64, found[1], "状"):
        assert code_of(await browser.http.post(str(page.url), data={**approve, "csrf": csrf})) == (400, "form_stale")
    double = await browser.http.post(str(page.url), content="csrf=1&csrf=1", headers={"Content-Type": "text/plain"})
    assert code_of(double) == (400, "form_stale")
    stolen = await attacker.http.post(str(page.url), data={**approve, "csrf": found[1]})
    assert code_of(stolen) == (400, "form_stale")
    other = await browser.send(page, decision="approve", holder=await wallet.holder_id(2))
    assert code_of(other) == (403, "nothing_to_grant")
    assert await wallet.running.count("authorization_request", stage="approved") == 0


async def test_names_are_written_as_text_and_found_by_a_part_of_them(wallet: SigningWallet) -> None:
    browser = PlainBrowser.of(wallet.running)
    demo = await browser.follow(await authorize(wallet, browser))
    assert "&lt;b&gt;李四" in demo.text
    assert "<b>李四" not in demo.text
    found = await browser.send(demo, name="三丰")
    assert (NAMES[1] in found.text, "李四" in found.text) == (True, False)
    nobody = await browser.send(demo, name='"><script>')
    assert ('id="nobody"' in nobody.text, "<script>" in nobody.text) == (True, False)
    assert code_of(await browser.send(demo, holder="\x00")) == (400, "form_stale")


async def test_a_production_deployment_without_a_provider_takes_no_authorization_requests(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    key = "A" * 43 + "="
    secrets = {"encryption_keys": f"a:{key}", "blind_index_key": key, "nonce_key": key, "key_passphrase": key}
    running = await Running.start(
        tmp_path, clock, database, deployment="production", database_url="sqlite:///unused", **secrets
    )
    answer = await SigningWallet(running).push()
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    metadata = (await running.http.get("/.well-known/oauth-authorization-server/city")).json()
    assert "authorization_endpoint" not in metadata
    assert "authorization_code" not in metadata["grant_types_supported"]
    assert code_of(await PlainBrowser.of(running).open(f"{running.url}/oauth/demo/x"))[0] == 400
    await running.http.aclose()


async def test_a_person_acts_for_an_organisation_whose_licence_names_them_and_for_no_other(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    kinds = Catalogue(map(Catalogue.default().get, ("driving-licence", "business-licence")))
    running = await Running.start(tmp_path, clock, database, catalogue=kinds)
    await running.take(driving_row(1), business_row(1), business_row(2))
    wallet, browser = SigningWallet(running), PlainBrowser.of(running)
    page = await consent_page(wallet, browser, scope="business-licence driving-licence")
    holders = re.findall(r'name="holder" value="(\w+)"', page.text)
    assert (len(holders), holders[0]) == (2, await wallet.holder_id())
    async with running.platform.database.snapshot() as session:
        code = organisation_code(2)
        stranger = await running.platform.registry.holder_by_code(session, "001", code)
    forced = await browser.send(page, decision="approve", holder=stranger.id)
    assert code_of(forced) == (403, "nothing_to_grant")
    back = await browser.send(page, decision="approve", holder=holders[1])
    wallet.take(await wallet.exchange(answer_in(back.headers["location"])["code"]))
    assert wallet.last["scope"] == "business-licence"  # the person's own licence is not the organisation's
    assert await running.count("wallet_grant", holder_id=holders[1]) == 1
    request = await wallet.request(credential_configuration_id="business-licence")
    assert (await wallet.ask_credential(request)).status_code == 200
    own = await wallet.ask_credential(await wallet.request())
    assert own.status_code == 400
    await running.http.aclose()


async def test_the_reference_holder_signs_in_through_an_address_of_its_own_machine(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    async with served(tmp_path, clock, database, dpop_nonce_required=True) as running:
        await running.take(driving_row())
        loop = asyncio.get_running_loop()
        invited: asyncio.Future[str] = loop.create_future()

        def invite(url: str) -> None:
            loop.call_soon_threadsafe(invited.set_result, url)

        def signed_in() -> list[HeldCredential]:
            with httpx.Client() as http:
                wallet = HolderWallet(tmp_path / "holder", clock)
                return wallet.sign_in(http, running.url, [], 1, lambda credential: None, invite)

        work = asyncio.create_task(asyncio.to_thread(signed_in))
        async with httpx.AsyncClient() as http:
            browser, wallet = PlainBrowser(http), SigningWallet(running)
            demo = await browser.follow(await browser.open(await invited))
            page = await browser.follow(await browser.send(demo, holder=await wallet.holder_id()))
            answer = await browser.send(page, decision="approve", holder=await wallet.holder_id())
            elsewhere = httpx.URL(answer.headers["location"]).copy_with(path="/favicon.ico")
            assert (await http.get(elsewhere)).status_code == 404
            assert (await browser.follow(answer)).status_code == 200
            offered = await running.offer(tx_code=True)
            link = f"{running.url}/openid4vci/offers/{offered.id}"

            def fetched() -> HeldCredential:
                with httpx.Client() as http:
                    store = HolderWallet(tmp_path / "holder", clock)
                    return store.get(http, link, offered.tx_code, 1, lambda credential: None)

            assert (await asyncio.to_thread(fetched)).configuration_id == "driving-licence"
        (held,) = await work
        assert held.configuration_id == "driving-licence"
        assert {one.profile for one in held.passes} == set(PROFILES)


# ---- in a real browser


async def no_wider_than_its_window(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.browser
async def test_a_person_signs_in_on_a_phone_and_comes_back_to_the_wallet(
    browser: Browser, tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    async with served(tmp_path, clock, database) as running:
        await running.take(*map(person, NAMES))
        wallet = SigningWallet(running)
        session = await browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740}, color_scheme="dark")
        page = await session.new_page()
        redirect_uri = running.url.replace("127.0.0.1", "localhost") + "/v"  # a wallet's own, on another host
        uri = await wallet.request_uri(redirect_uri=redirect_uri)
        query = urlencode({"client_id": wallet.client_id, "request_uri": uri})
        await page.goto(f"{running.url}/oauth/authorize?{query}")
        await expect(page.locator("#demo")).to_contain_text("This is a demo sign-in", use_inner_text=True)
        assert await no_wider_than_its_window(page)
        await page.get_by_role("searchbox").fill("三丰")
        await page.keyboard.press("Enter")
        await expect(page.locator(".person")).to_have_count(1)
        await page.locator(".person").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "This wallet asks for your licences", use_inner_text=True
        )
        assert await no_wider_than_its_window(page)
        await expect(page.locator("#unverified")).to_be_visible()
        await expect(page.locator(".wanted img")).to_have_js_property("complete", True)
        await page.get_by_role("button", name="中文").click()
        await expect(page.get_by_role("button", name="同意")).to_be_visible()
        await page.reload()
        await page.get_by_role("button", name="同意").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{redirect_uri}?*")
        (code,) = parse_qs(urlsplit(page.url).query)["code"]
        wallet.take(await wallet.exchange(code, redirect_uri=redirect_uri))
        assert (await wallet.credential()).count("~") > 5
        await page.go_back()
        await expect(page.locator("#refused")).to_be_visible()
        await session.close()


@pytest.mark.browser
async def test_an_app_s_own_scheme_is_reached_after_the_person_s_decision(
    browser: Browser, tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    """Chromium holds `form-action` against redirects as well: the policy must let them through."""
    async with served(tmp_path, clock, database) as running:
        await running.take(person(1))
        wallet = SigningWallet(running)
        session = await browser.new_context(locale="zh-CN")
        page = await session.new_page()
        answers: list[str] = []
        page.on("response", lambda answer: answers.append(answer.headers.get("location", "")))
        uri = await wallet.request_uri(redirect_uri="com.example.wallet:/cb")
        query = urlencode({"client_id": wallet.client_id, "request_uri": uri})
        await page.goto(f"{running.url}/oauth/authorize?{query}")
        await page.locator(".person").first.click()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        async with page.expect_request_finished(lambda request: request.method == "POST"):
            await page.get_by_role("button", name="同意").click()
        assert answers[-1].startswith("com.example.wallet:/cb?code=")
        assert not [text for text in complaints if "Content Security Policy" in text]
        await session.close()
