# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs keep in real_ip_report_dir, and the playbooks that compare and merge it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kestrel.real_ip.plugins.module_utils._report import read

from lab.settings import Lab
from tests.lab.playbooks import ELSEWHERE, EXPECTED, REPOSITORY, Playbooks, Run

STATISTICS = {"ANSIBLE_SHOW_CUSTOM_STATS": "1"}
KEPT = re.compile(r"^real_ip_report: (/\S+)\.\{json,html,md,xml\}$", re.MULTILINE)
TOKEN = "t0ken-of-nobody"


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Iterator[Playbooks]:
    """The bundled echo app, deployed once and not verified."""
    found = Playbooks(lab.name, f"reports-{secrets.token_hex(3)}")
    run = found.run("deploy", "-e", "real_ip_echo=bundled")
    assert run.status == 0, run.output
    assert "real_ip_report" not in run.output
    yield found
    found.kubectl("delete", "namespace", found.namespace)


@pytest.fixture
def verify(deployed: Playbooks, tmp_path: Path) -> Callable[..., Run]:
    """Run verify.yml with the hosts of an inventory, name → variables; reports go to ``kept``."""

    def run(hosts: dict[str, Any], *arguments: str, **environment: str) -> Run:
        inventory = tmp_path / "inventory.yml"
        clusters = {name: {"ansible_connection": "local", **own} for name, own in hosts.items()}
        inventory.write_text(yaml.safe_dump({"real_ip_clusters": {"hosts": clusters}}))
        return deployed.run(
            "verify",
            *("-i", str(inventory), "-e", f"real_ip_report_dir={tmp_path / 'kept'}"),
            *("-e", "real_ip_max_samples=20", *arguments),
            environment={**STATISTICS, **environment},
        )

    return run


GOOD = {"real_ip_expected_source": EXPECTED}
LOST = {"real_ip_expected_source": "203.0.113.77"}
#: Another prefix, since two hosts are never one deployment
ABSENT = {"real_ip_name_prefix": "absent"}


def _document(run: Run) -> dict[str, Any]:
    [kept] = KEPT.findall(run.output)
    return read(Path(f"{kept}.json").read_text(), kept)


def test_all_hosts_stand_in_one_report_and_it_is_what_is_published(
    verify: Callable[..., Run], tmp_path: Path
) -> None:
    refused = {**GOOD, "real_ip_name_prefix": "refused", "real_ip_samples": "many"}
    away = {**GOOD, "real_ip_name_prefix": "away", "real_ip_api_host": "https://127.0.0.1:9"}
    # Nobody listens there: its play ends at the first task that goes to it.
    lone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    hosts = {
        "good": GOOD,
        "absent": ABSENT,
        "refused": refused,
        "away": {**away, "real_ip_api_key": TOKEN},
        "lone": {**GOOD, **lone, "real_ip_name_prefix": "lone"},
    }
    run = verify(hosts)
    # 2 where hosts failed, 4 where one was not reached
    assert run.status & 6, run.output
    found = _document(run)
    told = found["real_ip_results"]
    published = run.statistics()["real_ip_results"]
    assert {name: told[name] for name in published} == published
    assert {name: one["verdict"] for name, one in told.items()} == {
        "good": "preserved",
        **dict.fromkeys(("absent", "refused", "away", "lone"), "not_run"),
    }
    assert [*told][-1] == "good"
    assert "The host was not reached" in told["lone"]["reason"]
    assert found["run"]["playbook"] == "verify"
    [probe] = found["evidence"]["good"]["probes"].values()
    assert len(probe["backends"]) == 2
    assert told["absent"]["cause"]
    assert found["evidence"]["absent"]["findings"][0]["code"] == told["absent"]["cause"]["code"]
    for path in (tmp_path / "kept").iterdir():
        assert TOKEN not in path.read_text()
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert len(names) == 4 + len(hosts)
    assert (
        'real_ip_verdict{cluster="good",verdict="preserved"} 1'
        in (tmp_path / "kept" / "real_ip-good.prom").read_text()
    )


def test_the_import_of_a_playbook_names_the_directory_of_all_hosts(
    deployed: Playbooks, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    ours = {"import_playbook": str(REPOSITORY / "playbooks" / "verify.yml")}
    text = yaml.safe_dump([{**ours, "vars": {"real_ip_report_dir": str(kept)}}])
    (tmp_path / "own.yml").write_text(text)
    inventory = tmp_path / "inventory.yml"
    hosts = {"good": GOOD, "absent": ABSENT}
    inventory.write_text(yaml.safe_dump({"real_ip_clusters": {"hosts": hosts}}))
    given = ("-i", str(inventory), "-e", "real_ip_max_samples=20")
    run = deployed.run(str(tmp_path / "own.yml"), *given, environment=ELSEWHERE)
    assert run.status == 2, run.output
    assert {*_document(run)["real_ip_results"]} == {*hosts}


def test_the_next_run_adds_a_report_and_changes_none(
    verify: Callable[..., Run], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    run = verify({"a": GOOD})
    assert run.status == 0, run.output
    assert run.changed == 0
    before = {path.name: path.read_bytes() for path in kept.iterdir() if path.suffix != ".prom"}
    # Each cluster's metrics are its own: a run of others leaves them.
    metrics = (kept / "real_ip-a.prom").read_bytes()
    assert verify({"b": LOST}).status == 2
    assert (kept / "real_ip-a.prom").read_bytes() == metrics
    after = {path.name: path.read_bytes() for path in kept.iterdir() if path.suffix != ".prom"}
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before) == 8
    assert sorted(after)[: len(before)] == sorted(before)


def test_check_mode_writes_nothing_and_says_so(verify: Callable[..., Run], tmp_path: Path) -> None:
    run = verify({"a": GOOD}, "--check")
    assert run.status == 0, run.output
    kept = tmp_path / "kept"
    assert f"real_ip_report: check mode, nothing is written to {kept}" in run.output
    assert not kept.exists()


def test_without_a_verification_there_is_nothing_to_report(
    verify: Callable[..., Run], tmp_path: Path
) -> None:
    run = verify({"a": GOOD}, "--tags", "namespace")
    # Tags that lead to nothing are no success.
    assert run.status == 2, run.output
    assert "Nothing was verified: the tags (namespace)" in run.output
    assert not (tmp_path / "kept").exists()


def test_one_failure_may_end_it_for_all(verify: Callable[..., Run]) -> None:
    """As ANSIBLE_ANY_ERRORS_FATAL has it: the report is written all the same."""
    hosts = {"a": GOOD, "b": {**GOOD, "real_ip_name_prefix": "b", "real_ip_samples": "many"}}
    run = verify(hosts, ANSIBLE_ANY_ERRORS_FATAL="1")
    assert run.status & 2, run.output
    assert {*_document(run)["real_ip_results"]} == {"a", "b"}


def test_a_directory_that_is_none_is_refused_before_anything_is_sent(
    verify: Callable[..., Run], tmp_path: Path
) -> None:
    (tmp_path / "kept").touch()
    run = verify({"a": GOOD})
    assert (run.status, run.verdict) == (2, "not_run")
    assert "real_ip_report_dir: expected a directory, or one that can be made" in run.line
    # There is a verdict to lose, so that it's said beside it.
    (tmp_path / "kept").unlink()


def test_a_cause_stands_in_each_form(deployed: Playbooks, tmp_path: Path) -> None:
    """Of a Service whose nodes put their own address into the client's place."""
    with deployed.balanced_service("Cluster") as address:
        deployed.until_it_answers_always(address)
        run = deployed.run(
            "diagnose verify",
            *("-e", f"real_ip_report_dir={tmp_path}", "-e", f"real_ip_url=http://{address}/"),
            *("-e", "real_ip_service=layer-4", "-e", "real_ip_layer=l4"),
            *("-e", f"real_ip_expected_source={EXPECTED}"),
            environment=STATISTICS,
        )
    diagnosed, verified = KEPT.findall(run.output)
    assert ("-diagnose-" in diagnosed, "-verify-" in verified) == (True, True)
    found = read(Path(f"{verified}.json").read_text(), verified)
    told = found["real_ip_results"]["localhost"]
    # Ansible says them after each playbook.
    last = Run(run.status, run.output[run.output.rindex("RUN:") :], run.seconds)
    assert told == last.statistics()["real_ip_results"]["localhost"]
    assert (told["verdict"], told["cause"]["code"]) == ("lost", "P501"), run.output
    [broken] = [hop for hop in found["evidence"]["localhost"]["path"] if hop["broken"]]
    for ending, words in {
        "html": f"{broken['hop']}: broken here",
        "md": told["cause"]["fix"],
        "xml": 'type="lost V2',
    }.items():
        text = Path(f"{verified}.{ending}").read_text()
        assert words in text
        assert "P501" in text


def test_before_and_after(deployed: Playbooks, verify: Callable[..., Run], tmp_path: Path) -> None:
    """What got worse fails, what was mended doesn't; a mix-up and a wrong file are named."""
    good, lost = (KEPT.findall(verify({"a": own}).output)[0] + ".json" for own in (GOOD, LOST))
    run = _compare(deployed, good, lost)
    assert run.status == 2
    assert "1 worse" in run.output
    assert "  worse    a: preserved V001, now lost V2" in run.output
    assert "expected 203.0.113.10, now 203.0.113.77" in run.output

    run = _compare(deployed, lost, good)
    assert run.status == 2
    assert f"{good} is older than {lost}" in run.output

    copy = tmp_path / "copy.json"
    copy.write_text(Path(good).read_text())
    run = _compare(deployed, good, str(copy))
    assert run.status == 2
    assert f"real_ip_after: expected {copy} to be of later runs than {good}" in run.output
    assert "still preserved\n" not in run.output

    again = KEPT.findall(verify({"a": GOOD}).output)[0] + ".json"
    run = _compare(deployed, lost, again)
    assert run.status == 0, run.output
    assert "\n1 mended\n" in run.output

    # An artifact of AWX, which has no evidence
    artifact = tmp_path / "artifact.json"
    results = json.loads(Path(good).read_text())["real_ip_results"]
    artifact.write_text(json.dumps({"real_ip_results": results}))
    run = _compare(deployed, str(artifact), again)
    assert run.status == 0, run.output
    assert "\n1 still preserved\n" in run.output

    run = _compare(deployed, str(tmp_path / "inventory.yml"), again)
    assert run.status == 2
    assert f"{tmp_path}/inventory.yml: expected a report in JSON" in run.output


def _compare(playbooks: Playbooks, before: str, after: str) -> Run:
    return playbooks.run(
        "compare", "-e", f"real_ip_before={before}", "-e", f"real_ip_after={after}"
    )


def test_what_slices_have_kept_is_merged(
    deployed: Playbooks, verify: Callable[..., Run], tmp_path: Path
) -> None:
    first, second = (KEPT.findall(verify(hosts).output)[0] for hosts in ({"a": GOOD}, {"b": LOST}))
    files = f"real_ip_documents={first}.json,{second}.json"
    whole = tmp_path / "whole"
    run = deployed.run(
        *("merge_results", "-e", files, "-e", f"real_ip_report_dir={whole}"), environment=STATISTICS
    )
    assert run.status == 2
    assert "Not preserved: b" in run.output
    lines = [line.split()[1:3] for line in re.findall(r"^real_ip: .*$", run.output, re.MULTILINE)]
    assert lines == [["b", "lost"], ["a", "preserved"]]
    found = _document(run)
    assert [one["file"] for one in found["run"]["merged"]] == [f"{first}.json", f"{second}.json"]
    assert found["real_ip_results"] == run.statistics()["real_ip_results"]
    assert len(found["evidence"]["a"]["probes"][""]["backends"]) == 2

    run = deployed.run("merge_results", "-e", files, "-e", "real_ip_accept=lost")
    assert run.status == 0, run.output
    run = deployed.run("merge_results")
    assert run.status == 2
    assert "real_ip_documents: expected files" in run.output
