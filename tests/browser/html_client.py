"""A browser without a window: links, forms and cookies, no scripts, no styles."""

from urllib.parse import urljoin

import httpx
from bs4 import BeautifulSoup, Tag

from tests.browser.browser import Browser, field_of, mail_of, words_of

_ACCEPT = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
_TIMEOUT_SECONDS = 30


class HtmlClient(Browser):
    """Sends what a browser would send for the page it holds."""

    name = "HTML client"

    def __init__(self, start_url: str) -> None:
        super().__init__(start_url)
        self._client = httpx.Client(
            headers={"accept": _ACCEPT},
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=True,
            max_redirects=8,
        )
        self._address = ""
        self._page = BeautifulSoup()

    @property
    def address(self) -> str:
        return self._address

    @property
    def html(self) -> str:
        return str(self._page)

    def cookies_for(self, url: str) -> dict[str, str]:
        header = self._client.build_request("GET", url).headers.get("cookie", "")
        return dict(pair.split("=", 1) for pair in header.split("; ") if pair)

    def close(self) -> None:
        self._client.close()

    def go(self, url: str) -> None:
        self._show(self._client.get(url))

    def fill(self, label: str, value: str) -> None:
        field_of(self._page, label)["value"] = value

    def press(self, words: str) -> None:
        for button in self._page.find_all("button"):
            if words_of(button) == words:
                return self._submit(button)
        raise AssertionError(f"no button {words!r} at {self.address}: {self.text}")

    def follow(self, words: str) -> None:
        for link in self._page.find_all("a", href=True):
            if words_of(link) == words:
                return self._follow(link)
        raise AssertionError(f"no link {words!r} at {self.address}: {self.text}")

    def follow_in_mail(self) -> None:
        article = self._page.article
        assert article is not None, self.text
        link = mail_of(article).find("a", href=True)
        assert link is not None, f"no link in {article}"
        self._follow(link)

    def _follow(self, link: Tag) -> None:
        self.go(urljoin(self.address, str(link["href"])))

    def _submit(self, button: Tag) -> None:
        form = button.find_parent("form")
        assert form is not None, "the button belongs to no form"
        fields = [
            field for field in form.find_all("input", attrs={"name": True}) if _is_sent(field)
        ]
        sent = {str(field["name"]): str(field.get("value", "")) for field in fields}
        assert len(sent) == len(fields), "a name is sent twice"
        if button.get("name"):
            sent[str(button["name"])] = str(button.get("value", ""))
        target = urljoin(self.address, str(form["action"]))
        if form["method"] == "post":
            self._show(self._client.post(target, data=sent))
        else:
            self._show(self._client.get(target, params=sent))

    def _show(self, response: httpx.Response) -> None:
        self._address = str(response.url)
        self._page = BeautifulSoup(response.text, "html.parser")
        self.check()


def _is_sent(field: Tag) -> bool:
    unticked = field.get("type") == "checkbox" and not field.has_attr("checked")
    return not unticked and not field.has_attr("disabled")
