# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a set-up."""

from __future__ import annotations


class SetupError(Exception):
    """The machine lacks something, or a step of the set-up failed.

    The message is one clear sentence for a person: what is needed or what failed, and what to do.
    The command line prints it without a traceback and exits 2.
    """
