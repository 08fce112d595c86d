"""Pages for people: the start page, and where a live code's link leads."""

from importlib import resources
from string import Template

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from credentials.catalogue import face_values, render_face
from wallet_api.dependencies import AppPlatform

router = APIRouter(include_in_schema=False)
_WEB = resources.files("wallet_api") / "web"
