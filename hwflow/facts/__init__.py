"""What each step of a build passes on: a frozen model a step, whose text is JSON."""

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """What a step measured or decided, for later steps and the report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


__all__ = ["Facts"]
