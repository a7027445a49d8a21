"""Section `audit` of params.yaml."""

from dataclasses import dataclass

from stages.core.params import Share


@dataclass(frozen=True)
class AuditParams:
    """Section `audit`: a label is in doubt only if its probability is `max_probability` or less."""

    max_probability: Share = 0.1
