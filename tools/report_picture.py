# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw a report in HTML for docs/reports.md, as Chromium shows it, wide and narrow, light and dark.

    python -m tools.report_picture REPORT.html

Needs Debian's package imagemagick. Look at the pictures before you commit them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from lab.settings import REPOSITORY
from tools.site import show

IMAGES: Final = REPOSITORY / "docs" / "images"

#: Picture to its width and height in pixels, and whether the reader wants it dark
PICTURES: Final = {
    "report.png": (1280, 1220, False),
    "report-dark.png": (1280, 1220, True),
    "report-400.png": (400, 1880, False),
    "report-400-dark.png": (400, 1880, True),
}


def draw(report: Path, picture: Path, width: int, height: int, dark: bool) -> None:
    """Write one picture of the top of a report, of few colours: a fifth of the size."""
    show(report, picture, width, height, dark)
    subprocess.run(["convert", picture, "+dither", "-colors", "128", f"png8:{picture}"], check=True)


def main(arguments: list[str]) -> int:
    """Draw all pictures of the report that the argument names."""
    if len(arguments) != 1:
        print(__doc__)
        return 2
    for name, (width, height, dark) in PICTURES.items():
        draw(Path(arguments[0]), IMAGES / name, width, height, dark)
        print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
