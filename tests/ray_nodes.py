"""A Ray cluster on this machine, of a head without cores and nodes that come and go."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

STORE_BYTES = 100 * 2**20
# Ray takes 127.0.0.1 for the machine's outer address.
_ADDRESS = "127.0.0.2"


class Nodes:
    """A cluster of `count` nodes of `n_cores` cores each; its workers start in `folder`, outside the project."""

    def __init__(self, folder: Path, count: int = 2, n_cores: int = 1, store_bytes: int = STORE_BYTES) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        self._count, self._own = count, {"object_store_memory": store_bytes, "node_ip_address": _ADDRESS}
        self._folder, self._n_cores = folder, n_cores
        self.nodes: list[object] = []
        with chdir(folder):
            self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **self._own})
        self.address: str = self._cluster.address
        self.fill()

    def remove(self) -> None:
        """Kill a node."""
        self._cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def fill(self) -> None:
        """Start the nodes that are missing."""
        with chdir(self._folder):
            while len(self.nodes) < self._count:
                self.nodes.append(self._cluster.add_node(num_cpus=self._n_cores, **self._own))

    def stop(self) -> None:
        """Stop all nodes and the head."""
        self._cluster.shutdown()


@contextmanager
def running(count: int = 2, n_cores: int = 1, store_bytes: int = STORE_BYTES) -> Iterator[Nodes]:
    """Start a cluster and stop it at the end."""
    with tempfile.TemporaryDirectory() as elsewhere:
        nodes = Nodes(Path(elsewhere), count, n_cores, store_bytes)
        try:
            yield nodes
        finally:
            nodes.stop()
