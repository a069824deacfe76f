"""What a person does in a browser, whichever browser it is.

People find a field by its label, a button or a link by its words; so do the tests.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from urllib.parse import parse_qs, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as the mailbox page shows it."""

    subject: str
    text: str


class Browser(ABC):
    """One window of a browser with cookies of its own.

    Every page that is reached is looked at: `check` fails the test where it is not whole.
    """

    name: str

    def __init__(self, start_url: str) -> None:
        self.start_url = start_url

    @property
    @abstractmethod
    def address(self) -> str:
        """Return where the window is, in full."""

    @property
    @abstractmethod
    def html(self) -> str:
        """Return the page's markup."""

    @abstractmethod
    def cookies_for(self, url: str) -> dict[str, str]:
        """Return the cookies that this window would send to an address."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def go(self, url: str) -> None:
        """Load a full address, as if it was typed."""

    @abstractmethod
    def fill(self, label: str, value: str) -> None:
        """Replace what stands in the first field of that label."""

    @abstractmethod
    def press(self, words: str) -> None:
        """Press the first button that says so and wait for the next page."""

    @abstractmethod
    def follow(self, words: str) -> None:
        """Follow the first link that says so and wait for the next page."""

    @abstractmethod
    def follow_in_mail(self) -> None:
        """On the mailbox page, follow the first link of the newest mail."""

    def check(self) -> None:
        """Assert what holds for every page."""
        page = self.page
        assert page.html is not None
        assert page.html["lang"] == "en", self.address
        assert page.title is not None, self.address
        assert page.title.text.endswith("Kleis"), self.address
        assert len(page.find_all("h1")) == len(page.find_all("main")) == 1, self.address
        assert page.find("script") is None, self.address

    def open(self, path: str) -> None:
        self.go(urljoin(self.start_url, path))

    @property
    def page(self) -> BeautifulSoup:
        return BeautifulSoup(self.html, "html.parser")

    @property
    def path(self) -> str:
        return urlsplit(self.address).path

    @property
    def flow_id(self) -> str:
        return parse_qs(urlsplit(self.address).query)["flow"][0]

    @property
    def heading(self) -> str:
        return " ".join(self.page.h1.text.split())

    @property
    def text(self) -> str:
        return " ".join(self.page.main.text.split())

    def value_of(self, label: str) -> str:
        """Return what the page filled in for the person."""
        return str(self.field(label).get("value", ""))

    def error_at(self, label: str) -> str:
        """Return the text that the field says describes its error, or nothing."""
        described = str(self.field(label).get("aria-describedby", "")).split()
        found = [self.page.find(id=name) for name in described if name.endswith("-error")]
        return " ".join(tag.text for tag in found if tag)

    def field(self, label: str) -> Tag:
        return field_of(self.page, label)

    def newest_mail(self) -> Mail | None:
        """On the mailbox page, return the mail on top."""
        article = self.page.find("article")
        if article is None:
            return None
        return Mail(article.h2.text, mail_of(article).get_text("\n"))


def field_of(page: BeautifulSoup, label: str) -> Tag:
    """Return the input that belongs to a label, without regard to its `(optional)`."""
    for tag in page.find_all("label"):
        if words_of(tag) == label:
            field = page.find(id=tag["for"])
            assert field is not None, f"nothing belongs to the label {label!r}"
            return field
    raise AssertionError(f"no field {label!r} among {[words_of(t) for t in page('label')]}")


def words_of(tag: Tag) -> str:
    """Return an element's own words, without those of elements in it."""
    return " ".join("".join(tag.find_all(string=True, recursive=False)).split())


def mail_of(article: Tag) -> BeautifulSoup:
    """Return the mail that a frame of the mailbox page shows."""
    return BeautifulSoup(str(article.iframe["srcdoc"]), "html.parser")
