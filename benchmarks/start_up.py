"""Seconds until a command that needs no tensor answers, median of nine: start_up.py"""

import statistics
import subprocess
import sys
import time

COMMANDS = ("-c pass", "-m segforge --help", "-m segforge train --help")


def main() -> None:
    for command in COMMANDS:
        seconds = []
        for _ in range(9):
            begin = time.perf_counter()
            subprocess.run([sys.executable, *command.split()], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - begin)
        print(f"python {command:28} {statistics.median(seconds) * 1000:6.0f} ms")


if __name__ == "__main__":
    main()
