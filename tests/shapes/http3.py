"""A client for HTTP/3: reads one request as JSON from standard input and writes the answer as lines of text."""

import asyncio
import json
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

PATIENCE = 20


class Client(QuicConnectionProtocol):
    """One request."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.parts, self.body, self.end = [], b"", asyncio.Event()

    def send(self, request):
        stream = self._quic.get_next_available_stream_id()
        head = {":method": request["method"], ":scheme": "https", ":authority": request["host"], ":path": request["path"]}
        fields = [(name.encode(), value.encode()) for name, value in (head | request["headers"]).items()]
        body = bytes.fromhex(request["body"])
        self.http.send_headers(stream, fields, end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        return stream

    def cancel(self, stream):
        # H3_REQUEST_CANCELLED, as RFC 9114 has it.
        self._quic.reset_stream(stream, 0x10C)
        self._quic.stop_stream(stream, 0x10C)
        self.transmit()

    def quic_event_received(self, event):
        if isinstance(event, StreamReset):
            self.parts.append(f"reset {event.error_code}")
            self.end.set()
        if isinstance(event, ConnectionTerminated):
            self.end.set()
        for answer in self.http.handle_event(event):
            if isinstance(answer, HeadersReceived):
                self.parts += [f"{name.decode()}: {value.decode()}" for name, value in answer.headers]
            if isinstance(answer, DataReceived):
                self.body += answer.data
            if answer.stream_ended:
                self.end.set()


async def main():
    request = json.load(sys.stdin)
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE)
    async with connect("127.0.0.1", request["port"], configuration=configuration, create_protocol=Client) as client:
        stream = client.send(request)
        if request["cancel"]:
            await asyncio.sleep(request["cancel"] / 1000)
            client.cancel(stream)
            await asyncio.sleep(0.1)
            client.parts = ["cancelled"]
        else:
            await asyncio.wait_for(client.end.wait(), PATIENCE)
    print("\n".join([*client.parts, f"body {len(client.body)}: {client.body!r}"]))


asyncio.run(main())
