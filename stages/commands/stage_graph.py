"""The stages of the pipeline as DVC sees them: what each depends on, and which are not up to date."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import networkx
from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo

from stages.core import command
from stages.core.errors import UserError

# DVC's word for a stage that runs each time.
_ALWAYS = ["always changed"]


class StageGraph(NamedTuple):
    """`upstream` maps each stage to all that it depends on, in the order of runs.

    `changed` maps the stages that are not up to date to the entries of DVC's `Repo.status`; `always` are those that run
    each time, as `scan` does, and that have not changed otherwise.
    """

    upstream: Mapping[str, set[str]]
    changed: Mapping[str, list[Any]]
    always: list[str]

    def affected(self) -> list[str]:
        """The stages that are changed or depend on one that is, in the order of runs."""
        return [name for name, before in self.upstream.items() if name in self.changed or before & set(self.changed)]


def read(targets: Iterable[str]) -> StageGraph:
    """The stages of `targets`, files such as dvc.yaml or names of stages, and all that they depend on.

    A file that does not exist is left out. Raises UserError.
    """
    try:
        # Another DVC process may be looking, too, or writing the lock files, which are empty for a moment then.
        with Repo(_wait_for_lock=True) as repo, lock_repo(repo):
            names = [target for target in targets if not target.endswith(".yaml") or Path(target).is_file()]
            entries: dict[str, list[Any]] = repo.status(targets=names, with_deps=True)
            graph = repo.index.graph
            roots = [stage for name in names for stage in repo.stage.collect(name)]
            # DVC's edges point from a stage to what it depends on.
            needed = set(roots).union(*(networkx.descendants(graph, stage) for stage in roots))
            order = [stage for stage in networkx.dfs_postorder_nodes(graph) if stage in needed]
            upstream = {stage.addressing: {s.addressing for s in networkx.descendants(graph, stage)} for stage in order}
    except DvcException as error:
        raise UserError(f"expected a pipeline that DVC can read, found: {command.one_line(error)}") from None
    changed = {name: found for name, found in entries.items() if found != _ALWAYS}
    return StageGraph(upstream, changed, [name for name in entries if name not in changed])
