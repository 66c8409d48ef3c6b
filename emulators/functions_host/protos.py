"""The messages of Azure's language worker protocol, as plain classes.

`azure_functions_runtime` takes the module of generated protobuf classes as an argument and only
constructs them and reads their attributes, so this module is passed in their place. Names follow
`FunctionRpc.proto` (Azure/azure-functions-language-worker-protobuf).
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar


class TypedData:
    """One value, whose kind is the name of the only keyword given."""

    KINDS = frozenset({"string", "json", "bytes", "stream", "http", "int", "double"})

    def __init__(self, **value: Any) -> None:
        unknown = value.keys() - self.KINDS
        if unknown or len(value) > 1:
            raise TypeError(f"TypedData takes one of {sorted(self.KINDS)}, got {sorted(value)}")
        self.kind: str | None = next(iter(value), None)
        self.value: Any = next(iter(value.values()), None)

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - the protobuf spelling
        return self.kind

    def __getattr__(self, name: str) -> Any:
        if name in TypedData.KINDS:
            return self.value if name == self.kind else None
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"TypedData({self.kind}={self.value!r})"


@dataclass(slots=True, kw_only=True)
class NullableString:
    value: str


@dataclass(slots=True, kw_only=True)
class NullableBool:
    value: bool


@dataclass(slots=True, kw_only=True)
class NullableDouble:
    value: float


@dataclass(slots=True, kw_only=True)
class Timestamp:
    seconds: int


@dataclass(slots=True, kw_only=True)
class NullableTimestamp:
    value: Timestamp


@dataclass(slots=True, kw_only=True)
class RpcHttpCookie:
    class SameSite:  # noqa: D106 - an enumeration of the proto
        Lax = 1
        Strict = 2
        ExplicitNone = 3

    name: str
    value: str
    domain: NullableString | None = None
    path: NullableString | None = None
    expires: NullableTimestamp | None = None
    secure: NullableBool | None = None
    http_only: NullableBool | None = None
    same_site: int = 0
    max_age: NullableDouble | None = None


# The proto calls its zero value by a Python keyword.
setattr(RpcHttpCookie.SameSite, "None", 0)


@dataclass(slots=True, kw_only=True)
class RpcHttp:
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: TypedData | None = None
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    status_code: str = ""
    cookies: list[RpcHttpCookie] | None = None
    enable_content_negotiation: bool = False


@dataclass(slots=True, kw_only=True)
class ParameterBinding:
    name: str
    data: TypedData | None = None

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - the protobuf spelling
        return "data"


@dataclass(slots=True, kw_only=True)
class RpcException:
    message: str
    stack_trace: str = ""
    source: str = ""


@dataclass(slots=True, kw_only=True)
class StatusResult:
    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1
    Cancelled: ClassVar[int] = 2

    status: int
    exception: RpcException | None = None


@dataclass(slots=True, kw_only=True)
class BindingInfo:
    inout: ClassVar[int] = 2
    out: ClassVar[int] = 1
    undefined: ClassVar[int] = 0

    type: str
    data_type: int | None
    direction: int


@dataclass(slots=True, kw_only=True)
class RpcRetryOptions:
    max_retry_count: int
    retry_strategy: str
    delay_interval: Any = None
    minimum_interval: Any = None
    maximum_interval: Any = None


@dataclass(slots=True, kw_only=True)
class RpcFunctionMetadata:
    name: str
    function_id: str
    directory: str
    script_file: str
    entry_point: str
    language: str
    bindings: dict[str, BindingInfo]
    raw_bindings: list[str]
    retry_options: RpcRetryOptions | None
    managed_dependency_enabled: bool
    is_proxy: bool
    properties: dict[str, str]


@dataclass(slots=True, kw_only=True)
class WorkerMetadata:
    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: dict[str, str]


@dataclass(slots=True, kw_only=True)
class WorkerInitRequest:
    function_app_directory: str
    capabilities: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class WorkerInitResponse:
    capabilities: dict[str, str]
    worker_metadata: WorkerMetadata
    result: StatusResult


@dataclass(slots=True, kw_only=True)
class FunctionMetadataResponse:
    use_default_metadata_indexing: bool
    function_metadata_results: list[RpcFunctionMetadata] | None
    result: StatusResult


@dataclass(slots=True, kw_only=True)
class FunctionLoadRequest:
    function_id: str


@dataclass(slots=True, kw_only=True)
class FunctionLoadResponse:
    function_id: str
    result: StatusResult


@dataclass(slots=True, kw_only=True)
class RpcTraceContext:
    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class RetryContext:
    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException | None = None


@dataclass(slots=True, kw_only=True)
class InvocationRequest:
    invocation_id: str
    function_id: str
    input_data: list[ParameterBinding]
    trigger_metadata: dict[str, TypedData] = field(default_factory=dict)
    trace_context: RpcTraceContext = field(default_factory=RpcTraceContext)
    retry_context: RetryContext = field(default_factory=RetryContext)


@dataclass(slots=True, kw_only=True)
class InvocationResponse:
    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: list[ParameterBinding] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class StreamingMessage:
    """The envelope of every request; exactly one of its members is set."""

    worker_init_request: WorkerInitRequest | None = None
    function_load_request: FunctionLoadRequest | None = None
    invocation_request: InvocationRequest | None = None
