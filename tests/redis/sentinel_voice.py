"""A sentinel whose word a test chooses: it speaks RESP and answers the two questions that the service asks."""

import asyncio
from types import TracebackType
from typing import Self


class SentinelVoice:
    """Names a server on 127.0.0.1 as the master, in a configuration of an epoch."""

    def __init__(self, master_port: int, epoch: int = 1) -> None:
        self.master_port = master_port
        self.epoch = epoch
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while count := await reader.readline():
                words = []
                for _ in range(int(count[1:])):
                    length = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(length + 2))[:-2].upper())
                host, port, epoch = b"127.0.0.1", b"%d" % self.master_port, b"%d" % self.epoch
                if words[1] == b"MASTER":
                    writer.write(_array(b"ip", host, b"port", port, b"config-epoch", epoch))
                else:
                    writer.write(_array(host, port))
        except (OSError, EOFError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


def _array(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
