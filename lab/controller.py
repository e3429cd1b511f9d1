# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's controller: watches the cluster and makes ``lab.balancing``'s answers true.

Runs in the load balancer's network namespace, as root:
``python -m lab.controller --kubeconfig FILE --directory DIR``. Below DIR it writes nginx.conf,
hosts.d/balancers and controller.json and reads nginx.pid and switches.json; it owns one nft table,
one routing table and the load balancers' addresses on ``lo``. It keeps no record: all that must
survive it stands in the cluster. Level-triggered: each round compares what is with what should be.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from lab import balancing, gates, layer7, shell
from lab.balancing import Balancer, Cluster, JsonObject, Notice, Patch, SwitchValue
from lab.gates import Waiting
from lab.shell import LabError

#: Seconds: between rounds without any change, so that what was changed by hand is mended;
#: between a change and its round, so that one deployment is one reload; after a failed round.
_RESYNC: Final = 5.0
_SETTLE: Final = 0.05
_RETRY: Final = 1.0
#: Seconds until an unchanged warning is said again.
_REPEAT: Final = 60.0
#: Seconds: a request to the API server; a watch, which the server ends; a local command.
_REQUEST: Final = (3.0, 5.0)
_WATCH: Final = 60
_COMMAND: Final = 10.0
#: Seconds that nginx may take to replace its worker.
_RELOAD: Final = 5.0

#: File that is written after each round, and seconds after which it tells of trouble.
_PULSE: Final = "controller.json"
#: File that says how the stand-in behaves; ``balancing.write_switches`` changes it.
SWITCHES_FILE: Final = "switches.json"
_PATIENCE: Final = 30.0

_FIELD_MANAGER: Final = "load-balancer-stand-in"


def _pulse(directory: Path) -> dict[str, Any]:
    """Return what a controller wrote after its last round; LabError if that doesn't count."""
    path = directory / _PULSE
    try:
        pulse: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        age = time.time() - path.stat().st_mtime
    except (OSError, ValueError):
        raise LabError("no round so far") from None
    if age > _PATIENCE:
        raise LabError(f"no round since {age:.0f} s")
    if pulse["trouble"]:
        raise LabError(str(pulse["trouble"]))
    return pulse


def health(directory: Path) -> str:
    """Tell how a controller that works on ``directory`` is, in a few words for a person.

    Raises LabError if its last round failed, or is so long ago that it can't be well.
    """
    return str(_pulse(directory)["detail"])


def await_switches(directory: Path, timeout: float = 10.0) -> None:
    """Wait until the switches in ``directory`` are in effect; LabError after ``timeout`` seconds.

    From then on every new connection meets them. Statuses follow a moment later.
    """
    wanted = balancing.read_switches(directory / SWITCHES_FILE)
    deadline = time.monotonic() + timeout
    while True:
        try:
            if _pulse(directory)["switches"] == wanted:
                return
            trouble = "the controller did not take them"
        except LabError as error:
            trouble = str(error)
        if time.monotonic() > deadline:
            raise LabError(f"The switches are not in effect after {timeout:g} s: {trouble}.")
        time.sleep(0.02)


def config(directory: Path) -> Mapping[str, str]:
    """Return the data of TKE's own ConfigMap that is in effect; LabError as in ``health``."""
    found: Mapping[str, str] = _pulse(directory)["config"]
    return found


def log(text: str) -> None:
    """Write one line with the time of day; control characters can't split it."""
    clock = datetime.now().strftime("%H:%M:%S.%f")[:-3]
    line = "".join(character if character.isprintable() else " " for character in text)
    print(f"{clock} {line[:500]}", flush=True)


# --------------------------------------------------------------------------------------------
# The API server


@dataclass(frozen=True)
class _Resource:
    """One kind that is watched: which client has it, and its methods' names.

    ``fields`` is the field selector, where not all of the kind are meant.
    """

    client: str
    list: str
    patch: str = ""
    patch_status: str = ""
    fields: str = ""


_RESOURCES: Final[Mapping[str, _Resource]] = {
    "Ingress": _Resource(
        "NetworkingV1Api",
        "list_ingress_for_all_namespaces",
        "patch_namespaced_ingress",
        "patch_namespaced_ingress_status",
    ),
    "Service": _Resource(
        "CoreV1Api",
        "list_service_for_all_namespaces",
        "patch_namespaced_service",
        "patch_namespaced_service_status",
    ),
    "EndpointSlice": _Resource("DiscoveryV1Api", "list_endpoint_slice_for_all_namespaces"),
    "Node": _Resource("CoreV1Api", "list_node"),
    "ConfigMap": _Resource(
        "CoreV1Api",
        "list_config_map_for_all_namespaces",
        fields=f"metadata.name={balancing.CONFIG_NAME}",
    ),
}


class Refused(LabError):
    """The API server answered with an error; ``status`` is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _refused(status: int, body: str | bytes | None) -> Refused:
    try:
        text = str(json.loads(body or "")["message"])
    except (ValueError, KeyError, TypeError):
        text = ""
    return Refused(status, f"{status} {text}")


class Api:
    """The few requests to the API server, as JSON objects in and out.

    The only place that touches the Kubernetes client. Answers are taken raw, so that they don't
    pass through its models, and what it raises comes out as LabError or Refused.
    """

    def __init__(self, kubeconfig: Path) -> None:
        import kubernetes  # type: ignore[import-untyped,unused-ignore]

        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(
            config_file=str(kubeconfig), client_configuration=configuration
        )
        # The lab has no way out: a proxy that the environment names can't reach the server.
        configuration.proxy = None
        # The rounds are the retries.
        configuration.retries = False
        client = kubernetes.client.ApiClient(configuration)
        self._clients: dict[str, Any] = {
            name: getattr(kubernetes.client, name)(client)
            for name in {resource.client for resource in _RESOURCES.values()}
        }
        self._core: Any = self._clients["CoreV1Api"]

    def _send(self, method: Any, *arguments: Any, **options: Any) -> Any:
        """Call a method of the client and return the raw answer of a request that succeeded."""
        options.setdefault("_request_timeout", _REQUEST)
        try:
            response = method(*arguments, _preload_content=False, **options)
            if response.status >= 400:
                raise _refused(response.status, response.data)
        except LabError:
            raise
        except Exception as error:  # the client has no common base for what it raises
            status = getattr(error, "status", None)
            if isinstance(status, int) and status:
                raise _refused(status, getattr(error, "body", "")) from None
            text = " ".join(str(error).split())[:300]
            raise LabError(f"API server: {type(error).__name__}: {text}") from None
        return response

    def _json(self, method: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._send(method, *arguments, **options).data)
        return data

    def _list_method(self, kind: str) -> Any:
        resource = _RESOURCES[kind]
        method = getattr(self._clients[resource.client], resource.list)
        return partial(method, field_selector=resource.fields) if resource.fields else method

    def read(self, kind: str) -> tuple[list[JsonObject], str]:
        """Return all objects of a kind, and the version to watch from."""
        answer = self._json(self._list_method(kind))
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    def watch(self, kind: str, version: str) -> Iterator[tuple[str, JsonObject]]:
        """Yield ``(ADDED|MODIFIED|DELETED, object)`` until the server ends it after a minute.

        Raises Refused with status 410 where ``version`` is too old.
        """
        from kubernetes.watch.watch import (  # type: ignore[import-untyped,unused-ignore]
            iter_resp_lines,
        )

        response = self._send(
            self._list_method(kind),
            watch=True,
            resource_version=version,
            timeout_seconds=_WATCH,
            _request_timeout=(_REQUEST[0], _WATCH + _REQUEST[1]),
        )
        try:
            for line in iter_resp_lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    code = status.get("code", 500)
                    raise Refused(code, f"{code} {status.get('message', '')}")
                yield event["type"], event["object"]
        except LabError:
            raise
        except Exception as error:  # as above
            raise LabError(f"watch of {kind}: {type(error).__name__}") from None
        finally:
            response.close()
            response.release_conn()

    def patch(self, due: Patch) -> JsonObject:
        """Send a merge patch; return the object as it is then."""
        resource = _RESOURCES[due.kind.name]
        name = resource.patch_status if due.status else resource.patch
        return self._json(
            getattr(self._clients[resource.client], name),
            due.name,
            due.namespace,
            due.body,
            field_manager=_FIELD_MANAGER,
            _content_type="application/merge-patch+json",
        )

    def certificate_id(self, namespace: str, name: str) -> str | None:
        """Return the id of a certificate that a Secret has, empty if none; None: no such Secret."""
        try:
            secret = self._json(self._core.read_namespaced_secret, name, namespace)
        except Refused as error:
            if error.status != 404:
                raise
            return None
        encoded = (secret.get("data") or {}).get(balancing.CERTIFICATE_KEY, "")
        return base64.b64decode(encoded).decode(errors="replace")

    def pod(self, one: Waiting) -> JsonObject | None:
        """Return a pod, or None if it is gone, or another of its name has taken its place."""
        try:
            found = self._json(self._core.read_namespaced_pod, one.name, one.namespace)
        except Refused as error:
            if error.status != 404:
                raise
            return None
        return found if found["metadata"]["uid"] == one.uid else None

    def open_gate(self, one: Waiting) -> None:
        """Say in a pod's status that its balancer reaches it."""
        condition = {"type": gates.GATE, "status": "True", "lastTransitionTime": _now()}
        self._json(
            self._core.patch_namespaced_pod_status,
            one.name,
            one.namespace,
            {"metadata": {"uid": one.uid}, "status": {"conditions": [condition]}},
            field_manager=_FIELD_MANAGER,
            # Conditions are a map by their type there.
            _content_type="application/strategic-merge-patch+json",
        )

    def say(self, notice: Notice) -> None:
        """Create an event, or count it up where the same one is there already."""
        now = _now()
        body = balancing.event_body(notice, now)
        name = body["metadata"]["name"]
        try:
            self._json(self._core.create_namespaced_event, notice.namespace, body)
        except Refused as error:
            if error.status != 409:
                raise
            old = self._json(self._core.read_namespaced_event, name, notice.namespace)
            self._json(
                self._core.patch_namespaced_event,
                name,
                notice.namespace,
                {"count": (old.get("count") or 0) + 1, "lastTimestamp": now},
                _content_type="application/merge-patch+json",
            )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _version(item: JsonObject) -> int:
    return int(item["metadata"]["resourceVersion"])


class Store:
    """The watched objects, kept current by one thread per kind; sets ``changed`` at each change."""

    def __init__(self, api: Api, changed: threading.Event) -> None:
        self._api = api
        self._changed = changed
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, JsonObject]] = {}

    def start(self) -> None:
        """Start watching; never raises later."""
        for kind in _RESOURCES:
            threading.Thread(target=self._follow, args=(kind,), name=kind, daemon=True).start()

    def cluster(self) -> Cluster | None:
        """Return all objects, or none as long as not every kind has been read once."""
        with self._lock:
            if self._objects.keys() != _RESOURCES.keys():
                return None
            parts = {kind: list(objects.values()) for kind, objects in self._objects.items()}
        config = next(
            (
                item.get("data") or {}
                for item in parts["ConfigMap"]
                if item["metadata"]["namespace"] == balancing.CONFIG_NAMESPACE
            ),
            {},
        )
        return Cluster(
            parts["Ingress"], parts["Service"], parts["EndpointSlice"], parts["Node"], config
        )

    def put(self, kind: str, item: JsonObject) -> None:
        """Take in an object that a patch returned, before the watch tells of it."""
        metadata = item["metadata"]
        gone = "deletionTimestamp" in metadata and not metadata.get("finalizers")
        self._take(kind, "DELETED" if gone else "MODIFIED", item)

    def _take(self, kind: str, event: str, item: JsonObject) -> None:
        uid = item["metadata"]["uid"]
        with self._lock:
            objects = self._objects[kind]
            if event == "DELETED":
                objects.pop(uid, None)
            elif uid not in objects or _version(objects[uid]) <= _version(item):
                # What a patch returned is newer than what the watch still has to tell.
                objects[uid] = item
        self._changed.set()

    def _follow(self, kind: str) -> None:
        trouble = ""
        while True:
            try:
                items, version = self._api.read(kind)
                with self._lock:
                    self._objects[kind] = {item["metadata"]["uid"]: item for item in items}
                self._changed.set()
                trouble = ""
                # It ends after a minute, then all is read anew: whatever was missed, or belongs
                # to a history that the server has no more, is forgotten with that.
                for event, item in self._api.watch(kind, version):
                    self._take(kind, event, item)
                time.sleep(_SETTLE)
            except Exception as error:  # a thread that died would leave the lab blind
                text = str(error) if isinstance(error, LabError) else repr(error)
                if text != trouble:
                    log(f"{kind}: {text}")
                trouble = text
                time.sleep(_RETRY)


# --------------------------------------------------------------------------------------------
# The machine


def _run(*command: str, stdin: str = "") -> str:
    return shell.run(command, stdin=stdin, timeout=_COMMAND)


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


#: Below /proc/sys/net, of this namespace only.
_SYSCTLS: Final[Mapping[str, str]] = {
    # Connections in a client's name mustn't meet the client's own: clients take higher ports.
    "ipv4/ip_local_port_range": "10240 32767",
    # Short connections, all to few addresses: ports have to be used again before a minute ends.
    "ipv4/tcp_tw_reuse": "1",
}


class Machine:
    """The namespace that this runs in: addresses, nft table, nginx and the resolver's file."""

    def __init__(self, directory: Path) -> None:
        self._conf = directory / "nginx.conf"
        self._pid = directory / "nginx.pid"
        self._hosts = directory / "hosts.d" / "balancers"
        self._resolver_pid = directory / "dnsmasq.pid"
        self._directory = directory
        self._ruleset = ""
        self._applied: tuple[str, str, str] | None = None
        self._look_again = 0.0
        #: Process id and workers of nginx at the time when it last was found to have loaded all.
        self._loaded: tuple[int, str] | None = None

    def prepare(self) -> None:
        """Set up what doesn't depend on the cluster: the way back of transparent connections."""
        self._hosts.parent.mkdir(parents=True, exist_ok=True)
        for name, value in _SYSCTLS.items():
            Path("/proc/sys/net", name).write_text(value, encoding="ascii")
        mark, table = hex(balancing.MARK), str(balancing.ROUTING_TABLE)
        for family in ("-4", "-6"):
            rules = json.loads(_run("ip", family, "-json", "rule", "show"))
            if not any(rule.get("table") == table for rule in rules):
                _run("ip", family, "rule", "add", "fwmark", mark, "lookup", table)
            _run("ip", family, "route", "replace", "local", "default", "dev", "lo", "table", table)

    def apply(self, found: Sequence[Balancer], switches: Mapping[str, SwitchValue]) -> bool:
        """Make the balancers true; tell whether nginx runs and has loaded its part.

        New addresses come before their listeners and go after them. LabError: not all is done,
        and what was there before may still be. Where nothing should have changed, what others
        did to the machine is looked for every few seconds only.
        """
        conf = layer7.nginx_conf(found, switches, self._directory)
        ruleset = balancing.nft_ruleset(found)
        wanted = balancing.addresses(found)
        names = balancing.hosts(found, switches)
        if (conf, ruleset, names) == self._applied and time.monotonic() < self._look_again:
            return True
        self._applied = None
        present = self._addresses()
        self._change("add", wanted - present)
        self._filter(ruleset)
        serving = self._serve(conf)
        released = balancing.own_addresses(present) - wanted
        self._change("del", released)
        for address in sorted(released):
            self._forget(address)
        self._resolve(names)
        if serving:
            self._applied = (conf, ruleset, names)
            self._look_again = time.monotonic() + _RESYNC
        return serving

    @staticmethod
    def _addresses() -> set[str]:
        links = json.loads(_run("ip", "-json", "address", "show"))
        return {entry["local"] for link in links for entry in link["addr_info"] if "local" in entry}

    @staticmethod
    def _change(verb: str, addresses: Collection[str]) -> None:
        # In the VPC the balancer has an address of its own, from which it connects; it keeps that.
        lines = [
            f"address {verb} {address} dev {balancing.device_of(address)}"
            f"{' nodad preferred_lft 0' if verb == 'add' else ''}\n"
            for address in sorted(addresses)
        ]
        if lines:
            _run("ip", "-batch", "-", stdin="".join(lines))

    @staticmethod
    def _forget(address: str) -> None:
        """End layer-4 connections to an address that is released."""
        family = "ipv6" if ":" in address else "ipv4"
        # Failing is its answer where there were none.
        with contextlib.suppress(LabError):
            _run("conntrack", "-D", "-f", family, "--orig-dst", address)

    def _filter(self, ruleset: str) -> None:
        tables = json.loads(_run("nft", "--json", "list", "tables"))["nftables"]
        there = any(entry.get("table", {}).get("name") == balancing.TABLE for entry in tables)
        if ruleset != self._ruleset or not there:
            _run("nft", "-f", "-", stdin=ruleset)
            self._ruleset = ruleset
            log("nft: loaded")

    def _serve(self, conf: str) -> bool:
        """Have nginx serve ``conf``; false where nginx isn't running, it then starts with it."""
        pid = self._nginx()
        state = (pid, self._workers(pid)[0]) if pid else None
        if _content(self._conf) == conf and state is not None and state == self._loaded:
            return True
        draft = self._conf.with_name("nginx.conf.draft")
        shell.write(draft, conf)
        _run("nginx", "-t", "-q", "-e", "stderr", "-c", str(draft))
        os.replace(draft, self._conf)
        if pid is None:
            self._loaded = None
            return False
        self._loaded = (pid, self._reload(pid))
        log("nginx: loaded")
        return True

    def _nginx(self) -> int | None:
        """Return nginx's process id if the recorded one is that of our nginx."""
        try:
            pid = int((_content(self._pid) or "").strip())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (ValueError, OSError):
            return None
        return pid if b"nginx" in command and str(self._conf).encode() in command else None

    @staticmethod
    def _workers(pid: int) -> tuple[str, bool]:
        """Return nginx's active workers as text, and whether there is one."""
        active = []
        for child in (_content(Path(f"/proc/{pid}/task/{pid}/children")) or "").split():
            # nginx writes what a worker does into its title.
            title = _content(Path(f"/proc/{child}/cmdline")) or ""
            if "worker process" in title and "shutting down" not in title:
                active.append(child)
        return " ".join(active), bool(active)

    def _reload(self, pid: int) -> str:
        """Have nginx read its file again; return its workers when the former take no more."""
        before = set(self._workers(pid)[0].split())
        os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + _RELOAD
        while time.monotonic() < deadline:
            workers, some = self._workers(pid)
            if some and before.isdisjoint(workers.split()):
                return workers
            time.sleep(0.01)
        raise LabError("nginx: did not take its configuration; see its log")

    def _resolve(self, hosts: str) -> None:
        if _content(self._hosts) == hosts:
            return
        # Not in its own directory: the resolver reads each file that appears there.
        draft = self._directory / "balancers"
        shell.write(draft, hosts)
        os.replace(draft, self._hosts)
        # Where it isn't running yet it reads the file when it starts.
        with contextlib.suppress(ValueError, OSError):
            os.kill(int((_content(self._resolver_pid) or "").strip()), signal.SIGHUP)


# --------------------------------------------------------------------------------------------
# Rounds


@dataclass
class Controller:
    """One round after the other: what is, what should be, what is due."""

    api: Api
    store: Store
    machine: Machine
    switches_file: Path
    pulse: Path
    changed: threading.Event
    numbers: dict[str, int] = field(default_factory=dict)
    #: When each balancer was first seen, and each warning last said; monotonic seconds.
    since: dict[str, float] = field(default_factory=dict)
    said: dict[Notice, float] = field(default_factory=dict)
    #: Ingresses whose HTTP is redirected; that they once asked for it is forgotten at a restart.
    rewritten: set[str] = field(default_factory=set)
    #: Pods that don't wait at a gate, by uid.
    let_in: set[str] = field(default_factory=set)
    #: The data of TKE's own ConfigMap, as the last round had it.
    config: Mapping[str, str] = field(default_factory=dict)
    _switches: dict[str, SwitchValue] = field(default_factory=lambda: dict(balancing.DEFAULTS))
    _switches_stamp: tuple[int, int] | None = None
    _switches_error: str = ""

    def switches(self) -> Mapping[str, SwitchValue]:
        """Return the switches as the file has them now; the last good ones where it is damaged."""
        error = ""
        self._switches_stamp = _stamp(self.switches_file)
        try:
            values = balancing.read_switches(self.switches_file)
            if values != self._switches:
                differing = {
                    key: values[key] for key in values if values[key] != self._switches[key]
                }
                log(f"switches: {differing}")
            self._switches = values
        except (ValueError, OSError) as problem:
            error = str(problem)
        if error and error != self._switches_error:
            log(f"switches: {error} The former ones stay.")
        self._switches_error = error
        return self._switches

    def round(self) -> tuple[float, str]:
        """Do all that is due now.

        Returns in how many seconds the next round is, at the latest, and what there is now.
        LabError: not all could be done.
        """
        cluster = self.store.cluster()
        if cluster is None:
            raise LabError("the cluster's objects can't be read yet")
        self.config = cluster.config
        switches = self.switches()
        cluster = self._with_certificates(cluster)
        self.numbers = balancing.allocate(cluster, self.numbers)
        self.rewritten = balancing.rewrites(cluster, self.rewritten)
        done = self._send(balancing.adoptions(cluster, self.numbers, switches))

        found = balancing.balancers(cluster, self.numbers, switches, self.rewritten)
        now = time.monotonic()
        self.since = {balancer.uid: self.since.get(balancer.uid, now) for balancer in found}
        serving = self.machine.apply(found, switches)
        done &= self._send(balancing.releases(cluster))
        self._warn(balancing.warnings(cluster, found, self.numbers, switches))
        if not serving:
            raise LabError("nginx is not running")

        ages = {uid: now - start for uid, start in self.since.items()}
        due, next_due = balancing.publications(cluster, found, switches, ages)
        done &= self._send(due)
        done &= self._open_gates(cluster, switches)
        wait = _RESYNC if done else _RETRY
        return min(wait, wait if next_due is None else next_due), f"{len(found)} balancers"

    def gated(self) -> Cluster | None:
        """Return the objects by which new pods get readiness gates; none where none gets one."""
        return self.store.cluster() if self._switches["readiness_gates"] == "on" else None

    def _open_gates(self, cluster: Cluster, switches: Mapping[str, SwitchValue]) -> bool:
        """Open the gates of pods that balancers reach; false where some still wait."""
        found = gates.waiting(cluster)
        self.let_in &= {one.uid for one in found}
        shut = []
        for one in found:
            pod = None if one.uid in self.let_in else self.api.pod(one)
            if pod is None or gates.is_open(pod):
                self.let_in.add(one.uid)
            else:
                shut.append(one)
        checked = switches["health_check"] == "on"
        healthy = gates.healthy(shut) if checked else {one.uid for one in shut}
        for uid, one in {one.uid: one for one in shut if one.uid in healthy}.items():
            try:
                self.api.open_gate(one)
            except Refused as failure:
                # 404 and 409: gone meanwhile.
                log(f"Pod {one.namespace}/{one.name}: {failure}")
                continue
            log(f"Pod {one.namespace}/{one.name}: its load balancer reaches it")
            self.let_in.add(uid)
        return all(one.uid in self.let_in for one in shut)

    def _with_certificates(self, cluster: Cluster) -> Cluster:
        """Return the cluster with the Secrets that its Ingresses name; not watched, but read."""
        found = {}
        for place in balancing.certificates(cluster):
            try:
                found[place] = self.api.certificate_id(*place)
            except LabError as failure:
                # One that can't be read says nothing about the Ingress.
                log(f"Secret {'/'.join(place)}: {failure}")
        return replace(cluster, secrets=found) if found else cluster

    def _send(self, patches: Sequence[Patch]) -> bool:
        """Send patches; false where one has to be tried again. One object can't stop others."""
        done = True
        for patch in patches:
            subject = f"{patch.kind.name} {patch.namespace}/{patch.name}"
            try:
                self.store.put(patch.kind.name, self.api.patch(patch))
            except LabError as failure:
                # 404: gone meanwhile; 409: changed meanwhile. The watch brings either.
                if not (isinstance(failure, Refused) and failure.status in (404, 409)):
                    log(f"{subject}: {failure}")
                done = False
                continue
            if patch.message:
                log(f"{subject}: {patch.message}")
                self._say(
                    Notice(
                        patch.kind,
                        patch.namespace,
                        patch.name,
                        patch.uid,
                        "Normal",
                        patch.message,
                    )
                )
        return done

    def _warn(self, notices: Sequence[Notice]) -> None:
        now = time.monotonic()
        self.said = {notice: self.said[notice] for notice in notices if notice in self.said}
        for notice in notices:
            if now - self.said.get(notice, -_REPEAT) >= _REPEAT:
                log(f"{notice.kind.name} {notice.namespace}/{notice.name}: {notice.message}")
                self._say(notice)
                self.said[notice] = now

    def _say(self, notice: Notice) -> None:
        try:
            self.api.say(notice)
        except LabError as failure:
            # Refused with 403 in a namespace that is being deleted: nothing depends on it.
            log(f"event for {notice.namespace}/{notice.name} not written: {failure}")

    def run(self) -> None:
        """Go on for ever."""
        last = ""
        while True:
            trouble = detail = ""
            try:
                wait, detail = self.round()
            except Exception as error:  # whatever an object holds, the others need their balancers
                trouble = str(error) if isinstance(error, LabError) else repr(error)
                wait = _RETRY
            if trouble != last:
                log(trouble or "well again")
            last = trouble
            pulse = {
                "trouble": trouble,
                "detail": detail,
                "switches": self._switches,
                "config": dict(self.config),
            }
            with contextlib.suppress(OSError):
                shell.write(self.pulse, json.dumps(pulse))
                os.utime(self.pulse)
            if self._wait(wait):
                time.sleep(_SETTLE)
            self.changed.clear()

    def _wait(self, seconds: float) -> bool:
        """Wait until something changed; false where the time has passed."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            # The file of switches is small and near: looking at it is cheaper than inotify.
            if self.changed.wait(min(left, 0.1)):
                return True
            if _stamp(self.switches_file) != self._switches_stamp:
                return True
        return False


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _attempt(action: Callable[[], Any], pause: Callable[[float], None] = time.sleep) -> Any:
    """Repeat an action until it works; log what is in its way when that changes."""
    last = ""
    while True:
        try:
            return action()
        except Exception as error:  # the lab's parts come up in any order
            text = f"{type(error).__name__}: {error}"
            if text != last:
                log(f"waiting: {text}")
            last = text
            pause(_RETRY)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the controller until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m lab.controller", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--webhook", metavar="ADDRESS:PORT", required=True)
    parser.add_argument("--certificate", nargs=2, type=Path, metavar=("FILE", "KEY"), required=True)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    switches, pulse = options.directory / SWITCHES_FILE, options.directory / _PULSE
    pulse.unlink(missing_ok=True)
    machine = Machine(options.directory)
    _attempt(machine.prepare)
    api: Api = _attempt(lambda: Api(options.kubeconfig))
    changed = threading.Event()
    store = Store(api, changed)
    store.start()
    running = Controller(api, store, machine, switches, pulse, changed)
    host, port = options.webhook.rsplit(":", 1)
    certificate, key = options.certificate
    _attempt(lambda: gates.serve((host, int(port)), certificate, key, running.gated))
    log("started")
    running.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
