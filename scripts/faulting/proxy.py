"""A TCP proxy in front of a server: it passes everything on, cuts every connection, swallows all, or takes its time."""

import asyncio
import socket
import threading
from enum import StrEnum
from typing import Any

_CHUNK_BYTES = 65_536
_STARTED_WITHIN_S = 10.0
# Of TCP_INFO's first byte: the other side has hung up.
_CLOSE_WAIT = 8


class Weather(StrEnum):
    """What becomes of what is sent."""

    CLEAR = "clear"
    CUT = "cut"
    BLACKHOLE = "blackhole"


class Proxy:
    """Listens on a loopback port of its own, in a thread of its own."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.latency_s = 0.0
        self._weather = Weather.CLEAR
        self._passable = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self) -> None:
        """Listen; `port` is known afterwards."""
        self._thread.start()
        assert self._ready.wait(_STARTED_WITHIN_S)

    def stop(self) -> None:
        """Cut everything and listen no more."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STARTED_WITHIN_S)

    def clear(self) -> None:
        """Pass everything on at once; what was swallowed arrives now, as after a partition."""
        self.latency_s = 0.0
        self._become(Weather.CLEAR)

    def cut(self) -> None:
        """Reset every connection, and every new one as soon as it is made."""
        self._become(Weather.CUT)

    def blackhole(self) -> None:
        """Take connections and bytes, and pass nothing on."""
        self._become(Weather.BLACKHOLE)

    def delay(self, latency_s: float) -> None:
        """Pass every piece on after so long."""
        self.latency_s = latency_s
        self._become(Weather.CLEAR)

    def _become(self, weather: Weather) -> None:
        done = threading.Event()

        def change() -> None:
            self._weather = weather
            if weather is Weather.BLACKHOLE:
                self._passable.clear()
            else:
                self._passable.set()
            if weather is Weather.CUT:
                for writer in list(self._open):
                    writer.transport.abort()
            done.set()

        self._loop.call_soon_threadsafe(change)
        done.wait(_STARTED_WITHIN_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._passable.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for pump in self._pumps:
            pump.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._pumps, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self._pumps.add(task)
        self._open.add(writer)
        try:
            await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._open.discard(writer)
            self._pumps.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passable.wait()
        # Whoever gave up meanwhile was never let in: through a real hole no connection is made, and a server that was
        # handed all of them at once would refuse everybody.
        if self._weather is Weather.CUT or _gone(writer):
            writer.transport.abort()
            return
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._open.add(upstream)
        try:
            await asyncio.gather(self._pump(reader, upstream), self._pump(upstream_reader, writer))
        finally:
            self._open.discard(upstream)
            upstream.transport.abort()
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_CHUNK_BYTES):
            await self._passable.wait()
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            writer.write(piece)
            await writer.drain()
        # One side has ended: so does the other, or nobody would notice.
        writer.transport.abort() if writer.transport.is_closing() else writer.close()


def _gone(writer: asyncio.StreamWriter) -> bool:
    state: int = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return writer.transport.is_closing() or state == _CLOSE_WAIT
