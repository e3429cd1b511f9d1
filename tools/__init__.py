# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Makefile runs. Standard library only: it starts on a machine that has nothing else."""
