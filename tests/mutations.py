"""Mutation tests: one fault at a time is inserted into a copy of the code, and the tests for that code must fail.

`python -m tests.mutations` runs them all; the tests check that each mutation still matches the code.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

ROOT = Path(__file__).parent.parent
_COPIED = ("stages", "tests", "pyproject.toml", "params.yaml", "dvc.yaml")


class Mutation(NamedTuple):
    """Replace `old`, which occurs once in `file` below stages/, by `new`; then `tests`, below tests/, must fail."""

    file: str
    old: str
    new: str
    tests: str


MUTATIONS = [
    Mutation("images/overlap.py", "boxes.area(b) - intersection", "boxes.area(b)", "images/test_overlap.py"),
    Mutation("images/boxes.py", "[-1, -1, 1, 1]", "[-1, -1, 1, 0]", "images/test_boxes.py"),
    Mutation("images/boxes.py", "max(x_max, x_min + 1)", "x_max", "images/test_boxes.py"),
    Mutation("images/letterbox.py", "(size_wh[0] - inner_w) // 2", "0", "images/test_letterbox.py"),
    Mutation("images/letterbox.py", "cv2.INTER_AREA", "cv2.INTER_NEAREST", "images/test_letterbox.py"),
    Mutation("images/frame.py", "(image, *frame_wh)", "(image, *frame_wh[::-1])", "images/test_frame.py"),
    Mutation("images/frame.py", "frame_wh[1] - top - height", "top", "images/test_frame.py"),
    Mutation("images/depth.py", "(found.white - found.black) / 255", "(found.white - found.black) / 256",
             "images/test_depth.py"),
    Mutation("images/images.py", "6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)",
             "6: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)", "images/test_images.py"),
    Mutation("images/images.py", "not stat.S_ISREG(info.st_mode)", "False", "ingest/test_manifest_rows.py"),
    Mutation("detect/centernet.py", "-heatmap[rows, columns, classes]", "heatmap[rows, columns, classes]",
             "detect/test_centernet.py"),
    Mutation("segment/segmenter.py", "_mirrored(output[0], view.flip)", "output[0]", "segment/test_segmenter.py"),
    Mutation("ingest/splits.py", "enumerate(sizes[:-1])", "enumerate(sizes)", "ingest/test_splits.py"),
    Mutation("core/archive.py", "flags & _STREAMED", "flags & 0", "core/test_archive.py"),
    Mutation("novelty/scores.py", 'int(reference["neighbours"]) + 1', 'int(reference["neighbours"])',
             "novelty/test_scores.py"),
    Mutation("core/tables.py", "before + row + 2", "row + 2", "core/test_tables.py"),
    Mutation("core/result_cache.py", "if own not in known", "if own in known", "core/test_result_cache.py"),
    Mutation("selection/main_car.py", "found.index + first", "found.index", "selection/test_main_car.py"),
    Mutation("core/tables.py", "compute.less(texts", "compute.less_equal(texts", "core/test_tables.py"),
    Mutation("crop/cropping.py", "table.index[order]", "table.index[wanted]", "crop/test_cropping.py"),
    Mutation("mask/masking.py", "image_ids.index[order]", "image_ids.index", "mask/test_masking.py"),
    Mutation("ingest/splits.py", "if size <= quota", "if size <= quota + 1", "ingest/test_splits.py"),
    Mutation("core/atomic.py", "temporary.unlink(missing_ok=True)", "pass", "core/test_atomic.py"),
    Mutation("core/result_cache.py", "[:-_MAX_CONFIGS]", "[:0]", "core/test_result_cache.py"),
    Mutation("segment/segmentation.py", '"network": digest_of([runtime.require_network(networks / view.spec.file)])',
             '"network": ""', "segment/test_segmentation.py"),
    Mutation("scan/scanning.py", '.mask(unset & leaves, "outside")', "", "scan/test_scanning.py"),
    Mutation("submission/submitting.py", "    _require_unique(found, paths, settings)", "    pass",
             "submission/test_submitting.py"),
    Mutation("ingest/splits.py", "free = [number for number in range(len(splits) - 1)",
             "free = [number for number in range(len(splits))", "ingest/test_splits.py"),
    Mutation("ingest/splits.py", "min(free, key=", "max(free, key=", "ingest/test_splits.py"),
    Mutation("ingest/manifest_rows.py", "np.argsort(rank[by_path], kind=\"stable\")", "np.arange(len(rank))",
             "ingest/test_manifest_rows.py"),
    Mutation("scan/column_roles.py", "[text.strip() for text in cells.text(column)]", "cells.text(column)",
             "scan/test_photo_table.py"),
    Mutation("commands/serving/photo_queue.py", "if batch and n_pixels > self._limits.max_pixels", "if False",
             "commands/serving/test_photo_queue.py"),
    Mutation("networks/runtime.py", "waiting.popleft()", "waiting.pop()", "networks/test_runtime.py"),
    Mutation("classifiers/folding.py", "-layer.moving_mean * factor", "layer.moving_mean * factor",
             "classifiers/test_folding.py"),
    Mutation("evaluate/evaluation.py", "rows.reshape(len(source.names), views.number, -1).swapaxes(0, 1)",
             "rows.reshape(views.number, len(source.names), -1)", "evaluate/test_evaluation.py"),
    Mutation("evaluate/tta.py", "images[place], tta_views", "images[0], tta_views", "evaluate/test_evaluation.py"),
    Mutation("scoring/temperature_scaling.py", "safe_log(probabilities) / temperature",
             "safe_log(probabilities) * temperature", "scoring/test_temperature_scaling.py"),
    Mutation("scoring/calibration.py", "np.ceil(confidence * _N_BINS)", "np.floor(confidence * _N_BINS)",
             "scoring/test_calibration.py"),
    Mutation("evaluate/tta_views.py", "photo[:, ::-1]", "photo[::-1]", "evaluate/test_tta.py"),
    Mutation("evaluate/tta.py", "params.agreement * views", "params.agreement", "evaluate/test_tta.py"),
    Mutation("classifiers/pretrained.py", "longer / max(size_hw)", "longer / min(size_hw)", "train/test_trainer.py"),
    Mutation("classifiers/keras_to_onnx.py", "_Shrink(*_matrices(layer))", "_Shrink(*_matrices(layer)[::-1])",
             "classifiers/test_keras_to_onnx.py"),
    Mutation("train/schedule.py", "+ self.first_step", "", "train/test_schedule.py"),
    Mutation("train/training_data.py", "range(first_step * size, total)", "range(first_step, total)",
             "train/test_training_data.py"),
    Mutation("core/system.py", "len(vendors) == 1", "True", "core/test_system.py"),
    Mutation("__init__.py", "\"avx2\" not in present", "False", "test_reproducibility.py"),
    Mutation("__init__.py", "os.environ.setdefault(_name, _value)", "pass", "test_reproducibility.py"),
    Mutation("commands/reproduction.py", "max(1.0, abs(self.before))", "1.0", "commands/test_reproduction.py"),
]  # fmt: skip


def is_detected(mutation: Mutation) -> bool:
    """Whether the tests fail with the mutation."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in _COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        path = folder / "stages" / mutation.file
        path.write_text(path.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", f"tests/{mutation.tests}"]
        code = subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode
    if code not in (0, 1):
        raise RuntimeError(f"tests/{mutation.tests}: expected tests to run, found pytest's exit code {code}")
    return code == 1


def main() -> None:
    """Print the mutations that no test detects; exit with 1 if there is one."""
    undetected = [mutation for mutation in tqdm(MUTATIONS, unit="mutation") if not is_detected(mutation)]
    for mutation in undetected:
        print(f"stages/{mutation.file}: `{mutation.old}` as `{mutation.new}` is not detected by tests/{mutation.tests}")
    print(f"mutations: {len(MUTATIONS) - len(undetected)} of {len(MUTATIONS)} mutations detected")
    sys.exit(bool(undetected))


if __name__ == "__main__":
    main()
