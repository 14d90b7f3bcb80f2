"""Which HTTP client for 260,000 small files? Seconds and client CPU of each on a local server: python tests/benchmarks/transport.py

Prints a table: wall seconds, CPU seconds of the client and connections opened, medians over rounds in rotating order. The server is
a process of its own, speaks HTTP/1.1 with keep-alive, and answers each request and accepts each connection after a delay.
"""

import argparse
import asyncio
import importlib.util
import multiprocessing
import statistics
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from record import record, start

CONNECTIONS = 4


def serve(port, opened, size, delay):
    body = bytes(size)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            with opened.get_lock():
                opened.value += 1
            time.sleep(2 * delay)  # what TCP and TLS cost before the first request

        def log_message(self, *args):
            pass

        def do_GET(self):
            time.sleep(delay)
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(body)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.value = http.server_port
    http.serve_forever()


def threads(fetch, urls):
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(fetch, urls))


def by_httpx(urls):
    import httpx

    with httpx.Client(limits=httpx.Limits(max_connections=CONNECTIONS)) as client:

        def fetch(url):
            with client.stream("GET", url) as reply:
                return sum(len(chunk) for chunk in reply.iter_raw())

        return threads(fetch, urls)


def by_requests(urls):
    import requests

    local = threading.local()  # sessions are not made for use by several threads

    def fetch(url):
        if not hasattr(local, "session"):
            local.session = requests.Session()
        with local.session.get(url, stream=True) as reply:
            return sum(len(chunk) for chunk in reply.iter_content(1 << 16))

    return threads(fetch, urls)


def by_urllib(urls):
    def fetch(url):
        with urllib.request.urlopen(url) as reply:
            return len(reply.read())

    return threads(fetch, urls)


def by_aiohttp(urls):
    import aiohttp

    async def all_of_them():
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def fetch(url):
                async with session.get(url) as reply:
                    return sum([len(chunk) async for chunk in reply.content.iter_chunked(1 << 16)])

            return sum(await asyncio.gather(*map(fetch, urls)))

    return asyncio.run(all_of_them())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--bytes", type=int, default=200_000)
    parser.add_argument("--delay", type=float, default=0.02, help="seconds before each answer")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    clients = {"httpx": by_httpx, "requests": by_requests, "urllib": by_urllib}
    if importlib.util.find_spec("aiohttp"):
        clients["aiohttp"] = by_aiohttp
    port, opened = multiprocessing.Value("i", 0), multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(port, opened, args.bytes, args.delay), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.05)
    urls = [f"http://127.0.0.1:{port.value}/{number}" for number in range(args.files)]
    found = {name: [] for name in clients}
    names = list(clients)
    for turn in range(args.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            before, wall, cpu = opened.value, time.perf_counter(), time.process_time()
            total = clients[name](urls)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            assert total == args.files * args.bytes, name
            found[name].append((wall, cpu, opened.value - before))
    server.terminate()
    print(f"{args.files} files of {args.bytes} bytes, {CONNECTIONS} connections, {args.delay} s before each answer")
    print("| client | wall s | CPU s | connections |\n|---|---|---|---|")
    for name, rows in found.items():
        wall, cpu, count = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {count:.0f} |")
    print()
    for name, rows in found.items():
        ratio = statistics.median(row[0] / httpx[0] for row, httpx in zip(rows, found["httpx"], strict=True))
        cpu = 1e3 * statistics.median(row[1] for row in rows) / args.files
        record(f"{name}: time over httpx's", ratio, f"{{:.2f}} × ({cpu:.1f} ms of CPU a file)")


if __name__ == "__main__":
    start(main)
