# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to whom: certificates, tokens and kubeconfigs of a lab's cluster.

They are made once and kept until ``down``: whatever is missing is made again, the rest stays.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import shell
from lab.settings import API_URL, CLB, MASTER, NODES, SERVICES_IPV4, SERVICES_IPV6, Host, Lab

_DAYS: Final = "3650"
_NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate of the lab's own authority; ``usage`` is serverAuth or clientAuth."""

    name: str
    subject: str
    usage: str
    alternatives: tuple[str, ...] = ()


_LOOPBACK: Final = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")
_MASTER_ADDRESSES: Final = (f"IP:{MASTER.ipv4('vpc')}", f"IP:{MASTER.ipv6('vpc')}")


def _node_certificate(node: Host) -> Certificate:
    return Certificate(
        f"kubelet-{node.name}",
        f"/O=system:nodes/CN=system:node:{node.name}",
        "serverAuth",
        (f"DNS:{node.name}", f"IP:{node.ipv4('vpc')}", f"IP:{node.ipv6('vpc')}", *_LOOPBACK),
    )


#: kube-controller-manager and kube-scheduler serve with it too, on the loopback address.
SERVER: Final = Certificate(
    "kube-apiserver",
    "/CN=kube-apiserver",
    "serverAuth",
    (
        *("DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc"),
        "DNS:kubernetes.default.svc.cluster.local",
        f"IP:{SERVICES_IPV4[1]}",
        f"IP:{SERVICES_IPV6[1]}",
        *_MASTER_ADDRESSES,
        *_LOOPBACK,
    ),
)
#: With it the API server reads logs from kubelet and runs commands in containers.
KUBELET_CLIENT: Final = Certificate(
    "kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", "clientAuth"
)
#: With it the stand-in answers the API server's questions about new pods.
WEBHOOK: Final = Certificate("stand-in", "/CN=stand-in", "serverAuth", (f"IP:{CLB.ipv4('vpc')}",))
CERTIFICATES: Final = (
    SERVER,
    KUBELET_CLIENT,
    WEBHOOK,
    *(_node_certificate(node) for node in NODES),
)

#: User name → groups, for the API server's ``--token-auth-file``. The names of the components
#: are those that Kubernetes' own roles are bound to.
ADMIN: Final = "admin"
CONTROLLER: Final = "kestrel-clb-controller"
USERS: Final[dict[str, tuple[str, ...]]] = {
    ADMIN: ("system:masters",),
    CONTROLLER: (),
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
    "system:kube-proxy": (),
    **{f"system:node:{node.name}": ("system:nodes",) for node in NODES},
}


def directory(lab: Lab) -> Path:
    """Return where keys, certificates, tokens and the components' kubeconfigs are."""
    return lab.root / "credentials"


def authority(lab: Lab) -> Path:
    """Return the file with the certificate of the lab's authority."""
    return directory(lab) / "ca.crt"


def certificate_files(lab: Lab, name: str) -> tuple[Path, Path]:
    """Return the files of a certificate and of its key."""
    return files_in(directory(lab), name)


def files_in(where: Path, name: str) -> tuple[Path, Path]:
    """Return the files of a certificate and of its key in a directory."""
    return where / f"{name}.crt", where / f"{name}.key"


def kubeconfig_of(lab: Lab, user: str) -> Path:
    """Return the kubeconfig of a user of ``USERS``."""
    if user == ADMIN:
        return lab.kubeconfig
    return directory(lab) / f"{user.replace(':', '-')}.kubeconfig"


def token_file(lab: Lab) -> Path:
    """Return the file for ``--token-auth-file``."""
    return directory(lab) / "tokens.csv"


def token(lab: Lab, user: str = ADMIN) -> str:
    """Return a user's token."""
    return _tokens(lab)[user]


def service_account_key(lab: Lab) -> Path:
    """Return the private key that signs service accounts' tokens."""
    return directory(lab) / "service-accounts.key"


def ensure(lab: Lab) -> list[str]:
    """Make what is missing; return the names of what was made."""
    directory(lab).mkdir(mode=0o700, parents=True, exist_ok=True)
    made = certify(directory(lab), f"/CN=kestrel-real-ip-lab-{lab.name}", CERTIFICATES)
    if not _complete(service_account_key(lab)):
        draft = directory(lab) / "service-accounts.key.new"
        shell.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", draft])
        _keep(draft, service_account_key(lab))
        made.append("service-accounts")
    tokens = _tokens(lab)
    if tokens.keys() != USERS.keys():
        tokens = {user: tokens.get(user) or secrets.token_hex(32) for user in USERS}
        rows = [
            f'{tokens[user]},{user},{user},"{",".join(groups)}"\n' for user, groups in USERS.items()
        ]
        shell.write(token_file(lab), "".join(rows), 0o600)
        made.append("tokens")
    for user in USERS:
        if shell.write(kubeconfig_of(lab, user), kubeconfig(lab, user, tokens[user]), 0o600):
            made.append(kubeconfig_of(lab, user).name)
    return made


def certify(where: Path, authority_subject: str, wanted: Iterable[Certificate]) -> list[str]:
    """Have an authority ``ca`` in a directory, and certificates of it; return those made."""
    made = []
    issuer = files_in(where, "ca")
    if not _complete(*issuer):
        for path in where.glob("*.crt"):
            path.unlink()
        _certify(where, ("-subj", authority_subject, *_extensions_of_ca()), "ca")
        made.append("ca")

    def issue(certificate: Certificate) -> list[str]:
        if _complete(*files_in(where, certificate.name)):
            return []
        _certify(
            where,
            (
                *("-CA", str(issuer[0]), "-CAkey", str(issuer[1])),
                *("-subj", certificate.subject, *_extensions_of(certificate)),
            ),
            certificate.name,
        )
        return [certificate.name]

    for names in shell.parallel(issue, wanted):
        made.extend(names)
    return made


def _complete(*paths: Path) -> bool:
    return all(path.exists() for path in paths)


def _keep(draft: Path, path: Path) -> None:
    draft.chmod(0o600)
    draft.replace(path)


def _tokens(lab: Lab) -> dict[str, str]:
    if not token_file(lab).exists():
        return {}
    rows = [line.split(",") for line in token_file(lab).read_text().splitlines()]
    return {row[1]: row[0] for row in rows}


def _extensions(*lines: str) -> list[str]:
    return [word for line in lines for word in ("-addext", line)]


def _extensions_of_ca() -> list[str]:
    return _extensions("keyUsage=critical,keyCertSign,cRLSign")


def _extensions_of(certificate: Certificate) -> list[str]:
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        f"extendedKeyUsage={certificate.usage}",
    ]
    if certificate.alternatives:
        lines.append(f"subjectAltName={','.join(certificate.alternatives)}")
    return _extensions(*lines)


def _certify(where: Path, words: tuple[str, ...], name: str) -> None:
    """Make a key and a certificate; the certificate's file appears last and whole.

    Strict verifiers (Python from 3.13 on) want key identifiers too, which openssl adds itself.
    """
    certificate, key = files_in(where, name)
    draft, key_draft = (path.with_name(f"{path.name}.new") for path in (certificate, key))
    command: list[str | Path] = ["openssl", "req", "-x509", "-days", _DAYS, *_NEW_KEY]
    shell.run([*command, "-keyout", key_draft, "-out", draft, *words])
    _keep(key_draft, key)
    _keep(draft, certificate)


def kubeconfig(
    lab: Lab, user: str, secret: str, server: str = API_URL, another: str | None = None
) -> str:
    """Return the content of a kubeconfig for a user with a token.

    With ``another`` there is a context of that name, too, for the same user at ``server``, and it
    is the current one; the lab's own leads to the lab.
    """
    current = another or lab.name
    servers = {lab.name: API_URL, current: server}
    trust = base64.b64encode(authority(lab).read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": url, "certificate-authority-data": trust}}
            for name, url in servers.items()
        ],
        "users": [{"name": user, "user": {"token": secret}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": user}} for name in servers
        ],
        "current-context": current,
    }
    # Every YAML reader reads JSON.
    return json.dumps(config, indent=2) + "\n"
