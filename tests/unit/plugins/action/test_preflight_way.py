# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.kestrel.real_ip.plugins.action.preflight import _way
from ansible_collections.kestrel.real_ip.plugins.module_utils._settings import values_of
from ansible_collections.kestrel.real_ip.plugins.module_utils._way import OPTIONS
from ansible_collections.kestrel.real_ip.plugins.modules import (
    path_addresses_info,
    preflight,
    wait_ready,
)

URL = "http://b.example/y"


@pytest.mark.parametrize(("given", "url"), [({}, ""), ({"real_ip_url": URL}, URL)])
def test_the_way_of_a_verification_is_asked_for_as_a_whole(given: dict[str, str], url: str) -> None:
    """Whoever leaves out an option asks for another way than the one that is probed."""
    asked = _way(values_of(given))
    assert {*asked} == {*OPTIONS}
    assert asked["url"] == url


@pytest.mark.parametrize("module", [path_addresses_info, preflight, wait_ready])
def test_each_module_that_reads_the_way_says_all_of_its_options(module: Any) -> None:
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert {*OPTIONS} <= {*options.get("way", {}).get("suboptions", options)}
