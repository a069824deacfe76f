"""The permission model, read from the file that Keto reads."""

from pathlib import Path

from policies.opl import parse
from policies.relation_model import RelationModel

MODEL = Path(__file__).parents[1] / "keto" / "namespaces.keto.ts"


def read_model(path: Path = MODEL) -> RelationModel:
    """Return the model.

    Raises:
        ValueError: it breaks a house rule; the message names the line or the rule.
        OSError: the file is not there.
    """
    return parse(path.read_text(encoding="utf-8"))
