"""The system that results depend on: installed and locked packages, the CPU."""

import platform
import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import stages

# The CPU features by which the engines choose instructions, and so the last digits of their outputs.
_FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "bf16")


# The packages that images are decoded, computed and encoded with.
_IMAGE_LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "pi-heif")

HardwareMatch = Literal["same", "kernels", "other"]


def locked(path: Path) -> dict[str, str]:
    """The version of every package that a pip lock file lists for this machine, by canonical name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    listed = [Requirement(line.split(" \\")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    applicable = [package for package in listed if package.marker is None or package.marker.evaluate()]
    return {canonicalize_name(package.name): str(package.specifier).removeprefix("==") for package in applicable}


def installed() -> dict[str, str]:
    """The version of every package that this interpreter would import, by canonical name.

    Read from the names of the packages' folders, `<name>-<version>.dist-info`: `importlib.metadata` reads each file
    of metadata, half a second for each stage.
    """
    folders = [folder.stem for entry in reversed(sys.path) for folder in sorted(Path(entry).glob("*.dist-info"))]
    versions = (stem.rpartition("-") for stem in folders)
    return {canonicalize_name(name): version for name, _, version in versions if name}


def image_libraries() -> dict[str, str]:
    """The versions of the packages that the pixels of an image depend on, by name."""
    return {name: metadata.version(name) for name in _IMAGE_LIBRARIES}


def drift(wanted: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """The packages of `wanted` that differ in `present`, one line each, such as `numpy 1.0, locked 2.0`."""
    return [
        f"{name} {present.get(name, 'missing')}, locked {version}"
        for name, version in sorted(wanted.items())
        if present.get(name) != version
    ]


def drift_from(path: Path) -> list[str]:
    """The installed packages that differ from a lock file, as of `drift`; none where there is no such file."""
    return drift(locked(path), installed()) if path.is_file() else []


def cpu(information: str) -> dict[str, object]:
    """Vendor, family, model, relevant features of the first CPU in the text of `/proc/cpuinfo`, which may be empty."""
    first = information.partition("\n\n")[0]
    fields = dict(re.findall(r"^(\w[\w ]*?)\s*: (.*)$", first, re.MULTILINE))
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return {
        "machine": platform.machine(),
        "vendor": fields.get("vendor_id", ""),
        "family": " ".join(fields[name] for name in ("cpu family", "model") if name in fields),
        "model": fields.get("model name", platform.processor() or "unknown"),
        "features": [name for name in _FEATURES if name in flags],
    }


def match_hardware(one: Mapping[str, Any], other: Mapping[str, Any]) -> HardwareMatch:
    """Which results two machines share; each is described by its `cpu`, `reproducibility` and `threads`.

    `same`: the same CPU, setting and threads of training, hence the same bytes. `kernels`: CPUs of one vendor, both
    restricted to AVX2: the same bytes in inference, but perhaps not in training, where TensorFlow's block sizes depend
    on the caches.
    """
    if all(one.get(name) == other.get(name) for name in ("cpu", "reproducibility", "threads")):
        return "same"
    both = one, other
    is_avx2 = all(m["reproducibility"] == stages.BITS and {"avx2", "fma"} <= set(m["cpu"]["features"]) for m in both)
    vendors = {(machine["cpu"]["machine"], machine["cpu"]["vendor"]) for machine in both}
    return "kernels" if is_avx2 and len(vendors) == 1 else "other"


def this_cpu() -> dict[str, object]:
    """Vendor, family, model and relevant features of this machine's CPU."""
    path = Path("/proc/cpuinfo")
    return cpu(path.read_text(encoding="utf-8") if path.is_file() else "")
