"""The configuration: one tree, flag over environment over file over default, and for each value where it came from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from fleetlake.config.masking import shown
from fleetlake.config.trust import require_no_strange_files, require_trusted, require_trusted_folder
from fleetlake.foundation.errors import BadInput

DEFAULT_FILE = "fleetlake.toml"
ENV_PREFIX, ENV_DELIMITER = "FLEETLAKE__", "__"
ENV_HOME = f"{ENV_PREFIX}HOME"
ENV_PROFILE, ENV_CONFIG = "FLEETLAKE_PROFILE", "FLEETLAKE_CONFIG"
NAME_IT = f"fleetlake --config {DEFAULT_FILE} ..., or {ENV_CONFIG}, if you trust it; chown and chmod go-w, if it is yours"
Tree = dict[str, Any]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSection(_Section):
    """Kafka. Without bootstrap_servers it is the embedded broker on `port` (and the one above it)."""

    bootstrap_servers: str | None = Field(None, description="host:port, comma-separated; none: the embedded broker")
    port: int = Field(19092, ge=1, le=65534, description="of the embedded broker; it takes the one above it too")
    partitions: int = Field(4, ge=1, le=1000, description="of a topic that has to be made")
    properties: dict[str, str] = Field({}, description="passed to librdkafka; env:NAME and file:PATH stand for secrets")


class LakeSection(_Section):
    """The Iceberg catalog. Without properties it is a SQLite file and Parquet files under `home`."""

    name: str = Field("local", description="the catalog's name")
    properties: dict[str, str] = Field({}, description="passed to PyIceberg: type, uri, warehouse, s3.*, glue.*, ...")


class IngestSection(_Section):
    """When a commit ends: at whichever of the first three comes first. And how much the broker is asked for."""

    flush_rows: int = Field(500_000, ge=1, description="records")
    flush_bytes: int = Field(256 * 1024 * 1024, ge=1, description="bytes of undecoded records")
    flush_age_s: float = Field(0.3, gt=0, description="s since the first record, once caught up")
    fetch_bytes: int = Field(
        24 * 1024, ge=1000, le=10**9, description="bytes of an answer of the broker, compressed as it is; more for one far away"
    )


class ReplaySection(_Section):
    """What `fleetlake replay` may take."""

    memory_bytes: int = Field(
        1024**3, ge=1, description="bytes of memory for recordings, reckoned as they are read; more is refused"
    )


class SparkSection(_Section):
    """The Spark engine, used with --engine spark only."""

    master: str = Field("local[*]", description="local[N], spark://HOST:PORT of a cluster, yarn, or submit: what spark-submit says")
    properties: dict[str, str] = Field({}, description="passed to Spark as they are, over fleetlake's own")
    landing: str | None = Field(None, description="folder or s3a:// path of --sink parquet; none: <home>/landing")
    checkpoints: str | None = Field(None, description="folder or s3a:// path of checkpoints; none: <home>/checkpoints")
    trigger_s: float = Field(1.0, ge=0, description="s from the start of one micro-batch to the next")
    cluster_port: int = Field(17077, ge=1, le=65535, description="of the master of `fleetlake cluster`")
    cluster_web_port: int = Field(17080, ge=1, le=65535, description="of its web page")


class AwsSection(_Section):
    """Where `fleetlake deploy aws` and `deploy athena` put things. Credentials are never here: AWS's own chain finds them."""

    region: str = Field("", description="such as eu-west-2")
    stack: str = Field("fleetlake", description="name of the CloudFormation stack, and what its resources' names begin with")
    bucket: str = Field("", description="of warehouse, landing and query results; none: <stack>-<hash of account and region>")
    workgroup: str = Field("", description="of Athena; none: the stack's")
    view_database: str = Field("fleet", description="Glue database of the views and of the external tables over the landing")
    ingest_principal: str = Field("", description="ARN or service that may take the ingest's role; none: ec2.amazonaws.com")


class SnowflakeSection(_Section):
    """Where `fleetlake deploy snowflake` puts things. Credentials are never here: a connections.toml or a key file has them."""

    connection: str = Field("", description="name of a connection in connections.toml; none: its default")
    database: str = Field("FLEETLAKE", description="made if absent")
    warehouse: str = Field("FLEETLAKE_WH", description="made if absent, extra small, suspended after a minute")
    admin_role: str = Field("ACCOUNTADMIN", description="role that makes volumes, integrations and roles")
    analyst_role: str = Field("FLEETLAKE_ANALYST", description="made if absent; may read")
    tables: str = Field(
        "listed", pattern="^(listed|linked)$", description="listed: an Iceberg table each; linked: one linked database"
    )
    refresh_s: int = Field(60, ge=30, le=86_400, description="s between looks for new snapshots")


class TransformSection(_Section):
    """What the models measure by; sources in transform/settings.py."""

    roads: Path | None = Field(None, description="CSV of roads and speed limits; none: the road from London to Birmingham")
    places: Path | None = Field(None, description="CSV of named places; none: larger places of Great Britain")
    geofences: Path | None = Field(None, description="GeoJSON of fences: polygons, circles, corridors; none: no fences")
    lateness_s: float = Field(120.0, ge=0, description="s behind the device's latest time from which a row is late")
    future_s: float = Field(300.0, ge=0, description="s that a row may be measured after it arrived")
    stale_s: float = Field(315_360_000.0, gt=0, description="s that a row may be measured before it arrived (10 years)")
    max_accuracy_m: float = Field(100.0, gt=0, description="m of accuracy radius up to which a fix is used")
    jump_speed_ms: float = Field(300 / 3.6, gt=0, description="m/s; a faster way from fix to fix is not true (300 km/h)")
    jump_slack_m: float = Field(100.0, ge=0, description="m that any two fixes may be apart")
    frozen_m: float = Field(25.0, gt=0, description="m a vehicle must have gone for an unchanged position to be frozen")
    weather_age_s: float = Field(600.0, ge=0, description="s that a device's weather report holds")
    incident_age_s: float = Field(600.0, ge=0, description="s that a device's report of an incident holds")
    road_near_m: float = Field(50.0, gt=0, le=200, description="m from a road within which a fix is on it")
    night_sun_deg: float = Field(-6.0, ge=-90, le=90, description="deg of the sun below which it is night (civil twilight)")
    place_near_m: float = Field(25_000.0, gt=0, description="m within which the nearest place is named")
    trip_start_speed_ms: float = Field(2.2352, gt=0, description="m/s from which a vehicle moves (5 mph, Samsara)")
    trip_end_s: float = Field(300.0, gt=0, description="s of standstill or silence that end a trip (Samsara)")
    stop_speed_ms: float = Field(1.0, gt=0, description="m/s below which a vehicle is at rest")
    stop_min_s: float = Field(180.0, gt=0, description="s, the shortest stop (Traccar)")
    stop_radius_m: float = Field(50.0, gt=0, description="m that fixes of a stop may be from its first")
    stop_unseen_s: float = Field(30.0, ge=0, description="s at most that count before a stop's first fix, and after its last")
    harsh_acceleration_ms2: float = Field(2.5, gt=0, description="m/s2, peak from which acceleration is harsh (Teltonika)")
    harsh_braking_ms2: float = Field(2.7, gt=0, description="m/s2, peak from which braking is harsh (Teltonika)")
    harsh_cornering_ms2: float = Field(3.4, gt=0, description="m/s2, peak from which cornering is harsh (Teltonika)")
    gps_braking_ms2: float = Field(3.13, gt=0, description="m/s2, braking by GPS speeds alone (7 mph/s, insurers)")
    gps_braking_gap_s: float = Field(1.5, gt=0, description="s at most between the two fixes of that")
    overspeed_factor: float = Field(1.0, gt=0, description="share of the road's limit above which it is overspeed")
    overspeed_min_s: float = Field(10.0, ge=0, description="s, the shortest overspeed")
    event_gap_s: float = Field(60.0, gt=0, description="s within which reports of the same thing are one event")
    weight_harsh_acceleration: float = Field(4.0, ge=0, description="points an event per 100 km costs")
    weight_harsh_braking: float = Field(6.0, ge=0, description="points an event per 100 km costs")
    weight_harsh_cornering: float = Field(4.0, ge=0, description="points an event per 100 km costs")
    weight_overspeed: float = Field(8.0, ge=0, description="points an event per 100 km costs")
    score_min_km: float = Field(5.0, gt=0, description="km, the shortest distance that is scored")
    refuel_min_percent: float = Field(5.0, gt=0, description="%, the smallest rise of a fuel level that is a refuel")
    theft_min_percent: float = Field(5.0, gt=0, description="%, the smallest fall of a fuel level at rest that is a theft")
    geofence_dwell_s: float = Field(300.0, gt=0, description="s inside a fence after which it is a dwell")
    camera_view_m: float = Field(100.0, gt=0, description="m of road that a camera sees")


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, case_sensitive=False
    )

    home: Path = Field(Path(".fleetlake"), description="folder of the local profile's state")
    kafka: KafkaSection = KafkaSection()  # type: ignore[call-arg]  # the mypy plugin of pydantic is not used; all have defaults
    lake: LakeSection = LakeSection()  # type: ignore[call-arg]
    ingest: IngestSection = IngestSection()  # type: ignore[call-arg]
    replay: ReplaySection = ReplaySection()  # type: ignore[call-arg]
    spark: SparkSection = SparkSection()  # type: ignore[call-arg]
    transform: TransformSection = TransformSection()  # type: ignore[call-arg]
    aws: AwsSection = AwsSection()  # type: ignore[call-arg]
    snowflake: SnowflakeSection = SnowflakeSection()  # type: ignore[call-arg]

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # `load` merges the sources itself, to know which one a value came from


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says before the command. assignments: `section.name=value` of each --set."""

    home: Path | None = None
    profile: str | None = None
    file: Path | None = None
    assignments: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """settings: the values. sources: dotted name to where the value came from; what is not in it is a default."""

    settings: Settings
    sources: Mapping[str, str] = field(default_factory=dict)


def load(overrides: Overrides) -> LoadedSettings:
    """Reads file, environment and flags.

    Raises: BadInput, with the value, where it came from and what is allowed; also for what was found in the working folder, not
    named, and may have been put there by others (trust.py).
    """
    named, profile = named_file(overrides), overrides.profile or os.environ.get(ENV_PROFILE)
    file = named or Path(DEFAULT_FILE)
    layers: list[tuple[str, Tree]] = []
    if not named and file.exists() and not file.is_file():  # a pipe that somebody put there is never at its end
        raise BadInput("the configuration found here is no file", where=str(file), hint="remove it, or name one: --config FILE")
    if named or file.exists():
        layers += _file_layers(file, profile)
    elif profile:
        raise BadInput(
            f"there is no {DEFAULT_FILE} to read a profile from",
            hint="fleetlake --config FILE --profile NAME ..., or fleetlake deploy aws apply, which writes the profile aws",
        )
    if not named:
        require_trusted(file, {".".join(name) for _, tree in layers for name, _ in _leaves(tree)}, hint=NAME_IT)
    require_no_strange_files()
    layers.append(("environment", _environment()))
    layers.append(("flag", _flags(overrides)))
    merged: Tree = {}
    sources: dict[str, str] = {}
    for source, tree in layers:
        for name, value in _leaves(tree):
            _put(merged, name, value, sources)
            sources[".".join(name)] = _variable(name) if source == "environment" else source
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise _bad_value(error, sources) from error
    if "home" not in sources:
        require_trusted_folder(settings.home)
    return LoadedSettings(settings, sources)


def named_file(overrides: Overrides) -> Path | None:
    """The configuration file that the user named, by --config or in the environment; None if the working folder's is to be used."""
    in_environment = os.environ.get(ENV_CONFIG)
    return overrides.file or (Path(in_environment) if in_environment else None)


def describe(loaded: LoadedSettings) -> Iterator[tuple[str, str, str, str]]:
    """(name, value, source, description) of every setting; secrets are not shown, references to them are."""
    for name, model_field in Settings.model_fields.items():
        value = getattr(loaded.settings, name)
        if not isinstance(value, BaseModel):
            yield name, shown(name, str(value)), loaded.sources.get(name, "default"), model_field.description or ""
            continue
        for key, inner in type(value).model_fields.items():
            dotted, found = f"{name}.{key}", getattr(value, key)
            if isinstance(found, dict) and found:
                for entry, text in found.items():
                    full = f"{dotted}.{entry}"
                    yield full, shown(entry, text), loaded.sources.get(full, "default"), inner.description or ""
            else:
                yield (
                    dotted,
                    "" if found in (None, {}) else shown(key, str(found)),
                    loaded.sources.get(dotted, "default"),
                    inner.description or "",
                )


def _file_layers(file: Path, profile: str | None) -> list[tuple[str, Tree]]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"the configuration can't be read: {error.strerror}", where=str(file)) from error
    except UnicodeDecodeError as error:
        said = f"the configuration is not UTF-8: {error.reason} at byte {error.start}"
        raise BadInput(said, where=str(file), hint="save it as UTF-8, or name another one: fleetlake --config FILE ...") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"the configuration is not TOML: {error}", where=str(file)) from error
    profiles = tree.pop("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(section, dict) for section in profiles.values()):
        raise BadInput("profile has a value", where=str(file), allowed="sections [profile.NAME] of settings")
    layers = [(str(file), tree)]
    if profile is not None:
        if profile not in profiles:
            raise BadInput(f"there is no profile {profile}", where=str(file), allowed=", ".join(profiles) or "it has none")
        layers.append((f"{file} [profile.{profile}]", profiles[profile]))
    return layers


def _environment() -> Tree:
    return dict(EnvSettingsSource(Settings)())


def _variable(name: tuple[str, ...]) -> str:
    return ENV_PREFIX + ENV_DELIMITER.join(name).upper()


def _flags(overrides: Overrides) -> Tree:
    tree: Tree = {}
    for assignment in overrides.assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise BadInput(f"--set {assignment} has no =", allowed="--set section.name=value")
        section, _, rest = name.partition(".")
        key, _, entry = rest.partition(".")  # what follows belongs to one name: kafka.properties.security.protocol
        _put(tree, tuple(part for part in (section, key, entry) if part), value, {})
    if overrides.home is not None:
        tree["home"] = overrides.home
    return tree


def _leaves(tree: Tree, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _put(tree: Tree, name: tuple[str, ...], value: Any, sources: Mapping[str, str]) -> None:
    """Puts a value where it belongs. sources: of what is in the tree already."""
    for depth, key in enumerate(name[:-1], 1):
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            section = ".".join(name[:depth])
            raise BadInput(
                f"{section} is a section, but has a value; {'.'.join(name)} can't be set too",
                where=sources.get(section, "flag"),
                hint=f"a section [{section}] there",
            )
    if value == {}:  # an empty section
        tree.setdefault(name[-1], value)
    else:
        tree[name[-1]] = value


def _bad_value(error: ValidationError, sources: Mapping[str, str]) -> BadInput:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    name = ".".join(path)
    allowed = ""
    if first["type"] == "extra_forbidden":
        section = Settings.model_fields.get(path[0])
        known = getattr(section.annotation, "model_fields", Settings.model_fields) if section else Settings.model_fields
        allowed = ", ".join(known)
        return BadInput(f"there is no setting {name}", where=_source(name, sources), allowed=allowed)
    return BadInput(f"{name}: {first['msg']}, not {shown(name, repr(first['input']))}", where=_source(name, sources))


def _source(name: str, sources: Mapping[str, str]) -> str:
    """Where a setting, or a section by what is in it, came from."""
    found = (source for known, source in sources.items() if known == name or known.startswith(f"{name}."))
    return next(found, "the configuration")
