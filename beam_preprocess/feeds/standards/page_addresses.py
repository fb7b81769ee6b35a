"""Addresses of product pages: the part that names the product."""

import re
import urllib.parse

# Parts of an address that name no product: languages, and folders that all products are in.
_FOLDER = re.compile(
    r"[a-z]{2}([-_][a-z]{2})?|products?|produkte?|produits?|productos?|items?|p|ip|dp|shop|store|catalog"
)
_PAGE = re.compile(r"\.(html?|php|aspx?|jsp)$", re.IGNORECASE)
_ID_PARAMETERS = ("id", "product_id", "productid", "pid", "sku", "product", "item", "p", "artnr", "variant")


def url_id(url: str) -> str:
    """Returns the part of a product page's address that names the product, "" of none."""
    try:
        parts = urllib.parse.urlsplit(url.strip())
        parameters = {name.lower(): value for name, value in urllib.parse.parse_qsl(parts.query)}
    except ValueError:
        return ""
    named = next((parameters[name] for name in _ID_PARAMETERS if parameters.get(name)), "")
    folders = [urllib.parse.unquote(part) for part in parts.path.split("/") if part]
    if named or not folders:
        return named
    folders[-1] = _PAGE.sub("", folders[-1])
    while len(folders) > 1 and _FOLDER.fullmatch(folders[0].lower()):
        folders.pop(0)
    return "/".join(folders)
