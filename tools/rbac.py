# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the manifests of docs/rbac from the table of rights.

python -m tools.rbac
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from ansible_collections.kestrel.real_ip.plugins.module_utils._rights import (
    DEPLOY_BUNDLED,
    NEEDED,
    OPTIONAL,
    Right,
)

from lab.settings import REPOSITORY

DIRECTORY = REPOSITORY / "docs" / "rbac"
ACCOUNT = "kestrel-real-ip"
NAMESPACE = "kestrel-catchip"
PURPOSES = tuple(NEEDED)

_HEADING = """\
# What {purpose} needs, and nothing else, in a namespace that exists. By: python -m tools.rbac
# For another namespace: sed 's/{namespace}/NAME/' docs/rbac/{purpose}.yml | kubectl apply -f -
---
apiVersion: v1
kind: List
items:
"""
_ACCOUNT = """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {account}
  namespace: {namespace}
"""
_ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: {prefix}Role
metadata:
  name: {name}{where}
rules:
{rules}
"""
_BINDING = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: {prefix}RoleBinding
metadata:
  name: {name}{where}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {prefix}Role
  name: {name}
subjects:
  - kind: ServiceAccount
    name: {account}
    namespace: {namespace}
"""


def _item(text: str) -> str:
    """An object as an item of a list."""
    return "  - " + textwrap.indent(text, "    ").removeprefix("    ")


def _rules(rights: Iterable[Right]) -> list[str]:
    """One rule for each set of verbs of an API group, in the order of the rights."""
    verbs: dict[tuple[str, str, str], list[str]] = {}
    for right in dict.fromkeys(rights):
        verbs.setdefault((right.group, right.name, right.resource), []).append(right.verb)
    resources: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, name, resource), found in verbs.items():
        resources.setdefault((group, name, tuple(found)), []).append(resource)
    return [
        f'  - apiGroups: ["{group}"]\n'
        f"    resources: [{', '.join(listed)}]\n"
        + (f"    resourceNames: [{name}]\n" if name else "")
        + f"    verbs: [{', '.join(found)}]"
        for (group, name, found), listed in resources.items()
    ]


def _where(right: Right) -> str:
    """The namespace of the role that gives it; empty for a ClusterRole."""
    return (right.namespace or NAMESPACE) if right.namespaced else ""


def _role(name: str, namespace: str, rules: Sequence[str]) -> str:
    fields = {
        "prefix": "" if namespace else "Cluster",
        "name": name,
        "where": f"\n  namespace: {namespace}" if namespace else "",
        "rules": "\n".join(rules),
        "account": ACCOUNT,
        "namespace": NAMESPACE,
    }
    return _item(_ROLE.format(**fields)) + _item(_BINDING.format(**fields))


def manifest(purpose: str) -> str:
    """The manifest for one purpose, as YAML."""
    needed = (*NEEDED[purpose], *(DEPLOY_BUNDLED if purpose == "deploy" else ()))
    rules = {NAMESPACE: _rules(needed)}
    # What is needed for one thing stands under one comment.
    reasons: dict[tuple[str, str], list[Right]] = {}
    for extra in OPTIONAL[purpose]:
        if extra.right not in needed:
            reasons.setdefault((_where(extra.right), extra.without), []).append(extra.right)
    for (where, without), rights in reasons.items():
        comment = f"  # A run goes on without. Then it doesn't tell or do: {without}"
        rules.setdefault(where, []).extend([comment, *_rules(rights)])
    name = f"{ACCOUNT}-{purpose}"
    roles = [_role(name, where, listed) for where, listed in rules.items() if listed]
    heading = _HEADING.format(purpose=purpose, namespace=NAMESPACE)
    account = _ACCOUNT.format(account=ACCOUNT, namespace=NAMESPACE)
    return heading + _item(account) + "".join(roles)


def main() -> None:
    """Write every manifest."""
    DIRECTORY.mkdir(exist_ok=True)
    for purpose in PURPOSES:
        (DIRECTORY / f"{purpose}.yml").write_text(manifest(purpose), encoding="utf-8")


if __name__ == "__main__":
    main()
