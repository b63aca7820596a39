"""The composition root: configuration in, working parts out. Nothing else puts parts together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from fleetlake.config.settings import LoadedSettings, Overrides, Settings, load
from fleetlake.runtime.spill import ROOT as SPILL_ROOT
from fleetlake.runtime.spill import clean_spills, spill_root, spill_roots

if TYPE_CHECKING:
    from fleetlake.broker.embedded import EmbeddedBroker
    from fleetlake.broker.producer import EventProducer
    from fleetlake.broker.settings import KafkaSettings
    from fleetlake.cloud.aws.session import Aws
    from fleetlake.lake.catalog import Lake, LakeSettings
    from fleetlake.lake.spark import SparkSettings
    from fleetlake.transform.settings import TransformSettings

LOCATIONS = ("warehouse", "uri")  # lake.properties in which file: may begin a location
OVERRIDES: ContextVar[Overrides] = ContextVar("overrides", default=Overrides())  # noqa: B039  # frozen


def load_all() -> LoadedSettings:
    """The configuration of this invocation, with where each value came from. BadInput for a home no file could be named below."""
    from fleetlake.lake.places import require_usable

    loaded = load(OVERRIDES.get())
    require_usable(loaded.settings.home.absolute(), "home")
    SPILL_ROOT.set(spill_root(loaded.settings.home))
    return loaded


def load_settings() -> Settings:
    return load_all().settings


def kafka_settings(settings: Settings) -> KafkaSettings:
    """NotOurs if the configuration names no Kafka and the one that answers is not this home's broker."""
    if broker := embedded_broker(settings):
        broker.require_own()
    return kafka_address(settings)


def kafka_address(settings: Settings) -> KafkaSettings:
    """For those who start the broker, or say how it is: nothing is looked at."""
    from fleetlake.broker.settings import KafkaSettings

    servers = settings.kafka.bootstrap_servers or f"127.0.0.1:{settings.kafka.port}"
    embedded = settings.kafka.bootstrap_servers is None
    return KafkaSettings(servers, settings.kafka.properties, settings.kafka.partitions, embedded)


def embedded_broker(settings: Settings) -> EmbeddedBroker | None:
    """The embedded broker, None if the configuration names another Kafka."""
    from fleetlake.broker.embedded import EmbeddedBroker

    if settings.kafka.bootstrap_servers is not None:
        return None
    return EmbeddedBroker(settings.home.resolve(), settings.kafka.port)


def lake_properties(settings: Settings) -> dict[str, str]:
    """What PyIceberg is given; the local catalog under `home` unless the configuration says what type it is.

    References (env:NAME, file:PATH) are resolved, but for file: where a location may be meant. BadInput for one that leads nowhere,
    and for a bucket or a region of no such name.
    """
    from fleetlake.foundation.references import resolve
    from fleetlake.lake.aws_properties import aws_properties, is_on_aws
    from fleetlake.lake.places import local_path, location_of, sqlite_uri

    given = {
        name: value if name in LOCATIONS and not value.startswith("env:") else resolve(value, f"lake.properties.{name}")
        for name, value in settings.lake.properties.items()
    }
    if is_on_aws(given):
        given = aws_properties(given, region=settings.aws.region or _region_of_environment())
    if path := local_path(given.get("warehouse", "")):
        given["warehouse"] = location_of(Path(path).absolute())
    if "type" in given:
        return given
    home = settings.home.resolve()
    local = {"type": "sql", "uri": sqlite_uri(home / "catalog.db"), "warehouse": location_of(home / "warehouse")}
    return local | given


def lake_settings(settings: Settings) -> LakeSettings:
    from fleetlake.lake.catalog import LakeSettings

    return LakeSettings(settings.lake.name, lake_properties(settings))


def open_lake_from(settings: Settings) -> Lake:
    """For those who write: the lake is made if it is absent.

    Claimed, with nothing written, if its warehouse is another's or lies above or below another's; BadInput if it holds the home, or
    lies where nothing can be written.
    """
    from fleetlake.lake.identity import require_own
    from fleetlake.lake.nesting import require_apart

    _require_writable(settings)
    lake = open_unchecked_lake(settings)
    require_apart(lake, settings.home.resolve())
    require_own(lake, settings.home.resolve(), say=say)
    return lake


def open_unchecked_lake(settings: Settings) -> Lake:
    """For those who find out what is wrong with a lake. Claimed, with nothing made, if just its catalog is not there."""
    from fleetlake.lake.catalog import open_lake
    from fleetlake.lake.ownership import require_catalog_file

    for root in spill_roots(settings.home):
        clean_spills(root)
    lake = lake_settings(settings)
    require_catalog_file(lake.properties)
    if lake.properties["type"] != "glue":
        return open_lake(lake)
    from fleetlake.cloud.aws.session import bounded_session

    return open_lake(lake, botocore_session=bounded_session())


def open_existing_lake(settings: Settings, *, to_write: bool = False) -> Lake:
    """Missing if the lake is a local one that is not there yet, Claimed if just its catalog is; nothing is made then.

    Those who only read are warned of a copy and of a warehouse that is another's; to_write: Claimed then.
    """
    from fleetlake.lake.identity import look

    _require_there(settings)
    if to_write:
        return open_lake_from(settings)
    lake = open_unchecked_lake(settings)
    look(lake, say=say)
    return lake


def adopt_lake(settings: Settings) -> str:
    """Makes a copied lake one of its own and returns its id; Missing, Claimed or Permanent as `lake.identity.adopt` says."""
    from fleetlake.lake.identity import adopt
    from fleetlake.lake.nesting import require_apart

    _require_there(settings)
    lake = open_unchecked_lake(settings)
    require_apart(lake, settings.home.resolve(), is_copy=True)
    return adopt(lake, say=say)


def _require_there(settings: Settings) -> None:
    from fleetlake.foundation.errors import Missing
    from fleetlake.lake.ownership import require_catalog_file
    from fleetlake.lake.places import sqlite_path

    require_catalog_file(lake_properties(settings))
    file = sqlite_path(lake_properties(settings).get("uri", ""))
    if file and not file.is_file():
        raise Missing(f"no lake at {settings.home}", hint="fleetlake ingest makes it, or fleetlake --home DIR")


def _require_writable(settings: Settings) -> None:
    from fleetlake.lake.places import local_path, require_writable, sqlite_path

    properties = lake_properties(settings)
    file, warehouse = sqlite_path(properties.get("uri", "")), local_path(properties.get("warehouse", ""))
    for place in (file, warehouse) if file else ():  # what another catalog calls a warehouse may be no folder
        if place:
            require_writable(Path(place))


def say(line: str) -> None:
    """A line on stderr, for what a command does besides what it was asked for."""
    from fleetlake.config.masking import without_secrets

    print(without_secrets(line), file=sys.stderr)


def spark_settings(settings: Settings, master: str | None = None) -> SparkSettings:
    """master: overrides the configured one. BadInput for a home whose name Spark would misread."""
    from fleetlake.lake.places import require_usable_by_spark
    from fleetlake.lake.spark import SparkSettings

    require_usable_by_spark(str(settings.home.resolve()), "home")
    log = settings.home.resolve() / "logs" / "spark.log"
    return SparkSettings(master or settings.spark.master, log, settings.spark.properties)


def transform_settings(settings: Settings) -> TransformSettings:
    from fleetlake.transform.references import read_references
    from fleetlake.transform.settings import Thresholds, TransformSettings

    section = settings.transform
    references = read_references(roads=section.roads, places=section.places, geofences=section.geofences)
    thresholds = Thresholds(**section.model_dump(exclude={"roads", "places", "geofences"}))
    return TransformSettings(thresholds, references)


def aws_of(settings: Settings) -> Aws:
    from fleetlake.cloud.aws.session import Aws

    return Aws(region_of(settings))


def region_of(settings: Settings) -> str:
    """aws.region, or the lake's, or what AWS's tools take from the environment; empty if nothing says one."""
    of_lake = (settings.lake.properties.get(name, "") for name in ("glue.region", "s3.region", "client.region"))
    return settings.aws.region or next(filter(None, of_lake), "") or _region_of_environment()


def bucket_of(settings: Settings) -> str:
    """aws.bucket, or that of the lake's warehouse; empty if nothing says one."""
    scheme, _, place = settings.lake.properties.get("warehouse", "").partition("://")
    return settings.aws.bucket or (place.partition("/")[0] if scheme in ("s3", "s3a") else "")


def _region_of_environment() -> str:
    return os.environ.get("AWS_REGION", "") or os.environ.get("AWS_DEFAULT_REGION", "")


@contextmanager
def open_producer(settings: Settings) -> Iterator[EventProducer]:
    """A producer to the five topics, made if absent. Leaving the context waits until every record is acknowledged."""
    from fleetlake.broker.producer import EventProducer
    from fleetlake.broker.topics import ensure_topics
    from fleetlake.contracts.events import EVENTS

    kafka = kafka_settings(settings)
    ensure_topics(kafka, [event.topic for event in EVENTS])
    with EventProducer(kafka) as producer:
        yield producer
