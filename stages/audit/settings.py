"""Section `audit` of params.yaml."""

from pydantic import Field

from stages.core.settings import Settings, Share


class AuditSettings(Settings):
    """Which labels are listed as issues."""

    min_wrong: Share = Field(0.2, description="labels that are wrong with a lower probability are not listed")
