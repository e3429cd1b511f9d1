# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Phrases that texts are put together from: English to Chinese, with the same placeholders."""

from __future__ import annotations

from collections.abc import Mapping

PHRASES: Mapping[str, str] = {}
