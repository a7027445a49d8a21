"""A source that another DVC stage writes, such as the rendered sample, is made before it is listed."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stages.core import command, programs
from stages.scan import stage_files
from stages.sources.store import is_url

if TYPE_CHECKING:
    from dvc.repo import Repo


def stages_that_write(path: Path) -> list[str]:
    """The DVC stages that are not up to date and whose output is `path` or a folder above it.

    None outside a DVC repository, and none for a path outside the working directory: DVC takes seconds to know that.
    """
    whole = Path(os.path.normpath(path.absolute()))
    if not whole.is_relative_to(Path.cwd()) or not stage_files.could_write(whole):
        return []
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo, lock_repo
    from dvc.repo.index import Index

    try:
        # Another DVC process may be writing the lock files, which are empty for a moment then.
        with Repo(_wait_for_lock=True) as repo, lock_repo(repo):
            # Not `find_outs_by_path`, which builds the graph of all stages first, nor `repo.index`, which compares each
            # photo in the repository with the patterns of .dvcignore.
            outs = (out for file in _stage_files(repo, whole) for out in Index.from_file(repo, file).outs)
            made = [out.stage for out in outs if Path(out.fs_path) in (whole, *whole.parents)]
            return [stage.addressing for stage in made if stage.cmd and stage.changed()]
    except NotDvcRepoError:
        return []


def _stage_files(repo: "Repo", source: Path) -> Iterator[str]:
    """Yield the files of the stages of a repository; none lies in `source`, for it would be its own output."""
    from dvc.dvcfile import is_valid_filename

    for folder, folders, files in os.walk(repo.root_dir):
        paths = [os.path.join(folder, name) for name in files if is_valid_filename(name)]  # noqa: PTH118
        yield from sorted(
            path for path in paths if not repo.dvcignore.is_ignored_file(path) and not repo.scm.is_ignored(path)
        )
        inner = ((name, Path(folder, name)) for name in sorted(folders))
        folders[:] = [
            name
            for name, path in inner
            if path != source and not repo.dvcignore.is_ignored_dir(str(path)) and not repo.scm.is_ignored(f"{path}/")
        ]


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
