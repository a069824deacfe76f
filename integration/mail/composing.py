"""What a mail says: a subject, a text part and an HTML part, from a template of its name.

A template is `templates/<name>.txt`: its first line is the subject, the rest the text. The HTML
part is the same words in one frame: paragraphs, the code set apart, links clickable.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

_FOLDER = Path(__file__).parent / "templates"
_LINK = re.compile(r"https?://[^\s<>\"]+")
_CODE = re.compile(r"\A\s*(\d{6,8})\s*\Z")

_templates = Environment(
    loader=FileSystemLoader(_FOLDER),
    undefined=StrictUndefined,
    autoescape=select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, ready to be sent."""

    to: str
    subject: str
    text: str
    html: str


def names() -> frozenset[str]:
    """Return the names of all templates."""
    return frozenset(path.stem for path in _FOLDER.glob("*.txt"))


def compose(template: str, to: str, facts: Mapping[str, str]) -> Mail:
    """Return one mail.

    Args:
        template: One of `names()`.
        facts: What the template mentions; a missing one is an error.
    """
    words = _templates.get_template(f"{template}.txt").render(facts)
    subject, _, text = words.partition("\n")
    return frame(to, " ".join(subject.split()), text.strip() + "\n")


def frame(to: str, subject: str, text: str) -> Mail:
    """Return a mail of these words, with an HTML part that says the same."""
    paragraphs = [_to_html(part) for part in re.split(r"\n\s*\n", text.strip())]
    html = _templates.get_template("frame.html").render(subject=subject, paragraphs=paragraphs)
    return Mail(to=to, subject=subject, text=text, html=html)


def _to_html(paragraph: str) -> Markup:
    if code := _CODE.match(paragraph):
        return Markup('<strong class="code">{}</strong>').format(code[1])
    pieces: list[Markup] = []
    end = 0
    for link in _LINK.finditer(paragraph):
        pieces.append(escape(paragraph[end : link.start()]))
        pieces.append(Markup('<a href="{0}">{0}</a>').format(link[0]))
        end = link.end()
    pieces.append(escape(paragraph[end:]))
    return Markup("").join(pieces)
