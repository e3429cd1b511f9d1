# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter as playbooks use it: the documented examples, errors, what templating hands over."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.kestrel.real_ip.plugins.filter import client_ip as plugin
from ansible_collections.kestrel.real_ip.plugins.module_utils import _derive

COLLECTIONS = Path(plugin.__file__).absolute().parents[5]
CLIENT_IP = plugin.FilterModule().filters()["client_ip"]
DOCUMENTED = yaml.safe_load(plugin.DOCUMENTATION)["options"]


@pytest.fixture
def play(tmp_path):
    """Run tasks, given as YAML, with ansible-playbook; gives what it printed. Fails if they do."""

    def run(tasks):
        book = tmp_path / "play.yml"
        hosts = {"hosts": "localhost", "gather_facts": False, "tasks": yaml.safe_load(tasks)}
        book.write_text(yaml.safe_dump([hosts]), encoding="utf-8")
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        }
        command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "localhost,", "-c", "local"]
        done = subprocess.run(
            [*command, str(book)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_examples_print_what_they_say(play):
    expected = re.findall(r"^ +# ([0-9a-f:.]+)", plugin.EXAMPLES, flags=re.MULTILINE)
    assert len(expected) == len(yaml.safe_load(plugin.EXAMPLES))
    assert re.findall(r'"msg": "(.*)"', play(plugin.EXAMPLES)) == expected


LAZY = r"""
- name: Templates inside the containers
  ansible.builtin.assert:
    that:
      - by_name | kestrel.real_ip.client_ip(strategy=by_range, trusted_ranges=ranges) == '1.1.1.1'
      - in_pairs | kestrel.real_ip.client_ip(strategy=by_range, trusted_ranges=ranges) == '1.1.1.1'
      - in_pairs | kestrel.real_ip.client_ip(strategy=by_range, trusted_ranges=ranges, peer=peer)
        == '2001:db8::1'
      - in_pairs | kestrel.real_ip.client_ip(strategy='rightmost_trusted_count',
        trusted_count=number) == '1.1.1.1'
      - in_pairs | kestrel.real_ip.client_ip(strategy='peer', peer=none) is none
  vars:
    by_name:
      x-forwarded-for: ["{{ '6.6.6.6' }}", "1.1.1.1, {{ network }}"]
    by_range: rightmost_trusted_range
    in_pairs:
      - ["X-{{ 'Forwarded' }}-For", "6.6.6.6, 1.1.1.1, {{ network }}"]
    network: 10.0.0.0
    number: 2
    peer: "[2001:DB8::{{ number - 1 }}]:80"
    ranges: ["{{ network }}/8"]
"""

REFUSED = r"""
- block:
    - name: A wrong argument
      ansible.builtin.debug:
        msg: "{{ [] | kestrel.real_ip.client_ip(strategy='rightmost_trusted_count') }}"
    - name: It was not refused
      ansible.builtin.debug:
        msg: accepted
  rescue:
    - name: What was said
      ansible.builtin.debug:
        msg: "refused: {{ ansible_failed_result.msg }}"
"""


def test_lazy_containers_of_templating(play):
    play(LAZY)


def test_a_wrong_argument_in_a_play(play):
    printed = play(REFUSED)
    message = "client_ip: trusted_count must be an integer of at least 1, not None"
    assert re.search(rf'"msg": "refused: .*{re.escape(message)}', printed)
    assert "accepted" not in printed


@pytest.mark.parametrize(
    ("headers", "arguments", "message"),
    [
        ([], {}, "client_ip: strategy must be one of peer, "),
        (None, {"strategy": "peer"}, "client_ip: headers must be a list of [name, value] pairs"),
        ([], {"strategy": "single_header"}, "client_ip: header must be "),
        (
            [],
            {"strategy": "rightmost_trusted_range", "trusted_ranges": ["10.0.0.0/255.0.0.0"]},
            "client_ip: trusted_ranges[0] must be an address, or a CIDR with a prefix length, "
            "not '10.0.0.0/255.0.0.0'",
        ),
    ],
)
def test_wrong_arguments_are_filter_errors(headers, arguments, message):
    with pytest.raises(AnsibleFilterError, match=f"^{re.escape(message)}"):
        CLIENT_IP(headers, **arguments)


def test_positional_arguments_are_those_of_the_function():
    lines = {"Forwarded": 'for="[::1]", for=10.0.0.1'}
    arguments = ("10.0.0.2", "rightmost_trusted_range", "Forwarded", None, ["10.0.0.0/8"])
    assert CLIENT_IP(lines, *arguments) == _derive.client_ip(lines, *arguments) == "::1"


def test_documented_strategies_are_the_existing_ones():
    assert list(DOCUMENTED["strategy"]["choices"]) == list(_derive.STRATEGIES)
