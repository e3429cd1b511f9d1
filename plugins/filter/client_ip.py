# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter kestrel.real_ip.client_ip."""

from __future__ import annotations

DOCUMENTATION = r"""
name: client_ip
short_description: The client address that a backend may believe
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Derives the address of the client from the header lines of a request and its socket peer, by
    exactly one strategy.
  - The answer is in canonical form, which is that of RFC 5952 for IPv6. IPv4-mapped IPv6 becomes
    IPv4, a zone is kept, a port is left out.
  - Whatever a client sends, the filter does not fail. It does where one of its own options is
    missing, wrong or contradictory.
options:
  _input:
    description:
      - The header lines as the backend saw them. A list of pairs V([name, value]), or a dictionary
        of names, each with a string or a list of strings.
      - Order and repeats count, upper and lower case in names do not. A value that is no string is
        a malformed element.
    type: raw
    required: true
  peer:
    description:
      - The address of the socket peer, with or without a port, such as V(192.0.2.1:40000) or
        V([2001:db8::1]:40000).
      - Unset, the empty string and V(@), which stands for a Unix socket, mean that it is unknown.
    type: str
  strategy:
    description:
      - How the address is derived. There is no default, and no strategy falls back on another one.
    type: str
    required: true
    choices:
      peer: The address of O(peer).
      single_header: The one address in the last line of O(header).
      rightmost_trusted_count: The element number O(trusted_count) of the list, from the right.
      rightmost_trusted_range: >-
        The O(peer), if it is known and outside O(trusted_ranges). Else the rightmost element of
        the list outside O(trusted_ranges).
      rightmost_non_private: The rightmost element of the list that is globally routable.
      leftmost_non_private: >-
        The leftmost valid element of the list that is globally routable. B(Any client can forge
        it,) so it is for statistics only.
  header:
    description:
      - The header to read, in upper or lower case.
      - With O(strategy=single_header) it is required, and any but C(X-Forwarded-For) and
        C(Forwarded), since these are lists. Where a proxy overwrites one of them, use
        O(strategy=rightmost_trusted_count) with O(trusted_count=1).
      - With O(strategy=peer) it is not looked at.
      - With every other strategy it is V(X-Forwarded-For), the default, or V(Forwarded).
    type: str
  trusted_count:
    description:
      - How many proxies in front of the backend append to the list and are trusted.
      - With O(strategy=rightmost_trusted_count) it is required and at least V(1). With any other
        strategy it is not looked at.
    type: int
  trusted_ranges:
    description:
      - Where trusted proxies are. Addresses, and CIDRs with a prefix length; no netmasks, zones or
        names. Host bits are masked off.
      - IPv4 ranges hold IPv4 addresses only, IPv6 ranges IPv6 addresses only. A range of
        IPv4-mapped IPv6 addresses with a prefix length of at least 96 is an IPv4 range.
      - With O(strategy=rightmost_trusted_range) it is required; V([]) trusts nobody. With any other
        strategy it must be unset or empty.
    type: list
    elements: str
notes:
  - The list of a header is all of its lines in the order received, each split at commas. Elements
    that are empty or malformed keep their place and count. Where one of them decides, there is no
    answer; only O(strategy=leftmost_non_private) steps over them.
  - The quotes of C(Forwarded) are matched from the right end of each line, so that an unmatched
    quote of a client's cannot hide what proxies appended.
  - Globally routable is what is in none of IANA's special-purpose registries and no multicast
    address. V(100.64.0.0/10), V(2002::/16) and the documentation ranges for instance are not.
    V(64:ff9b::/96) is, and is not turned into IPv4.
  - Other implementations answer differently. Where all elements are trusted, nginx, Envoy, Gin,
    proxy-addr, Symfony and uvicorn take the leftmost one. Where junk stands at the deciding place,
    Gin and nginx take the peer, and remote_ip steps over it. Where the peer is trusted but the
    header is missing, nginx Unit, Echo, proxy-addr, Symfony and uvicorn take the peer. This filter
    returns V(none) in each of these cases. The collection's C(docs/derivation.md) lists more.
seealso:
  - name: RFC 7239
    description: Forwarded HTTP Extension.
    link: https://www.rfc-editor.org/rfc/rfc7239.html
  - name: RFC 5952
    description: A Recommendation for IPv6 Address Text Representation.
    link: https://www.rfc-editor.org/rfc/rfc5952.html
  - name: IANA IPv4 Special-Purpose Address Registry
    description: The IPv4 ranges that are not globally routable.
    link: https://www.iana.org/assignments/iana-ipv4-special-registry/
  - name: IANA IPv6 Special-Purpose Address Registry
    description: The IPv6 ranges that are not globally routable.
    link: https://www.iana.org/assignments/iana-ipv6-special-registry/
"""

EXAMPLES = r"""
- name: Behind one load balancer that appends to X-Forwarded-For
  ansible.builtin.debug:
    msg: >-
      {{ headers | kestrel.real_ip.client_ip(strategy='rightmost_trusted_count', trusted_count=1) }}
    # 203.0.113.20, whatever the client wrote before it
  vars:
    headers:
      - [Host, www.example.com]
      - [X-Forwarded-For, "1.1.1.1, 203.0.113.20"]

- name: Behind proxies of known addresses
  ansible.builtin.debug:
    msg: >-
      {{ headers | kestrel.real_ip.client_ip(strategy='rightmost_trusted_range', peer='10.0.0.5',
                                             trusted_ranges=['10.0.0.0/8', '2001:db8:255::/64']) }}
    # 203.0.113.20
  vars:
    headers:
      X-Forwarded-For: [1.1.1.1, "203.0.113.20, 10.0.0.9"]

- name: Behind a proxy that writes Forwarded
  ansible.builtin.debug:
    msg: >-
      {{ headers | kestrel.real_ip.client_ip(strategy='rightmost_trusted_count', trusted_count=1,
                                             header='Forwarded') }}
    # 2001:db8::20
  vars:
    headers:
      Forwarded: for="[2001:DB8::20]:4711";proto=https

- name: Behind a load balancer that sets X-Real-IP itself
  ansible.builtin.debug:
    msg: "{{ headers | kestrel.real_ip.client_ip(strategy='single_header', header='X-Real-IP') }}"
    # 203.0.113.20
  vars:
    headers:
      X-Real-IP: 203.0.113.20

- name: With no proxy in front
  ansible.builtin.debug:
    msg: "{{ [] | kestrel.real_ip.client_ip(strategy='peer', peer='[::ffff:203.0.113.20]:40312') }}"
    # 203.0.113.20
"""

RETURN = r"""
_value:
  description: The address, V(none) where there is no trustworthy one.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.kestrel.real_ip.plugins.module_utils import _derive


def client_ip(
    headers: t.Any,
    peer: t.Any = None,
    strategy: t.Any = None,
    header: t.Any = None,
    trusted_count: t.Any = None,
    trusted_ranges: t.Any = None,
) -> str | None:
    """The client address or None; raises AnsibleFilterError, which names argument and value."""
    try:
        return _derive.client_ip(headers, peer, strategy, header, trusted_count, trusted_ranges)
    except _derive.DerivationError as error:
        raise AnsibleFilterError(f"client_ip: {error}") from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"client_ip": client_ip}
