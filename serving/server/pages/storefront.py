"""Storefront: a page on which a person tries a bundle, from packaged files, and the photos of the shop beside it.

The page calls the server's own REST; it loads nothing from another host but photos that the catalogue names so.
"""

import importlib.resources
import mimetypes
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

from serving.server.json_codec.text import dump_json

SETTINGS_URL = "/ui/settings.json"
MEDIA_URL = "/media/"
_FILES = {"/": "index.html", "/ui/storefront.css": "storefront.css", "/ui/storefront.js": "storefront.js"}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
# Of photos alone: other files in the shop's folder are not shown.
_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".bmp"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' https: data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Storefront:
    """Answers the addresses of the page.

    Args:
      models: Returns the names of the models; the page searches the first.
      media_dir: Folder from which the catalogue's relative photo addresses are read; None: such photos are not shown.
      takes_events: Whether the page reports clicks back to the server.
    """

    def __init__(self, models: Callable[[], Sequence[str]], *, media_dir: Path | None, takes_events: bool) -> None:
        self._models = models
        self._media_dir = media_dir.resolve() if media_dir else None
        self._takes_events = takes_events
        static = importlib.resources.files(__package__) / "static"
        self._files = {url: (static / name).read_bytes() for url, name in _FILES.items()}

    def answer(self, method: str, path: str) -> web.StreamResponse | None:
        """Returns the page, file or photo at a path without a query; None where there is none."""
        if method not in ("GET", "HEAD"):
            return None
        if path in self._files:
            content_type = _TYPES[Path(_FILES[path]).suffix]
            return web.Response(body=self._files[path], content_type=content_type, charset="utf-8", headers=_HEADERS)
        if path == SETTINGS_URL:
            settings = {
                "models": [*self._models()],
                "has_media": self._media_dir is not None,
                "takes_events": self._takes_events,
            }
            return web.Response(body=dump_json(settings), content_type="application/json", headers=_HEADERS)
        return self._photo(path) if path.startswith(MEDIA_URL) else None

    def _photo(self, path: str) -> web.StreamResponse | None:
        """The photo at an address below the folder; links that lead out of it are not followed."""
        name = unquote(path.removeprefix(MEDIA_URL))
        if self._media_dir is None or "\0" in name or Path(name).suffix.lower() not in _PHOTOS:
            return None
        file = (self._media_dir / name).resolve()
        if not file.is_relative_to(self._media_dir) or not file.is_file():
            return None
        content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        headers = {**_HEADERS, "Content-Type": content_type, "Cache-Control": "max-age=300"}
        return web.FileResponse(file, headers=headers)
