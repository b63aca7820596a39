"""A template, styles, scripts and data, put into one file."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

SHARED_STYLES = ("base.css",)
SHARED_SCRIPTS = ("data.js", "towns.js", "map.js", "chart.js", "controls.js")
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def assemble(package: str, template: str, *, styles: Sequence[str], scripts: Sequence[str], data: object, **parts: str) -> str:
    """The HTML of a page that asks the network for nothing.

    package: where the template, styles and scripts are; the styles and scripts shared by all pages come before these. data: what
    `#data` holds, as JSON in which no `<` is left. parts: HTML by its name in the template. The content security policy runs
    nothing but these very scripts, and no style is taken from an attribute.
    """
    style = "".join([*(_file(__package__, name) for name in SHARED_STYLES), *(_file(package, name) for name in styles)])
    script = "".join([*(_file(__package__, name) for name in SHARED_SCRIPTS), *(_file(package, name) for name in scripts)])
    document = json.dumps(data, separators=(",", ":"), allow_nan=False)
    parts |= {
        "STYLE": style,
        "SCRIPT": script,
        "POLICY": f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}",
        "DATA": re.sub("[<>&]", lambda found: ESCAPES[found[0]], document),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file(package, template))


def _file(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names an inline script or style."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
