"""A server of this process, on a free port of loopback, and what calls it."""

import contextlib
import socket
import threading
from functools import partial

import requests

from stages.commands import ensemble_heat_maps, serve
from stages.commands.serving import application, bundle_description
from stages.commands.serving.access import AccessRules
from stages.commands.serving.monitoring import ServerMetrics


class Client:
    """Calls a server at `address`."""

    def __init__(self, port):
        self.port, self.address = port, f"http://127.0.0.1:{port}"

    def get(self, path, **options):
        return requests.get(self.address + path, timeout=60, **options)

    def post(self, path="/v1/predict", **options):
        return requests.post(self.address + path, timeout=60, **options)

    def predict(self, *contents, query="", **options):
        """The answer for photos named `0.jpg`, `1.jpg` and so on."""
        return self.post(f"/v1/predict{query}", files=upload(*contents), **options)

    def raw(self, *parts):
        """A connection on which these bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        for part in parts:
            connection.sendall(part)
        return connection


def upload(*contents, field="files"):
    return [(field, (f"{number}.jpg", content)) for number, content in enumerate(contents)]


def status_of(connection):
    """The status of the answer on a connection, which is closed."""
    with connection, connection.makefile("rb") as stream:
        return int(stream.readline().split()[1])


@contextlib.contextmanager
def running(ensemble, files, limits, token=""):
    """Serve an ensemble; yields the client, and ends the server as SIGTERM does."""
    service = application.PredictService(ensemble, partial(ensemble_heat_maps.load, files), limits, ServerMetrics())
    rules = AccessRules.of("127.0.0.1", [], token)
    server = serve.server_of(application.create(service, bundle_description.describe(files, limits), rules), 60)
    with serve.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield Client(listening.getsockname()[1])
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive() and not service.queue.is_alive()
