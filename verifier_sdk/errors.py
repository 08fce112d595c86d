"""What the SDK raises, and the one table of all codes.

Two families say that a check did not end in "valid", because a caller acts differently on them:

* `NotValid`: the thing shown must not be accepted.
* `CannotTell`: nothing is known against it, but this device cannot vouch for it; `cure` says how to mend that.

`TrustError` is about the device's own knowledge (anchors, cache, synchronisation), `JournalError` about its journal of
checks without a network. Every error has a stable
`code` out of `CODES` and a `detail` in English without personal data.
"""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """Which exception carries a code."""

    NOT_VALID = "not_valid"
    CANNOT_TELL = "cannot_tell"
    TRUST = "trust"
    JOURNAL = "journal"


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table: the family, what the code means, and (cannot tell only) how to mend it."""

    family: Family
    en: str
    zh: str
    cure_en: str = ""
    cure_zh: str = ""


_SYNC_EN, _SYNC_ZH = "connect this device and synchronise", "请联网并同步信任数据"


def _not_valid(en: str, zh: str) -> Code:
    return Code(Family.NOT_VALID, en, zh)


def _cannot_tell(en: str, zh: str, cure_en: str = _SYNC_EN, cure_zh: str = _SYNC_ZH) -> Code:
    return Code(Family.CANNOT_TELL, en, zh, cure_en, cure_zh)


def _trust(en: str, zh: str) -> Code:
    return Code(Family.TRUST, en, zh)


def _journal(en: str, zh: str) -> Code:
    return Code(Family.JOURNAL, en, zh)


CODES: dict[str, Code] = {
    # Live code: exactly those of the live code's format, in the order of its steps.
    "malformed": _not_valid("not a live code of this system", "不是本系统的亮证码"),
    "version_unsupported": _not_valid("a live code of a version this program does not know", "亮证码版本不受支持"),
    "paper_copy_unsupported": _not_valid(
        "the code of a printed copy, which this program does not read", "这是加注件的码,本程序不核验加注件"
    ),
    "issuer_unknown": _not_valid(
        "signed with a key that may not issue licences of this type", "签发密钥未获准签发此类证照"
    ),
    "pass_signature_invalid": _not_valid("the platform's signature does not hold", "平台签名无效"),
    "pass_not_yet_valid": _not_valid("the pass is not valid yet", "亮证凭据尚未生效"),
    "pass_expired": _not_valid("the pass has run out", "亮证凭据已过期"),
    "proof_signature_invalid": _not_valid("not shown by the holder's device", "出示者设备签名无效"),
    "proof_audience_wrong": _not_valid("made for another purpose than showing", "亮证码用途不符"),
    "proof_expired": _not_valid(
        "the code is too old: a screenshot, or a clock is off", "亮证码已过时:可能是截图,或时钟不准"
    ),
    "proof_from_the_future": _not_valid(
        "the code lies in the future: one of the two clocks is off", "亮证码时间超前:双方时钟之一不准"
    ),
    "proof_outside_pass": _not_valid("the code was not made while its pass was valid", "亮证码不在凭据有效期内"),
    "challenge_missing": _not_valid("the code does not answer the challenge", "亮证码未回应核验口令"),
    "challenge_wrong": _not_valid("the code answers another challenge", "亮证码回应的核验口令不符"),
    "licence_expired": _not_valid("the licence has run out", "证照已过有效期"),
    "status_index_unknown": _not_valid("the status list has no such entry", "状态列表中没有该证照"),
    "revoked": _not_valid("the licence is revoked", "证照已撤销或失效"),
    "suspended": _not_valid("the licence is suspended", "证照已暂扣"),
    "code_replayed": _not_valid("this very code was already checked on this device", "该亮证码已在本机核验过"),
    "trust_missing": _cannot_tell("this device has no trust list", "本机没有信任列表"),
    "trust_stale": _cannot_tell("this device's trust list is too old", "本机信任列表已过时"),
    "status_missing": _cannot_tell("this device does not have the status list", "本机没有相应的状态列表"),
    "status_stale": _cannot_tell("this device's status list is too old", "本机状态列表已过时"),
    "status_value_unknown": _cannot_tell(
        "the status list gives a state this program does not know",
        "状态值未知",
        "ask the issuing authority, or use a newer version of this program",
        "请向发证单位查询,或升级本程序",
    ),
    "scene_unknown": _cannot_tell("this device's trust list has no such scene", "本机信任列表中没有该核验场景"),
    "scene_needs_network": _cannot_tell(
        "codes are checked on line only in this scene",
        "该场景只能联网核验",
        "check this code on line",
        "请联网核验该亮证码",
    ),
    "scene_type": _not_valid("licences of this type are not checked in this scene", "该场景不核验此类证照"),
    "replay_record_unavailable": _cannot_tell(
        "this device cannot keep its record of codes already seen",
        "本机无法读写已核验记录",
        "make the folder of this program writable and free some disk space",
        "请检查程序数据目录的写权限和磁盘空间",
    ),
    "check_not_recorded": _cannot_tell(
        "the check could not be entered into this device's journal",
        "本次核验无法记入本机核验日志",
        "upload the journal, or see why it cannot be written",
        "请上传核验日志,或检查其无法写入的原因",
    ),
    # On line: what the platform alone can say, and why it could not be asked.
    "already_used": _not_valid("this very code was already checked somewhere", "该亮证码已被核验过"),
    "lapsed": _not_valid("the licence has ended or run out", "证照已注销或失效"),
    "refused_by_platform": _not_valid(
        "the platform says no, for a reason this program does not know", "平台判定无效,原因代码未知"
    ),
    "state_unknown": _cannot_tell(
        "the platform cannot tell either",
        "平台也无法判定",
        "ask the issuing authority",
        "请向发证单位查询",
    ),
    "network_unavailable": _cannot_tell(
        "the platform could not be reached",
        "无法连接平台",
        "try again with a network, or check without one where the scene allows it",
        "请在有网络时重试;场景允许时可离线核验",
    ),
    "answer_not_trusted": _cannot_tell(
        "the platform's answer does not verify",
        "平台应答未通过验证",
        "synchronise and ask for a fresh code; report it if it happens again",
        "请同步后请持证人出示新码重试;如再次出现请上报",
    ),
    "clock_off": _cannot_tell(
        "this device's clock disagrees with the platform's signed answer",
        "本机时钟与平台签名应答的时间不一致",
        "set this device's clock",
        "请校准本机时钟",
    ),
    "verifier_refused": _cannot_tell(
        "the platform does not accept this verifier, or not in this scene",
        "平台不接受该核验方,或不允许其在该场景核验",
        "ask the platform's operator about the registration of this verifier",
        "请向平台运营方核实该核验方的登记情况",
    ),
    "too_many_requests": _cannot_tell(
        "the platform has stopped this verifier for a while",
        "平台已暂时限制该核验方",
        "wait; ask the platform's operator if it goes on",
        "请稍候;如持续出现请联系平台运营方",
    ),
    # SD-JWT VC.
    "credential_malformed": _not_valid("not an SD-JWT VC", "不是 SD-JWT VC 凭证"),
    "typ_wrong": _not_valid("the header's typ is not dc+sd-jwt", "凭证头部 typ 不是 dc+sd-jwt"),
    "alg_not_allowed": _not_valid("signed with an algorithm that is not allowed", "签名算法不被允许"),
    "crit_not_supported": _not_valid("the header demands an extension unknown here", "凭证头部含不支持的扩展"),
    "x5c_missing": _not_valid("the header carries no usable certificates", "凭证头部没有可用的证书"),
    "chain_invalid": _not_valid("the certificates do not lead to a pinned anchor", "证书链不通向受信任的根证书"),
    "credential_signature_invalid": _not_valid("the issuer's signature does not hold", "发证单位签名无效"),
    "sd_alg_not_allowed": _not_valid("_sd_alg is not sha-256", "_sd_alg 不是 sha-256"),
    "disclosure_malformed": _not_valid("a disclosure has the wrong form", "披露项格式错误"),
    "disclosure_unreferenced": _not_valid("a disclosure the issuer did not sign for", "存在未经签发的披露项"),
    "digest_repeated": _not_valid("a digest or disclosure occurs twice", "摘要或披露项重复"),
    "claim_name_forbidden": _not_valid("a claim bears a reserved name", "声明使用了保留名称"),
    "claim_never_disclosable": _not_valid(
        "a claim that must always be visible is selectively disclosed", "必须可见的声明被用作选择性披露"
    ),
    "claim_repeated": _not_valid("a disclosure overwrites a claim", "披露项覆盖了已有声明"),
    "claim_missing": _not_valid("a required claim is missing", "缺少必需的声明"),
    "claim_malformed": _not_valid("a claim has the wrong form", "声明格式错误"),
    "vct_unknown": _not_valid("the type is not in the trust list", "凭证类型不在信任列表中"),
    "vct_not_expected": _not_valid("of another type than was asked for", "凭证类型与要求不符"),
    "credential_not_yet_valid": _not_valid("the credential is not valid yet", "凭证尚未生效"),
    "credential_expired": _not_valid("the credential has run out", "凭证已过期"),
    "key_binding_missing": _not_valid("no proof that the holder presents it", "缺少持有人密钥绑定"),
    "key_binding_unexpected": _not_valid("an issuer must not send a key binding", "签发时不应带有密钥绑定"),
    "kb_malformed": _not_valid("the key binding has the wrong form", "密钥绑定格式错误"),
    "kb_signature_invalid": _not_valid("not signed with the holder's key", "持有人签名无效"),
    "kb_iat_outside_window": _not_valid("the key binding is too old or from the future", "密钥绑定时间不在允许范围"),
    "kb_expired": _not_valid("the key binding's own validity does not hold", "密钥绑定不在其有效期内"),
    "kb_audience_wrong": _not_valid("presented to someone else", "出示对象不符"),
    "kb_nonce_wrong": _not_valid("an answer to another request", "出示随机数不符"),
    "kb_sd_hash_wrong": _not_valid("the key binding belongs to another presentation", "密钥绑定与出示内容不符"),
    # Anchors, cache, synchronisation.
    "anchor_invalid": _trust("not a root certificate this program can pin", "不是可用的根证书"),
    "anchor_missing": _trust("no root certificate is pinned", "尚未指定根证书"),
    "anchor_changed": _trust("other root certificates are pinned already", "已固定其他根证书"),
    "cache_unavailable": _trust("the cache cannot be read or written", "本地缓存不可用"),
    "url_not_allowed": _trust(
        "only https URLs, and http on this machine, are fetched", "只允许 https 地址(本机可用 http)"
    ),
    "host_not_allowed": _trust("on another host than the trust list", "与信任列表不在同一主机"),
    "address_not_allowed": _trust("the host has a private address", "主机解析到内网地址"),
    "unreachable": _trust("the host could not be reached", "无法连接主机"),
    "http_status": _trust("the host did not answer with the document", "主机没有返回所需文件"),
    "redirect_refused": _trust("redirects are not followed", "不接受重定向"),
    "content_type_wrong": _trust("of another content type than expected", "内容类型不符"),
    "too_large": _trust("larger than allowed", "内容过大"),
    "trust_list_malformed": _trust("not a trust list", "不是信任列表"),
    "trust_list_chain_invalid": _trust("its certificates do not lead to a pinned anchor", "信任列表证书链无效"),
    "trust_list_signature_invalid": _trust("the trust list's signature does not hold", "信任列表签名无效"),
    "trust_list_from_the_future": _trust("issued in the future: a clock is off", "信任列表时间超前:时钟不准"),
    "trust_list_expired": _trust("the trust list offered has run out", "收到的信任列表已过期"),
    "trust_list_rolled_back": _trust("older than the trust list already held", "信任列表版本倒退"),
    "trust_list_sequence_reused": _trust(
        "other content under a sequence number already seen", "信任列表序号重复而内容不同"
    ),
    "trust_list_issuer_changed": _trust("from another platform than the one held", "信任列表来自其他平台"),
    "aggregation_malformed": _trust("not a list of status lists", "状态列表目录格式错误"),
    "status_list_malformed": _trust("not a status list token", "不是状态列表"),
    "status_list_issuer_unknown": _trust(
        "signed with a key that may not sign status lists", "状态列表签名密钥不受信任"
    ),
    "status_list_signature_invalid": _trust("the status list's signature does not hold", "状态列表签名无效"),
    "status_list_uri_wrong": _trust("made for another URI", "状态列表地址不符"),
    "status_list_from_the_future": _trust("issued in the future: a clock is off", "状态列表时间超前:时钟不准"),
    "status_list_expired": _trust("the status list offered has run out", "收到的状态列表已过期"),
    "status_list_rolled_back": _trust("older than the status list already held", "状态列表版本倒退"),
    # The journal.
    "journal_unavailable": _journal("the journal's files cannot be read or written", "核验日志文件无法读写"),
    "journal_key_missing": _journal("the journal's key is gone", "核验日志的密钥缺失"),
    "journal_tampered": _journal("the journal is not as it was written", "核验日志被改动或截断"),
    "journal_full": _journal("the journal is full: upload it", "核验日志已满,请上传"),
}


class VerifierError(Exception):
    """Anything the SDK raises. `code` is stable, `detail` is for the log and the technician."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    @property
    def meaning(self) -> Code:
        """The code's row in the table: what to tell a person, in English and Chinese."""
        return CODES[self.code]


class NotValid(VerifierError):
    """The thing shown must not be accepted."""


class CannotTell(VerifierError):
    """This device cannot vouch for the thing shown; nothing is known against it."""

    @property
    def cure(self) -> str:
        """How to mend it (English; `meaning.cure_zh` has the Chinese)."""
        return self.meaning.cure_en


class JournalError(VerifierError):
    """The journal cannot take or give entries; what stands in it is unchanged."""


class TrustError(VerifierError):
    """An anchor, the cache or a document fetched for it was refused; what was held before is unchanged."""
