"""What is not shown of a setting or a message: passwords, tokens, and whatever looks like one."""

from __future__ import annotations

import re

MASK = "********"
REFERENCES = ("env:", "file:")
SECRET_WORDS = (
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "key", "credential", "authorization", "auth-header",
    "jaas", "oauthbearer", "bearer", "cookie", "private", "signature", "connection-string", "connection_string", "connectionstring",
)  # fmt: skip
SECRET_NAME = re.compile(r"sasl\..*config|(^|[._-])(sig|sas|pass|pin|auth)$")
PLACES = re.compile(r"(location|file|path|dir|directory|type|alias)$")  # of a key, not the key: shown
USER_INFO = re.compile(r"(?<=://)[^\s/]*@|(?<=://)[^\s]*:[^\s]*@")
ENTRY = r"[\w.-]*(?:password|passwd|passphrase|pwd|secret|token|credential|(?:access|account|api|private)[_-]?key|sig(?:nature)?)"
ASSIGNED = re.compile(rf"""(?ix) \b ({ENTRY}) (\s*=\s* | ["']\s*:\s*) ("[^"]*" | '[^']*' | [^;&\s"']+)""")
ARN = re.compile(r"\b(arn:aws[\w-]*:[\w-]*:[\w-]*:)\d{12}\b")
SCHEME = re.compile(r"(?i)\b(basic|bearer|digest|negotiate)\s+[\w.~+/=-]{6,}")


def shown(name: str, value: str) -> str:
    """A setting's value as `config show` prints it. A reference (env:NAME, file:PATH) stays; a secret is not even hinted at."""
    if value.startswith(REFERENCES):
        return value
    return MASK if is_secret(name) else without_secrets(value)


def is_secret(name: str) -> bool:
    """Whether a property of this name holds a secret, going by its looks. In doubt it does."""
    lowered = name.lower()
    if SECRET_NAME.search(lowered):
        return True
    return any(word in lowered for word in SECRET_WORDS) and not _is_place(lowered)


def _is_place(name: str) -> bool:
    return bool(PLACES.search(name)) and not any(word in name for word in ("password", "secret", "token", "passphrase"))


def without_secrets(text: str) -> str:
    """Text without the user part of URLs, passwords of connection strings, authorization headers, and account ids of ARNs."""
    text = USER_INFO.sub(f"{MASK}@", text)
    text = ASSIGNED.sub(rf"\1\2{MASK}", text)
    text = ARN.sub(rf"\1{MASK}", text)
    return SCHEME.sub(rf"\1 {MASK}", text)
