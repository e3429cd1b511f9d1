# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the end of a real run of site.yml on the demo's test cluster, for README.md."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

from rich.console import Console
from rich.text import Text

from lab.settings import DEFAULT_NAME, OPERATOR, REPOSITORY
from tools.demo import PLAY

PICTURE = REPOSITORY / "docs" / "images" / "verdict.svg"
COLUMNS = 100


def ending(output: str) -> str:
    """From the summary to the end of a run's output."""
    lines = output.rstrip().splitlines()
    start = next(number for number, line in enumerate(lines) if "[Say what was found]" in line)
    return "\n".join(lines[start:])


def main() -> int:
    """Run the playbook and write the picture."""
    lab = [sys.executable, "-m", "lab", "--name", DEFAULT_NAME]
    done = subprocess.run(
        [*lab, "exec", OPERATOR.name, "--", *PLAY.split()],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {PLAY}\n…", style="bold"))
    console.print(Text.from_ansi(ending(done.stdout)))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    drawn = console.export_svg(title="kestrel.real_ip", unique_id="verdict")
    # The fonts that rich names are on other people's servers; the reader's own will do.
    PICTURE.write_text(re.sub(r"@font-face {.*?}\s*", "", drawn, flags=re.DOTALL) + "\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
