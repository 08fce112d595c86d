"""A small pack that tests change in one place."""

from pathlib import Path

from credentials.catalogue.formats.pack import read_pack
from credentials.catalogue.models import LicenceType

PACK = """\
code: dog-licence
version: 2
name: {zh: 养犬登记证, en: Dog licence}
certificate_type_code: 11100000000013127DX99
defining_authority: {code: 11100000000013127D, level: national, name: {zh: 公安部, en: Public Security}}
issuing_authorities:
  - {code: 11310000000000211K, area: "310000", level: provincial, name: {zh: 市公安局, en: City Police}}
holder: {category: person, code_types: ["111"], joint: false}
photo: false
labels:
  holder_name: {zh: 犬主, en: Keeper}
items:
  - {name: dog_name, label: {zh: 犬名, en: Dog}, type: string, max_length: 20, pattern: '[^0-9]+', face_key: 2}
  - {name: weight, label: {zh: 体重, en: Weight}, type: integer, minimum: 1, maximum: 120, required: false}
  - {name: neutered, label: {zh: 绝育, en: Neutered}, type: boolean, required: false}
  - {name: born_on, label: {zh: 出生日期, en: Born}, type: date, mask: all}
  - name: size
    label: {zh: 体型, en: Size}
    type: enum
    values: [{value: 大, label: {zh: 大型, en: Large}}, {value: 小, label: {zh: 小型, en: Small}}]
  - name: colours
    label: {zh: 毛色, en: Colours}
    type: array-of-string
    max_length: 5
    max_items: 3
    required: false
  - {name: chip, label: {zh: 芯片, en: Chip}, type: string, max_length: 30, face: false, disclosable: false}
validity: {years: [1], long_term: false, free: false, source: {zh: 养犬管理条例, en: Dog rules}}
states: ["01", "04"]
renewal:
  opens: {before: 1, unit: months}
  closes: {before: 0, unit: days}
  source: {zh: 养犬管理条例第十条, en: 'Dog rules, art. 10'}
reminders:
  - {stage: one-month, days_before: 30, name: {zh: 一个月, en: One month}}
  - {stage: last-day, days_before: 0, name: {zh: 今天, en: Today}}
scenes:
  - code: street-check
    name: {zh: 街头检查, en: Street check}
    items: [holder_name, dog_name, valid_until]
    photo: false
    offline: true
    legal_basis: {zh: 养犬管理条例第三条, en: 'Dog rules, art. 3'}
matters:
  - {code: DOG-1, name: {zh: 年检, en: Yearly check}}
face: {orientation: landscape, background_color: "#ffffff", text_color: "#000000"}
"""

FACE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300">
  <defs><linearGradient id="sky"><stop offset="0" stop-color="#fff"/></linearGradient></defs>
  <rect width="400" height="300" fill="url(#sky)" transform="rotate(1)"/>
  <!-- who -->
  <text x="10" y="20" font-size="16" data-columns="10" data-lines="2" data-line-height="20">{{holder_name}}</text>
  <text x="10" y="60">{{certificate_number}} / {{issuing_authority_name}}</text>
  <text x="10" y="80">{{valid_until}}</text>
  <text x="10" y="100">{{dog_name}}<tspan>{{weight}}</tspan> {{neutered}} {{born_on}} {{size}} {{colours}}</text>
</svg>
"""


def dog_licence(pack: str = PACK, face: str | bytes = FACE) -> LicenceType:
    """The type of a pack's text and a face's text."""
    svg = face if isinstance(face, bytes) else face.encode()
    return read_pack(pack.encode(), svg, file="dog-licence.yaml", face_file="dog-licence.svg")


def write_pack(folder: Path, name: str = "dog-licence", pack: str = PACK, face: str = FACE) -> None:
    """Both files, under `name`."""
    (folder / f"{name}.yaml").write_text(pack, encoding="utf-8")
    (folder / f"{name}.svg").write_text(face, encoding="utf-8")


def changed(text: str, old: str, new: str) -> str:
    """The text with one replacement that must happen."""
    assert text.count(old) == 1, f"{old!r} must stand once"
    return text.replace(old, new)


def line_of(text: str, part: str) -> int:
    """The line, from 1, on which `part` begins."""
    return text[: text.index(part)].count("\n") + 1
