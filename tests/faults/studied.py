"""A study that is killed as soon as it says a line: `python studied.py DIR WORDS`, with what the line has in it."""

import os
import signal
import sys

from analysis.zoo_study import run_study
from tests.analysis.test_zoo_study import Study

if __name__ == "__main__":
    out, words = sys.argv[1:]

    def say(line: str) -> None:
        print(line, flush=True)
        if words and words in line:
            os.kill(os.getpid(), signal.SIGKILL)

    run_study(Study(), out, say=say)
