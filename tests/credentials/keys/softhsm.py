"""A real token for tests: SoftHSM 2, as Debian packages it (`softhsm2`)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
LABEL = "liangzheng-test"
PIN = "142536"
CONFIGURATION = "SOFTHSM2_CONF"


def module() -> Path:
    """The library; without it the test is skipped, but in CI failed."""
    found = next((path for path in map(Path, MODULES) if path.exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs the Debian package softhsm2")
        pytest.skip("the Debian package softhsm2 is not installed")
    return found


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The module, with one token in it. One a process: the library reads its configuration once."""
    library, folder = module(), tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ[CONFIGURATION] = str(configuration)
    command = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "so-142536"]
    subprocess.run(command, check=True, capture_output=True)
    yield library
    del os.environ[CONFIGURATION]
