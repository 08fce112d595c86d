"""Aliyun's short message service on this machine: it checks signatures and remembers."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from notifications.channels.sms_aliyun import AliyunAccount
from tests.notifications.far_end import Answering, HttpFarEnd

SECRET = "a secret"


class FakeAliyun(HttpFarEnd):
    """Takes messages as long as it is told nothing else."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.taken: list[dict[str, str]] = []
        self.queries: list[dict[str, str]] = []
        self.code = "OK"
        self.status = 200
        self.silent = False
        self.send_status = 3

    def account(self, templates: Mapping[str, str]) -> AliyunAccount:
        """An account that reaches it."""
        return AliyunAccount("id", SECRET, "一网通办", templates, f"127.0.0.1:{self.server_port}", "HTTP")


class _Handler(Answering):
    server: FakeAliyun

    def do_POST(self) -> None:
        self.body()
        query = dict(parse_qsl(urlsplit(self.path).query))
        assert self.headers["Authorization"].endswith(f"Signature={self._signature(query)}")
        answer: dict[str, Any] = {"Code": self.server.code, "Message": "…", "RequestId": "r"}
        if self.headers["x-acs-action"] == "SendSms":
            if self.server.code == "OK":
                self.server.taken.append(query)
                answer["BizId"] = "1"
            if self.server.silent:
                time.sleep(0.4)
        else:
            self.server.queries.append(query)
            mine = [one for one in self.server.taken if one["PhoneNumbers"] == query["PhoneNumber"]]
            details = [{"OutId": one["OutId"], "SendStatus": self.server.send_status} for one in mine]
            answer |= {"TotalCount": str(len(details)), "SmsSendDetailDTOs": {"SmsSendDetailDTO": details}}
        self.answer(self.server.status, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _signature(self, query: dict[str, str]) -> str:
        """ACS3-HMAC-SHA256, computed by ourselves."""
        names = self.headers["Authorization"].split("SignedHeaders=")[1].split(",")[0]
        signed = "".join(f"{name}:{self.headers[name].strip()}\n" for name in names.split(";"))
        asked = "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))
        lines = ["POST", "/", asked, signed, names, self.headers["x-acs-content-sha256"]]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return hmac.new(SECRET.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), hashlib.sha256).hexdigest()
