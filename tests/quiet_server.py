"""How the tests configure a real server: like the platform's own, it logs no request.

`access_log=False` alone does not do it: uvicorn logs requests as soon as its logger has any handler, and pytest gives
its own to every logger that does not propagate. So the level is set as well.
"""

from typing import Any

import uvicorn


def quiet(app: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(app, log_config=None, log_level="warning", access_log=False, ws="none", **more)
