# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TKE's switches are arranged where Ansible runs, if that is where the module would run."""

from __future__ import annotations

from ansible_collections.kestrel.real_ip.plugins.plugin_utils._direct import OnlyModule, module_of


class ActionModule(OnlyModule):
    """Calls the module of the same name."""

    MODULE = module_of("cluster_switches")
