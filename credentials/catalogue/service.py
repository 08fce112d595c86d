"""The city's directory of licence types (证照类型目录库), read once from type packs."""

import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Self

from credentials.catalogue.errors import PackCode, PackError, UnknownType
from credentials.catalogue.formats.pack import read_pack
from credentials.catalogue.models import Authority, LicenceType, LocalisedText

_FILE_NAME = re.compile(r"([a-z0-9-]{1,64})(?:\.([1-9][0-9]{0,2}))?\.(yaml|svg)")
MAX_QUERY = 100  # characters; no name is longer


class Catalogue:
    """Licence types by code. Immutable: a changed pack is read by a new start."""

    def __init__(self, types: Iterable[LicenceType]) -> None:
        """Take types that are already read; `load` and `default` read them."""
        self._versions = {(kind.code, kind.version): kind for kind in types}
        newest: dict[str, LicenceType] = {}
        for _, kind in sorted(self._versions.items()):
            newest[kind.code] = kind
        self._newest = newest
        self._by_certificate_type_code = {kind.certificate_type_code: kind for kind in newest.values()}

    @classmethod
    def load(cls, directory: Path | Traversable) -> Self:
        """The catalogue of a folder of packs (PACKS.md).

        Raises:
            PackError: the first broken pack, with file, line and field; also an empty folder, a file that is no
                part of a pack, and packs that contradict each other.
        """
        try:
            files = {entry.name: entry for entry in directory.iterdir() if not entry.name.startswith(".")}
            contents = {name: files[name].read_bytes() for name in sorted(files)}
        except OSError as error:
            raise _broken(directory.name, "the folder cannot be read") from error
        for name in contents:
            if not _FILE_NAME.fullmatch(name):
                raise _broken(name, "is not <code>.yaml, <code>.svg, or these with .<version> before the dot")
            partner = name.removesuffix(".svg") + ".yaml" if name.endswith(".svg") else name[:-5] + ".svg"
            if partner not in contents:
                raise _broken(name, f"{partner} is missing")
        packs = {name: _read(name, contents) for name in contents if name.endswith(".yaml")}
        if not packs:
            raise _broken(directory.name, "the folder holds no packs")
        _check_versions(packs)
        _check_agreement({name: kind for name, kind in packs.items() if name == f"{kind.code}.yaml"})
        return cls(packs.values())

    @classmethod
    @cache
    def default(cls) -> Self:
        """The types that ship with this package, read once a process."""
        return cls.load(resources.files("credentials.catalogue") / "packs")

    def types(self) -> tuple[LicenceType, ...]:
        """The newest version of every type, by code."""
        return tuple(self._newest.values())

    def every_version(self) -> tuple[LicenceType, ...]:
        """Every version of every type, by code, the oldest first: licences keep the one that they were issued under."""
        return tuple(kind for _, kind in sorted(self._versions.items()))

    def get(self, code: str, version: int | None = None) -> LicenceType:
        """One type; without `version` its newest.

        Raises:
            UnknownType: no such type or version.
        """
        kind = self._newest.get(code) if version is None else self._versions.get((code, version))
        if kind is None:
            raise UnknownType("no licence type has this code and version")
        return kind

    def versions(self, code: str) -> tuple[int, ...]:
        """The versions of a type, the newest first: a licence keeps the one that it was issued under.

        Raises:
            UnknownType: no such type.
        """
        self.get(code)
        return tuple(sorted((number for known, number in self._versions if known == code), reverse=True))

    def by_certificate_type_code(self, certificate_type_code: str) -> LicenceType:
        """The newest version of the type with this 证照类型代码 (GB/T 36904, 21 characters).

        Raises:
            UnknownType: no such type.
        """
        kind = self._by_certificate_type_code.get(certificate_type_code)
        if kind is None:
            raise UnknownType("no licence type has this 证照类型代码")
        return kind

    def search(self, text: str) -> tuple[LicenceType, ...]:
        """Types whose codes, names or authorities hold every word of `text`, in any case; no words find all."""
        words = text[:MAX_QUERY].casefold().split()
        return tuple(kind for kind in self.types() if all(word in _haystack(kind) for word in words))


def _haystack(kind: LicenceType) -> str:
    authorities: list[Authority] = [kind.defining_authority, *kind.issuing_authorities]
    names = [kind.name, *(authority.name for authority in authorities)]
    words = [kind.code, kind.certificate_type_code, *(f"{name.zh}\n{name.en}" for name in names)]
    return "\n".join(words).casefold()


def _read(name: str, contents: dict[str, bytes]) -> LicenceType:
    face = name[:-5] + ".svg"
    kind = read_pack(contents[name], contents[face], file=name, face_file=face)
    if name not in (f"{kind.code}.yaml", f"{kind.code}.{kind.version}.yaml"):
        raise _broken(name, f"must be named {kind.code}.yaml: that is the code in it")
    return kind


def _check_versions(packs: dict[str, LicenceType]) -> None:
    """The newest version is `<code>.yaml`; each older one is `<code>.<version>.yaml`."""
    for name, kind in packs.items():
        newest = packs.get(f"{kind.code}.yaml")
        if newest is None:
            raise _broken(name, f"{kind.code}.yaml, the newest version, is missing")
        if kind is not newest and kind.version >= newest.version:
            raise _broken(name, f"is not older than {kind.code}.yaml", "version", "pack_duplicate")


def _check_agreement(newest: dict[str, LicenceType]) -> None:
    """What several packs name, they name alike; what must be unique, is."""
    _agree(newest, "certificate_type_code", lambda kind: [(kind.certificate_type_code, kind.code)])
    _agree(newest, "scenes", lambda kind: [(scene.code, scene.name) for scene in kind.scenes])
    _agree(newest, "matters", lambda kind: [(matter.code, matter.name) for matter in kind.matters])
    _agree(
        newest,
        "issuing_authorities",
        lambda kind: [(body.code, body.name) for body in (kind.defining_authority, *kind.issuing_authorities)],
    )


def _agree(
    packs: dict[str, LicenceType], field: str, pairs: Callable[[LicenceType], list[tuple[str, str | LocalisedText]]]
) -> None:
    seen: dict[str, tuple[str | LocalisedText, str]] = {}
    for name, kind in packs.items():
        for code, value in pairs(kind):
            known, where = seen.setdefault(code, (value, name))
            if known != value:
                raise _broken(name, f"{code} means something else in {where}", field, "pack_duplicate")


def _broken(file: str, detail: str, field: str = "", code: PackCode = "pack_unreadable") -> PackError:
    return PackError(code, file=file, line=1, field=field, detail=detail)
