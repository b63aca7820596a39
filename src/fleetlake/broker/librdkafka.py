"""The C library under confluent-kafka, for what takes a Python object per record there.

confluent-kafka stays what makes, secures and closes a client, and what calls back.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, Producer

from fleetlake.runtime.compiled import POINTER, SIZE, NotPossible, Signatures, compiled, load

KNOWN_CLIENTS = {"2.16.1"}  # whose clients start with a pointer to their rd_kafka_t: looked up in the source, it is no interface
LIBRARY = re.compile(r"librdkafka[^.]*\.(so|.*dylib|dll)")


class Place(ctypes.Structure):
    """The beginning of librdkafka's rd_kafka_topic_partition_t."""

    _fields_ = (("topic", ctypes.c_char_p), ("partition", ctypes.c_int32), ("offset", ctypes.c_int64))


FUNCTIONS: Signatures = {
    "rd_kafka_version": (ctypes.c_int,),
    "rd_kafka_queue_new": (POINTER, POINTER),
    "rd_kafka_queue_get_partition": (POINTER, POINTER, ctypes.c_char_p, ctypes.c_int32),
    "rd_kafka_queue_forward": (None, POINTER, POINTER),
    "rd_kafka_queue_destroy": (None, POINTER),
    "rd_kafka_queue_poll": (POINTER, POINTER, ctypes.c_int),
    "rd_kafka_event_message_next": (POINTER, POINTER),
    "rd_kafka_event_error": (ctypes.c_int, POINTER),
    "rd_kafka_event_error_string": (ctypes.c_char_p, POINTER),
    "rd_kafka_event_topic_partition": (ctypes.POINTER(Place), POINTER),
    "rd_kafka_event_destroy": (None, POINTER),
    "rd_kafka_topic_partition_destroy": (None, ctypes.POINTER(Place)),
    "rd_kafka_topic_name": (ctypes.c_char_p, POINTER),
    "rd_kafka_message_timestamp": (ctypes.c_int64, POINTER, POINTER),
    "rd_kafka_message_leader_epoch": (ctypes.c_int32, POINTER),
    "rd_kafka_message_status": (ctypes.c_int, POINTER),
    "rd_kafka_message_detach_headers": (ctypes.c_int, POINTER, POINTER),
    "rd_kafka_header_get_all": (ctypes.c_int, POINTER, SIZE, *[POINTER] * 3),
    "rd_kafka_headers_destroy": (None, POINTER),
    "rd_kafka_producev": (ctypes.c_int, POINTER),
    "rd_kafka_conf_interceptor_add_on_new": (ctypes.c_int, POINTER, ctypes.c_char_p, POINTER, POINTER),
    "rd_kafka_interceptor_add_on_acknowledgement": (ctypes.c_int, POINTER, ctypes.c_char_p, POINTER, POINTER),
}


def require_possible() -> None:
    """NotPossible, with the reason, if it can't be used: another client than this was written for, or nothing of ours compiled."""
    if (version := metadata.version("confluent-kafka")) not in KNOWN_CLIENTS:
        raise NotPossible(f"confluent-kafka is {version}, known are {', '.join(sorted(KNOWN_CLIENTS))}")
    compiled()
    if librdkafka().rd_kafka_version() != confluent_kafka.libversion()[1]:
        raise NotPossible("the librdkafka found is not the one that confluent-kafka uses")


@cache
def librdkafka() -> Any:
    """The library that confluent-kafka has loaded, again: its wheel brings it along under a name with a hash."""
    files = metadata.distribution("confluent-kafka").files or []
    paths = [Path(str(file.locate())) for file in files if LIBRARY.match(file.name)]
    if not paths:
        raise NotPossible("confluent-kafka was installed without its librdkafka")
    return load(paths[0], FUNCTIONS)


def handle_of(client: Consumer | Producer) -> int:
    """The client's rd_kafka_t, for as long as it is open."""
    return int(POINTER.from_address(id(client) + object.__basicsize__).value or 0)


def address_of(function: Any) -> ctypes.c_void_p:
    return ctypes.cast(function, POINTER)
