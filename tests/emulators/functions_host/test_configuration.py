import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.functions_host import HostStartError, RunningHost
from emulators.functions_host.bindings import read_function
from emulators.functions_host.errors import HostError
from emulators.functions_host.host_json import QueueOptions, load_host_json, parse_timespan
from emulators.functions_host.protos import RpcFunctionMetadata, TypedData
from emulators.functions_host.queue_messages import decode_body, encode_body, message_bodies
from emulators.functions_host.settings import apply_settings, load_settings, resolve_percents
from emulators.functions_host.storage import resolve_connection
from tests.emulators.functions_host.fixture_host import FIXTURE_APP, write_settings


def _metadata(*bindings: Mapping[str, Any]) -> RpcFunctionMetadata:
    return RpcFunctionMetadata(
        name="clean",
        function_id="1",
        directory="",
        script_file="",
        entry_point="",
        language="python",
        bindings={},
        raw_bindings=[json.dumps(binding) for binding in bindings],
        retry_options=None,
        managed_dependency_enabled=False,
        is_proxy=False,
        properties={},
    )


def _queue_trigger(**properties: Any) -> dict[str, Any]:
    return {"name": "msg", "type": "queueTrigger", "direction": "IN", "queueName": "%Q%"} | properties


class TestHostJson:
    def test_what_is_not_said_is_as_in_azure(self, tmp_path: Path) -> None:
        (tmp_path / "host.json").write_text('{"version": "2.0"}')

        options = load_host_json(tmp_path / "host.json")

        assert options.queues == QueueOptions(
            batch_size=16,
            new_batch_threshold=8,
            max_dequeue_count=5,
            visibility_timeout=0,
            message_encoding="base64",
        )
        assert (options.route_prefix, options.function_timeout) == ("api", 1800)

    def test_what_is_said_counts(self, tmp_path: Path) -> None:
        queues = {"batchSize": 2, "visibilityTimeout": "00:00:30", "messageEncoding": "None"}
        document = {
            "version": "2.0",
            "functionTimeout": "-1",
            "extensions": {"http": {"routePrefix": ""}, "queues": queues},
        }
        (tmp_path / "host.json").write_text(json.dumps(document))

        options = load_host_json(tmp_path / "host.json")

        assert (options.route_prefix, options.function_timeout) == ("", None)
        assert options.queues == QueueOptions(
            batch_size=2, new_batch_threshold=1, visibility_timeout=30, message_encoding="none"
        )

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("{", "is not JSON"),
            ("{}", '"version" must be "2.0"'),
            (
                '{"version": "2.0", "functionTimeout": "soon"}',
                "functionTimeout: 'soon' is not a time span",
            ),
            (
                '{"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}',
                "extensions.queues.batchSize: 33 is not a whole number from 1 to 32",
            ),
            (
                '{"version": "2.0", "extensions": {"queues": {"messageEncoding": "utf-7"}}}',
                "'utf-7' is neither 'base64' nor 'none'",
            ),
        ],
    )
    def test_a_value_that_cannot_be_is_named(self, tmp_path: Path, text: str, complaint: str) -> None:
        (tmp_path / "host.json").write_text(text)

        with pytest.raises(HostError, match=complaint):
            load_host_json(tmp_path / "host.json")

    def test_app_settings_come_before_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "host.json").write_text(
            '{"version": "2.0", "extensions": {"queues": {"visibilityTimeout": "00:00:30", "batchSize": 2}}}'
        )
        settings = {
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
            "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "3",
        }

        queues = load_host_json(tmp_path / "host.json", settings).queues

        assert (queues.visibility_timeout, queues.max_dequeue_count, queues.batch_size) == (1, 3, 2)

    def test_an_app_setting_that_cannot_be_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "host.json").write_text('{"version": "2.0"}')
        name = "AzureFunctionsJobHost__extensions__queues__batchSize"

        with pytest.raises(HostError, match=f"^{name}: 33 is not a whole number"):
            load_host_json(tmp_path / "host.json", {name: "33"})

    @given(st.integers(0, 10), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
    def test_time_spans_add_up(self, days: int, hours: int, minutes: int, seconds: int) -> None:
        text = f"{days}.{hours:02}:{minutes:02}:{seconds:02}"

        assert parse_timespan(text) == ((days * 24 + hours) * 60 + minutes) * 60 + seconds


class TestSettings:
    def test_the_environment_wins_and_is_told_apart(self, tmp_path: Path) -> None:
        file = write_settings(tmp_path / "s.json", {"A": "file", "B": "file", "C": "same"})
        environment = {"A": "environment", "C": "same"}

        assert apply_settings(load_settings(file), environment) == ("A",)
        assert environment == {"A": "environment", "B": "file", "C": "same"}

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("[", "is not JSON"),
            ("[]", 'has no object named "Values"'),
            ('{"Values": {"A": 1}}', r"Values\.A must be a string"),
            ('{"IsEncrypted": true, "Values": {}}', "is encrypted"),
        ],
    )
    def test_a_file_that_cannot_be_is_named(self, tmp_path: Path, text: str, complaint: str) -> None:
        file = tmp_path / "local.settings.json"
        file.write_text(text)

        with pytest.raises(HostError, match=complaint):
            load_settings(file)

    def test_percents_are_replaced_anywhere_in_a_text(self) -> None:
        assert resolve_percents(["%A%-x-%B%"], {"A": "1", "B": "2"}, where="w") == ["1-x-2"]

    def test_an_unset_name_is_an_error_that_says_where(self) -> None:
        with pytest.raises(HostError) as raised:
            read_function(_metadata(_queue_trigger()), {})

        assert str(raised.value) == (
            "function 'clean', binding 'msg': app setting 'Q', named by '%Q%', is not set"
        )


class TestBindings:
    def test_a_binding_of_an_unknown_type_is_named(self) -> None:
        blob = {"name": "file", "type": "blob", "direction": "OUT"}

        with pytest.raises(HostError, match="function 'clean', binding 'file': type 'blob' is not one"):
            read_function(_metadata(_queue_trigger(queueName="q"), blob), {})

    def test_a_function_has_one_input_its_trigger(self) -> None:
        with pytest.raises(HostError, match="one trigger and no other input"):
            read_function(_metadata(_queue_trigger(queueName="q"), _queue_trigger(queueName="q")), {})


class TestConnections:
    def test_a_name_finds_its_setting_with_the_prefixed_one_first(self) -> None:
        settings = {"X": "plain", "AzureWebJobsX": "prefixed", "Y": "plain"}

        assert resolve_connection("X", settings, where="w") == "prefixed"
        assert resolve_connection("Y", settings, where="w") == "plain"

    def test_the_development_shorthand_is_the_emulator_on_its_usual_ports(self) -> None:
        found = resolve_connection("", {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, where="w")

        assert "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1" in found

    def test_a_service_uri_of_an_emulator_needs_no_identity(self) -> None:
        settings = {"X__queueServiceUri": "http://127.0.0.1:7/devstoreaccount1"}

        assert "QueueEndpoint=http://127.0.0.1:7/devstoreaccount1;" in resolve_connection(
            "X", settings, where="w"
        )

    def test_a_service_uri_of_azure_is_left_to_the_real_host(self) -> None:
        settings = {"X__queueServiceUri": "https://acme.queue.core.windows.net"}

        with pytest.raises(HostError, match="w: X__queueServiceUri needs an identity"):
            resolve_connection("X", settings, where="w")

    def test_a_connection_that_is_not_set_is_named(self) -> None:
        with pytest.raises(HostError, match="w: neither app setting 'X' nor 'X__queueServiceUri' is set"):
            resolve_connection("X", {}, where="w")


class TestMessages:
    @given(st.binary())
    def test_base64_brings_any_body_back(self, body: bytes) -> None:
        assert decode_body(encode_body(body, "base64"), "base64") == body

    @pytest.mark.parametrize("text", ["{}", "a", "YQ", "Y Q=="])
    def test_a_text_that_is_not_base64_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            decode_body(text, "base64")

    @pytest.mark.parametrize(
        ("value", "bodies"),
        [
            (TypedData(string="a"), [b"a"]),
            (TypedData(bytes=b"\xff"), [b"\xff"]),
            (TypedData(json='["a", {"id": null, "body": "b"}]'), [b"a", b"b"]),
            (TypedData(json='{"x": 1}'), [b'{"x": 1}']),
            (TypedData(json="[]"), []),
        ],
    )
    def test_an_output_is_one_message_and_a_list_is_many(self, value: TypedData, bodies: list[bytes]) -> None:
        assert message_bodies(value) == bodies


class TestStart:
    def test_an_app_that_does_not_import_ends_the_host_with_its_traceback(self, tmp_path: Path) -> None:
        (tmp_path / "host.json").write_text('{"version": "2.0"}')
        (tmp_path / "function_app.py").write_text("import azure.functions\nraise RuntimeError('at import')\n")
        host = RunningHost(app=tmp_path, settings=write_settings(tmp_path / "s.json", {}))

        with pytest.raises(HostStartError, match="the app does not import: RuntimeError: at import"):
            host.start()
        assert host.pid is None
        host.close()

    def test_a_missing_setting_ends_the_host_with_one_line(self, tmp_path: Path) -> None:
        settings = write_settings(tmp_path / "s.json", {"AzureWebJobsStorage": "x"})
        command = [sys.executable, "-m", "emulators.functions_host", "--app", str(FIXTURE_APP)]

        ended = subprocess.run(
            [*command, "--settings", str(settings)],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert ended.returncode == 1
        assert ended.stdout == ""
        last = ended.stderr.splitlines()[-1]
        assert last.startswith("functions host: function 'enqueue', binding 'many': app setting 'SEEN_QUEUE'")
