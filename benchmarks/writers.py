"""The processes that `append` measures: each writes the same events one way.

    python -m benchmarks.writers time  VARIANT DIRECTORY EVENTS PER_SECOND     latency of each call, as JSON
    python -m benchmarks.writers emit  VARIANT DIRECTORY EVENTS PER_SECOND COUNTER WRITER
        says "ready", waits for a line, writes; after each returned call its number is put into the counter file
    python -m benchmarks.writers count VARIANT DIRECTORY WRITER=ACKNOWLEDGED…
        what of that is found, by reading it back

Variants: `holdfast` (`holdfast.record`), `os.write` (ready bytes, O_APPEND), `opentelemetry` (SDK, batch processor with
its defaults, an exporter that appends JSON lines to a file with one write per batch).
"""

from __future__ import annotations

import collections
import json
import mmap
import os
import random
import struct
import sys
import time
from pathlib import Path

WARM_UP = 2_000
_WORDS = [
    "the",
    "store",
    "folds",
    "records",
    "into",
    "rows",
    "and",
    "then",
    "checks",
    "every",
    "cursor",
    "again",
    "before",
    "it",
    "commits",
    "[ok]",
    "{x:",
    "1}",
]


def payloads(count: int = 64) -> list[dict[str, object]]:
    """Fields of a tool call, about 1 KB as JSON: half of them between 0.6 and 1.3 KB, a few of 3 KB."""
    dice = random.Random(20_261_121)
    made = []
    for number in range(count):
        size = min(int(dice.lognormvariate(6.65, 0.5)), 3_000)
        text = "Gedächtnis → " if number % 8 == 0 else ""
        while len(text) < size:
            text += dice.choice(_WORDS) + ("\n" if dice.random() < 0.1 else " ")
        made.append(
            {
                "tool": dice.choice(["Bash", "Read", "Edit"]),
                "input": f'grep -rn "cursor_{number}" src/ | head -{dice.randint(5, 50)}',
                "output": text,
                "status": "completed",
                "exit_code": 0,
                "duration_ms": dice.randint(3, 9_000),
            }
        )
    return made


# ── the variants: each gives back a function of (number, fields) that returns when the event counts as written ──


def open_holdfast(directory, writer):
    os.environ["HOLDFAST_HOME"] = str(directory)
    from holdfast import record

    def emit(number, fields):
        record("tool.used", session="bench", agent=writer, number=number, **fields)

    return emit, lambda: None


def open_bare(directory, writer):
    fd = os.open(directory / "bare.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ready = {}
    for fields in payloads():
        body = json.dumps(
            {"kind": "tool.used", "session": "bench", "agent": writer, "fields": fields}, ensure_ascii=False
        )
        envelope = f'\n{{"v":1,"id":"{"0" * 36}","t":1790000000000000,"s":"sdk","b":{body},"c":"00000000"}}\n'
        ready[fields["output"]] = envelope.encode()
    write = os.write

    def emit(number, fields):
        write(fd, ready[fields["output"]])

    return emit, lambda: None


def open_opentelemetry(directory, writer):
    import msgspec
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    fd = os.open(directory / f"spans-{writer}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    encode = msgspec.json.Encoder(enc_hook=dict).encode

    class File(SpanExporter):
        def export(self, spans):
            lines = [
                encode(
                    [span.name, span.context.span_id, span.start_time, span.end_time, dict(span.attributes)]
                )
                for span in spans
            ]
            os.write(fd, b"\n".join(lines) + b"\n")
            return SpanExportResult.SUCCESS

    provider = TracerProvider(resource=Resource({"service.name": "bench"}))
    provider.add_span_processor(BatchSpanProcessor(File()))
    start_span = provider.get_tracer("bench").start_span

    def emit(number, fields):
        start_span(
            "tool.used", attributes={"session": "bench", "agent": writer, "number": number, **fields}
        ).end()

    return emit, provider.force_flush


VARIANTS = {"holdfast": open_holdfast, "os.write": open_bare, "opentelemetry": open_opentelemetry}


# ── what a process does ──


def timed(variant, directory, events, per_second):
    emit, flush = VARIANTS[variant](directory, "w0")
    fields = payloads()
    for number in range(WARM_UP):
        emit(number, fields[number % 64])
    flush()
    now = time.perf_counter_ns
    taken = [0] * events
    cpu_began, began = time.process_time(), now()
    for number in range(events):
        chosen = fields[number % 64]
        before = now()
        emit(WARM_UP + number, chosen)
        taken[number] = now() - before
        if per_second:
            time.sleep(max(0.0, (number + 1) / per_second - (now() - began) / 1e9))
    wall_s = (now() - began) / 1e9
    cpu_s = time.process_time() - cpu_began
    taken.sort()
    flush()
    print(
        json.dumps(
            {
                "p50_us": taken[events // 2] / 1e3,
                "p99_us": taken[events * 99 // 100] / 1e3,
                "mean_us": sum(taken) / events / 1e3,
                "max_ms": taken[-1] / 1e6,
                "cpu_us": cpu_s / events * 1e6,
                "per_s": events / wall_s,
            }
        )
    )


def emitting(variant, directory, events, per_second, counter, writer):
    """Write until done or killed; `per_second` 0 is as fast as possible."""
    emit, _ = VARIANTS[variant](directory, writer)
    fields = payloads()
    with Path(counter).open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 8)
    print("ready", flush=True)
    sys.stdin.readline()
    due = time.monotonic()
    for number in range(events):
        emit(number, fields[number % 64])
        struct.pack_into("<Q", shared, 0, number + 1)
        if per_second:
            due += 1 / per_second
            time.sleep(max(0.0, due - time.monotonic()))
    print("done", flush=True)
    sys.stdin.readline()


def counting(variant, directory, acknowledged):
    """Acknowledged events that are not there, events there twice."""
    if variant == "os.write":  # ready bytes name no writer: their number must do
        found = sum(
            line.endswith(b'"c":"00000000"}') for line in (directory / "bare.jsonl").read_bytes().split(b"\n")
        )
        print(json.dumps({"lost": max(0, sum(acknowledged.values()) - found), "twice": 0}))
        return
    seen = collections.Counter(_holdfast_events(directory) if variant == "holdfast" else _spans(directory))
    lost = sum(
        (writer, number) not in seen for writer, count in acknowledged.items() for number in range(count)
    )
    print(json.dumps({"lost": lost, "twice": sum(count > 1 for count in seen.values())}))


def _holdfast_events(directory):
    from holdfast.journal import reader

    for item in reader.read(directory / "journal"):
        if isinstance(item, reader.Found) and item.record.s == "sdk":
            body = json.loads(item.record.body_bytes())
            yield body["agent"], body["fields"]["number"]


def _spans(directory):
    for path in directory.glob("spans-*.jsonl"):
        *whole, _ = path.read_bytes().split(b"\n")
        for line in whole:
            attributes = json.loads(line)[4]
            yield attributes["agent"], attributes["number"]


def main():
    mode, variant, directory, *rest = sys.argv[1:]
    if mode == "time":
        timed(variant, Path(directory), int(rest[0]), float(rest[1]))
    elif mode == "emit":
        emitting(variant, Path(directory), int(rest[0]), float(rest[1]), rest[2], rest[3])
    else:
        pairs = (pair.split("=") for pair in rest)
        counting(variant, Path(directory), {writer: int(count) for writer, count in pairs})


if __name__ == "__main__":
    main()
