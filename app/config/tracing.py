"""Settings: traces, by the names of OpenTelemetry's specification ("Environment Variable Specification")."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec

from app.config.values import parse_path, setting
from app.model.secret_text import SecretText

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 section 5.1."""


class TracesSampler(StrEnum):
    """Which requests are recorded."""

    ALWAYS_ON = "always_on"
    ALWAYS_OFF = "always_off"
    TRACEIDRATIO = "traceidratio"
    PARENTBASED_ALWAYS_ON = "parentbased_always_on"
    PARENTBASED_ALWAYS_OFF = "parentbased_always_off"
    PARENTBASED_TRACEIDRATIO = "parentbased_traceidratio"


class TracesExporter(StrEnum):
    OTLP = "otlp"
    NONE = "none"


class OtlpProtocol(StrEnum):
    HTTP_PROTOBUF = "http/protobuf"


class Boolean(StrEnum):
    TRUE = "true"
    FALSE = "false"


def parse_endpoint(text: str) -> str:
    """An absolute http or https URL without a user: its text is no secret then."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if url.scheme not in ("http", "https") or not url.hostname or not text.isascii() or " " in text:
        raise ValueError("is not an absolute http or https URL")
    if "@" in url.netloc:
        raise ValueError("contains a user name: give credentials in OTEL_EXPORTER_OTLP_HEADERS")
    if url.query or url.fragment:
        raise ValueError("has a query or a fragment")
    return text


def parse_pairs(text: str) -> dict[str, str]:
    """``name=value,name=value``, values percent-encoded (W3C Baggage, as OpenTelemetry's specification has it).

    Raises ValueError.
    """
    pairs = {}
    for number, pair in enumerate(text.split(","), start=1):
        if not pair.strip():
            continue
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"the pair {number} is not name=value")
        pairs[name.strip()] = unquote(value.strip())
    return pairs


def parse_headers(text: str) -> str:
    """Pairs that can stand in a message's head."""
    for number, (name, value) in enumerate(parse_pairs(text).items(), start=1):
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError(f"the name of pair {number} is no header's")
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"the value of pair {number} is not printable ASCII")
    return text


def parse_attributes(text: str) -> str:
    parse_pairs(text)
    return text


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Traces"""

    otel_exporter_otlp_endpoint: Annotated[
        str | None,
        setting(
            "The collector; `/v1/traces` is added. Without one nothing is traced.",
            allowed="an http or https URL, such as http://collector:4318",
            parse=parse_endpoint,
        ),
    ] = None
    otel_exporter_otlp_traces_endpoint: Annotated[
        str | None,
        setting(
            "The same, but to the last character; wins.",
            allowed="an http or https URL, such as http://collector:4318/v1/traces",
            parse=parse_endpoint,
        ),
    ] = None
    otel_exporter_otlp_protocol: Annotated[OtlpProtocol, setting("What the collector is spoken to in.")] = (
        OtlpProtocol.HTTP_PROTOBUF
    )
    otel_exporter_otlp_headers: Annotated[
        SecretText | None,
        setting(
            "Headers of every request to the collector, such as its credentials.",
            allowed="name=value,name=value, values percent-encoded",
            parse=parse_headers,
        ),
    ] = None
    otel_exporter_otlp_headers_file: Annotated[
        Path | None, setting("", allowed="the path of a readable file", parse=parse_path)
    ] = None
    otel_exporter_otlp_certificate: Annotated[
        Path | None,
        setting(
            "The certificates (PEM) that the collector's must lead to.",
            allowed="the path of a readable file",
            parse=parse_path,
            default="the system's",
        ),
    ] = None
    otel_exporter_otlp_timeout: Annotated[
        int, setting("How long the collector may take for a batch, in milliseconds.", ge=1, le=60_000)
    ] = 10_000
    otel_traces_exporter: Annotated[TracesExporter, setting("`none`: nothing is traced.")] = TracesExporter.OTLP
    otel_sdk_disabled: Annotated[Boolean, setting("`true`: nothing is traced.")] = Boolean.FALSE
    otel_traces_sampler: Annotated[
        TracesSampler,
        setting(
            "Which requests are recorded. With `parentbased_…` a caller decides about its own, up to 100 a second; the "
            "rest goes by what follows.",
        ),
    ] = TracesSampler.PARENTBASED_TRACEIDRATIO
    otel_traces_sampler_arg: Annotated[
        float, setting("The part of the requests that `…traceidratio` records.", ge=0, le=1)
    ] = 0.01
    otel_bsp_max_queue_size: Annotated[
        int, setting("Spans that may wait for the collector; more are dropped and counted.", ge=1, le=100_000)
    ] = 2_048
    otel_bsp_schedule_delay: Annotated[int, setting("Milliseconds between two batches.", ge=1, le=60_000)] = 5_000
    otel_service_name: Annotated[str, setting("What the traces call this service.")] = "auth-service"
    otel_resource_attributes: Annotated[
        str | None,
        setting(
            "What else they say of it, such as `deployment.environment.name=production`.",
            allowed="name=value,name=value, values percent-encoded",
            parse=parse_attributes,
        ),
    ] = None

    @property
    def endpoint(self) -> str | None:
        """Where spans go, the whole URL; None where nothing is traced."""
        sampled_never = self.otel_traces_sampler is TracesSampler.ALWAYS_OFF
        if self.otel_traces_exporter is TracesExporter.NONE or self.otel_sdk_disabled is Boolean.TRUE or sampled_never:
            return None
        if self.otel_exporter_otlp_traces_endpoint is not None:
            return self.otel_exporter_otlp_traces_endpoint
        base = self.otel_exporter_otlp_endpoint
        return None if base is None else f"{base.rstrip('/')}/v1/traces"

    @property
    def ratio(self) -> float:
        """The part of the requests that is recorded where no caller decides."""
        match self.otel_traces_sampler:
            case TracesSampler.ALWAYS_ON | TracesSampler.PARENTBASED_ALWAYS_ON:
                return 1.0
            case TracesSampler.ALWAYS_OFF | TracesSampler.PARENTBASED_ALWAYS_OFF:
                return 0.0
            case _:
                return self.otel_traces_sampler_arg

    @property
    def parent_counts(self) -> bool:
        """Whether callers decide about their own requests."""
        return self.otel_traces_sampler.startswith("parentbased_")
