"""Print which stages are not up to date and why, one line each.

`dvc status` also lists every optional network of models/pretrained, most of which no stage needs. This command looks
at the pipeline, the sample, and those networks that they depend on.
"""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import networkx
from dvc.exceptions import DvcException
from dvc.repo import Repo

from stages.core import command
from stages.core.errors import UserError

TARGETS = ("dvc.yaml", "data/sample/dvc.yaml")
_MAX_PATHS = 4
# DVC's word for a stage that runs each time.
ALWAYS = "always changed"
Changes = Mapping[str, list[Any]]


def reasons(entries: Iterable[Any]) -> str:
    """What has changed for one stage, on one line, from its entries in the result of `Repo.status`.

    An entry is a text such as `changed command`, or maps `changed deps` or `changed outs` to the states of paths; that
    of a file of parameters may be a mapping of its own.
    """
    parts = []
    for entry in entries:
        for kind, states in entry.items() if isinstance(entry, dict) else [(entry, {})]:
            paths = list(_paths(states))
            more = f" and {len(paths) - _MAX_PATHS} more" if len(paths) > _MAX_PATHS else ""
            parts.append(f"{kind}{': ' if paths else ''}{', '.join(paths[:_MAX_PATHS])}{more}")
    return "; ".join(parts)


def _paths(states: Mapping[str, Any]) -> Iterable[str]:
    for path, state in states.items():
        if isinstance(state, dict):
            yield from (f"{key} ({word})" for key, word in state.items())
        else:
            yield f"{path} ({state})"


def lines(changed: Changes, upstream: Mapping[str, set[str]]) -> list[str]:
    """One line for each stage that is changed or depends on one that is; `upstream` is in the order of runs.

    A stage that runs each time, as `scan` does, is no change: what follows it runs only if the source changed.

    `changed` maps names of stages to the entries of `Repo.status`, `upstream` each to all stages that it depends on.
    """
    found = []
    changed = {name: entries for name, entries in changed.items() if entries != [ALWAYS]}
    for name, before in upstream.items():
        cause = next((other for other in upstream if other in before and other in changed), None)
        if name in changed:
            found.append(f"{name}: {reasons(changed[name])}")
        elif cause:
            found.append(f"{name}: unchanged, but runs again if {cause} gives other outputs")
    return found


def read_pipeline(targets: Iterable[str]) -> tuple[Changes, dict[str, set[str]]]:
    """What `lines` takes, for all stages of `targets` and those that they depend on. Raises UserError."""
    try:
        with Repo() as repo:
            names = [target for target in targets if Path(target).is_file()]
            changed: Changes = repo.status(targets=names, with_deps=True)
            graph = repo.index.graph
            roots = [stage for stage in graph if stage.path_in_repo in names]
            # DVC's edges point from a stage to what it depends on.
            needed = set(roots).union(*(networkx.descendants(graph, stage) for stage in roots))
            order = [stage for stage in networkx.dfs_postorder_nodes(graph) if stage in needed]
            upstream = {stage.addressing: {s.addressing for s in networkx.descendants(graph, stage)} for stage in order}
    except DvcException as error:
        raise UserError(f"expected a pipeline that DVC can read, found: {command.one_line(error)}") from None
    return changed, upstream


def main() -> None:
    """Print the lines, and a count."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    changed, upstream = read_pipeline(TARGETS)
    found = lines(changed, upstream)
    always = [name for name, entries in changed.items() if entries == [ALWAYS]]
    note = f"; {', '.join(always)} looks for changed photos in each `dvc repro`" if always else ""
    n_current = len(upstream) - len(changed) + len(always)
    print("\n".join([*found, f"status: {n_current} of {len(upstream)} stages are up to date{note}"]))


if __name__ == "__main__":
    command.run(main)
