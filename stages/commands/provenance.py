"""Record the commit, networks, packages and CPU behind dvc.lock."""

import argparse
from pathlib import Path
from typing import Any

import yaml

import stages
from stages.core import atomic, command, json_file, programs, progress, settings, system
from stages.core.errors import UserError
from stages.core.result_cache import digest_of
from stages.core.runtime_settings import RuntimeSettings
from stages.detect.settings import DetectSettings
from stages.networks import runtime
from stages.segment.settings import SegmentSettings


def networks(lock: Path) -> dict[str, str]:
    """The MD5 of each converted network in a dvc.lock, by file. Raises UserError if it cannot be read."""
    try:
        stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    except FileNotFoundError:
        raise UserError(f"{lock}: expected a lock file of DVC, found none; run `make repro`") from None
    except (UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{lock}: expected a lock file of DVC, found: {error!r}; run `make repro`") from None


def precisions(path: Path, models: Path) -> dict[str, dict[str, str]]:
    """Device and precision of detection and segmentation, from params.yaml, and of each model, from its model.json."""
    detect = settings.read(path, "detect", DetectSettings).inference
    segment = settings.read(path, "segment", SegmentSettings).inference
    runtimes = {"detect": runtime.describe_runtime(detect), "segment": runtime.describe_runtime(segment)}
    by_stage = {
        name: {key: facts[key] for key in ("device", "engine", "precision")} for name, facts in runtimes.items()
    }
    for file in sorted(models.glob("*/model.json")):
        facts = json_file.read(file, ("name", "device", "precision"), "run `dvc repro -f train`")
        by_stage[f"train@{facts['name']}"] = {key: facts[key] for key in ("device", "precision")}
    return by_stage


def commit() -> str:
    """The commit that is checked out."""
    return programs.output("git", "rev-parse", "HEAD").strip()


def this_machine(params: Path) -> dict[str, Any]:
    """What decides which results this machine shares with others, for `system.match_hardware`."""
    threads = settings.read(params, "runtime", RuntimeSettings).n_threads
    return {"cpu": system.this_cpu(), "reproducibility": stages.reproducibility(), "threads": threads}


def describe(params: Path, requirements: Path, lock: Path, pretrained: Path) -> dict[str, Any]:
    """All facts but the commit and the precision of each stage."""
    return {
        **this_machine(params),
        "dvc_lock_sha256": digest_of([lock]),
        "requirements_sha256": digest_of([requirements]),
        "drift": system.drift(system.locked(requirements), system.installed()),
        "networks_md5": networks(pretrained),
    }


def main() -> None:
    """Write the file, unless only the commit differs: the results are then still those of the recorded commit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    parser.add_argument("--out", type=Path, default=Path("metrics/provenance.json"), help="the file to write")
    arguments = parser.parse_args()
    facts = describe(arguments.params, Path("requirements.lock"), Path("dvc.lock"), Path("models/pretrained/dvc.lock"))
    facts["stages"] = precisions(arguments.params, Path("models"))
    before = json_file.read(arguments.out, advice="delete it") if arguments.out.is_file() else {}
    if {**before, "commit": ""} != {**facts, "commit": ""}:
        atomic.write_json(arguments.out, facts | {"commit": commit()})
    progress.summary("provenance", networks=len(facts["networks_md5"]), drifted_packages=len(facts["drift"]))


if __name__ == "__main__":
    command.run(main)
