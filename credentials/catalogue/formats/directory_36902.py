"""The type directory (证照类型目录) in the names of GB/T 36902-2018.

The standard's text is not public: the names are those of implementations, their spelling included (ValidtyRange).
"""

import csv
import io
from collections.abc import Iterable

from credentials.catalogue.models import AuthorityLevel, HolderCategory, LicenceType

_LEVELS = {
    AuthorityLevel.NATIONAL: ("1", "国家级"),
    AuthorityLevel.PROVINCIAL: ("2", "省部级"),
    AuthorityLevel.PREFECTURAL: ("3", "地市级"),
    AuthorityLevel.COUNTY: ("4", "区县级"),
    AuthorityLevel.TOWNSHIP: ("5", "乡镇级"),  # the defining authority's scale ends with 5 其他; none is a township
    AuthorityLevel.OTHER: ("5", "其他"),
}
_CATEGORIES = {
    HolderCategory.PERSON: ["1"],  # 自然人
    HolderCategory.ORGANISATION: ["2"],  # 法人
    HolderCategory.EITHER: ["1", "2"],
}
_CSV_SEPARATOR = ";"


def directory_records(types: Iterable[LicenceType]) -> list[dict[str, str | list[str]]]:
    """One record per type, JSON-ready. Elements that repeat are arrays."""
    return [_record(kind) for kind in types]


def directory_csv(types: Iterable[LicenceType]) -> str:
    """The same records as RFC 4180 CSV with a header line; arrays are joined with `;`."""
    out = io.StringIO(newline="")
    records = directory_records(types)
    if records:
        writer = csv.DictWriter(out, fieldnames=list(records[0]))
        writer.writeheader()
        for record in records:
            writer.writerow({name: _cell(value) for name, value in record.items()})
    return out.getvalue()


def _record(kind: LicenceType) -> dict[str, str | list[str]]:
    levels = dict.fromkeys(_LEVELS[authority.level][1] for authority in kind.issuing_authorities)
    return {
        "CertificateTypeName": kind.name.zh,
        "CertificateTypeCode": kind.certificate_type_code,
        "CertificateDefineAuthorityName": kind.defining_authority.name.zh,
        "CertificateDefineAuthorityCode": kind.defining_authority.code,
        "CertificateDefineAuthorityLevel": _LEVELS[kind.defining_authority.level][0],
        "ItemName": [matter.name.zh for matter in kind.matters],
        "ItemCode": [matter.code for matter in kind.matters],
        "CertificateHolderCategory": _CATEGORIES[kind.holder_category],
        "ValidtyRange": _validity_range(kind),
        "CertificateIssuingAuthorityLevel": list(levels),
        "CertificateIssuingAuthority": [authority.name.zh for authority in kind.issuing_authorities],
    }


def _validity_range(kind: LicenceType) -> list[str]:
    terms = [f"{years}年" for years in kind.validity.years]
    terms += ["按核定期限"] if kind.validity.free else []
    return terms + (["长期"] if kind.validity.long_term else [])


def _cell(value: str | list[str]) -> str:
    return value if isinstance(value, str) else _CSV_SEPARATOR.join(value)
