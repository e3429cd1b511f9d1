# SPDX-License-Identifier: GPL-3.0-or-later
"""One shot: what site deploys is removed by the same run, whatever became of it."""

from __future__ import annotations

from tests.lab.playbooks import EXPECTED, Playbooks

EPHEMERAL = ("-e", "real_ip_ephemeral=true", "-e", f"real_ip_expected_source={EXPECTED}")
STATISTICS = {"ANSIBLE_SHOW_CUSTOM_STATS": "1"}


def _is_gone(playbooks: Playbooks) -> bool:
    return f"namespace/{playbooks.namespace}" not in playbooks.namespaces()


def test_a_good_verdict_is_kept_and_nothing_else(own: Playbooks) -> None:
    run = own.run("site", *EPHEMERAL, environment=STATISTICS)
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert run.statistics()["real_ip_results"]["localhost"]["verdict"] == "preserved"
    assert "Left in the cluster: nothing of ours" in run.output
    assert "kestrel.real_ip.teardown" not in run.output
    assert _is_gone(own)


def test_check_mode_changes_nothing(own: Playbooks) -> None:
    run = own.run("site", *EPHEMERAL, "--check")
    assert (run.status, run.verdict) == (0, "not_run"), run.output
    assert _is_gone(own)


def test_a_bad_verdict_is_the_exit_code_and_has_its_cause(own: Playbooks) -> None:
    own.switch("x_forwarded_for=pass")
    try:
        run = own.run("site", *EPHEMERAL, environment=STATISTICS)
    finally:
        own.switch("x_forwarded_for=append")
    assert run.status == 2
    found = run.statistics()["real_ip_results"]["localhost"]
    assert found["verdict"] not in ("preserved", "not_run"), run.output
    assert found["cause"]["code"].startswith("P")
    assert _is_gone(own)


def test_a_failure_in_the_middle(own: Playbooks) -> None:
    image = ("-e", "real_ip_image=registry.invalid/nothing:1", "-e", "real_ip_wait_timeout=5")
    run = own.run("site", *EPHEMERAL, *image)
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert "Wait for pods and address: " in run.line
    assert _is_gone(own)


def test_a_refused_variable_removes_nothing(own: Playbooks) -> None:
    assert own.run("deploy").status == 0
    run = own.run("site", *EPHEMERAL, "-e", "real_ip_replicas=0")
    assert (run.status, run.verdict) == (2, "not_run"), run.output
    assert not _is_gone(own)


def test_what_was_deployed_to_stay_stays(own: Playbooks) -> None:
    assert own.run("deploy").status == 0
    run = own.run("site", *EPHEMERAL)
    assert (run.status, run.changed) == (2, 0), run.output
    assert "Deployment real-ip-deployment in the namespace" in run.line
    assert "was deployed to stay" in run.line
    assert not _is_gone(own)
    # Nor does it go with a run that was interrupted: what that one left is marked as its own.
    ours = ("deployment/real-ip-deployment", "-n", own.namespace, "real-ip.kestrel/ephemeral=true")
    own.kubectl("annotate", *ours)
    run = own.run("site", *EPHEMERAL)
    assert (run.status, run.verdict) == (0, "preserved"), run.output
    assert _is_gone(own)


def test_a_balancer_that_cannot_be_released_is_a_failure_of_its_own(own: Playbooks) -> None:
    held = ("-e", '{"real_ip_ingress_annotations": {"example.com/held": "true"}}')
    assert own.run("deploy", *EPHEMERAL, *held).status == 0
    ingress = ("ingress/real-ip-ingress", "-n", own.namespace, "--type=merge", "-p")
    finalizers = own.kubectl(
        *("get", *ingress[:3], "-o", "jsonpath={.metadata.finalizers}"),
    )
    stuck = finalizers.replace("]", ',"example.com/stuck"]').replace("[,", "[")
    own.kubectl(
        "patch", *ingress, f'{{"metadata":{{"finalizers":{stuck or ["example.com/stuck"]}}}}}'
    )
    try:
        run = own.run("site", *EPHEMERAL, *held, "-e", "real_ip_wait_timeout=8")
        assert (run.status, run.verdict) == (2, "preserved"), run.output
        told = " ".join(run.output.split())
        assert "Not everything was removed: Wait until the objects are gone" in told
        assert "example.com/stuck" in told
    finally:
        own.kubectl("patch", *ingress, '{"metadata":{"finalizers":null}}')
    assert own.run("teardown").status == 0
    assert _is_gone(own)
