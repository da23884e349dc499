"""One API process: uvicorn on a socket that the supervisor has bound, so that a restart never loses the port."""

from __future__ import annotations

import socket
import sys

import uvicorn

from resolvers.lifeline import end_with_parent

SHUTDOWN_SECONDS = 5  # for open requests and subscriptions when the process is asked to end


def main() -> None:
    """`python -m resolvers.listen DESCRIPTOR PARENT`, started by `resolvers.supervisor`."""
    descriptor, parent = (int(argument) for argument in sys.argv[1:3])
    end_with_parent(parent)
    config = uvicorn.Config(
        "resolvers.app:create_app",
        factory=True,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
