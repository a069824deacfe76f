"""Texts that clients send, as far as PostgreSQL can keep them: any character but NUL."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_NO_NUL = r"^[^\x00]*$"

Reason = Annotated[str, Field(max_length=500, pattern=_NO_NUL)]
Name = Annotated[str, Field(max_length=128, pattern=_NO_NUL)]
Statement = Annotated[str, Field(max_length=4000, pattern=_NO_NUL)]
Ticket = Annotated[str, Field(max_length=256, description="From `next` of a refused login.")]


class Verdict(BaseModel):
    """Why somebody's request is granted or refused. A refusal needs words; the member is told."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""
