"""An agent of the drill: says that it began, writes numbered lines, and ends as it was told.

    python -I -S agent.py BEGUN LINES PACE_S END

BEGUN is a directory that gets a file for each beginning. END is `exit:N`, `signal:N`, `hang` (it stays until it is ended), `immune` (and does
not mind SIGTERM) or `daemon:FILE` (it leaves a process in a session of its own, whose number stands in the file, and exits with 0).
"""

# ruff: noqa: PTH104, PTH110, PTH123 - a hundred of these begin at once, so it loads little
import os
import signal
import sys
import time

begun, lines, pace_s, end = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
os.close(
    os.open(
        f"{begun}/{os.environ['HOLDFAST_AGENT']}.{os.getpid()}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600
    )
)
word, _, more = end.partition(":")
if word == "immune":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for number in range(lines):
    os.write(1 + number % 2, b"line %d of %d\n" % (number, lines))
    time.sleep(pace_s)
if word == "daemon":
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(f"{more}.new", "w") as file:
                file.write(str(os.getpid()))
            os.rename(f"{more}.new", more)
            for fd in (0, 1, 2):
                os.close(fd)
            time.sleep(600)
        os._exit(0)
    os.wait()
    while not os.path.exists(more):
        time.sleep(0.005)
while word in ("hang", "immune"):
    time.sleep(60)
if word == "signal":
    os.kill(os.getpid(), int(more))
    time.sleep(60)
os._exit(int(more) if word == "exit" else 0)
