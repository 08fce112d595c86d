"""The type directory in the names of GB/T 36902."""

import csv
import io
import json

from credentials.catalogue import Catalogue
from credentials.catalogue.formats.directory_36902 import directory_csv, directory_records
from tests.credentials.catalogue.packs import PACK, changed, dog_licence

TYPES = Catalogue.default().types()


def test_a_type_is_one_record_under_the_standard_s_names() -> None:
    (record,) = directory_records([dog_licence()])
    assert record == {
        "CertificateTypeName": "养犬登记证",
        "CertificateTypeCode": "11100000000013127DX99",
        "CertificateDefineAuthorityName": "公安部",
        "CertificateDefineAuthorityCode": "11100000000013127D",
        "CertificateDefineAuthorityLevel": "1",
        "ItemName": ["年检"],
        "ItemCode": ["DOG-1"],
        "CertificateHolderCategory": ["1"],
        "ValidtyRange": ["1年"],
        "CertificateIssuingAuthorityLevel": ["省部级"],
        "CertificateIssuingAuthority": ["市公安局"],
    }
    assert json.loads(json.dumps(record)) == record


def test_the_terms_are_written_out() -> None:
    terms = {str(record["CertificateTypeName"]): record["ValidtyRange"] for record in directory_records(TYPES)}
    assert terms["机动车驾驶证"] == ["6年", "10年", "长期"]
    assert terms["食品经营许可证"] == ["5年"]
    assert terms["营业执照"] == ["按核定期限", "长期"]


def test_a_type_for_persons_and_organisations_has_both_categories() -> None:
    (record,) = directory_records([dog_licence(changed(PACK, "category: person", "category: either"))])
    assert record["CertificateHolderCategory"] == ["1", "2"]


def test_the_csv_holds_the_same_records() -> None:
    rows = list(csv.DictReader(io.StringIO(directory_csv(TYPES))))
    for row, record in zip(rows, directory_records(TYPES), strict=True):
        assert row == {name: value if isinstance(value, str) else ";".join(value) for name, value in record.items()}


def test_no_types_are_an_empty_file() -> None:
    assert directory_csv([]) == ""
