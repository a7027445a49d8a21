"""The pipeline's own steps, run by the functions that the stages call."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmarks.suite import dvc_stages
from benchmarks.suite.report import Report
from stages.images.settings import read_used
from stages.networks import runtime


def keep_networks() -> None:
    """Load each network once per process: rates are those of a long run, in which loading counts for nothing."""
    load = runtime.load
    loaded: dict[str, Any] = {}

    def load_once(*arguments: Any, **options: Any) -> Any:
        key = repr((arguments, options))
        if key not in loaded:
            loaded[key] = load(*arguments, **options)
        return loaded[key]

    vars(runtime)["load"] = load_once


def n_photos() -> int:
    """The number of usable photos of the project."""
    return int((pd.read_csv("data/manifest.csv")["status"] == "ok").sum())


def segmenters() -> list[str]:
    """The segmenters of the project's settings."""
    return list(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["segmenters"])


def _measure(report: Report, steps: list[tuple[str, str]], count: Callable[[], int]) -> None:
    keep_networks()
    while True:
        dvc_stages.clear(steps)
        started = time.perf_counter()
        for step in steps:
            dvc_stages.run(*step)
        report(time.perf_counter() - started, count())


def ingest(report: Report) -> None:
    """The stage ingest; of the files, also those that turn out unusable count."""
    _measure(report, [("ingest", "")], lambda: len(pd.read_csv("data/manifest.csv")))


def detect(report: Report) -> None:
    """The stage detect."""
    _measure(report, [("detect", "")], n_photos)


def crop(report: Report) -> None:
    """The stage crop."""
    _measure(report, [("crop", "")], n_photos)


def mask_step(report: Report) -> None:
    """From the files of crops to those of masks: segment for each segmenter, then mask."""
    _measure(report, [*(("segment", name) for name in segmenters()), ("mask", "")], n_photos)


def resize(report: Report) -> None:
    """The stage resize, for each input that a model names."""
    _measure(report, [("resize", name) for name in read_used(Path("params.yaml"))], n_photos)


def evaluate(report: Report) -> None:
    """The stage evaluate of the first model; the photos are those of val and test."""
    from benchmarks.suite.keras_data import first_model, splits
    from stages.classifiers import onnx_classifier

    vars(onnx_classifier)["load_trained"] = cache(onnx_classifier.load_trained)
    n_scored = sum(len(splits()[name].labels) for name in ("val", "test"))
    _measure(report, [("evaluate", first_model()[0])], lambda: n_scored)


def epoch(report: Report) -> None:
    """The steps of one epoch of the stage train."""
    from benchmarks.suite.keras_data import train

    train(report)


def _predict_cold(report: Report, options: list[str]) -> None:
    photo = str(next(iter(sorted(Path("photos").rglob("*.jp*g")))))
    command = [sys.executable, "-m", "stages.commands.predict", photo, *options]
    while True:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"expected predict to succeed, found exit status {process.returncode}")
        report(time.perf_counter() - started, 1, usage.ru_maxrss / 1024)


def predict_cold_project(report: Report) -> None:
    """The command predict on one photo, from the start of its process to the end, with the project's models."""
    _predict_cold(report, [])


def predict_cold_bundle(report: Report) -> None:
    """The same with a bundle."""
    _predict_cold(report, ["--model", "bundle"])


def predict_warm(report: Report) -> None:
    """One photo by an ensemble that is loaded."""
    from stages.commands import trained_ensemble

    ensemble = trained_ensemble.of_project().load()
    photos = [min(Path("photos").rglob("*.jp*g"))]
    list(ensemble.predict(photos))
    while True:
        started = time.perf_counter()
        list(ensemble.predict(photos))
        report(time.perf_counter() - started, 1)
