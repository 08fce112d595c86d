"""What the documentation shows runs, as it stands there but for the address of the platform."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import verifier_sdk
from tests.fakes import FakeClock
from tests.verifier_sdk.issuer import Issuer
from tests.verifier_sdk.platform import Platform
from tests.verifier_sdk.server import serve
from tests.verifier_sdk.test_online import live_code
from verifier_sdk import TrustStore
from verifier_sdk.clock import SystemClock

README = (Path(verifier_sdk.__file__).parent / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def platform(issuer: Issuer) -> Iterator[Platform]:
    with serve(issuer) as server:
        yield Platform(server)


@pytest.fixture
def names(platform: Platform, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What an example has at hand: a device that has synchronised, at the time of the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SystemClock, "now", lambda _: clock.now())
    with TrustStore.open("knowledge", [platform.server.issuer.root.pem]) as trust:
        assert trust.sync(platform.server.url).complete
    return {
        "root_pem": platform.server.issuer.root.pem,
        "private_key_pem": platform.verifier_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "qr_text": live_code(platform),
    }


def run(source: str, platform: Platform, names: dict[str, object]) -> None:
    exec(source.replace("https://wallet.example.gov.cn", platform.server.base), names)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_readme_runs(
    example: str, platform: Platform, names: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    run(example, platform, names)
    assert "张三丰" in capsys.readouterr().out


def test_the_example_of_the_package_runs(platform: Platform, names: dict[str, object]) -> None:
    assert verifier_sdk.__doc__ is not None
    run(verifier_sdk.__doc__.partition("\n\n")[2], platform, names)
    assert "licence" in names
