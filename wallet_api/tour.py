"""The way of one licence in six steps, as commands to paste: what `make run` prints, `/` shows and `make demo` does.

The README has the same steps, and after them what else can be tried.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from credentials.registry import SHANGHAI, Licence
from wallet_api.settings import Settings
from wallet_api.wiring import Platform

SAMPLE_TYPE = "driving-licence"
DEMO_CLIENT = "demo-department"


@dataclass(frozen=True)
class Step:
    """One step; `commands` are shell lines to run in the repository's folder."""

    title_zh: str
    title_en: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Cast:
    """The licences that play in the tour: one to fetch, show and revoke, one that is about to run out."""

    shown: Licence
    ending: Licence


async def cast(platform: Platform) -> Cast | None:
    """Pick two sample licences in force, or None while the store is empty."""
    today = platform.clock.now().astimezone(SHANGHAI).date()
    month = timedelta(days=30)
    async with platform.database.snapshot() as session:
        shown = await platform.registry.valid_licences(
            session, type_code=SAMPLE_TYPE, last_day_from=today + 2 * month, limit=1
        )
        ending = await platform.registry.valid_licences(
            session, type_code=SAMPLE_TYPE, last_day_from=today, last_day_until=today + month, limit=1
        )
    return Cast(shown[0], ending[0]) if shown and ending else None


def steps(actors: Cast, settings: Settings) -> Sequence[Step]:
    """The six steps for these licences. What was set for this process is set for the commands as well."""
    public_url, data_dir = settings.public_url, settings.data_dir
    run, verify = ".venv/bin/liangzheng", ".verifier/bin/liangzheng-verify"
    shown, ending = actors.shown.identifier, actors.ending.identifier
    code = f'"$({run} holder show --once --text)"'
    renewed_until = actors.ending.valid_until and actors.ending.valid_until + timedelta(days=6 * 365)
    return (
        Step(
            "归集：部门的证照文件入库，错误的行逐条说明原因",
            "In: a department's file of licences; wrong rows are refused one by one with a reason",
            (
                *_environment(settings),
                f"{run} sample --rows 300 --wrong 5 --out {data_dir}/sample.ndjson",
                f"{run} import {data_dir}/sample.ndjson",
            ),
        ),
        Step(
            "签发：持证人通过 OpenID4VCI 把证照领进钱包",
            "Issued: the holder fetches the licence over OpenID4VCI",
            (f"{run} holder get $({run} offer {shown} --plain)",),
        ),
        Step(
            "亮证：断网也能出示，每 15 秒换一个码（Ctrl-C 结束）",
            "Shown: a live QR, without a network, a new one every 15 seconds (Ctrl-C ends it)",
            (f"{run} holder show",),
        ),
        Step(
            "核验：空的虚拟环境里只有核验 SDK；同一个码再验一次就被拒绝",
            "Checked: in an empty environment with nothing but the SDK; the same code a second time is refused",
            (
                "make verifier",
                f"export LIANGZHENG_VERIFIER_HOME={data_dir}/verifier",
                f"{verify} sync {public_url}/api/v1/trust-list --anchor {data_dir}/anchor.pem",
                f"CODE={code}",
                f'{verify} "$CODE"',
                f'{verify} "$CODE"',
            ),
        ),
        Step(
            "吊销：部门一次调用，状态列表随之更新；过期的列表只说“无法判断”",
            "Revoked: one call of the department, the status list follows; with a list past its limit: cannot tell",
            (
                f"{run} department revoke {shown}",
                "sleep 5",
                f"{verify} sync",
                f"{verify} {code}",
                "sleep 2",
                f"{verify} --max-status-age 1 {code}",
            ),
        ),
        Step(
            "提醒：快到期的证照只提醒一次；续期后旧的提醒撤回",
            "Reminded: what runs out is reminded of once; after a renewal the old reminder is gone",
            (
                f"{run} remind",
                f"{run} remind",
                f"{run} inbox {ending}",
                f"{run} department renew {ending} --until {renewed_until}",
                f"{run} remind",
            ),
        ),
    )


def further(settings: Settings) -> Sequence[Step]:
    """What else can be tried, in any order, once the fourth step has synchronised the verifier."""
    run, verify, scene = ".venv/bin/liangzheng", ".verifier/bin/liangzheng-verify", "traffic-police-check"
    return (
        Step(
            "登录领取：在浏览器里以样本市民的身份登录、同意，选中的证照就进钱包",
            "Sign in as a sample citizen in the browser and consent: what you allow comes into the wallet",
            (f"{run} holder sign-in {SAMPLE_TYPE}",),
        ),
        Step(
            "联网核验：平台当场核验、用掉这个码，并对结果签名；需要一张有效的驾驶证",
            "Checked on line: the platform checks, uses the code up and signs the answer; "
            "it takes a driving licence in force",
            (
                f"{run} verifiers register road-police --organisation 某市公安局 --scene {scene}",
                f"{verify} --online --scene {scene} --client-id road-police "
                f"--client-key {settings.data_dir}/clients/road-police.pem "
                f'"$({run} holder show --once --text --profile face)"',
            ),
        ),
        Step(
            "一座城：再来一千位持证人，有续期、变更、暂扣、吊销和多人共有的证照",
            "A city: a thousand more holders, with licences renewed, changed, suspended, revoked and held by two",
            (f"{run} sample --holders 1000 --seed 2",),
        ),
    )


def _environment(settings: Settings) -> tuple[str, ...]:
    """What the commands need to find this platform where its settings are not the defaults. A database's URL may hold
    a password and is not repeated."""
    fields = type(settings).model_fields
    given = {
        name.upper(): str(getattr(settings, name))
        for name in ("public_url", "data_dir")
        if getattr(settings, name) != fields[name].default
    }
    lines = ["export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in given.items())] if given else []
    if settings.database_url:
        lines.append("export DATABASE_URL=...  # as for this process")
    return tuple(lines)
