"""What results are made with: the packages beside those that are locked, the CPU."""

import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import stages

# What decides which instructions the engines take, and so the last digits of what they compute.
_FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "bf16")


HardwareMatch = Literal["same", "kernels", "other"]


def locked(path: Path) -> dict[str, str]:
    """The version of every package that a lock file of pip names for this machine, by canonical name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    stated = [Requirement(line.split(" \\")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    meant = [found for found in stated if found.marker is None or found.marker.evaluate()]
    return {canonicalize_name(found.name): str(found.specifier).removeprefix("==") for found in meant}


def installed() -> dict[str, str]:
    """The version of every package that this interpreter would import, by canonical name."""
    found = ((item.metadata["Name"], item.version) for item in metadata.distributions())
    return {canonicalize_name(name): version for name, version in found if name}


def drift(wanted: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """What differs of the packages `wanted` from those `present`, one line each, such as `numpy 1.0, locked 2.0`."""
    return [
        f"{name} {present.get(name, 'missing')}, locked {version}"
        for name, version in sorted(wanted.items())
        if present.get(name) != version
    ]


def drift_from(path: Path) -> list[str]:
    """What differs of the installed packages from those of a lock file; nothing where there is no such file."""
    return drift(locked(path), installed()) if path.is_file() else []


def cpu(information: str) -> dict[str, object]:
    """Maker, family, model, relevant features of the first CPU in the text of `/proc/cpuinfo`, which may be empty."""
    first = information.partition("\n\n")[0]
    facts = dict(re.findall(r"^(\w[\w ]*?)\s*: (.*)$", first, re.MULTILINE))
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return {
        "machine": platform.machine(),
        "vendor": facts.get("vendor_id", ""),
        "family": " ".join(facts[name] for name in ("cpu family", "model") if name in facts),
        "model": facts.get("model name", platform.processor() or "unknown"),
        "features": [name for name in _FEATURES if name in flags],
    }


def match_hardware(one: Mapping[str, Any], other: Mapping[str, Any]) -> HardwareMatch:
    """How far two machines compute alike; each is told by its `cpu` and its `reproducibility`.

    `same`: the same CPU and setting. `kernels`: CPUs of one maker, both held to AVX2. There networks that are asked
    give the same bytes; training may not, since TensorFlow cuts its work to the sizes of the caches.
    """
    if (one["cpu"], one["reproducibility"]) == (other["cpu"], other["reproducibility"]):
        return "same"
    both = one, other
    is_held = all(m["reproducibility"] == stages.BITS and {"avx2", "fma"} <= set(m["cpu"]["features"]) for m in both)
    makers = {(machine["cpu"]["machine"], machine["cpu"]["vendor"]) for machine in both}
    return "kernels" if is_held and len(makers) == 1 else "other"


def this_cpu() -> dict[str, object]:
    """Maker, family, model and relevant features of this machine's CPU."""
    path = Path("/proc/cpuinfo")
    return cpu(path.read_text(encoding="utf-8") if path.is_file() else "")
