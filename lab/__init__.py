# SPDX-License-Identifier: GPL-3.0-or-later
"""The test cluster: a real Kubernetes in network namespaces of one Linux machine."""
