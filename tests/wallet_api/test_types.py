"""The directory of licence types: listed, searched, read in full, exported."""

import csv
import io

from credentials.catalogue import Catalogue
from credentials.catalogue.formats.directory_36902 import directory_records
from tests.wallet_api.running import Running
from wallet_api.routes.type_answers import detail

TYPES, ONE = "/api/v1/types", "/api/v1/types/driving-licence"


async def test_types_are_listed_and_searched_page_by_page(running: Running) -> None:
    everything = (await running.get(TYPES)).json()
    codes = [kind["code"] for kind in everything["types"]]
    assert codes == sorted(kind.code for kind in running.platform.catalogue.types())
    assert everything["next_cursor"] is None
    first = (await running.get(TYPES, params={"limit": 1})).json()
    second = (await running.get(TYPES, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [kind["code"] for page in (first, second) for kind in page["types"]] == codes
    assert second["next_cursor"] is None
    found = (await running.get(TYPES, params={"q": "驾驶"})).json()["types"]
    assert [kind["code"] for kind in found] == ["driving-licence"]
    assert found[0]["vct"] == f"{running.url}/types/driving-licence/1"
    for query in ({"limit": 0}, {"x": "1"}, {"cursor": "AAAA"}, {"cursor": first["next_cursor"], "q": "x"}):
        assert (await running.get(TYPES, params=query)).status_code == 422


async def test_a_type_is_told_in_full(running: Running) -> None:
    kind = running.platform.catalogue.get("driving-licence")
    told = (await running.get(ONE)).json()
    assert (told["version"], told["versions"]) == (kind.version, [kind.version])
    assert [item["name"] for item in told["items"]] == [item.name for item in kind.items]
    assert told["items"][0]["label"] == {"zh-CN": kind.items[0].label.zh, "en": kind.items[0].label.en}
    assert kind.renewal is not None
    assert told["renewal"]["opens"] == {"amount": 90, "unit": "days"}
    assert told["renewal"]["source"]["zh-CN"] == kind.renewal.source.zh
    assert told["validity"]["source"]["en"] == kind.validity.source.en
    assert [one["stage"] for one in told["reminders"]] == [one.stage for one in kind.reminders]
    assert [one["items"] for one in told["scenes"]] == [list(one.items) for one in kind.scenes]
    assert [one["code"] for one in told["matters"]] == [one.code for one in kind.matters]
    assert (await running.get(ONE, params={"version": 1})).json() == told
    for path in (f"{ONE}?version=2", f"{TYPES}/x", f"{TYPES}/%00", f"{TYPES}/{'x' * 5000}"):
        answer = await running.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "type_unknown")
    for version in ("0", "x", "9" * 5000, "1e3"):
        assert (await running.get(ONE, params={"version": version})).status_code == 422


async def test_the_directory_is_exported_in_the_names_of_the_standard(running: Running) -> None:
    expected = directory_records(running.platform.catalogue.types())
    as_json = await running.get("/api/v1/type-directory.json")
    assert as_json.json() == expected
    as_csv = await running.get("/api/v1/type-directory.csv")
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    rows = list(csv.DictReader(io.StringIO(as_csv.content.decode("utf-8"))))
    assert [row["CertificateTypeCode"] for row in rows] == [record["CertificateTypeCode"] for record in expected]
    assert rows[0].keys() == expected[0].keys()


def test_every_type_that_ships_can_be_told() -> None:
    catalogue = Catalogue.default()
    for kind in catalogue.types():
        told = detail(kind, catalogue.versions(kind.code), "https://w.example")
        assert told.code == kind.code
        assert len(told.items) == len(kind.items)
