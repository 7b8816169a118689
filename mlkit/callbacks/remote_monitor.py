"""RemoteMonitor: sends the metrics of every epoch to a server."""

import json
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from typing import Any

from mlkit.callbacks.callback import Callback


class RemoteMonitor(Callback):
    """Posts the logs of every epoch by HTTP.

    A server that cannot be reached gives a warning and does not stop training.

    Args:
        root: address of the server.
        path: path appended to it.
        field: form field that holds the JSON text.
        headers: dict of further HTTP headers.
        send_as_json: whether the body is the JSON text itself and no form.
    """

    only_on_rank_0 = True

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ):
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        text = json.dumps({"epoch": epoch, **(logs or {})})
        if self.send_as_json:
            body, kind = text, "application/json"
        else:
            body, kind = urllib.parse.urlencode({self.field: text}), "application/x-www-form-urlencoded"
        request = urllib.request.Request(
            self.root + self.path, body.encode(), {"Content-Type": kind, **(self.headers or {})}, method="POST"
        )
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except OSError as error:
            warnings.warn(f"RemoteMonitor: {self.root}{self.path} did not take the metrics: {error}", stacklevel=2)
