"""What the command line says: results as text in Chinese or English, and as JSON."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Literal

from .errors import CannotTell, NotValid, VerifierError
from .models import (
    ItemValue,
    JournalEntry,
    Knowledge,
    Label,
    Outcome,
    Redeemed,
    Scene,
    SyncItem,
    SyncReport,
    UploadReport,
    Valid,
    ValidCredential,
)

Language = Literal["zh", "en"]

_WORDS: dict[str, Label] = {
    "valid": Label("有效", "VALID"),
    "not_valid": Label("无效", "NOT VALID"),
    "cannot_tell": Label("无法判定", "CANNOT TELL"),
    "only": Label(
        "仅由密码学核验得出;屏幕外观不能证明任何事",
        "by cryptographic check only; what a screen looks like proves nothing",
    ),
    "type": Label("证照类型", "Type"),
    "state": Label("状态", "State"),
    "valid_until": Label("有效期至", "Last valid day"),
    "long_term": Label("长期", "long-term"),
    "authority": Label("发证单位", "Authority"),
    "expires": Label("凭证到期", "Credential ends"),
    "knowledge": Label("核验依据", "Knowledge"),
    "trust_age": Label("信任列表 {} 前", "trust list {} old"),
    "status_age": Label("状态列表 {} 前", "status list {} old"),
    "reason": Label("原因", "Reason"),
    "cure": Label("处理办法", "What to do"),
    "nothing_held": Label("尚未同步", "never synchronised"),
    "trust_list": Label("信任列表", "Trust list"),
    "aggregation": Label("状态列表目录", "List of status lists"),
    "status_list": Label("状态列表", "Status list"),
    "refreshed": Label("已更新", "refreshed"),
    "unchanged": Label("未变化", "unchanged"),
    "failed": Label("失败", "FAILED"),
    "held": Label("本机所存签发于 {} 前", "held: {} old"),
    "clock_ahead": Label("警告:本机时钟比服务器快 {},请校时", "CLOCK OFF: {} ahead of the server's"),
    "clock_behind": Label("警告:本机时钟比服务器慢 {},请校时", "CLOCK OFF: {} behind the server's"),
    "on_line": Label("平台联网核验,编号 {}", "checked on line by the platform as {}"),
    "portrait": Label("照片", "Photo"),
    "portrait_json": Label("见 --json 输出", "in the output of --json"),
    "waiting": Label("待上传核验记录 {} 条", "{} checks wait to be uploaded"),
    "uploaded": Label("上传:接收 {},已有 {},拒收 {}", "uploaded: {} taken, {} known already, {} rejected"),
    "scene": Label("核验场景", "Scene"),
    "on_line_only": Label("仅限联网", "on line only"),
    "ends": Label("截止 {}", "ends {}"),
}


def word(name: str, language: Language) -> str:
    """A word of the output."""
    return pick(_WORDS[name], language)


def pick(label: Label, language: Language) -> str:
    """A label in one language, harmless to a terminal."""
    return harmless(label.zh if language == "zh" else label.en)


def harmless(text: str) -> str:
    """The text without control, format or line characters: a licence must not steer the terminal that shows it."""
    return "".join("\ufffd" if unicodedata.category(letter) in _STEERING else letter for letter in text)


_STEERING = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})  # escape sequences, text direction, line breaks


def valid_lines(result: Valid, language: Language) -> Iterator[str]:
    """A live code that holds."""
    yield f"{word('valid', language)} — {word('only', language)}"
    yield f"{word('type', language)}: {pick(result.type_name, language)} ({result.type_code})"
    if result.scene is not None:
        yield f"{word('scene', language)}: {pick(result.scene.name, language)} ({result.scene.id})"
    for item in result.items:
        yield f"{pick(item.label, language)}: {_value(item.value)}"
    yield f"{word('state', language)}: {word('valid', language)}"
    last_day = result.valid_until.isoformat() if result.valid_until else word("long_term", language)
    yield f"{word('valid_until', language)}: {last_day}"
    if result.authority is not None:
        yield f"{word('authority', language)}: {harmless(result.authority.name)}"
    yield _ages(result.trust_age, result.status_age, language)


def redeemed_lines(result: Redeemed, scenes: Sequence[Scene], language: Language) -> Iterator[str]:
    """A live code that the platform checked; `scenes` are those that this device knows by name."""
    yield f"{word('valid', language)} — {word('on_line', language).format(harmless(result.check_id))}"
    yield f"{word('type', language)}: {pick(result.type_name, language)} ({result.type_code})"
    names = [f"{pick(scene.name, language)} ({scene.id})" for scene in scenes if scene.id == result.scene_id]
    yield f"{word('scene', language)}: {names[0] if names else harmless(result.scene_id)}"
    for item in result.items:
        if item.name == "valid_until":  # it stands below, released or not
            continue
        value = "、".join(map(str, item.value)) if isinstance(item.value, tuple) else str(item.value)
        yield f"{pick(item.label, language)}: {harmless(value)}"
    if result.portrait is not None:
        yield f"{word('portrait', language)}: {word('portrait_json', language)}"
    yield f"{word('state', language)}: {word('valid', language)}"
    last_day = result.valid_until.isoformat() if result.valid_until else word("long_term", language)
    yield f"{word('valid_until', language)}: {last_day}"


def journal_lines(entries: Sequence[JournalEntry], language: Language) -> Iterator[str]:
    """What waits to be uploaded."""
    yield word("waiting", language).format(len(entries))
    for entry in entries:
        checked_at = datetime.fromtimestamp(entry.checked_at, UTC).isoformat()
        yield f"{entry.id} {checked_at} {harmless(entry.scene or '-')}"


def upload_lines(report: UploadReport, language: Language) -> Iterator[str]:
    """What became of what was uploaded."""
    yield word("uploaded", language).format(report.accepted, report.unchanged, len(report.rejected))
    for entry_id, code in report.rejected:
        yield f"{entry_id}: {harmless(code)}"


def credential_lines(result: ValidCredential, language: Language) -> Iterator[str]:
    """A credential that holds."""
    yield f"{word('valid', language)} — {word('only', language)}"
    yield f"{word('type', language)}: {pick(result.type_name, language)} ({result.type_code})"
    for name, value in result.claims.items():
        if name not in ("cnf", "status"):
            yield f"{harmless(name)}: {harmless(str(value))}"
    if result.state is not None:
        yield f"{word('state', language)}: {word('valid', language)}"
    yield f"{word('expires', language)}: {result.expires_at.isoformat()}"
    if result.authority is not None:
        yield f"{word('authority', language)}: {harmless(result.authority.name)}"
    yield _ages(result.trust_age, result.status_age, language)


def refusal_lines(error: VerifierError, language: Language) -> Iterator[str]:
    """A code or credential that does not hold, or that this device cannot judge."""
    row = error.meaning
    name = "not_valid" if isinstance(error, NotValid) else "cannot_tell"
    yield f"{word(name, language)}: {row.zh if language == 'zh' else row.en}"
    yield f"{word('reason', language)}: {error.code} ({harmless(error.detail)})"
    if row.cure_en:
        yield f"{word('cure', language)}: {row.cure_zh if language == 'zh' else row.cure_en}"


def sync_lines(report: SyncReport, language: Language) -> Iterator[str]:
    """A synchronisation, document by document."""
    yield _sync_line("trust_list", report.trust_list, language)
    if report.aggregation is not None and report.aggregation.outcome is Outcome.FAILED:
        yield _sync_line("aggregation", report.aggregation, language)
    for item in report.status_lists:
        yield _sync_line("status_list", item, language)
    if report.clock_ahead is not None and report.clock_is_off:
        ahead_s = int(report.clock_ahead.total_seconds())
        yield word("clock_ahead" if ahead_s > 0 else "clock_behind", language).format(span(abs(report.clock_ahead)))


def knowledge_lines(knowledge: Knowledge, language: Language) -> Iterator[str]:
    """What is held."""
    if knowledge.trust_age is None or knowledge.trust_expires_at is None:
        yield word("nothing_held", language)
        return
    held = word("held", language).format(span(knowledge.trust_age))
    ends = word("ends", language).format(knowledge.trust_expires_at.isoformat())
    yield f"{word('trust_list', language)}: {harmless(knowledge.url or '')} #{knowledge.sequence}, {held}, {ends}"
    for each in knowledge.status_lists:
        until = f", {word('ends', language).format(each.expires_at.isoformat())}" if each.expires_at else ""
        held = word("held", language).format(span(each.age))
        yield f"{word('status_list', language)}: {harmless(each.uri)}, {held}{until}"
    for scene in knowledge.scenes:
        limit = "" if scene.offline else f", {word('on_line_only', language)}"
        yield f"{word('scene', language)}: {scene.id} {pick(scene.name, language)}{limit}"


def span(age: timedelta) -> str:
    """A span of time in its two largest units, e.g. `1 d 4 h`."""
    seconds = max(0, int(age.total_seconds()))
    units = [(seconds // 86_400, "d"), (seconds % 86_400 // 3600, "h"), (seconds % 3600 // 60, "min")]
    parts = [f"{count} {unit}" for count, unit in [*units, (seconds % 60, "s")] if count]
    return " ".join(parts[:2]) or "0 s"


def valid_json(result: Valid) -> Mapping[str, object]:
    """A live code that holds, for programs."""
    return {
        "outcome": "valid",
        "type": {"code": result.type_code, "name": _label_json(result.type_name)},
        "profile": result.profile.value,
        "items": [{"key": item.key, "label": _label_json(item.label), "value": item.value} for item in result.items],
        "state": result.state,
        "valid_until": result.valid_until.isoformat() if result.valid_until else None,
        "authority": _authority_json(result),
        "issuer_kid": result.issuer_kid,
        **_times_json(result),
        "cti": result.cti.hex(),
        "scene": {"id": result.scene.id, "version": result.scene.version} if result.scene else None,
    }


def redeemed_json(result: Redeemed) -> Mapping[str, object]:
    """A live code that the platform checked, for programs."""
    return {
        "outcome": "valid",
        "online": True,
        "check_id": result.check_id,
        "type": {"code": result.type_code, "name": _label_json(result.type_name)},
        "items": [{"name": item.name, "label": _label_json(item.label), "value": item.value} for item in result.items],
        "portrait": result.portrait,
        "state": result.state,
        "valid_until": result.valid_until.isoformat() if result.valid_until else None,
        "scene": {"id": result.scene_id, "version": result.scene_version},
        "shown_at": result.shown_at.isoformat(),
        "checked_at": result.checked_at.isoformat(),
    }


def journal_json(entries: Sequence[JournalEntry]) -> Mapping[str, object]:
    """What waits to be uploaded, for programs."""
    return {"entries": [{**asdict(entry), "cti": entry.cti.hex()} for entry in entries]}


def upload_json(report: UploadReport) -> Mapping[str, object]:
    """What became of what was uploaded, for programs."""
    return {
        "accepted": report.accepted,
        "unchanged": report.unchanged,
        "rejected": [{"id": entry_id, "code": code} for entry_id, code in report.rejected],
    }


def credential_json(result: ValidCredential) -> Mapping[str, object]:
    """A credential that holds, for programs."""
    return {
        "outcome": "valid",
        "type": {"code": result.type_code, "name": _label_json(result.type_name)},
        "vct": result.vct,
        "claims": dict(result.claims),
        "state": result.state,
        "expires_at": result.expires_at.isoformat(),
        "authority": _authority_json(result),
        "issuer_kid": result.issuer_kid,
        **_times_json(result),
    }


def refusal_json(error: VerifierError) -> Mapping[str, object]:
    """What did not end in valid, for programs."""
    outcome = "not_valid" if isinstance(error, NotValid) else "cannot_tell"
    cure = {"cure": error.cure} if isinstance(error, CannotTell) else {}
    return {"outcome": outcome, "code": error.code, "detail": error.detail, **cure}


def sync_json(report: SyncReport) -> Mapping[str, object]:
    """A synchronisation, for programs."""
    return {
        "complete": report.complete,
        "trust_list": _sync_item_json(report.trust_list),
        "aggregation": _sync_item_json(report.aggregation) if report.aggregation else None,
        "status_lists": [_sync_item_json(item) for item in report.status_lists],
        "clock_ahead_s": None if report.clock_ahead is None else int(report.clock_ahead.total_seconds()),
    }


def knowledge_json(knowledge: Knowledge) -> Mapping[str, object]:
    """What is held, for programs."""
    return {
        "url": knowledge.url,
        "sequence": knowledge.sequence,
        "trust_age_s": _seconds(knowledge.trust_age),
        "trust_expires_at": knowledge.trust_expires_at.isoformat() if knowledge.trust_expires_at else None,
        "status_lists": [
            {
                "uri": each.uri,
                "age_s": _seconds(each.age),
                "expires_at": each.expires_at.isoformat() if each.expires_at else None,
            }
            for each in knowledge.status_lists
        ],
        "scenes": [
            {
                "id": scene.id,
                "version": scene.version,
                "name": _label_json(scene.name),
                "licence_types": sorted(scene.licence_types),
                "offline": scene.offline,
            }
            for scene in knowledge.scenes
        ],
    }


def _value(value: ItemValue) -> str:
    if isinstance(value, tuple):
        return "、".join(map(_value, value))
    return harmless(str(value))


def _ages(trust_age: timedelta, status_age: timedelta | None, language: Language) -> str:
    ages = [word("trust_age", language).format(span(trust_age))]
    if status_age is not None:
        ages.append(word("status_age", language).format(span(status_age)))
    return f"{word('knowledge', language)}: {', '.join(ages)}"


def _sync_line(name: str, item: SyncItem, language: Language) -> str:
    line = f"{word(name, language)}: {harmless(item.uri)} {word(item.outcome.value, language)}"
    if item.code is not None:
        line += f": {item.code} ({harmless(item.detail)})"
    if item.age is not None:
        line += f", {word('held', language).format(span(item.age))}"
    return line


def _sync_item_json(item: SyncItem) -> Mapping[str, object]:
    return {
        "uri": item.uri,
        "outcome": item.outcome.value,
        "age_s": _seconds(item.age),
        "code": item.code,
        "detail": item.detail,
    }


def _times_json(result: Valid | ValidCredential) -> Mapping[str, object]:
    return {
        "trust_age_s": _seconds(result.trust_age),
        "status_age_s": _seconds(result.status_age),
        "checked_at": result.checked_at.isoformat(),
    }


def _authority_json(result: Valid | ValidCredential) -> Mapping[str, object] | None:
    return {"code": result.authority.code, "name": result.authority.name} if result.authority else None


def _label_json(label: Label) -> Mapping[str, object]:
    return {"zh": label.zh, "en": label.en}


def _seconds(age: timedelta | None) -> int | None:
    return None if age is None else int(age.total_seconds())
