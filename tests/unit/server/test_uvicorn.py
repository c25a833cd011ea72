"""The private parts of uvicorn that app/server depends on."""

import hashlib
import inspect

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server

DIGESTS = {
    HttpToolsProtocol: "18fdf324b11bf160",
    RequestResponseCycle: "e67d470d435dcc1c",
    FlowControl: "126debcdaa894c83",
    Server: "06e799f7c58f8be6",
}


@pytest.mark.parametrize("part", DIGESTS, ids=lambda part: part.__qualname__)
def test_the_private_parts_of_uvicorn_are_unchanged(part: type) -> None:
    """If this fails, read the change in uvicorn, check app/server, and update the digest."""
    source = inspect.getsource(part).encode()

    assert hashlib.sha256(source).hexdigest()[:16] == DIGESTS[part]
