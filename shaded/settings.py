"""One tree of frozen settings: TOML file, then environment (``SHADED_...``), then flags.

Every value has a default; ``config.example.toml`` shows them all and a test holds it to this module. A wrong key or
value is a :class:`~shaded.errors.ConfigurationError` that names the key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shaded.configuration.environment import PREFIX, variables_set
from shaded.configuration.mistakes import Sources, explained
from shaded.configuration.places import default_state_dir, path_written, same_or_inside, settings_file
from shaded.configuration.tomlfile import read_toml
from shaded.errors import ConfigurationError

Intensity = Literal["low", "default", "high"]
Quality = Literal["fast", "balanced", "thorough"]
OutputFormat = Literal["same", "jpeg", "png", "webp", "tiff", "avif"]

FolderPath = Annotated[Path, BeforeValidator(path_written)]


def _beside(value: Any) -> Any:
    """``"beside"`` in any spelling means no folder; one that is called so is written ``"./Beside"``."""
    return None if isinstance(value, str) and value.strip().casefold() == "beside" else value


#: A folder; ``None`` where ``"beside"`` is written.
FolderOrBeside = Annotated[FolderPath | None, BeforeValidator(_beside)]


def require_utf8(key: str, value: str | Path) -> None:
    """Say no to a text or path with bytes in it that are no UTF-8.

    Raises:
        ValueError: It has such.
    """
    try:
        str(value).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{key}: it is not valid UTF-8 ({str(value)!r}); write it anew") from None


class _Table(BaseModel):
    """A frozen table that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _texts_are_sound(self) -> Self:
        """A variable may hold any bytes; those that are no text could be told to nobody, and stored nowhere."""
        for key, value in self:
            if isinstance(value, str):
                require_utf8(key, value)
        return self


class Rights(_Table):
    """What the published file says about rights, for machines and people."""

    data_mining: Literal["prohibited", "prohibited-ai-training", "keep"] = "prohibited-ai-training"
    creator: str = ""
    notice: str = ""


class Metadata(_Table):
    """Which of the source's metadata the published file keeps."""

    exif: bool = True
    gps: bool = False
    xmp: bool = True


class Profile(_Table):
    """The settings that hold for one folder. The same picture is shaded once per profile."""

    intensity: Intensity = "default"
    quality: Quality = "balanced"
    concept: str = ""
    target: str = ""
    output_format: OutputFormat = "same"
    max_side: int = Field(default=0, ge=0, le=65535)
    min_pull: float = Field(default=0.0, ge=0.0, le=1.0)
    metadata: Metadata = Metadata()
    rights: Rights = Rights()

    def digest(self) -> str:
        """The profile's identity: SHA-256 over its canonical JSON, 64 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class Folder(_Table):
    """One watched pair: originals arrive in ``outbox``, shaded copies and sidecars go to ``publish``."""

    outbox: FolderPath
    publish: FolderPath
    profile: str = "default"
    events: Literal["auto", "native", "polling"] = "auto"


def _one_or_more(value: Any) -> Any:
    """``[folder]`` means the one folder that ``[[folder]]`` would; the same in JSON."""
    return [value] if isinstance(value, Mapping) else value


Folders = Annotated[tuple[Folder, ...], BeforeValidator(_one_or_more)]


class Watching(_Table):
    """How arrivals are seen and when they count as settled."""

    quiet_seconds: float = Field(default=3.0, ge=0.1, le=3600)
    longest_wait_seconds: float = Field(default=1800.0, ge=1)
    rescan_seconds: float = Field(default=300.0, ge=1)
    poll_seconds: float = Field(default=10.0, ge=1)
    placeholders: Literal["wait", "download"] = "wait"
    ignore: tuple[str, ...] = ()
    max_pixels: int = Field(default=200_000_000, ge=1)
    max_bytes: int = Field(default=1_000_000_000, ge=1)

    @model_validator(mode="after")
    def _wait_is_longer_than_quiet(self) -> Self:
        if self.longest_wait_seconds <= self.quiet_seconds:
            raise ValueError("longest_wait_seconds must be larger than quiet_seconds")
        return self


class Shading(_Table):
    """The engine: device, canvas and models."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = Field(default=0, ge=0, le=256)
    canvas_pixels: int = Field(default=1_048_576, ge=65_536, le=16_777_216)
    surrogates: tuple[FolderPath, ...] = ()
    targets: Literal["shared", "own"] = "shared"
    anchors: FolderPath | None = None


class Budget(_Table):
    """Hard limits on visible change; an unset one is the intensity's own."""

    max_lpips: float | None = Field(default=None, gt=0, le=1)
    min_psnr_db: float | None = Field(default=None, ge=20, le=60)
    max_local_lpips: float | None = Field(default=None, gt=0, le=1)
    max_delta_e: float | None = Field(default=None, gt=0, le=50)


_UNITS = {"%": 0, "": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_FREE = re.compile(r"\A(\d+(?:\.\d+)?) ?(%|B|kB|MB|GB|TB|)\Z")


def bytes_of_share(text: str, total: int) -> int:
    """What ``"1 %"`` or ``"500 MB"`` means of a disk or memory of ``total`` bytes.

    Raises:
        ValueError: The text is neither a share of it nor a number of bytes.
    """
    found = _FREE.match(text)
    if found is None or (found[2] == "%" and float(found[1]) > 100):
        raise ValueError('write a share such as "1 %", or a size such as "500 MB"')
    return round(float(found[1]) * (_UNITS[found[2]] or total / 100))


def _is_share(text: str) -> str:
    bytes_of_share(text, 0)
    return text


Share = Annotated[str, AfterValidator(_is_share)]


_HOURS = re.compile(r"\A([01]\d|2[0-3]):([0-5]\d) ?- ?([01]\d|2[0-3]):([0-5]\d)\Z")


def hours_of(text: str) -> tuple[int, int]:
    """What ``"22:00-07:00"`` means: two minutes of the day.

    Raises:
        ValueError: The text names no two times of a day.
    """
    found = _HOURS.match(text)
    if found is None:
        raise ValueError('write two times of the day such as "22:00-07:00"')
    begin_hour, begin_minute, end_hour, end_minute = map(int, found.groups())
    return begin_hour * 60 + begin_minute, end_hour * 60 + end_minute


def _are_hours(text: str) -> str:
    if text:
        hours_of(text)
    return text


Hours = Annotated[str, AfterValidator(_are_hours)]


class Scheduling(_Table):
    """When jobs run and how many at once, how often they are tried, and how long an idle worker is kept."""

    max_attempts: int = Field(default=3, ge=1, le=100)
    max_deaths: int = Field(default=2, ge=1, le=100)
    retry_seconds: float = Field(default=60.0, ge=0)
    lease_seconds: float = Field(default=900.0, ge=10)
    worker_idle_seconds: float = Field(default=60.0, ge=0)
    ageing_seconds: float = Field(default=600.0, gt=0)
    niceness: int = Field(default=10, ge=0, le=19)
    workers: int = Field(default=0, ge=0, le=64)
    workers_per_gpu: int = Field(default=0, ge=0, le=16)
    memory_limit: Share = "100 %"
    memory_reserve: Share = "10 %"
    on_battery: Literal["go", "wait"] = "go"
    busy_gpu: Literal["share", "wait"] = "share"
    quiet_hours: Hours = ""


class Cluster(_Table):
    """Other machines that shade: a Ray cluster. Without an address there is none."""

    address: str = Field(default="", pattern=r"^(auto|[^\s:/]+:[0-9]{1,5})?$")
    workers: int = Field(default=0, ge=0, le=1024)
    cpus_per_worker: int = Field(default=4, ge=1, le=256)
    gpus_per_worker: int = Field(default=0, ge=0, le=16)


class Publishing(_Table):
    """Where rendered files wait before they are moved into place, and where sidecars go."""

    staging: FolderPath | None = None
    sidecars: FolderOrBeside = None


class Space(_Table):
    """How much of each disk stays free: pictures wait while there is less."""

    publish: Share = "1 %"
    staging: Share = "1 %"
    state: Share = "1 %"


class Logging(_Table):
    """What is logged and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    repeat_seconds: float = Field(default=3600.0, ge=0)


class _TomlSource(PydanticBaseSettingsSource):
    """The settings file as the lowest layer; already parsed, so that its errors can name the file."""

    def __init__(self, settings_cls: type[BaseSettings], table: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._table = dict(table)

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base's shape
        return self._table.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._table


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True
    )
    _file_table: ClassVar[Mapping[str, Any]] = {}

    state_dir: FolderPath = Field(default_factory=default_state_dir)
    folder: Folders = ()
    profile: dict[str, Profile] = Field(default_factory=dict)
    watching: Watching = Watching()
    shading: Shading = Shading()
    budget: Budget = Budget()
    scheduling: Scheduling = Scheduling()
    cluster: Cluster = Cluster()
    publishing: Publishing = Publishing()
    space: Space = Space()
    logging: Logging = Logging()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not a source here
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not a source here
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file."""
        return init_settings, env_settings, _TomlSource(settings_cls, cls._file_table)

    @model_validator(mode="after")
    def _profiles_exist(self) -> Self:
        for number, folder in enumerate(self.folder):
            if folder.profile != "default" and folder.profile not in self.profile:
                known = ", ".join(sorted({"default", *self.profile}))
                raise ValueError(
                    f"folder.{number}.profile: no profile is named {folder.profile!r} (there are: {known})"
                )
        return self

    @model_validator(mode="after")
    def _workers_can_be_told(self) -> Self:
        require_utf8("state_dir", self.state_dir)
        require_utf8("publishing.staging", self.staging_dir)
        return self

    @model_validator(mode="after")
    def _folders_do_not_overlap(self) -> Self:
        named = [
            (f"folder.{n}.{kind}", path)
            for n, f in enumerate(self.folder)
            for kind, path in (("outbox", f.outbox), ("publish", f.publish))
        ]
        named.append(("state_dir", self.state_dir))
        apart = (("staging", self.publishing.staging), ("sidecars", self.publishing.sidecars))
        named += [(f"publishing.{key}", path) for key, path in apart if path is not None]
        for i, (key, path) in enumerate(named):
            for other_key, other in named[i + 1 :]:
                both_publish = key.endswith(".publish") and other_key.endswith(".publish")
                state_pair = {key, other_key} == {"state_dir", "publishing.staging"}
                if both_publish or state_pair:
                    continue
                around, within = same_or_inside(other, path), same_or_inside(path, other)
                if around or within:
                    how = "are one folder" if around and within else "overlap"
                    raise ValueError(f"{key} and {other_key} {how} ({path} and {other}): give each its own folder")
        return self

    def profile_named(self, name: str) -> Profile:
        """The profile of that name; ``default`` exists without being written down."""
        return self.profile.get(name, Profile())

    @property
    def folders_named(self) -> tuple[Path, ...]:
        """Every outbox and publish folder."""
        return tuple(path for folder in self.folder for path in (folder.outbox, folder.publish))

    @property
    def staging_dir(self) -> Path:
        """Where rendered files wait until they are published: a folder that this program makes for itself."""
        home = self.staging_home
        return self.state_dir / "staging" if home is None else home / "shaded-jobs"

    @property
    def staging_home(self) -> Path | None:
        """The folder that ``publishing.staging`` names, which may be a person's; ``None``: the state folder's own."""
        named = self.publishing.staging
        return None if named in (self.state_dir, self.state_dir / "staging") else named


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Read the file, then the environment, then ``flags``.

    Args:
        config: The settings file; ``None`` looks in the platform's place and is content when there is none.
        flags: Top-level keys of :class:`Settings` that win over everything.

    Raises:
        ConfigurationError: With the key and what is wrong about it.
    """
    place = settings_file(config)
    table = {} if place is None else read_toml(place)
    sources = Sources(table, variables_set(Settings, os.environ))
    loader = type("Settings", (Settings,), {"_file_table": table, "__module__": __name__})
    try:
        settings: Settings = loader(**flags)
    except ValidationError as error:
        what, in_file = explained(error, Settings, sources)
        raise ConfigurationError(what, path=place if in_file else None, remedy="Mend the setting") from error
    except ValueError as error:  # pydantic-settings: a value of the environment that it cannot parse
        raise ConfigurationError(str(error), remedy="Mend the environment variable") from error
    if "folder" not in flags:
        _refuse_unreached(settings, sources)
    return settings


def _refuse_unreached(settings: Settings, sources: Sources) -> None:
    """Say no to a variable of a profile that neither the file nor a folder knows, for it would change nothing."""
    written = sources.file.get("profile", {})
    known = {"default", *written, *(folder.profile for folder in settings.folder)}
    for path, name in sources.variables.items():
        if path[0] == "profile" and len(path) > 1 and path[1] not in known:
            raise ConfigurationError(
                f"{name}: no profile is named {path[1]!r} (there are: {', '.join(sorted(known))})",
                remedy="Variables know names in lower case alone; for another write SHADED_PROFILE, as JSON",
            )
