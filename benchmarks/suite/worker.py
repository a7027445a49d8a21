"""A process that measures one contender: `python -m benchmarks.suite.worker MODULE:FUNCTION`, in a project's folder.

It answers with a line of JSON on standard output after a warm-up round, and after each further one that a line on
standard input asks for; `end` or the end of the input ends it. All that the work prints goes to standard error.
"""

import os
import sys
from collections.abc import Callable
from importlib import import_module

from benchmarks.suite.report import Missing, Report


def measure(work: Callable[[Report], None], report: Report) -> None:
    """Call `work`; a package or file that it lacks is a reply, any other error ends the process."""
    try:
        work(report)
    except ModuleNotFoundError as error:
        report.send({"missing": f"{error.name} is not installed"})
    except Missing as error:
        report.send({"missing": str(error)})


def main() -> None:
    """Measure until no round is wanted."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, function = sys.argv[1].partition(":")
    sys.argv = sys.argv[:1]
    # Imported within, for a module may lack a package, too.
    measure(
        lambda report: getattr(import_module(f"benchmarks.suite.{module}"), function)(report),
        Report(replies, sys.stdin),
    )


if __name__ == "__main__":
    main()
