"""Licence types as data: the city's type directory, faces and matters, read from type packs (PACKS.md).

catalogue = Catalogue.default()
licence_type = catalogue.get("driving-licence")
items = licence_type.check_items({"sex": "女", "nationality": "中国", ...})     # or ItemError
licence_type.vct("https://wallet.example")                # https://wallet.example/types/driving-licence/1
type_metadata(licence_type, "https://wallet.example")     # what is served there
render_face(licence_type, face_values(licence_type, {"holder_name": "张三丰", **items}))   # an SVG
"""

from credentials.catalogue.errors import CatalogueError, ItemError, PackError, UnknownType
from credentials.catalogue.formats.svg_face import face_values, render_face
from credentials.catalogue.formats.type_metadata import type_metadata
from credentials.catalogue.models import COMMON_CLAIMS, LicenceType
from credentials.catalogue.service import Catalogue

__all__ = [
    "COMMON_CLAIMS",
    "Catalogue",
    "CatalogueError",
    "ItemError",
    "LicenceType",
    "PackError",
    "UnknownType",
    "face_values",
    "render_face",
    "type_metadata",
]
