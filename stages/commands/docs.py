"""Generate params.schema.json, docs/configuration.md and docs/reasons.md."""

import argparse
import json
from pathlib import Path

from stages.check import MAY_BE_EMPTY, NAMED, SECTIONS
from stages.core import atomic, command, progress, settings, settings_docs
from stages.report import reasons

_CONFIGURATION = """# Configuration

Every key of `params.yaml`, with its type, its range and the value that the project's own file has. This page and
`params.schema.json`, by which editors complete and check the file, are generated from the settings models of the
stages: `python -m stages docs`.

`dvc exp run -S train.learning_rate=1e-5` sets a key for one experiment. Values are read by the rules of YAML 1.2, as
DVC reads them: `1e-5` is a number, `yes` and `on` are text.

"""


def generate(params: Path) -> dict[str, str]:
    """The text of every generated file by its path; `params` is the settings file whose values are shown."""
    schema = settings_docs.json_schema(SECTIONS, NAMED)
    for name in MAY_BE_EMPTY:
        schema["properties"][name]["minProperties"] = 0
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    configuration = _CONFIGURATION + settings_docs.reference(SECTIONS, NAMED, settings.load(params))
    return {"params.schema.json": text, "docs/configuration.md": configuration, "docs/reasons.md": reasons.page()}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the values to show")
    arguments = parser.parse_args()
    texts = generate(arguments.params)
    for path, text in texts.items():
        atomic.write_text(Path(path), text)
    progress.summary("docs", files=len(texts))


if __name__ == "__main__":
    command.run(main)
