"""A real browser where one is installed: Chromium, driven through its own driver."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.browser import Browser

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PAGE_SECONDS = 30
_NARROW = {"width": 320, "height": 700, "deviceScaleFactor": 1, "mobile": False}


@dataclass(frozen=True, slots=True)
class Installation:
    browser: str
    driver: str


def find() -> Installation | None:
    """Return where Chromium and its driver are, or None where one of them is missing."""
    browser = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return Installation(browser, driver) if browser and driver else None


class Chromium(Browser):
    """A window as narrow as the narrowest telephone, with a profile of its own."""

    name = "Chromium"

    def __init__(self, start_url: str, *, installation: Installation, profile: Path) -> None:
        super().__init__(start_url)
        options = ChromeOptions()
        options.binary_location = installation.browser
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = Chrome(options, Service(installation.driver))
        self.driver.set_page_load_timeout(_PAGE_SECONDS)
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _NARROW)
        self._wait = WebDriverWait(self.driver, _PAGE_SECONDS, poll_frequency=0.05)

    @property
    def address(self) -> str:
        return str(self.driver.current_url)

    @property
    def html(self) -> str:
        return str(self.driver.page_source)

    def cookies_for(self, url: str) -> dict[str, str]:
        found = self.driver.execute_cdp_cmd("Network.getCookies", {"urls": [url]})
        return {cookie["name"]: cookie["value"] for cookie in found["cookies"]}

    def close(self) -> None:
        self.driver.quit()

    def check(self) -> None:
        super().check()
        width = self.driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= _NARROW["width"], f"{self.address} is {width} pixels wide"
        severe = [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert severe == [], self.address

    def go(self, url: str) -> None:
        self.driver.get(url)
        self.check()

    def fill(self, label: str, value: str) -> None:
        field = self.driver.find_element(By.ID, str(self.field(label)["id"]))
        field.clear()
        field.send_keys(value)

    def press(self, words: str) -> None:
        self._click(f"//button[normalize-space()={json.dumps(words)}]")

    def follow(self, words: str) -> None:
        self._click(f"//a[normalize-space()={json.dumps(words)}]")

    def follow_in_mail(self) -> None:
        before = self._root()
        frame = self.driver.find_element(By.CSS_SELECTOR, "article iframe")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", frame)
        self.driver.switch_to.frame(frame)
        links = self._wait.until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "a[href]"))
        links[0].click()
        self.driver.switch_to.default_content()
        self._await_page(before)

    def _click(self, xpath: str) -> None:
        before = self._root()
        self.driver.find_element(By.XPATH, xpath).click()
        self._await_page(before)

    def _root(self) -> WebElement:
        return self.driver.find_element(By.TAG_NAME, "html")

    def _await_page(self, before: WebElement) -> None:
        self._wait.until(lambda _driver: _is_gone(before))
        self._wait.until(
            lambda driver: driver.execute_script("return document.readyState") == "complete"
        )
        self.check()


def _is_gone(element: WebElement) -> bool:
    """Tell whether a page was left; on the way to another site the driver has words of its own."""
    try:
        element.is_enabled()
    except StaleElementReferenceException:
        return True
    except WebDriverException as error:
        if "does not belong to the document" not in str(error):
            raise
        return True
    return False
