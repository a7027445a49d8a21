"""A source that another DVC stage writes, such as the rendered sample, is made before it is listed."""

import os
import sys
from pathlib import Path

from stages.core import command, programs
from stages.sources.store import is_url


def stages_that_write(path: Path) -> list[str]:
    """The DVC stages that are not up to date and whose output is `path` or a folder above it.

    None outside a DVC repository, and none for a path outside the working directory: DVC takes seconds to know that.
    """
    if not Path(os.path.normpath(path.absolute())).is_relative_to(Path.cwd()):
        return []
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    whole = Path(os.path.normpath(path.absolute()))
    try:
        with Repo() as repo:
            # Not `find_outs_by_path`, which builds the graph of all stages first.
            made = [out.stage for out in repo.index.outs if Path(out.fs_path) in (whole, *whole.parents)]
            with repo.lock:
                return [stage.addressing for stage in made if stage.cmd and stage.changed()]
    except NotDvcRepoError:
        return []


def reproduce(source: str) -> None:
    """Run `dvc repro` for the stages that write a local source.

    The source is no `dep` in dvc.yaml: it can be what DVC refuses to hash, such as a folder with a dangling link, or
    cannot know, such as `memory://`. A stage may call DVC: it releases its lock while a command runs. Raises
    ProgramError where `dvc repro` fails.
    """
    path = source.removeprefix("file://")
    if is_url(path):
        return
    for stage in stages_that_write(Path(path)):
        programs.run(sys.executable, "-m", "dvc", "repro", "--quiet", stage, env=command.environment())
