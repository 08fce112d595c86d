"""Pages for people: the start page, and where a live code's link leads."""

from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from credentials.catalogue import face_values, render_face
from credentials.registry import SHANGHAI
from wallet_api.dependencies import AppPlatform
from wallet_api.sample import City

router = APIRouter(include_in_schema=False)
