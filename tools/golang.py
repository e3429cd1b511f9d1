# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the Go files: ``python -m tools.golang fmt | vet``.

With the Go that the lab builds with: the machine's, or where it is missing or too old, the pinned
package's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from lab import binaries
from lab.errors import SetupError
from lab.settings import CACHE, REPOSITORY
from tools import files

GIN_SOURCE: Final = REPOSITORY / "tests" / "lab" / "applications" / "gin"


def main(arguments: list[str]) -> int:
    """Run one of the two; return 0 only if there was something to check and nothing was found."""
    if arguments not in (["fmt"], ["vet"]):
        sys.exit(str(__doc__))
    try:
        go = binaries.go_program(CACHE, binaries.source_versions()["go"], print)
    except SetupError as error:
        print(error)
        return 2
    if arguments == ["vet"]:
        # lab/go holds no code: its file names the programs that are built from its go.mod.
        environment = os.environ | {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-buildvcs=false",
            "GOTOOLCHAIN": "local",
        }
        # As the tests build Gin, so that what one has compiled the other finds.
        vet = [str(go), "vet", "-trimpath", "-tags=nomsgpack", "./..."]
        runs = [
            subprocess.run(vet, cwd=directory, env=environment, check=False)
            for directory in (binaries.PAUSE_SOURCE, GIN_SOURCE)
        ]
        return max(done.returncode for done in runs)
    paths = files.matching(files.known(), "*.go")
    fmt = [str(go.with_name("gofmt")), "-d", *paths]
    found = subprocess.run(fmt, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    print(found.stdout + found.stderr, end="")
    return bool(found.returncode or found.stdout or not paths)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
