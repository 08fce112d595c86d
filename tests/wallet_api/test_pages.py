"""The pages for people: whole without a network, understandable without a script, and never a verdict."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from graphlib import TopologicalSorter
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Route, expect

from credentials.issuance import PRE_AUTHORIZED_CODE
from credentials.registry import SHANGHAI
from notifications import Bilingual, MessageState, Notice, Selection
from tests.wallet_api.page_site import Site, sample_site, serving, shown_by_worker, visit
from wallet_api.routes import pages
from wallet_api.tour import Step, cast, further, steps

WEB = Path(pages.__file__).parents[1] / "web"
LIVE_CODE = "1" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" * 8
VERDICTS = re.compile(r"有效|无效|通过|合格|\bin?valid|genuine|authentic|✓|✔|✅", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sample_site(runner, tmp_path_factory.mktemp("pages")) as site:
        yield site


@pytest.fixture(scope="module")
def served(runner: asyncio.Runner, site: Site) -> Iterator[Site]:
    with serving(runner, site) as served:
        yield served


async def _steps(site: Site) -> Sequence[Step]:
    actors = await cast(site.platform)
    assert actors is not None
    return steps(actors, site.settings)


# ---- what is served


class Outline(HTMLParser):
    """The elements of a page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.languages: list[str | None] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.languages += [value for name, value in attrs if name == "lang" and tag == "span"]
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def _start(**values: Any) -> str:
    given = {"embedded": True, "base": "", "types": (), "steps": ()} | values
    return pages._pages.get_template("start.html").render(given)


def _type(text: str, code: str = "some-licence") -> SimpleNamespace:
    name = SimpleNamespace(zh=text, en=text)
    return SimpleNamespace(code=code, version=1, name=name, issuing_authorities=[SimpleNamespace(name=name)])


PAGES = ["/", "/v", "/inbox", "/types", "/types?q=nothing", "/types/driving-licence", "/counter", "/outbox"]


ASSETS = [f"/assets/{file.name}" for file in sorted(WEB.iterdir()) if file.suffix in (".css", ".js", ".svg")]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_forbids_everything_foreign_and_everything_inline(site: Site, path: str) -> None:
    async with site.client() as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    elements = Outline(answer.text).elements
    assert {names for tag, names in elements if tag == "script"} <= {("src",), ("type", "src")}
    assert all(tag != "style" and "style" not in names for tag, names in elements)
    assert not any(name.startswith("on") for _, names in elements for name in names)


@pytest.mark.parametrize("path", [*PAGES, *ASSETS])
async def test_pages_and_assets_name_no_foreign_address(site: Site, path: str) -> None:
    async with site.client() as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    allowed = (site.settings.public_url + "/", "http://www.w3.org/")
    named = re.findall(r"(?:https?:)?//[a-z0-9.-]+[^\s\"'<)]*", answer.text)
    assert [address for address in named if not f"{address}/".startswith(allowed)] == []
    assert "@import" not in answer.text


@pytest.mark.parametrize("path", ASSETS)
async def test_an_asset_is_asked_for_each_time(site: Site, path: str) -> None:
    """Scripts that import one another must be of one release."""
    async with site.client() as client:
        first = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        other = await client.get(path, headers={"If-None-Match": '"of another release"'})
    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert (other.status_code, other.content) == (200, first.content)


def test_scripts_import_one_another_in_one_direction() -> None:
    imports = {file.name: re.findall(r' from "\./(.+)";', file.read_text("utf-8")) for file in WEB.glob("*.js")}
    order = list(TopologicalSorter(imports).static_order())
    assert order.index("inbox-session.js") < order.index("inbox-push.js") < order.index("inbox.js")
    assert set(order) <= imports.keys()


@pytest.mark.parametrize("name", ["none.css", "start.html", "..%2Fapp.py", "%2e%2e%2fapp.py", ""])
async def test_an_unknown_asset_is_not_found(site: Site, name: str) -> None:
    async with site.client() as client:
        assert (await client.get(f"/assets/{name}")).status_code == 404


@pytest.mark.parametrize("path", PAGES)
async def test_every_text_stands_in_both_languages(site: Site, path: str) -> None:
    async with site.client() as client:
        languages = Outline((await client.get(path)).text).languages
    brand = languages.count("zh-CN") - languages.count("en")
    assert brand == 1, "only the name 亮证 has no second language"


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onload='alert(1)",
        "</code></pre></ol><h1>",
        "{{ 7 * 7 }}{% raw %}",
        "<!--",
        "&lt;b&gt;&quot;",
    ],
)
def test_a_hostile_name_stays_text(hostile: str) -> None:
    def outline(text: str) -> Outline:
        return Outline(_start(types=[_type(text)], steps=[Step(text, text, (text, text))]))

    shown, harmless = outline(hostile), outline(" ".join(["harmless"] * len(hostile.split(" "))))
    assert shown.elements == harmless.elements
    assert shown.text.count(hostile) == harmless.text.count("harmless") / len(hostile.split(" "))


@pytest.mark.parametrize("page", ["types.html", "type.html"])
def test_a_hostile_query_and_an_empty_directory_stay_a_page(page: str) -> None:
    hostile = """"><script>alert(1)</script>' {{ 7 * 7 }}"""
    shown = Outline(pages._pages.get_template(page).render(base="", q=hostile, types=(), type=None))
    assert [names for tag, names in shown.elements if tag == "script"] == [("src",)]


def test_a_hostile_code_cannot_leave_its_link() -> None:
    addresses = Outline(_start(types=[_type("x", code='a"b?c#d <e>')])).addresses
    assert "/types/a%22b%3Fc%23d%20%3Ce%3E/1/specimen.svg" in addresses


def test_every_link_keeps_to_the_public_path() -> None:
    addresses = Outline(_start(base="/wallet", types=[_type("x")])).addresses
    well_known = {f"/.well-known/{name}/wallet" for name in ("openid-credential-issuer", "oauth-authorization-server")}
    assert {a for a in addresses if not a.startswith("/wallet/")} == well_known


def test_an_empty_store_says_why_there_are_no_steps_and_what_to_do() -> None:
    page = _start()
    assert 'id="no-steps"' in page
    assert "make run" in page


def test_a_production_platform_shows_neither_banner_nor_steps() -> None:
    page = _start(embedded=False, types=[_type("x")])
    assert 'id="embedded"' not in page
    assert "make run" not in page
    assert "x" in Outline(page).text


# ---- what a browser makes of it


@pytest.mark.browser
async def test_the_start_page_shows_the_six_steps_and_copies_their_commands(browser: Browser, served: Site) -> None:
    expected = await _steps(served)
    async with visit(browser, served, permissions=["clipboard-read", "clipboard-write"]) as seen:
        cards = seen.page.locator(".step")
        await expect(cards).to_have_count(6)
        await expect(seen.page.locator("#embedded")).to_be_visible()
        for number, step in enumerate(expected):
            card = cards.nth(number)
            await expect(card.get_by_role("heading")).to_have_text(step.title_en, use_inner_text=True)
            await card.get_by_role("button", name="Copy").focus()
            await seen.page.keyboard.press("Enter")
            await expect(card.get_by_role("status")).to_have_text("Copied", use_inner_text=True)
            assert await seen.page.evaluate("navigator.clipboard.readText()") == "\n".join(step.commands)


@pytest.mark.browser
async def test_the_start_page_says_what_else_to_try(browser: Browser, served: Site) -> None:
    async with visit(browser, served) as seen:
        cards = seen.page.locator(".further .card")
        for card, step in zip(await cards.all(), further(served.settings), strict=True):
            await expect(card.get_by_role("heading")).to_have_text(step.title_en, use_inner_text=True)
            assert [await line.inner_text() for line in await card.locator("pre code").all()] == list(step.commands)
        await expect(seen.page.locator("section p a[href$='/counter']:visible")).to_have_count(1)


@pytest.mark.browser
async def test_a_refused_clipboard_leaves_the_commands_selected(browser: Browser, served: Site) -> None:
    first, *_ = await _steps(served)
    async with visit(browser, served) as seen:
        await seen.page.evaluate(
            "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }"
        )
        card = seen.page.locator(".step").first
        await card.get_by_role("button").click()
        await expect(card.get_by_role("status")).to_contain_text("press Ctrl+C", use_inner_text=True)
        selected = await seen.page.evaluate("getSelection().toString()")
        assert [line.rstrip() for line in selected.splitlines() if line] == list(first.commands)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("status", "body", "state", "told"),
    [
        (200, '{"status": "ok"}', "ok", "Ready"),
        (503, '{"status": "not ready", "database": "ok", "keys": "not loaded"}', "not-ready", "keys: not loaded"),
        (503, "<h1>proxy error</h1>", "odd", "HTTP 503"),
        (200, '{"status": "not ready"}', "odd", "not taken as ready"),
        (200, "null", "odd", "not taken as ready"),
        (0, "", "unreachable", "No answer"),
    ],
)
async def test_the_health_is_told_as_it_is(
    browser: Browser, served: Site, status: int, body: str, state: str, told: str
) -> None:
    async def answer(route: Route) -> None:
        await (route.fulfill(status=status, body=body) if status else route.abort())

    async with visit(browser, served, refusals=True) as seen:
        health = seen.page.locator("#health")
        await expect(health).to_have_attribute("data-state", "ok")
        await expect(health.get_by_role("status")).to_have_text("Ready", use_inner_text=True)
        await seen.page.route("**/health/ready", answer)
        await health.get_by_role("button", name="Check again").click()
        await expect(health).to_have_attribute("data-state", state)
        await expect(health.get_by_role("status")).to_contain_text(told, use_inner_text=True)
        if state != "ok":
            await expect(health.get_by_text("Ready", exact=True)).to_be_hidden()


@pytest.mark.browser
async def test_every_type_shows_its_specimen(browser: Browser, served: Site) -> None:
    kinds = served.platform.catalogue.types()
    async with visit(browser, served) as seen:
        images = seen.page.locator(".type img")
        await expect(images).to_have_count(len(kinds))
        for image, kind in zip(await images.all(), kinds, strict=True):
            assert await image.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
            assert kind.name.zh in (await image.get_attribute("alt") or "")
        for link in await seen.page.locator(".links a, .type a").all():
            answer = await seen.page.request.get(await link.get_attribute("href") or "")
            assert answer.status == 200


@pytest.mark.browser
@pytest.mark.parametrize(
    ("locale", "first", "other", "shown", "hidden"),
    [("zh-CN", "zh-CN", "en", "证照类型", "Licence types"), ("en-GB", "en", "zh-CN", "Licence types", "证照类型")],
)
async def test_the_language_follows_the_browser_until_one_is_chosen(
    browser: Browser, served: Site, locale: str, first: str, other: str, shown: str, hidden: str
) -> None:
    async with visit(browser, served, locale=locale) as seen:
        page = seen.page
        await expect(page.locator("html")).to_have_attribute("lang", first)
        await expect(page.get_by_text(shown, exact=True)).to_be_visible()
        await expect(page.get_by_text(hidden, exact=True)).to_be_hidden()
        await page.locator(f"[data-choose={other}]").click()
        await seen.reload("/v")
        await seen.reload("/")
        await expect(page.locator("html")).to_have_attribute("lang", other)
        await expect(page.locator(f"[data-choose={other}]")).to_have_attribute("aria-pressed", "true")
        await expect(page.get_by_text(hidden, exact=True)).to_be_visible()
        await expect(page.get_by_text(shown, exact=True)).to_be_hidden()


@pytest.mark.browser
async def test_without_a_script_both_languages_are_shown_and_nothing_is_claimed(browser: Browser, served: Site) -> None:
    async with visit(browser, served, java_script_enabled=False) as seen:
        for text in ("证照类型", "Licence types", "Not checked: no script runs here"):
            await expect(seen.page.get_by_text(text, exact=True)).to_be_visible()
        await expect(seen.page.get_by_role("button")).to_have_count(0)
        await seen.reload(f"/v#{LIVE_CODE}")
        await expect(seen.page.get_by_role("status")).to_contain_text("still in the address bar", use_inner_text=True)
        assert not VERDICTS.search(await seen.page.inner_text("body"))


@pytest.mark.browser
@pytest.mark.parametrize("locale", ["zh-CN", "en-GB"])
async def test_a_phone_need_not_scroll_sideways(browser: Browser, served: Site, locale: str) -> None:
    phone: dict[str, Any] = {"locale": locale, "viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    async with visit(browser, served, **phone) as seen:
        for path in (*PAGES, f"/v#{LIVE_CODE}", "/types/birth-certificate"):
            await seen.reload(path)
            assert await seen.page.evaluate("document.documentElement.scrollWidth") == 390, path


@pytest.mark.browser
async def test_a_type_is_found_in_the_directory_and_told_in_full(browser: Browser, served: Site) -> None:
    kind = served.platform.catalogue.get("driving-licence")
    async with visit(browser, served, "/types") as seen:
        page = seen.page
        everything = len(served.platform.catalogue.types())
        await expect(page.locator(".type")).to_have_count(everything)
        await page.get_by_role("searchbox").fill("驾驶")
        await page.get_by_role("searchbox").press("Enter")
        await expect(page.locator(".type")).to_have_count(len(served.platform.catalogue.search("驾驶")))
        await expect(page.get_by_role("searchbox")).to_have_value("驾驶")
        await page.get_by_role("heading", name=kind.name.en).get_by_role("link").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(kind.name.en, use_inner_text=True)
        for told in (
            *(item.label.en for item in kind.items),
            *(scene.name.en for scene in kind.scenes),
            *(matter.name.en for matter in kind.matters),
            kind.validity.source.en,
            "90 days before",
        ):
            await expect(page.get_by_text(told).first).to_be_visible()
        image = page.locator(".face img")
        assert await image.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        await page.locator("[data-choose=zh-CN]").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(kind.name.zh, use_inner_text=True)
        for link in await page.locator("main a").all():
            answer = await page.request.get(await link.get_attribute("href") or "")
            assert answer.status == 200


@pytest.mark.browser
async def test_the_pages_of_types_are_dark_where_that_is_wanted(browser: Browser, served: Site) -> None:
    async with visit(browser, served, "/types/driving-licence", color_scheme="dark") as seen:
        paper, ink = [
            await seen.page.evaluate(f"getComputedStyle(document.body).{part}.match(/[0-9]+/g).map(Number)")
            for part in ("backgroundColor", "color")
        ]
        assert sum(paper) < 150 < 600 < sum(ink)


@pytest.mark.browser
async def test_a_search_without_results_and_an_unknown_type_say_so(browser: Browser, served: Site) -> None:
    hostile = "/types?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    async with visit(browser, served, hostile, refusals=True) as seen:
        await expect(seen.page.locator("#nothing-found")).to_be_visible()
        await expect(seen.page.get_by_role("searchbox")).to_have_value("<img src=x onerror=alert(1)>")
        await expect(seen.page.locator(".type")).to_have_count(0)
        for path in ("/types/no-such-licence", "/types/driving-licence?version=999", "/types/%3Cb%3E"):
            await seen.reload(path)
            await expect(seen.page.locator("#unknown-type")).to_be_visible()
            await seen.page.get_by_role("link", name="See all licence types").click()
            await expect(seen.page.get_by_role("heading", level=1)).to_have_text(
                "Directory of licence types", use_inner_text=True
            )


@pytest.mark.browser
async def test_the_api_documentation_renders_without_a_network(browser: Browser, served: Site) -> None:
    async with visit(browser, served, "/docs") as seen:
        await expect(seen.page.locator(".opblock").first).to_be_visible()
        await expect(seen.page.get_by_text("/api/v1/trust-list", exact=True).first).to_be_visible()


FORMS = {
    "no code": ("", "There is no code here"),
    "an empty fragment": ("#", "There is no code here"),
    "a live code": (f"#{LIVE_CODE}", "This looks like a live code of a licence"),
    "a printed copy's code, 8": ("#8ABCDEFGH", "This is a code for printed copies"),
    "a printed copy's code, 9": ("#9", "This is a code for printed copies"),
    "a version of tests": ("#0ABCDEFGH", "Not a code of a form known here"),
    "a version to come": ("#2ABCDEFGH", "Not a code of a form known here"),
    "a version alone": ("#1", "Not a code of a form known here"),
    "lower case": ("#1abcdefgh", "Not a code of a form known here"),
    "not in the alphabet": ("#1ABCDEFG1", "Not a code of a form known here"),
    "padded": ("#1ABCDEFG=", "Not a code of a form known here"),
    "a length that no bytes have": ("#1ABC", "Not a code of a form known here"),
    "longer than a QR symbol": ("#1" + "A" * 4296, "Not a code of a form known here"),
    "markup": ("#<img/src=x/onerror=alert(1)>", "Not a code of a form known here"),
    "broken escapes": ("#1%E4%", "Not a code of a form known here"),
}


@pytest.mark.browser
@pytest.mark.parametrize(("fragment", "heading"), FORMS.values(), ids=FORMS)
async def test_the_live_code_page_tells_a_form_and_never_a_verdict(
    browser: Browser, served: Site, fragment: str, heading: str
) -> None:
    async with visit(browser, served, f"/v{fragment}") as seen:
        page = seen.page
        await expect(page.get_by_role("heading", level=1)).to_have_text(heading, use_inner_text=True)
        await expect(page.get_by_text("A picture proves nothing", exact=True)).to_be_visible()
        for language in ("en", "zh-CN"):
            await page.locator(f"[data-choose={language}]").click()
            assert not VERDICTS.search(await page.inner_text("body"))
        assert not VERDICTS.search(await page.title())


@pytest.mark.browser
async def test_a_live_code_leaves_the_address_bar_and_goes_nowhere(browser: Browser, served: Site) -> None:
    url = served.settings.public_url
    async with visit(browser, served, f"/v#{LIVE_CODE}") as seen:
        page = seen.page
        assert page.url == f"{url}/v"
        assert await page.evaluate("history.length") == 1 + len(["about:blank"])
        assert LIVE_CODE not in await page.content()
        assert LIVE_CODE not in await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        names = {urlsplit(asked).path for asked in seen.asked}
        assert names <= {"/v", "/assets/pages.css", "/assets/pages.js", "/assets/mark.svg"}
        assert {urlsplit(asked).query for asked in seen.asked} == {""}


@pytest.mark.browser
async def test_another_code_in_the_same_tab_is_looked_at_anew(browser: Browser, served: Site) -> None:
    async with visit(browser, served, "/v#9ABCDEFGH") as seen:
        await seen.page.goto(f"/v#{LIVE_CODE}")
        await expect(seen.page.get_by_role("heading", level=1)).to_contain_text("live code", use_inner_text=True)
        await expect(seen.page).to_have_url(f"{served.settings.public_url}/v")


async def test_the_counter_shows_an_offer_until_it_is_fetched(browser: Browser, served: Site) -> None:
    async with visit(browser, served, "/counter") as seen:
        page = seen.page
        await page.locator(".person").first.click()
        await expect(page.locator("#progress [data-when=waiting]")).to_be_visible()
        assert re.fullmatch(r"[0-9]{6}", await page.inner_text("#tx-code"))
        until = datetime.fromisoformat(str(await page.locator("time").get_attribute("datetime")))
        await expect(page.locator("time")).to_have_text(f"{until.astimezone(SHANGHAI):%H:%M}")
        picture = page.locator(".offer img")
        assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        deep_link = str(await page.locator(".offer a").first.get_attribute("href"))
        uri = parse_qs(urlsplit(deep_link).query)["credential_offer_uri"][0]
        async with served.client() as wallet:
            offer = (await wallet.get(uri)).json()
            await expect(page.locator("#progress [data-when=opened]")).to_be_visible()
            (code,) = (grant for name, grant in offer["grants"].items() if name != "authorization_code")
            form = {"grant_type": PRE_AUTHORIZED_CODE, "tx_code": await page.inner_text("#tx-code")}
            form["pre-authorized_code"] = code["pre-authorized_code"]
            assert (await wallet.post("/oauth/token", data=form)).status_code == 200
        await expect(page.locator("#progress [data-when=redeemed]")).to_be_visible()


async def test_the_counter_refuses_what_it_cannot_offer_and_forms_of_other_sites(site: Site) -> None:
    async with site.client() as client:
        for identifier in ("", "1.2.156.3005.2.NONE", "\x00", "<script>"):
            answer = await client.post("/counter/offers", data={"certificate_identifier": identifier})
            assert answer.status_code == 409
            assert 'id="refused"' in answer.text
            assert "<script>" not in answer.text
        stolen = await client.post("/counter/offers", data={}, headers={"Sec-Fetch-Site": "cross-site"})
        assert stolen.status_code == 403
        assert (await client.get("/counter/offers/x")).status_code == 404


# ---- the outbox


def _sunk(channel: str, text: str, time: str = "2026-11-26T01:00:00+00:00") -> str:
    line = {"time": time, "channel": channel, "kind": "licence_expiry", "title": "标题"}
    return json.dumps({**line, "text": text, "holder_id": "h", "idempotency_key": "k"}) + "\n"


async def test_the_outbox_passes_over_what_it_cannot_read(site: Site) -> None:
    file = site.settings.data_dir / "sink.ndjson"
    torn = [b"\xff\xfe", b"{", b"[]", b'{"time": 5}', b"[" * 5000, _sunk("carrier pigeon", "x").encode().strip()]
    far = ["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+09:00"]
    torn += [line.encode().strip() for line in (_sunk("sms", "\ud800"), *(_sunk("sms", "x", time) for time in far))]
    file.write_bytes(b"\n".join([*torn, _sunk("sms", "<b>第一条</b>").encode(), _sunk("push", "第二条").encode()[:-9]]))
    async with site.client() as client:
        pages = [(await client.get(path)).text for path in ("/outbox", "/outbox?channel=sms", "/outbox?channel=push")]
        assert (await client.get("/outbox?channel=x")).status_code == 422
    assert ["&lt;b&gt;第一条" in text for text in pages] == [True, True, False]
    assert [text.count('class="said"') for text in pages] == [1, 1, 0]
    assert "nothing-sent" in pages[2]
    file.unlink()
    file.mkdir()
    async with site.client() as client:
        assert "unreadable" in (await client.get("/outbox")).text
    file.rmdir()


async def test_the_outbox_is_of_the_embedded_mode_only(site: Site) -> None:
    production = replace(site.platform, settings=site.settings.model_copy(update={"deployment": "production"}))
    async with site.client(production) as client:
        assert (await client.get("/outbox")).status_code == 404


@pytest.mark.browser
async def test_the_outbox_shows_what_comes_without_being_asked(browser: Browser, served: Site) -> None:
    file = served.settings.data_dir / "sink.ndjson"
    async with visit(browser, served, "/outbox", viewport={"width": 360, "height": 640}) as seen:
        await expect(seen.page.locator("#nothing-sent")).to_be_visible()
        file.write_text(_sunk("sms", "您的证照将到期"))
        await expect(seen.page.locator(".messages .card")).to_have_count(1, timeout=15_000)
        await expect(seen.page.locator(".said")).to_have_text("您的证照将到期")
        assert await seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    file.unlink()


# ---- push in the browser


@pytest.mark.browser
async def test_a_push_is_shown_by_the_browser_and_confirmed(browser: Browser, served: Site) -> None:
    """The browser's own push service needs the Internet: its last step is taken by the developer tools' protocol."""
    database, outbox = served.platform.database, served.platform.outbox
    notice = Notice("h" * 32, "test", "push", Bilingual("标题", "Title"), Bilingual("正文", "Text"), channels=("push",))
    async with database.transaction() as session:
        await outbox.notify(session, [notice])
    async with database.snapshot() as session:
        (message,) = await outbox.list(session, Selection(channel="push"))
    async with visit(browser, served, permissions=["notifications"]) as seen:
        tools = await seen.page.context.new_cdp_session(seen.page)
        registered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def note(event: dict[str, Any]) -> None:
            for one in event["registrations"]:
                if not registered.done():
                    registered.set_result(one["registrationId"])

        tools.on("ServiceWorker.workerRegistrationUpdated", note)
        await tools.send("ServiceWorker.enable")
        await seen.page.evaluate(
            "navigator.serviceWorker.register('push-worker.js').then(() => navigator.serviceWorker.ready)"
        )
        pushed = {"message_id": message.id, "kind": "test", "title": "标题", "text": "正文"}
        origin, registration = served.settings.public_url, await registered
        pushes = [
            {"origin": origin, "registrationId": registration, "data": data}
            for data in (json.dumps(pushed), "not JSON")
        ]
        notifications = await shown_by_worker(seen.page, tools, *pushes)
        for _ in range(100):
            async with database.snapshot() as session:
                (message,) = await outbox.list(session, Selection(channel="push"))
            if message.state is MessageState.DELIVERED:
                break
            await asyncio.sleep(0.05)
    icon = f"{served.settings.public_url}/assets/mark.svg"
    assert notifications.count(["标题", "正文", message.id, icon]) == 1
    assert {title for title, *_ in notifications} == {"亮证", "标题"}
    assert message.state is MessageState.DELIVERED
