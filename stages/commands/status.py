"""Print which stages are not up to date and why, one line each.

`dvc status` also lists every optional network of models/pretrained, most of which no stage needs. This command looks
at the pipeline, the sample, and those networks that they depend on.
"""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from stages.commands import stage_graph
from stages.commands.stage_graph import StageGraph
from stages.core import command

TARGETS = ("dvc.yaml", "data/sample/dvc.yaml")
_MAX_PATHS = 4


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


def lines(graph: StageGraph) -> list[str]:
    """One line for each stage that is changed or depends on one that is, in the order of runs."""
    found = []
    for name in graph.affected():
        if name in graph.changed:
            found.append(f"{name}: {reasons(graph.changed[name])}")
        else:
            cause = next(other for other in graph.upstream if other in graph.upstream[name] & set(graph.changed))
            found.append(f"{name}: unchanged, but runs again if {cause} gives other outputs")
    return found


def main() -> None:
    """Print the lines, and a count."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    graph = stage_graph.read(TARGETS)
    note = f"; {', '.join(graph.always)} looks for changed photos in each `dvc repro`" if graph.always else ""
    n_current = len(graph.upstream) - len(graph.changed)
    print("\n".join([*lines(graph), f"status: {n_current} of {len(graph.upstream)} stages are up to date{note}"]))


if __name__ == "__main__":
    command.run(main)
