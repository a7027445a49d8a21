"""Files of Git revisions and DVC experiments; an unknown revision or a missing file is one line."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dvc.api
from dvc.exceptions import DvcException

from stages.core import programs
from stages.core.errors import UserError

WORKSPACE = "workspace"
_MAX_NAMES = 12


def experiment_ref() -> str:
    """The Git reference below which DVC keeps the experiments made from the last commit."""
    return ref_of(programs.output("git", "rev-parse", "HEAD").strip())


def ref_of(commit: str) -> str:
    """The Git reference below which DVC keeps the experiments made from a commit."""
    return f"refs/exps/{commit[:2]}/{commit[2:]}"


def existing_runs() -> set[str]:
    """The names of the experiments made from the last commit."""
    return set(programs.output("git", "for-each-ref", "--format=%(refname:lstrip=4)", experiment_ref()).split())


def experiment_names() -> list[str]:
    """The names of the experiments of all commits, sorted."""
    references = programs.output("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    # refs/exps/<two digits>/<38 digits>/<name>: DVC keeps other references beside them.
    parts = [reference.split("/") for reference in references]
    return sorted({part[4] for part in parts if len(part) == 5 and len(part[3]) == 38})


def require_known(revision: str) -> None:
    """Raise UserError, with the known experiments, unless Git or DVC knows `revision`.

    Where Git refuses the repository, because another user owns it, say, the error holds Git's own advice.
    """
    programs.output("git", "rev-parse", "--git-dir")
    is_commit = programs.succeeds("git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if revision == WORKSPACE or is_commit:
        return
    names = experiment_names()
    if revision not in names:
        shown = f"{', '.join(names[:_MAX_NAMES])}{', ...' if len(names) > _MAX_NAMES else ''}" or "none"
        raise UserError(
            f"unknown revision: expected a Git revision, an experiment name or `{WORKSPACE}`, found `{revision}`; "
            f"known experiments: {shown}"
        )


@contextmanager
def opened(revision: str) -> Iterator[dvc.api.DVCFileSystem]:
    """Yield the files of a Git revision, a DVC experiment, or the workspace, those in DVC's cache among them.

    Raises UserError for an unknown revision and for a file that it does not have, and with DVC's message for others.
    """
    require_known(revision)
    try:
        with closing(dvc.api.DVCFileSystem(rev=None if revision == WORKSPACE else revision)) as files:
            yield files
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename or error}: expected this file in `{revision}`, and its content in DVC's cache, found "
            "none; run `dvc repro`, or `dvc pull` for outputs of another machine"
        ) from None
    except DvcException as error:
        raise UserError(f"`{revision}`: expected files that DVC can read, found: {error}") from None


def fetch(revision: str, path: str, folder: Path) -> Path:
    """Copy a file or folder of a revision to the same path below `folder`; return that path. Raises UserError."""
    copy = folder / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    with opened(revision) as files:
        files.get(path, str(copy), recursive=True)
    return copy
