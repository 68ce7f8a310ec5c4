"""The description says what is offered, and its examples work."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from retrieval import Index
from retrieval.server.endpoints import endpoints
from retrieval.server.indexes import Indexes
from retrieval.server.metrics import Metrics
from retrieval.server.paths import without_types
from retrieval.server.requests import Limits
from retrieval.service.updating import update
from tests.server.conftest import Client, Serve

FILES = Path(__file__).parents[1] / "documents" / "pdf" / "files"
PDF = "libreoffice.pdf"


JSON = "application/json"


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: one for name, one in value.items() if name != key}


def within(value: Any, key: str) -> Iterator[Any]:
    """Every value of a key, however deep it stands."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for one in value.values():
            yield from within(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from within(one, key)


def test_the_description_is_whole(client: Client) -> None:
    said = client.get("/openapi.json").json
    assert said["openapi"] == "3.1.0"
    assert set(said) >= {"info", "paths", "components"}
    for reference in within(said, "$ref"):
        place = said
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    ids = list(within(said["paths"], "operationId"))
    assert len(ids) == len(set(ids))
    for path, operations in said["paths"].items():
        for operation in operations.values():
            in_path = {
                one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"
            }
            assert in_path == set(re.findall(r"\{(\w+)\}", path))
            assert operation["responses"]


@pytest.mark.parametrize("token", [None, "t" * 20])
def test_the_description_is_valid_openapi(serve: Serve, token: str | None) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    client = serve(token=token)
    said = client.get("/openapi.json", Authorization=f"Bearer {token}").json
    validator.OpenAPIV31SpecValidator(said).validate()
    said["paths"]["/v1/search"]["get"]["responses"]["200"].pop("description")
    assert not validator.OpenAPIV31SpecValidator(said).is_valid()


def test_examples_are_what_the_schemas_say(client: Client) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    said = client.get("/openapi.json").json
    bodies = [body for one in within(said["paths"], "requestBody") for body in within(one, JSON)]
    for body in bodies:
        schema = jsonschema.Draft202012Validator(body["schema"])
        schema.validate(body["example"])
        assert not schema.is_valid({**body["example"], "no such argument": 1})
        required = body["schema"].get("required", [])
        assert all(not schema.is_valid(without(body["example"], name)) for name in required)
    assert len(bodies) > 5


def test_every_endpoint_is_described_and_its_example_works(client: Client, tmp_path: Path) -> None:
    shutil.copy(FILES / PDF, tmp_path)
    with Index.open(client.folder / "notes") as index:
        update(index, [tmp_path / PDF])
    said = client.get("/openapi.json").json["paths"]
    indexes, limits = Indexes([client.folder / "notes"]), Limits()
    table = endpoints(indexes, limits, Metrics(indexes, limits), read_only=False)
    assert sum(map(len, said.values())) == len(table)
    for one in table:
        path = without_types(one.path)
        assert one.method.lower() in said[path]
        ids = {"/pages/": PDF, "/models/": "fake-words"}
        id = next((own for part, own in ids.items() if part in path), "odd/ä?#%2F")
        asked = path.replace("{name}", "notes").replace("{id}", quote(id, safe=""))
        if one.query and one.example:
            asked += "?" + urlencode(one.example)
        body = None if one.body is None else dict(one.example)
        answer = client.ask(one.method, asked, body)
        assert answer.status == 200, (one.method, asked, answer.body)


def test_a_token_is_described(serve: Serve) -> None:
    client = serve(token="t" * 20)
    said = client.get("/openapi.json", Authorization=f"Bearer {'t' * 20}").json
    assert said["security"] == [{"token": []}]
    assert said["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
