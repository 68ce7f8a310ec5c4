"""A session of the protocol's official client, as a program: prints what it got, as JSON.

python sdk_client.py URL
python sdk_client.py COMMAND ARGUMENT...
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client


async def session(given: list[str]) -> dict[str, Any]:
    over: Any = given[0]
    if not over.startswith("http"):
        over = stdio_client(StdioServerParameters(command=given[0], args=given[1:]))
    told: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with Client(over) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        found: Any = await client.call_tool(
            "search", {"query": "who waits", "k": 1}, progress_callback=progress
        )
        got: dict[str, Any] = {
            "tools": tools,
            "hits": found.structured_content["hits"],
            "told": told,
            "failed": [],
        }
        for name, arguments in (
            ("read", {"path": "locks.md"}),
            ("outline", {"path": "src/lock.py"}),
            ("find_related", {"path": "locks.md", "line": 3}),
            ("status", {}),
            ("read", {"path": "/etc/passwd"}),
        ):
            if (await client.call_tool(name, arguments)).is_error:
                got["failed"].append([name, arguments])
        return got


print(json.dumps(asyncio.run(asyncio.wait_for(session(sys.argv[1:]), 120))))
