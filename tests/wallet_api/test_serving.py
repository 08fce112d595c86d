"""What everybody may fetch: status lists, the trust list, types, health; and what HTTP itself asks for."""

from tests.credentials.rows import driving_row, step_row
from tests.credentials.status.reading import read_cwt, read_jwt, statuses, unbase64url
from tests.wallet_api.running import Running, unverified
from tests.wallet_api.test_metadata import LYING_HEADERS

JWT, CWT = "application/statuslist+jwt", "application/statuslist+cwt"


async def test_a_revoked_licence_s_credential_is_invalid_at_its_own_index(running: Running) -> None:
    await running.take(driving_row(1), driving_row(2))
    places = []
    for number in (1, 1, 2):
        credential = await (await running.wallet(number)).credential()
        places.append(unverified(credential)[1]["status"]["status_list"])
    assert len({place["uri"] for place in places}) == 1
    steps = [
        (step_row(1, 2, "03"), [2, 2, 0]),
        (step_row(1, 3, "06"), [0, 0, 0]),
        (step_row(1, 4, "05", cert_state="07"), [1, 1, 0]),
    ]
    for row, expected in steps:
        running.clock.forward(seconds=5)
        await running.take(row)
        await running.platform.publish_status()
        _, claims = read_jwt((await running.http.get(running.path(places[0]["uri"]))).content)
        values = statuses(claims["status_list"]["bits"], unbase64url(claims["status_list"]["lst"]))
        assert [values[place["idx"]] for place in places] == expected


async def test_a_status_list_is_served_as_its_draft_says(running: Running) -> None:
    credential = await (await running.wallet()).credential()
    uri = unverified(credential)[1]["status"]["status_list"]["uri"]
    path = running.path(uri)
    answer = await running.http.get(path, headers={"Accept": JWT})
    assert (answer.status_code, answer.headers["content-type"]) == (200, JWT)
    assert answer.headers["access-control-allow-origin"] == "*"
    header, claims = read_jwt(answer.content)
    assert header["typ"] == "statuslist+jwt"
    assert claims["sub"] == uri
    assert claims["ttl"] <= claims["exp"] - claims["iat"]
    assert answer.headers["cache-control"] == f"public, max-age={claims['ttl']}"
    answer = await running.http.get(path, headers={"Accept": CWT})
    assert (answer.status_code, answer.headers["content-type"]) == (200, CWT)
    header, claims = read_cwt(answer.content)
    assert (header[16], claims[2]) == (CWT, uri)
    aggregation = await running.get("/s")
    assert uri in aggregation.json()["status_lists"]
    assert aggregation.headers["access-control-allow-origin"] == "*"


ACCEPTED: list[tuple[list[str], str | None]] = [
    ([], JWT),
    ([""], JWT),
    (["*/*"], JWT),
    (["application/*"], JWT),
    ([JWT], JWT),
    ([CWT], CWT),
    ([JWT.upper()], JWT),
    ([f"{JWT};q=0.5, {CWT}"], CWT),
    ([f"{JWT};q=0, */*"], CWT),
    ([f"{CWT};q=0.1, */*;q=0.2"], JWT),
    ([f"{JWT};q=0.1, application/*;q=0.9"], CWT),
    (["text/html", CWT], CWT),
    ([f"text/html,application/xhtml+xml,{CWT};q=0.9,*/*;q=0.8"], CWT),
    ([f"{JWT};q=nan"], None),
    ([f"{JWT};q=x"], None),
    ([f"{JWT};q=0"], None),
    (["application/json"], None),
    (["text/*"], None),
    (["," * 5000], JWT),
]


async def test_the_format_follows_accept(running: Running) -> None:
    del running.http.headers["accept"]
    served = []
    for accept, _ in ACCEPTED:
        answer = await running.get("/s/1", headers=[("Accept", value) for value in accept])
        assert "Accept" in answer.headers["vary"]
        served.append((accept, None if answer.status_code == 406 else answer.headers["content-type"]))
    assert served == ACCEPTED


async def test_a_status_list_is_compressed_for_whoever_can_read_it(running: Running) -> None:
    plain = await running.get("/s/1", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = await running.get("/s/1", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept, Accept-Encoding"
    assert packed.content == plain.content  # the client unpacked it
    assert packed.headers["etag"] != plain.headers["etag"]
    for refused in ("gzip;q=0", "*;q=0, gzip;q=0", "deflate"):
        answer = await running.get("/s/1", headers={"Accept-Encoding": refused})
        assert "content-encoding" not in answer.headers
    cwt = await running.get("/s/1", headers={"Accept-Encoding": "gzip", "Accept": CWT})
    assert "content-encoding" not in cwt.headers  # nothing left to gain


async def test_what_is_unchanged_is_not_sent_again(running: Running) -> None:
    for path in ("/s/1", "/api/v1/trust-list"):
        for encoding in ("identity", "gzip"):
            headers = {"Accept-Encoding": encoding}
            first = await running.get(path, headers=headers)
            etag = first.headers["etag"]
            for tags in (etag, f"W/{etag}", f'"x", {etag}', "*"):
                again = await running.get(path, headers={**headers, "If-None-Match": tags})
                assert (again.status_code, again.content) == (304, b"")
                for name in ("etag", "cache-control", "vary"):
                    assert again.headers.get(name) == first.headers.get(name)
            for tags in ('"x"', etag.strip('"'), ""):
                assert (await running.get(path, headers={**headers, "If-None-Match": tags})).status_code == 200
    changed = (await running.get("/s/1")).headers["etag"]
    await (await running.wallet()).credential()
    await running.take(step_row(1, 2, "03"))
    running.clock.forward(seconds=5)
    await running.platform.publish_status()
    assert (await running.get("/s/1", headers={"If-None-Match": changed})).status_code == 200


async def test_a_status_list_that_is_not_there_is_404_and_history_501(running: Running) -> None:
    for list_id in ("0", "-1", "99", "2147483648", "9" * 30):
        assert (await running.get(f"/s/{list_id}")).status_code == 404
    for list_id in ("x", "1.5", "%00", "9" * 5000, "１"):
        assert (await running.get(f"/s/{list_id}")).status_code in (404, 422)
    for time in ("1", "", "x"):
        assert (await running.get("/s/1", params={"time": time})).status_code == 501


async def test_the_trust_list_is_signed_under_the_anchor_and_readable_from_any_page(running: Running) -> None:
    answer = await running.get("/api/v1/trust-list")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt")
    assert answer.headers["access-control-allow-origin"] == "*"
    header, claims = unverified(answer.text)
    assert (header["typ"], claims["iss"]) == ("lz-trust-list+jwt", running.url)
    anchor = await running.get("/api/v1/trust-anchor")
    assert anchor.text.startswith("-----BEGIN CERTIFICATE-----")
    assert anchor.text.count("BEGIN") == 1
    assert "PRIVATE" not in anchor.text


async def test_a_type_that_is_not_there_is_404(running: Running) -> None:
    for path in ("x/1", "driving-licence/2", "driving-licence/0", "driving-licence/-1", "%00/1", "driving-licence/1/x"):
        for tail in ("", "/face.svg"):
            assert (await running.get(f"/types/{path}{tail}")).status_code == 404, path
    for version in ("x", "9" * 5000, "%00"):
        assert (await running.get(f"/types/driving-licence/{version}")).status_code in (404, 422)
    for query in ("\x00", "驾驶", "x" * 9000, "%", "💣"):
        assert (await running.get("/api/v1/types", params={"q": query})).status_code == 200


async def test_head_is_get_without_the_body(running: Running) -> None:
    """RFC 9110 §9.3.2: caches and monitors ask so."""
    for path in ("/s/1", "/api/v1/trust-list", "/types/driving-licence/1", "/health/live", "/s", "/s/99", "/nowhere"):
        head, get = [
            await running.http.request(method, f"/city{path}", headers={"Accept-Encoding": "identity"})
            for method in ("HEAD", "GET")
        ]
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "etag", "content-length"):
            assert head.headers.get(name) == get.headers.get(name)
    assert (await running.http.head("/city/oauth/token")).status_code == 405


async def test_a_wrong_method_is_405_and_names_the_right_one(running: Running) -> None:
    posts = [
        "/oauth/token",
        "/openid4vci/nonce",
        "/openid4vci/credential",
        "/api/v1/me/passes",
        "/api/v1/licences/face",
    ]
    for path in posts:
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "X"):
            answer = await running.http.request(method, f"/city{path}")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
            assert answer.headers["content-type"] == "application/problem+json"
    assert (await running.http.post("/city/s/1")).status_code == 405
    both = await running.http.request("PUT", "/city/api/v1/licences")
    assert (both.status_code, both.headers["allow"]) == (405, "GET, POST")


async def test_an_unknown_path_is_404_in_our_own_form(running: Running) -> None:
    for path in (
        "/",
        "/x",
        "/city/x",
        "/city/oauth",
        "/oauth/token",
        "/citys/1",
        "/city/%00",
        "/city/..%2f",
        "/city//s",
    ):
        answer = await running.http.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_found"


async def test_nothing_redirects_to_where_the_host_header_says(running: Running) -> None:
    for path in ("/city/openid4vci/nonce/", "/city/oauth/token/", "/city/s/", "/city/health/live/"):
        for method in ("GET", "POST"):
            answer = await running.http.request(method, path, headers=LYING_HEADERS)
            assert answer.status_code == 404


async def test_every_answer_carries_a_request_id_and_is_not_sniffed(running: Running) -> None:
    for path, status in (("/health/live", 200), ("/nowhere", 404), ("/s/1", 200), ("/openid4vci/nonce", 405)):
        answer = await running.get(path)
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert len(answer.headers["x-request-id"]) == 16
    assert (await running.get("/health/live", headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    for odd in ("x" * 65, "a b", "é", "a\tb", ""):
        answer = await running.get("/health/live", headers=[("X-Request-Id", odd.encode("latin-1"))])
        assert len(answer.headers["x-request-id"]) == 16


async def test_health_says_that_the_platform_is_ready(running: Running) -> None:
    assert (await running.get("/health/ready")).json()["status"] == "ok"
