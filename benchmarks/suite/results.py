"""Rows of figures, the JSON that others read, and the table on the terminal."""

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.suite.parts import BITS, DEFAULT, METRICS, PARTS, RESTRICTED, Contender, Part

Rounds = list[dict[str, float]]
Row = dict[str, Any]
_WIDTH = 100
_SPEED, _FACTOR, _SHARE, _MEMORY = 10, 9, 9, 9
_TITLE = 41
_STEP = 10


def row(contender: Contender, rounds: Mapping[str, Rounds], reasons: Mapping[str, str]) -> Row:
    """The medians of one contender; of ratios those within rounds. A reason stands for what could not be measured.

    `rounds` are the figures of each contender of the part, of which those without reason have equally many.
    """
    made: Row = {"name": contender.name, "title": contender.title, "reproducibility": contender.reproducibility}
    if contender.name in reasons:
        return made | {"reason": reasons[contender.name]}
    own = rounds[contender.name]
    each = per_photo(own)
    made["seconds"] = statistics.median(each)
    made["photos_per_second"] = 1 / made["seconds"]
    made["peak_mib"] = max(figures["peak_mib"] for figures in own)
    for key, other in (("times_plain", contender.plain), ("share_of_limit", contender.limit)):
        if other and other not in reasons:
            ratios = [theirs / mine for theirs, mine in zip(per_photo(rounds[other]), each)]
            made[key], made[f"{key}_range"] = statistics.median(ratios), [min(ratios), max(ratios)]
    return made


def per_photo(rounds: Rounds) -> list[float]:
    """The seconds per photo of each round."""
    return [figures["seconds"] / figures["items"] for figures in rounds]


def failed(part: Part, reason: str) -> list[Row]:
    """The rows of a part that could not be measured at all."""
    return [row(contender, {}, {contender.name: reason}) for contender in part.contenders]


def complete(header: dict[str, Any], parts: dict[str, dict[str, Any]], earlier: dict[str, Any]) -> dict[str, Any]:
    """The content of results.json: `header`, the measured `parts`, and of `earlier` results the other parts.

    Those are kept if they are of the same machine and the same commit, and that without uncommitted changes.
    """
    is_same = all(earlier.get(key) == header[key] for key in ("machine", "commit"))
    kept = earlier.get("parts", {}) if is_same and header["commit"] and not header["commit"].endswith("-dirty") else {}
    both = kept | parts
    ordered = {name: both[name] for name in PARTS if name in both}
    return header | {"parts": ordered} | _figures(ordered)


def _figures(parts: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    figures: dict[str, dict[str, float]] = {
        name: {} for name in ("ratios", "shares", "photos_per_second", "peak_mib", "seconds")
    }
    for name, part in parts.items():
        for row in part["rows"]:
            if "reason" in row:
                continue
            if name == "predict":
                key = f"predict_{row['name']}"
                figures["seconds"][key] = row["seconds"]
            elif row["name"] in (DEFAULT, RESTRICTED):
                is_default = row["name"] == DEFAULT
                key = name if is_default else f"{name}_{BITS}"
                if "times_plain" in row:
                    # `_default` names the figure of the default setting, whichever value that is.
                    for mode in ("default", METRICS) if is_default else (BITS,):
                        figures["ratios"][f"{name}_{mode}"] = row["times_plain"]
                if "share_of_limit" in row:
                    figures["shares"][key] = row["share_of_limit"]
            else:
                continue
            figures["photos_per_second"][key] = row["photos_per_second"]
            figures["peak_mib"][key] = row["peak_mib"]
    return figures


def table(results: dict[str, Any]) -> str:
    """The table, in lines of at most 100 columns."""
    machine = results["machine"]
    lines = [
        f"{machine['cpu']}, {machine['threads']} threads, commit {results['commit'][:12] or 'unknown'}"
        f"{' with changes' if results['commit'].endswith('-dirty') else ''}, {results['date']}"[:_WIDTH],
        _line("step", "what", "photos/s", "x plain", "of limit", "MiB"),
        "-" * _WIDTH,
    ]
    for name, part in results["parts"].items():
        for number, row in enumerate(part["rows"]):
            lines.append(_row_line("" if number else name, row))
    lines += ["-" * _WIDTH, *_notes(results["parts"])]
    return "\n".join(line.rstrip() for line in lines)


def _notes(parts: Mapping[str, dict[str, Any]]) -> list[str]:
    names: dict[str, list[str]] = {}
    for name, part in parts.items():
        facts = f"medians of {part['rounds']} rounds, {part['photos']} photos of {part['photos_from']}"
        names.setdefault(facts, []).append(name)
    return [f"{', '.join(several)}: {facts}"[:_WIDTH] for facts, several in names.items()]


def _line(step: str, title: str, speed: str, factor: str, share: str, memory: str) -> str:
    left = f"{step:<{_STEP}} {title:<{_TITLE}}"
    return f"{left} {speed:>{_SPEED}} {factor:>{_FACTOR}} {share:>{_SHARE}} {memory:>{_MEMORY}}"


def _row_line(step: str, row: Row) -> str:
    if "reason" in row:
        return f"{step:<{_STEP}} {row['title']}: {row['reason']}"[:_WIDTH]
    factor = f"{row['times_plain']:.2f}" if "times_plain" in row else ""
    share = f"{row['share_of_limit']:.0%}" if "share_of_limit" in row else ""
    return _line(step, row["title"], f"{row['photos_per_second']:.4g}", factor, share, f"{row['peak_mib']:.0f}")
