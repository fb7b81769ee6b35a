"""A person on the storefront, in a real browser: searches, filters, asks why, opens an item, searches by a photo."""

import json
import shutil
from pathlib import Path

import pytest

from tests.serving.server.in_process import serve
from tests.support import tiny_shop

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SECONDS = 60.0  # until something is on the page
pytestmark = [
    pytest.mark.extended,
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="wants Chromium: apt-get install chromium chromium-driver"),
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "photos").mkdir()
    for item in tiny_shop.items():
        for content in item["images"]:
            (folder / "photos" / f"{item['item_id']}.jpg").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def served(golden_folder, photos, tmp_path_factory):
    events = tmp_path_factory.mktemp("events")
    flags = {"ui": True, "ui_media": photos, "events_dir": events, "enable_model_warmup": False}
    with serve(golden_folder / "bundle" / "stock", **flags) as running:
        yield running, events


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1300,1000"):
        options.add_argument(argument)
    for argument in ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Person:
    """What a person sees and does on the page."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)
        self.wait(lambda: self.status() not in ("", "Searching …"))

    def wait(self, holds):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, SECONDS).until(lambda _: holds())

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def one(self, selector):
        return self.wait(lambda: self.all(selector))[0]

    def status(self):
        return self.browser.find_element("id", "status").text

    def ids(self):
        return [item.get_attribute("data-id") for item in self.all("#items > li:not(.old)")]

    def found(self, act):
        """The results after `act`."""
        self.browser.execute_script("document.querySelectorAll('#items > li').forEach((li) => li.classList.add('old'))")
        act()
        self.wait(lambda: self.ids() and self.status() != "Searching …")
        return self.ids()

    def search(self, text):
        from selenium.webdriver.common.keys import Keys

        box = self.one("#text")
        box.clear()
        box.send_keys(text)
        return self.found(lambda: box.send_keys(Keys.ENTER))


@pytest.fixture
def person(browser, served):
    running, _ = served
    return Person(browser, running.url)


def keep_picture(browser, name):
    folder = Path("build") / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(folder / f"{name}.png"))


def test_a_search_is_answered_with_pictures_and_reasons(person, browser):
    assert person.search("colour3 thing2")[0] == "item-15"
    shown = person.one("#items > li[data-id='item-14'] img, #items > li img")
    person.wait(lambda: browser.execute_script("return arguments[0].naturalWidth", shown) == 32)
    person.one("#items > li[data-id='item-15'] button[data-action='why']").click()
    lines = person.wait(lambda: [line.text for line in person.all("li[data-id='item-15'] .why dt")])
    assert "lexical" in lines
    assert lines[-1] == "score"
    values = [float(line.text) for line in person.all("li[data-id='item-15'] .why dd")]
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.02)  # each is rounded, the smallest are left out
    keep_picture(browser, "storefront")


def test_facets_filter_and_the_address_brings_a_search_back(person, browser):
    everything = person.search("")
    box = person.one("fieldset[data-facet='brand'] input")
    brand, count = box.get_attribute("value"), int(box.find_element("xpath", "../span[2]").text)
    assert count > 0
    filtered = person.found(box.click)
    assert len(filtered) == count
    assert {facts.text.split(" · ")[0] for facts in person.all("#items .facts")} == {brand}
    assert person.status() == f"{count} products pass the filters."
    assert person.found(browser.back) == everything
    assert person.found(browser.forward) == filtered
    assert person.found(browser.refresh) == filtered


def test_results_are_sorted_by_price_over_all_pages(person, browser):
    from selenium.webdriver.support.ui import Select

    person.search("")
    found = person.found(lambda: Select(person.one("#order")).select_by_value("price_up"))
    prices = [float(facts.text.split(" · ")[1].split()[0]) for facts in person.all("#items .facts")]
    # The first twelve are pairs of variants, of which the cheaper one stands for both.
    assert found == [f"item-{number:02d}" for number in (*range(0, 12, 2), *range(12, 24))]
    assert prices == [1.0 + number for number in (*range(0, 12, 2), *range(12, 24))]
    assert person.status() == "18 products match."
    assert not person.all("#items button[data-action='why']")  # only a search has reasons
    assert person.found(browser.refresh) == found
    assert Select(person.one("#order")).first_selected_option.get_attribute("value") == "price_up"
    person.found(person.one("#items > li button[data-action='more']").click)  # items like one are not sorted
    assert not person.one("#order").is_enabled()


def test_words_are_completed_by_keyboard(person, browser):
    from selenium.webdriver.common.keys import Keys

    box = person.one("#text")
    box.clear()
    box.send_keys("colo")
    options = person.wait(lambda: person.all("#completions li"))
    first = options[0].text
    assert box.get_attribute("aria-expanded") == "true"
    box.send_keys(Keys.ARROW_DOWN)
    assert box.get_attribute("value") == first
    assert box.get_attribute("aria-activedescendant") == "completion-0"
    assert person.found(lambda: box.send_keys(Keys.ENTER))
    assert box.get_attribute("aria-expanded") == "false"


def test_an_item_opens_with_its_shelf_and_the_click_is_reported(person, browser, served):
    _, events = served
    person.search("colour2 thing1")
    person.one("#items > li[data-id='item-08'] .name").click()
    assert person.one("#item-title").text == "colour2 thing1"
    near = person.wait(lambda: [other.get_attribute("data-id") for other in person.all("#item .shelf li[data-id]")])
    assert len(near) == 8
    assert "item-08" not in near
    person.wait(lambda: any("item-08" in path.read_text() for path in events.rglob("*") if path.is_file()))
    keep_picture(browser, "storefront_item")


def test_more_and_less_like_an_item_are_parts_of_the_query(person):
    person.search("colour1")
    found = person.found(person.one("#items > li[data-id='item-07'] button[data-action='more']").click)
    assert "item-07" not in found  # what is searched by is not shown
    part = person.one("#parts li")
    assert part.text.startswith("more like item-07")
    assert "item-07" in person.found(part.find_element("css selector", "button").click)


def test_a_price_in_the_words_filters_and_can_be_refused(person, browser):
    found = person.search("colour1 under 10")
    prices = [float(facts.text.split(" · ")[-1].split()[0]) for facts in person.all("#items .facts")]
    assert found[0] in ("item-01", "item-07")  # 2.0 and 8.0; the other two of the colour cost 14.0 and 20.0
    assert max(prices) <= 10.0
    part = person.one("#parts li")
    assert part.text.startswith("price up to 10")
    everything = person.found(part.find_element("css selector", "button").click)
    assert len(everything) > len(found)
    assert person.one("#parts li").text.startswith("not read as price up to 10")
    assert person.found(browser.refresh) == everything
    assert person.found(person.one("#parts li button").click) == found


def test_a_photo_and_a_voice_search(person, photos):
    path = str(photos / "photos" / "item-04.jpg")
    by_photo = person.found(lambda: person.browser.find_element("id", "photo").send_keys(path))
    assert by_photo
    assert person.one("#parts li").text.startswith("photo")
    record = person.one("#record")
    record.click()
    person.wait(lambda: record.get_attribute("aria-pressed") == "true")
    assert person.found(record.click)
    assert [part.text.split("\n")[0].strip("× ") for part in person.all("#parts li")] == ["photo", "voice"]


def test_everything_came_from_the_server_without_an_error(person, browser, served):
    running, _ = served
    asked = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    outside = {url for url in asked if not url.startswith((running.url, "data:", "blob:", "chrome:", "about:"))}
    assert asked
    assert not outside
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe


def test_a_server_that_is_gone_is_said(person, browser):
    browser.execute_script("window.fetch = () => Promise.reject(new TypeError('gone'))")
    person.one("#text").send_keys("x\n")
    person.wait(lambda: person.status() == "The search failed. The server cannot be reached.")
