"""The command line: what it says, and its exit codes."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import qrcode
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes import FakeClock
from tests.verifier_sdk.issuer import NOW_S, Issuer
from tests.verifier_sdk.platform import CLIENT_ID, Platform, as_json, problem
from tests.verifier_sdk.server import Server, serve
from verifier_sdk import cli

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def server(issuer: Issuer) -> Iterator[Server]:
    with serve(issuer) as server:
        yield server


@pytest.fixture
def anchor(tmp_path: Path, issuer: Issuer) -> Path:
    path = tmp_path / "root.pem"
    path.write_bytes(issuer.root.pem)
    return path


@pytest.fixture
def run(tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LIANGZHENG_VERIFIER_HOME", str(tmp_path / "home"))

    def run(*arguments: object) -> tuple[int, str]:
        try:
            code = cli.main([str(argument) for argument in arguments], clock)
        except SystemExit as stop:
            code = int(str(stop.code))
        streams = capsys.readouterr()
        return code, streams.out + streams.err

    return run


@pytest.fixture
def ready(run: Run, server: Server, anchor: Path) -> Run:
    """The command on a device that has synchronised."""
    assert run("sync", server.url, "--anchor", anchor)[0] == 0
    return run


def live_code(server: Server, **more: Any) -> str:
    reference = {"status_list": {"idx": 7, "uri": server.status_uri}}
    show_pass = server.issuer.show_pass({65535: reference, **more.pop("claims", {})}, **more.pop("licence", {}))
    return server.issuer.live_code(show_pass=show_pass, **more)


def test_a_valid_code_is_shown_in_chinese_and_english(ready: Run, server: Server) -> None:
    code, chinese = ready(live_code(server), "--lang", "zh")
    assert code == 0
    assert chinese.splitlines() == [
        "有效 — 仅由密码学核验得出;屏幕外观不能证明任何事",
        "证照类型: 机动车驾驶证 (driving-licence)",
        "持证主体: 张三丰",
        "证照编号: 310101199001011234",
        "准驾车型: C1",
        "状态: 有效",
        "有效期至: 2027-03-03",
        "核验依据: 信任列表 0 s 前, 状态列表 10 min 前",
    ]
    code, english = ready("check", live_code(server, licence={"valid_until": None}), "--lang", "en")
    assert code == 0
    assert "VALID — by cryptographic check only" in english
    assert "Driving licence (driving-licence)" in english
    assert "Last valid day: long-term" in english


def test_exit_codes_tell_the_three_answers_apart(ready: Run, server: Server, tmp_path: Path) -> None:
    assert ready(live_code(server))[0] == 0
    assert ready(live_code(server, changes={6: NOW_S - 91}))[0] == 1
    assert ready("check", live_code(server), "--home", tmp_path / "empty")[0] == 3
    assert ready(live_code(server), "--max-status-age", "60")[0] == 3
    assert ready("check")[0] == 2
    assert ready()[0] == 2
    assert ready("check", "x", "--challenge", "00")[0] == 2
    assert ready("check", "x", "--challenge", "zz")[0] == 2
    assert ready("check", "x", "--max-status-age", "-1")[0] == 2
    assert ready("check", "x", "--max-status-age", "soon")[0] == 2
    assert ready("check", "x", "--max-trust-age", "-1")[0] == 2


def test_a_refusal_says_why_and_a_doubt_how_to_mend_it(ready: Run, server: Server, tmp_path: Path) -> None:
    _, refused = ready(live_code(server, changes={6: NOW_S - 91}), "--lang", "zh")
    assert refused.splitlines() == [
        "无效: 亮证码已过时:可能是截图,或时钟不准",
        "原因: proof_expired (made 91 s ago)",
    ]
    _, doubt = ready("check", live_code(server), "--home", tmp_path / "empty", "--lang", "en")
    assert doubt.splitlines()[0] == "CANNOT TELL: this device has no trust list"
    assert doubt.splitlines()[2] == "What to do: connect this device and synchronise"


def test_json_is_for_programs(ready: Run, server: Server, tmp_path: Path) -> None:
    result = json.loads(ready(live_code(server), "--json")[1])
    assert result["outcome"] == "valid"
    assert result["items"][2] == {"key": 2, "label": {"zh": "准驾车型", "en": "Vehicle class"}, "value": "C1"}
    assert (result["trust_age_s"], result["status_age_s"]) == (0, 600)
    refused = json.loads(ready(live_code(server, changes={3: "x"}), "--json")[1])
    assert refused == {"outcome": "not_valid", "code": "proof_audience_wrong", "detail": "aud is not lz-show"}
    doubt = json.loads(ready("check", live_code(server), "--home", tmp_path / "empty", "--json")[1])
    assert (doubt["outcome"], doubt["code"], bool(doubt["cure"])) == ("cannot_tell", "trust_missing", True)
    assert json.loads(ready("sync", "--json")[1])["complete"]
    assert json.loads(ready("status", "--json")[1])["sequence"] == 5


def test_a_licence_cannot_steer_the_terminal(ready: Run, server: Server) -> None:
    name = "\x1b[2J\x1b[32mVALID\r\n\u202e\u0085\u2028\x9b1m"
    code, output = ready(live_code(server, licence={"items": {0: name, 1: "310", 2: [name]}}))
    assert code == 0
    for steering in "\x1b\r\u202e\u0085\u2028\x9b":
        assert steering not in output
    assert len(output.splitlines()) == 8


def test_a_scene_is_named_and_listed(ready: Run, server: Server) -> None:
    code, output = ready(live_code(server), "--scene", "road-traffic", "--lang", "zh")
    assert (code, "核验场景: 道路交通执法 (road-traffic)" in output) == (0, True)
    assert json.loads(ready(live_code(server), "--scene", "road-traffic", "--json")[1])["scene"] == {
        "id": "road-traffic",
        "version": 3,
    }
    assert ready(live_code(server), "--scene", "hotel")[0] == 1
    assert ready(live_code(server), "--scene", "bank")[0] == 3
    assert "Scene: bank Road traffic, on line only" in ready("status", "--lang", "en")[1]
    assert [scene["id"] for scene in json.loads(ready("status", "--json")[1])["scenes"]][:1] == ["road-traffic"]


@pytest.fixture
def registered(
    run: Run, server: Server, anchor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Run, Platform]:
    """The command of a registered verifier, on a device that has synchronised."""
    platform = Platform(server)
    pem = platform.verifier_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    monkeypatch.setenv("LIANGZHENG_VERIFIER_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("LIANGZHENG_VERIFIER_CLIENT_KEY", str(tmp_path / "key.pem"))
    assert run("sync", server.url, "--anchor", anchor)[0] == 0
    return run, platform


def test_a_code_is_checked_on_line(registered: tuple[Run, Platform], server: Server) -> None:
    run, platform = registered
    code, output = run(live_code(server), "--online", "--scene", "road-traffic", "--reason", "事故", "--lang", "zh")
    assert code == 0
    assert output.splitlines() == [
        "有效 — 平台联网核验,编号 check-1",
        "证照类型: 机动车驾驶证 (driving-licence)",
        "核验场景: 道路交通执法 (road-traffic)",
        "持证主体: 张三丰",
        "准驾车型: C1、D",
        "发证日期: 2017-03-04",
        "other: 1",
        "照片: 见 --json 输出",
        "状态: 有效",
        "有效期至: 2027-03-03",
    ]
    assert platform.requests[0]["reason"] == "事故"
    result = json.loads(run(live_code(server), "--online", "--scene", "road-traffic", "--json")[1])
    assert (result["outcome"], result["online"], result["portrait"]) == ("valid", True, "data:image/jpeg;base64,AAAA")
    platform.answer = lambda _: problem(409, "already_used")
    code, output = run(live_code(server), "--online", "--scene", "road-traffic", "--lang", "zh")
    assert (code, output.splitlines()[0]) == (1, "无效: 该亮证码已被核验过")


def test_a_check_on_line_needs_a_scene_and_a_registration(
    registered: tuple[Run, Platform], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = registered
    online = (live_code(server), "--online", "--scene", "road-traffic")
    assert run(live_code(server), "--online")[0] == 2
    assert run(*online, "--client-key", tmp_path / "no.pem")[0] == 2
    assert run(*online, "--client-key", tmp_path / "root.pem")[0] == 2
    assert run(*online, "--home", tmp_path / "empty")[0] == 2
    monkeypatch.delenv("LIANGZHENG_VERIFIER_CLIENT_ID")
    code, output = run(*online)
    assert (code, "--client-id" in output) == (2, True)


def test_checks_without_a_network_are_listed_and_uploaded(registered: tuple[Run, Platform], server: Server) -> None:
    run, platform = registered
    gone = ("--online", "--server", "http://127.0.0.1:9", "--scene", "road-traffic", "--journal")
    assert run(live_code(server), *gone)[0] == 3
    assert run(live_code(server), *gone, "--or-offline")[0] == 0
    assert run(live_code(server), "--journal")[0] == 0
    code, output = run("journal", "list", "--lang", "zh")
    assert (code, output.splitlines()[0], len(output.splitlines())) == (0, "待上传核验记录 2 条", 3)
    listed = json.loads(run("journal", "list", "--json")[1])["entries"]
    assert [entry["scene"] for entry in listed] == ["road-traffic", None]
    code, output = run("journal", "upload", "--lang", "en")
    assert (code, output) == (0, "uploaded: 2 taken, 0 known already, 0 rejected\n")
    assert list(platform.told) == [entry["id"] for entry in listed]
    assert run("journal", "list", "--lang", "en")[1] == "0 checks wait to be uploaded\n"
    assert run(live_code(server), "--journal")[0] == 0
    platform.answer = lambda answer: as_json(
        {"entries": [{**answer["entries"][0], "outcome": "rejected", "code": "too_old"}]}
    )
    assert ": too_old" in run("journal", "upload", "--lang", "en")[1]
    assert json.loads(run("journal", "upload", "--json")[1]) == {"accepted": 0, "unchanged": 0, "rejected": []}


def test_a_journal_that_was_changed_is_said(registered: tuple[Run, Platform], server: Server, tmp_path: Path) -> None:
    run, platform = registered
    assert run(live_code(server), "--journal")[0] == 0
    file = tmp_path / "home" / "journal"
    file.write_bytes(file.read_bytes()[:-1])
    code, output = run("journal", "upload", "--lang", "zh")
    assert (code, "核验日志被改动或截断" in output) == (3, True)
    code, output = run(live_code(server), "--journal")
    assert (code, "journal_tampered" in output) == (3, True)
    assert platform.told == {}


def test_a_clock_that_is_off_is_said(ready: Run, server: Server, clock: FakeClock) -> None:
    server.now = clock.now() + timedelta(minutes=5)
    assert "本机时钟比服务器慢 5 min" in ready("sync", "--lang", "zh")[1]
    server.now = clock.now() - timedelta(minutes=5)
    assert "CLOCK OFF: 5 min ahead of the server's" in ready("sync", "--lang", "en")[1]
    assert json.loads(ready("sync", "--json")[1])["clock_ahead_s"] == 300


def test_a_challenge_is_checked(ready: Run, server: Server) -> None:
    answered = live_code(server, changes={39: bytes.fromhex("00112233445566778899")})
    assert ready(answered, "--challenge", "00112233445566778899")[0] == 0
    assert "challenge_missing" in ready(live_code(server), "--challenge", "00112233445566778899")[1]


def test_a_code_may_come_from_the_standard_input(ready: Run, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"  {live_code(server)}\n"))
    assert ready("-")[0] == 0


def test_a_code_may_come_from_an_image(ready: Run, server: Server, tmp_path: Path) -> None:
    text = live_code(server)
    qrcode.make(text).save(tmp_path / "code.png")
    assert ready("check", "--image", tmp_path / "code.png")[0] == 0
    qrcode.make("hello").save(tmp_path / "other.png")
    assert ready("--image", tmp_path / "other.png")[0] == 1
    (tmp_path / "no.png").write_bytes(b"no image")
    assert ready("--image", tmp_path / "no.png")[0] == 2
    assert ready("--image", tmp_path / "missing.png")[0] == 2
    assert ready("check", text, "--image", tmp_path / "code.png")[0] == 2


def test_without_the_extra_an_image_is_refused_with_what_to_install(
    ready: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli.sys.modules, "zxingcpp", None)
    code, output = ready("check", "--image", tmp_path / "code.png")
    assert code == 2
    assert "liangzheng-verifier[qr]" in output


def test_an_anchor_is_given_once_and_changed_explicitly(run: Run, server: Server, anchor: Path, tmp_path: Path) -> None:
    assert run("sync", server.url)[0] == 2
    assert run("sync", server.url, "--anchor", tmp_path / "missing.pem")[0] == 2
    assert run("sync", server.url, "--anchor", anchor)[0] == 0
    assert run("sync")[0] == 0
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Issuer().root.pem)
    code, output = run("sync", "--anchor", stranger)
    assert (code, "anchor_changed" in output) == (2, True)
    assert run("sync", "--replace-anchor")[0] == 2
    code, output = run("sync", "--anchor", stranger, "--replace-anchor")
    assert (code, "trust_list_chain_invalid" in output) == (3, True)
    assert run("sync")[0] == 0


def test_a_synchronisation_that_failed_says_what_failed_and_what_is_held(
    ready: Run, server: Server, clock: FakeClock
) -> None:
    clock.forward(hours=5)
    server.offer_status_list("garbage")
    code, output = ready("sync", "--lang", "en")
    assert code == 3
    assert "status_list_malformed" in output
    assert "held: 5 h 10 min old" in output


def test_the_status_says_how_old_the_knowledge_is(ready: Run, server: Server, clock: FakeClock, tmp_path: Path) -> None:
    clock.forward(days=2, hours=3)
    code, output = ready("status", "--lang", "en")
    assert code == 0
    assert f"Trust list: {server.url} #5, held: 2 d 3 h old" in output
    assert f"Status list: {server.status_uri}, held: 2 d 3 h old" in output
    code, output = ready("status", "--home", tmp_path / "empty", "--lang", "en")
    assert (code, output) == (3, "never synchronised\n")


def test_a_credential_is_read_from_a_file(ready: Run, server: Server, tmp_path: Path) -> None:
    status = {"status_list": {"idx": 7, "uri": server.status_uri}}
    (tmp_path / "credential").write_text(server.issuer.credential(status=status) + "\n")
    code, output = ready("credential", tmp_path / "credential", "--lang", "zh")
    assert code == 0
    assert "name: 张三丰" in output
    assert "发证单位: 上海市公安局" in output
    result = json.loads(ready("credential", tmp_path / "credential", "--json")[1])
    assert result["claims"]["vehicle_class"] == "C1"
    (tmp_path / "credential").write_bytes(b"\xff\x00garbage")
    assert ready("credential", tmp_path / "credential")[0] == 1
    assert ready("credential", tmp_path / "missing")[0] == 2


def test_a_spoilt_cache_cannot_tell(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "verifier.sqlite3").write_bytes(b"spoilt" * 1000)
    code, output = run("check", "x")
    assert (code, "cache_unavailable" in output) == (3, True)


def test_options_may_stand_before_the_command(
    ready: Run, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "refreshed" in ready("--lang", "en", "sync")[1] or "unchanged" in ready("--lang", "en", "sync")[1]
    assert ready("--lang", "en", "status")[0] == 0
    assert ready("--lang", "en", live_code(server))[0] == 0
    assert ready("--home", "sync", live_code(server))[0] != 0, "the value of an option is no command"
