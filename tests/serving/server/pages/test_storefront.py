"""The page's addresses, over the real server; what a person does on it is in `test_storefront_browser.py`."""

import html.parser
import re

import pytest
import requests

from serving.server.flags import parse_flags
from serving.server.rest_api.service import PAGE_404
from tests.support import fake_media

PHOTO = fake_media.photo(1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with photos, files that are none, and a link that leads out of it."""
    folder = tmp_path_factory.mktemp("outside") / "shop"
    (folder / "media").mkdir(parents=True)
    (folder / "media" / "red lamp.jpg").write_bytes(PHOTO)
    (folder / "customers.csv").write_text("name")
    (folder.parent / "secret.jpg").write_bytes(PHOTO)
    (folder / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    return folder


@pytest.fixture(scope="module")
def served(half_plus_two_models, serve_toy, shop):
    with serve_toy(half_plus_two_models["tf2"], ui=True, ui_media=shop) as running:
        yield running


class Addresses(html.parser.HTMLParser):
    """Collects what a page loads."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        wanted = {"link": "href", "script": "src", "img": "src"}.get(tag)
        self.found += [value for name, value in attrs if name == wanted]


def test_the_page_loads_nothing_but_what_the_server_has(served):
    page = served.get("/")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
    loaded = [url for url in Addresses(page.text).found if not url.startswith("data:")]
    assert sorted(loaded) == ["/ui/storefront.css", "/ui/storefront.js"]
    files = {url: served.get(url) for url in loaded}
    assert [file.status_code for file in files.values()] == [200, 200]
    assert files["/ui/storefront.js"].headers["Content-Type"] == "text/javascript; charset=utf-8"
    # The one address in the script is that of a page on how completion works.
    assert set(re.findall(r"https?://[^/\s]+", files["/ui/storefront.js"].text)) == {"https://www.w3.org"}
    assert served.get("/?q=lamp").text == page.text


def test_the_settings_are_those_of_the_server(served):
    assert served.get("/ui/settings.json").json() == {"models": ["toy"], "has_media": True, "takes_events": False}


def test_a_photo_of_the_shop_is_shown(served):
    found = served.get("/media/media/red%20lamp.jpg")
    assert (found.content, found.headers["Content-Type"]) == (PHOTO, "image/jpeg")
    assert found.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/media/customers.csv",
        "/media/link.jpg",
        "/media/../secret.jpg",
        "/media/%2e%2e/secret.jpg",
        "/media/..%2fsecret.jpg",
        "/media//etc/hostname.jpg",
        "/media/none.jpg",
        "/media/media",
        "/media/a%00.jpg",
        "/ui/",
    ],
)
def test_nothing_else_is_shown(served, path):
    url = f"{served.url}{path}"
    with requests.Session() as session:
        sent = session.prepare_request(requests.Request("GET", url))
        sent.url = url  # as it is, with its dots
        found = session.send(sent, timeout=60)
    assert (found.status_code, found.text) == (404, PAGE_404)


def test_the_page_is_only_read(served):
    assert served.request("POST", "/").status_code == 404


def test_without_its_flag_there_is_no_page(half_plus_two_models, serve_toy):
    with serve_toy(half_plus_two_models["tf2"]) as plain:
        assert [plain.get(path).status_code for path in ("/", "/ui/settings.json", "/media/a.jpg")] == [404] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ui", "--rest_api_port=0", "--strict"], "--ui is no part of TF Serving"),
        (["--ui"], "--ui needs --rest_api_port"),
        (["--ui_media=."], "give --ui too"),
        (["--ui", "--rest_api_port=0", "--ui_media=/nowhere"], "--ui_media /nowhere is no folder"),
    ],
)
def test_flags_that_do_not_fit_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        parse_flags(["--model_base_path=models", *arguments])
    assert message in capsys.readouterr().err
