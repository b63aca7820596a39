"""Whether a Spark master or worker does its work, asked of its web page: exit code 0 if so. health.py master|worker [PORT]"""

import http.client
import json
import sys
from collections.abc import Mapping
from typing import Any

PORTS = {"master": 8080, "worker": 8081}
TIMEOUT_S = 4


def works(kind: str, told: Mapping[str, Any]) -> bool:
    """A master that leads, a worker that knows its master."""
    return told.get("status") == "ALIVE" if kind == "master" else bool(told.get("masterurl"))


def main(kind: str, port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/json/")
        return 0 if works(kind, json.loads(connection.getresponse().read())) else 1
    except (OSError, http.client.HTTPException, ValueError):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else PORTS[sys.argv[1]]))
