"""Section `audit` of params.yaml."""

from pydantic import Field

from stages.core.settings import Settings, Share


class AuditSettings(Settings):
    """When a label is listed as an issue."""

    max_probability: Share = Field(
        0.1, description="a label of a higher out-of-sample probability is no label issue, whatever else points to it"
    )
