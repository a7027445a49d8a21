"""Section `audit` of params.yaml."""

from pydantic import Field

from stages.core.settings import Settings, Share


class AuditSettings(Settings):
    """Which labels are listed as issues."""

    max_probability: Share = Field(0.1, description="labels of a higher out-of-sample probability are not listed")
