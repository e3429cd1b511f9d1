#!/usr/bin/python

# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say which source address the backends behind a load balancer see."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_ip_info
short_description: Say which source address the backends behind a load balancer see
version_added: 1.0.0
author: The kestrel.real_ip contributors (!UNKNOWN)
description:
  - Sends HTTP requests to an echo application behind a load balancer and compares the client
    address that it saw with the one that should have arrived.
  - A bad verdict does not fail the task. It fails for wrong arguments only, before the first
    request.
  - Proxies of the environment, redirects and C(.netrc) are never used. Each request goes over its
    own connection to the address it is meant for, and an answer counts only if it echoes that
    request.
  - Every address that a name gives is tested for itself, and the worst verdict is returned.
  - Requests with forged headers show whether a client can choose the address that an application
    reads.
extends_documentation_fragment:
  - kestrel.real_ip.attributes
  - kestrel.real_ip.attributes.read_only
attributes:
  action_group:
    support: none
    details:
      - This module does not talk to the API server, so the defaults of that group must not reach
        it.
options:
  url:
    description:
      - The URL to request, C(http) or C(https). Exactly one of O(url) and O(targets) is required.
    type: str
  targets:
    description:
      - Several targets at once. What an entry leaves out is taken from the option of the same name.
    type: list
    elements: dict
    suboptions:
      name:
        description: What to call the target in RV(targets). The URL, if not set.
        type: str
      url:
        description: See O(url).
        type: str
        required: true
      connect_to:
        description: See O(connect_to).
        type: str
      host_header:
        description: See O(host_header).
        type: str
      server_name:
        description: See O(server_name).
        type: str
      expected_source:
        description: See O(expected_source). Is looked at before O(expected_source_url).
        type: list
        elements: str
      layer:
        description: See O(layer).
        type: str
        choices: [l7, l4]
  connect_to:
    description:
      - Address or name, and maybe a port, to connect to instead of the URL's host. C(Host) header
        and TLS server name stay the URL's.
      - An IPv6 address with a port is written as V([2001:db8::1]:80).
    type: str
  host_header:
    description: The C(Host) header, instead of the URL's host and port.
    type: str
  server_name:
    description: The name for TLS, instead of the URL's host. Only looked at for C(https).
    type: str
  address_family:
    description: Which addresses of a name are tested.
    type: str
    choices: [any, ipv4, ipv6]
    default: any
  method:
    description: The method of the requests. One of GET, POST, PUT, PATCH, DELETE, OPTIONS.
    type: str
    default: GET
  headers:
    description:
      - Header lines to add to each request.
      - Headers that tell a client's address are refused, since what arrives must come from the path
        (Forwarded, X-Forwarded-*, X-Real-IP, True-Client-IP and its like, O(header), and those by
        which a load balancer is known), as are headers that the probe itself depends on, and values
        that hold an address of O(expected_source), or any address where that isn't given.
    type: dict
    default: {}
  expected_source:
    description:
      - The address with which the prober's traffic should arrive, or several of them. Addresses and
        CIDRs, or the word V(local) for the address of the probing socket.
      - V(local) can only confirm. Where another address is seen that is none of the cluster, the
        verdict is V(unproven), since address translation may be the reason.
      - If neither this nor O(expected_source_url) is set, the socket's address is taken in the same
        way, but only if it is globally routable.
      - Addresses are compared within the family of the connection. What holds more than a /8
        (IPv6 /12), or all together more than a /4 (IPv6 /8), what overlaps O(cluster_addresses) and
        a cluster's own address are refused.
      - Within a private range only the address of the probing socket counts, since a network plugin
        has addresses that no object names. Behind address translation give single addresses.
    type: list
    elements: str
  expected_source_url:
    description:
      - A URL that answers with the caller's address, as text or as the member C(ip) or C(origin) of
        JSON. It is requested twice for IPv4 and twice for IPv6, and tells nothing where the two
        answers differ, as behind a translation to several addresses.
      - Its certificate is accepted from the system's authorities and those in O(ca_path).
      - Not requested where O(expected_source) says it. Nothing is requested if it is not set.
    type: str
  cluster_addresses:
    description:
      - Addresses and CIDRs of the cluster itself. They are never the client's, and they tell whose
        address was seen instead.
      - What is left out counts as not known, an empty list as none.
    type: dict
    suboptions:
      nodes:
        description: Of nodes.
        type: list
        elements: str
      pods:
        description: Of pods, and of the nodes' pod CIDRs.
        type: list
        elements: str
      some_nodes:
        description: Of nodes, where O(cluster_addresses.nodes) is left out, since there may be
          more.
        type: list
        elements: str
      some_pods:
        description: The same of pods and of the nodes' pod CIDRs.
        type: list
        elements: str
      services:
        description: Of Services.
        type: list
        elements: str
      load_balancers:
        description: Of load balancers.
        type: list
        elements: str
      pod_names:
        description: Address of a pod to its name. These addresses count as
          O(cluster_addresses.pods).
        type: dict
      starting_pods:
        description: Names and host names of pods whose addresses are not known yet. On a host of
          such a name it is not known whether it is a pod.
        type: list
        elements: str
      proxied:
        description: Addresses of load balancers with C(ipMode=Proxy), which kube-proxy leaves
          alone.
        type: list
        elements: str
      intercepted:
        description: Addresses of Services' load balancers for which kube-proxy answers on nodes and
          in pods. From there a load balancer that is met behind one says nothing of it.
        type: list
        elements: str
  layer:
    description:
      - Which evidence decides. V(l7) is for proxies that add a header, V(l4) for load balancers
        that keep the source address of the connection.
      - On V(l4) no header decides. One that arrives was forged or added by a proxy, and
        RV(warnings_found) says so.
    type: str
    choices: [l7, l4]
    default: l7
  vantage:
    description:
      - Where the prober stands. From a node or a pod of the cluster, a load balancer's address may
        be answered without the load balancer.
      - V(auto) compares the addresses of the probing host with O(cluster_addresses.nodes) and
        O(cluster_addresses.pods). What is found overrides what is said here, but V(vpc) is only
        said.
      - A node's own address proves nothing, as it is also what a node can put in the place of
        everybody's on the way to pods; a pod's own does on O(layer=l7).
      - Where not all nodes and pods are known, the own address of a host on which a kubelet listens
        proves nothing with V(auto).
      - Where nodes or pods are not known, V(auto) makes a verdict on O(layer=l4) V(unproven), and
        one on O(layer=l7) counts only with the header lines by which O(load_balancer) is known.
    type: str
    choices: [auto, outside, vpc, node, pod]
    default: auto
  bypass:
    description:
      - Ways around what stands in front of the pods. They are tried once the targets were.
    type: dict
    suboptions:
      node_ports:
        description:
          - Addresses with ports of nodes, as V(203.0.113.5:30080). One that answers, or only takes
            the connection, is worth a sentence in RV(warnings_found) and never changes the verdict,
            since some load balancers need them open for clients.
        type: list
        elements: str
      internal_node_ports:
        description: Likewise, tried only from where they belong. O(vantage=vpc), V(node) and V(pod)
          are such places, and where a target's address, or the client's as it arrives, is of a
          network of one's own (RFC 1918, 4193 and 6598), since that may reach the nodes.
        type: list
        elements: str
      node_ports_of_targets:
        description: Node ports that are asked at the targets' own addresses, which can be a node's.
          One that answers is told likewise. Not tried from the cluster.
        type: list
        elements: int
      controller:
        description: Addresses with ports of nodes, where the controller of the Ingress may answer
          by itself. It is asked there as O(bypass.service) is; private ones where
          O(bypass.internal_node_ports) are. The verdict is likewise V(forgeable).
        type: list
        elements: str
      controller_ports:
        description:
          - Ports to ask for the controller of the Ingress at the addresses of
            O(bypass.load_balancer), and at what its names give, since each can be a node's.
        type: list
        elements: int
      controller_service:
        description: Addresses or names with ports where another Service of the controller has a
          load balancer of its own, or external addresses. The controller is asked there likewise.
        type: list
        elements: str
      pods:
        description: Addresses with ports of pods, as V(10.0.1.7:8080), likewise for those that
          answer. Private ones are tried where O(bypass.internal_node_ports) are, and none from the
          cluster, where each pod gets to each.
        type: list
        elements: str
      service:
        description:
          - Addresses or names with ports where the Service behind an Ingress, or another one that
            leads to the same pods, is reached by itself, since it has a load balancer of its own or
            external addresses. It is asked there from outside of the cluster, without TLS and with
            it, also with forged headers. The verdict of each target is V(forgeable) where
            O(strategy) then returns a forged value.
        type: list
        elements: str
      load_balancer:
        description:
          - The load balancer's addresses and names, as its status gives them. Where the URL's name
            leads to other addresses, something stands in front, and the load balancer is asked
            directly, also with forged headers, on the URL's port, on O(bypass.listeners), on 80
            and on 443, whatever its certificate. The verdict is V(forgeable) where O(strategy) then
            returns a forged value.
          - What a name here leads to is the load balancer's own only where there is no address
            beside it. Beside one, the name can lead to what stands in front.
        type: list
        elements: str
      hosts:
        description:
          - Host names that the load balancer has rules for. It is asked for these as well, since
            what stands in front can change the C(Host) header.
        type: list
        elements: str
      paths:
        description:
          - Paths that the load balancer has rules for. It is asked there as well, since what stands
            in front can change the path.
        type: list
        elements: str
      listeners:
        description:
          - Where the load balancer listens, as C(http:8080) or C(https:8443). It is asked there as
            well, since what stands in front need not use the URL's port.
        type: list
        elements: str
      at_usual_ports:
        description:
          - Whether the load balancer is asked at 80 and 443 in any case, since nothing need tell
            that it listens there. Where something stands in front it is.
        type: bool
        default: false
      lists_itself:
        description:
          - Whether the load balancer writes its own address at the end of C(X-Forwarded-For), as
            Google's does. Of others that is the address of a proxy in front of it.
        type: bool
        default: false
      hands_on:
        description:
          - Whether the load balancer is known to speak to a controller in the cluster, as an ALB
            or a CLB before ingress-nginx, so that a list has two addresses where nothing stands in
            front.
        type: bool
        default: false
      ingresses:
        description:
          - Other Ingresses that lead to the same pods by addresses, hosts or paths of their own,
            each with the command that asks there. They are not asked, and RV(warnings_found) names
            them.
        type: dict
      routes:
        description:
          - HTTPRoutes that lead to the same pods through Gateways at addresses of their own,
            likewise.
        type: dict
      alongside:
        description:
          - Other Ingresses and HTTPRoutes that lead to the same pods at an address of the load
            balancer's, each after its kind, likewise. Where something stands in front and the load
            balancer is asked directly, they are asked for by O(bypass.hosts) and O(bypass.paths),
            and not named.
        type: dict
      beyond:
        description:
          - What has the load balancer and leads to the same pods by rules that O(bypass.hosts) and
            O(bypass.paths) don't have, likewise. It is named where something stands in front and
            the load balancer is asked directly.
        type: dict
      unaddressed:
        description:
          - What has the load balancer and tells no address of it, with the command that shows it.
            A way around what stands in front is not looked for then, and RV(warnings_found) says
            so.
        type: dict
      omitted:
        description:
          - What leads past what stands in front by more places than stand here, likewise.
        type: dict
      pods_beside:
        description:
          - Names of pods that other Services of O(expect_backends) lead to. Who meets one of them
            by such a Service could meet one of O(expect_backends) as well.
        type: list
        elements: str
      unread:
        description:
          - What was not looked for, since a right is missing for it, each with the command that
            gives it. The reason of a verdict that is drawn all the same says so, and
            RV(warnings_found) has the command.
        type: dict
        suboptions:
          node_ports:
            description: Addresses of nodes, for O(bypass.node_ports) and O(bypass.controller).
            type: str
          service:
            description: Services that lead past the load balancer, for O(bypass.service).
            type: str
          controller:
            description: Services of the Ingress' controller, for O(bypass.controller).
            type: str
          controller_pods:
            description: Its pods, without which its other Services and nodes aren't known.
            type: str
          controller_ingresses:
            description: Ingresses of other namespaces that lead to the controller, for
              O(bypass.controller_service).
            type: str
          ingresses:
            description: Other Ingresses that lead to the same pods, for O(bypass.ingresses).
            type: str
          rivals:
            description: Other Ingresses that may take the requests. Told of where the echo app
              doesn't name every pod.
            type: str
          url_takers:
            description: Other Services that may take the requests for a URL. Told of where the echo
              app doesn't name every pod.
            type: str
          routes:
            description: HTTPRoutes that lead to the same pods.
            type: str
          gateways:
            description: Their Gateways, for O(bypass.routes).
            type: str
  load_balancer:
    description:
      - The class of the load balancer, by which its own header lines are known. Known is V(qcloud)
        (C(X-Stgw-Time) and C(X-Client-Proto)).
    type: str
  strategy:
    description:
      - How the application behind the load balancer finds the client's address.
        See P(kestrel.real_ip.client_ip#filter) for the meaning of the strategies.
      - If not set, V(rightmost_trusted_count) for O(layer=l7) with O(trusted_count=1), and V(peer)
        for O(layer=l4). V(peer) belongs to O(layer=l4) and the others to O(layer=l7); anything else
        is refused.
      - V(leftmost_non_private) is for statistics. A client can choose what it returns wherever the
        load balancer appends to the list, and the verdict then is V(forgeable).
    type: str
    choices:
      - peer
      - single_header
      - rightmost_trusted_count
      - rightmost_trusted_range
      - rightmost_non_private
      - leftmost_non_private
  header:
    description: The header that O(strategy) reads, X-Forwarded-For if not set.
    type: str
  trusted_count:
    description: How many proxies of one's own stand on the path, for V(rightmost_trusted_count).
    type: int
  trusted_ranges:
    description: Addresses and CIDRs of one's own proxies, for V(rightmost_trusted_range).
    type: list
    elements: str
  forge:
    description:
      - Whether to send requests with forged headers as well, about 250 to each address that answers
        as an echo app, and up to 500 where some are refused. C(X-Forwarded-For), C(X-Real-IP),
        C(Forwarded) and O(header), with addresses of several kinds, in several lines, in upper and
        lower case and with underscores for dashes; the headers that CDNs use, such as
        C(True-Client-IP); a C(Connection) that asks proxies to drop these headers; all of them at
        once, until each backend that answers at all has met that; and one that begins with a line
        of the PROXY protocol.
      - They find out what the path makes of headers that a client writes, see RV(forgery) and
        RV(safe_strategy). The verdict is V(forgeable) where one of them changes what O(strategy)
        reads.
      - Those that are refused as too many, with 429 or 503, are sent again one by one, slower each
        time, while waiting helps and O(deadline) isn't over.
    type: bool
    default: true
  samples:
    description: Requests to each address. Not more than O(max_samples).
    type: int
    default: 10
  expect_backends:
    description:
      - Names of the pods that have to answer. Requests are sent until each one did.
      - If the echo app does not name its pod, ten requests for each are sent.
    type: list
    elements: str
    default: []
  backend_namespace:
    description:
      - The namespace of O(expect_backends). Where an echo app tells another one, its pod is none of
        these, whatever its name, and is named with its namespace.
    type: str
  unready_backends:
    description:
      - Names of pods that will answer as well, as those that a rollout starts, and that are not
        ready yet. They need not answer, and a verdict that doesn't speak of them says so.
    type: list
    elements: str
    default: []
  other_nodes:
    description:
      - Names of nodes that have none of O(expect_backends). On layer 4 a node can translate what it
        hands to its pods, and a verdict that doesn't speak of them says so.
    type: list
    elements: str
    default: []
  namesakes:
    description:
      - Those of O(expect_backends) whose names pods of other namespaces have as well, or may have.
        Where an echo app tells such a name and no namespace, it counts as one that does not name
        its pod.
    type: list
    elements: str
    default: []
  max_samples:
    description: The greatest number of requests to each address.
    type: int
    default: 200
  concurrency:
    description: Requests at the same time.
    type: int
    default: 16
  timeout:
    description: Seconds for one request, from the connection to the last byte.
    type: float
    default: 5
  deadline:
    description: Seconds for the whole run, without O(wait). What is not done then is left out.
    type: float
    default: 60
  wait:
    description: Whether to wait first until every target answers as an echo app.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait for that. The probe follows in any case.
      - Meanwhile it is repeated every few seconds. What one address showed while another one was
        waited for counts too, if it is V(lost), V(mixed) or V(forgeable).
    type: float
    default: 300
  echo_format:
    description:
      - The form of the echo app's answers. V(auto) is whichever fits, but for V(jmespath).
      - V(kestrel) is this collection's own app, V(flask) the image of TKE's document, V(whoami)
        traefik/whoami, V(echoserver) registry.k8s.io/echoserver, V(httpbin) httpbin, V(http_echo)
        mendhak/http-https-echo, V(echo_basic) the app of the Gateway API's conformance tests.
      - V(jmespath) is any other app that answers with JSON. O(echo_queries) say where things are.
      - Not every app tells everything. Where it does not tell what decides, the verdict is
        V(unproven).
    type: str
    choices: [auto, kestrel, flask, whoami, echoserver, httpbin, http_echo, echo_basic, jmespath]
    default: auto
  echo_queries:
    description:
      - JMESPath expressions for O(echo_format=jmespath), for which the Python library C(jmespath)
        has to be installed where the module runs.
      - In an answer numbers count as text. The functions C(to_string) and C(to_number) are refused.
      - An answer in which one of them finds something of another type is none of the echo app's.
    type: dict
    suboptions:
      headers:
        description:
          - The header lines of the request, as a dictionary of names to values or to lists of
            values, or as a list of lists of name and value. Required for O(echo_format=jmespath).
        type: str
      peer:
        description:
          - The address of the socket peer, maybe with its port. What the app takes from a header is
            not the peer, and one that stands in a header as well counts for nothing.
        type: str
      pod:
        description: The name of the pod that answers.
        type: str
      node:
        description: The name of its node.
        type: str
  validate_certs:
    description: Whether certificates have to be valid, for the targets and O(expected_source_url).
    type: bool
    default: true
  ca_path:
    description: File or directory with the authorities to accept instead of the system's.
    type: path
  tls_client_cert:
    description: File with the client certificate, and maybe its key.
    type: path
  tls_client_key:
    description: File with the key of O(tls_client_cert), without a password.
    type: path
  max_body:
    description: Bytes that are read of one answer.
    type: int
    default: 65536
  language:
    description: The language of what a person reads, English or Chinese. Codes, verdicts, names and
      commands are the same in both.
    type: str
    choices: [en, zh]
    default: en
seealso:
  - plugin: kestrel.real_ip.client_ip
    plugin_type: filter
"""

EXAMPLES = r"""
- name: See whether the client's address arrives through a layer-7 load balancer
  kestrel.real_ip.source_ip_info:
    url: http://198.51.100.10/
    expected_source: 203.0.113.20
    vantage: outside
  register: probe

- name: Stop if it does not
  ansible.builtin.assert:
    that: probe.verdict == 'preserved'
    fail_msg: "{{ probe.code }} {{ probe.reason }}. {{ probe.fix }}"

- name: Ask each of two pods, through two proxies, by the address behind a name
  kestrel.real_ip.source_ip_info:
    url: https://echo.example.com/
    connect_to: 198.51.100.10
    expected_source:
      - 203.0.113.20
      - 2001:db8:113::20
    trusted_count: 2
    vantage: outside
    expect_backends:
      - real-ip-deployment-7d9c5b8f6-abcde
      - real-ip-deployment-7d9c5b8f6-fghij

- name: Test several load balancers at once, once they answer
  kestrel.real_ip.source_ip_info:
    targets:
      - name: public
        url: http://198.51.100.10/
      - name: internal
        url: http://10.255.0.5/
        expected_source: 10.255.0.10
    expected_source_url: https://address.example.com/
    load_balancer: qcloud
    wait: true
"""

RETURN = r"""
verdict:
  description:
    - V(preserved) if every answer showed exactly the expected address and no forged header changed
      that, V(forgeable) if one did, V(lost) if they agree on
      another or on none, V(mixed) if only some showed it, V(unproven) if what was seen does not
      decide it, V(no_answer) if no echo app answered.
    - With several addresses the worst of theirs, in the order V(no_answer), V(lost), V(mixed),
      V(forgeable), V(unproven), V(preserved). The values from RV(address) to RV(expected_from) are
      that address'.
  returned: success
  type: str
  sample: preserved
code:
  description: Stable code of the verdict, V(V) and three digits. The collection's documentation
    lists them.
  returned: success
  type: str
  sample: V001
reason:
  description: Why, in one sentence that names the addresses.
  returned: success
  type: str
  sample: >-
    all 10 answers through 198.51.100.10:80 showed 203.0.113.20 as the rightmost X-Forwarded-For
    entry
detail:
  description: What RV(reason) is about beside addresses, such as an HTTP status, where a redirect
    leads, or the header that is missing. Empty where there is nothing of the kind.
  returned: success
  type: str
  sample: 502 Bad Gateway
fix:
  description: What to set or to type next, in one sentence. None where nothing has to be mended.
  returned: success
  type: str
  sample: "Set trusted_count: 2, after checking that the load balancer can't be reached without
    passing every one of these proxies"
address:
  description: The address that decided. None where a name was not resolved.
  returned: success
  type: str
  sample: 198.51.100.10
warnings_found:
  description: What else is worth knowing, at most 20 sentences. All of them stand in RV(targets).
  returned: success
  type: list
  elements: str
  sample: []
expected:
  description: The addresses and CIDRs that were expected.
  returned: success
  type: list
  elements: str
  sample: [203.0.113.20]
expected_from:
  description:
    - Where they come from. V(given) by O(expected_source), V(asked) from O(expected_source_url),
      V(local) from the probing socket on request, V(inferred) from it without.
    - None where no address is expected.
  returned: success
  type: str
  sample: given
observed:
  description: Address that the strategy finds in an answer, to the number of answers. V(none) for
    no address.
  returned: success
  type: dict
  sample: {203.0.113.20: 10}
coverage:
  description:
    - Whether every pod in O(expect_backends) answered. V(complete), V(incomplete), V(unknown) if
      the echo app does not name its pod, V(not_asked) if O(expect_backends) is empty.
  returned: success
  type: str
  sample: complete
backends:
  description: Each pod that answered, and what it saw.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The pod's name, behind its namespace and a slash where that is not
        O(backend_namespace). None if the echo app does not tell it.
      returned: success
      type: str
      sample: real-ip-deployment-7d9c5b8f6-abcde
    node:
      description: Its node's name. None if the echo app does not tell it.
      returned: success
      type: str
      sample: node1
    answers:
      description: How many answers came from it.
      returned: success
      type: int
      sample: 5
    observed:
      description: As RV(observed), for this pod.
      returned: success
      type: dict
      sample: {203.0.113.20: 5}
    peers:
      description: Socket peer that the pod saw, to the number of answers. Empty if the echo app
        does not tell it.
      returned: success
      type: dict
      sample: {10.255.0.12: 5}
    headers:
      description: The header lines of its first answer that carry addresses. Long ones are
        shortened.
      returned: success
      type: dict
      sample: {X-Forwarded-For: [203.0.113.20], X-Real-Ip: [203.0.113.20]}
forgery:
  description:
    - Header to what became of it where the client wrote one. V(appended) if something was added
      right of it, V(replaced) if it was written anew, V(passed_through) if it arrived as the last
      entry, V(dropped) if it did not arrive, V(refused) if no request with it was answered.
    - With several addresses or requests the worst, in the order V(passed_through), V(appended),
      V(replaced), V(dropped), V(refused). Empty with O(forge=false) and where nothing answered.
  returned: success
  type: dict
  sample: {Forwarded: passed_through, X-Forwarded-For: appended, X-Real-IP: replaced}
safe_strategy:
  description:
    - What an application behind this path must use, as arguments of
      P(kestrel.real_ip.client_ip#filter). The declared strategy if no request deceived it and it
      has no more than three ranges, else the simplest one that none did.
    - None where no header can be trusted, where that was not tried, where addresses differ, and
      where the load balancer may not have been met or a proxy's address may be expected.
  returned: success
  type: dict
  sample: {strategy: rightmost_trusted_count, header: X-Forwarded-For, trusted_count: 1}
declared:
  description:
    - What the verdict holds for, O(layer), and O(strategy), O(header), O(trusted_count) and
      O(trusted_ranges) as far as the strategy looks at them, with their defaults. One entry, unless
      targets are on different layers.
    - Of more than three ranges the others are one text, their number with a digest.
  returned: success
  type: list
  elements: dict
  sample:
    - {layer: l7, strategy: rightmost_trusted_count, header: X-Forwarded-For, trusted_count: 1}
doubt:
  description:
    - What a V(forgeable) hides, its C(verdict), C(code) and C(reason), where honest requests alone
      would be V(unproven), so that it isn't known whether the expected address arrives.
    - None where there is nothing of the kind. With several addresses, the first one's that has it.
  returned: success
  type: dict
  sample:
load_balancer_headers:
  description: The header lines of O(load_balancer) that arrived.
  returned: success
  type: list
  elements: str
  sample: [X-Client-Proto, X-Stgw-Time]
bypass:
  description: Each way of O(bypass) that was tried.
  returned: success
  type: list
  elements: dict
  contains:
    way:
      description: V(node_port), V(node_port_of_target), V(pod), V(service), V(controller) or
        V(load_balancer).
      returned: success
      type: str
      sample: node_port
    address:
      description: Its address.
      returned: success
      type: str
      sample: 203.0.113.5
    port:
      description: Its port.
      returned: success
      type: int
      sample: 30080
    host_header:
      description: The C(Host) header that was sent. The load balancer is asked with the target's,
        with those of its rules, with each of its own names and with its own address.
      returned: success
      type: str
      sample: 203.0.113.5:30080
    path:
      description: The path and the query that were asked for.
      returned: success
      type: str
      sample: /
    tls:
      description: Whether it was asked with TLS.
      returned: success
      type: bool
      sample: false
    reachable:
      description: Whether the echo app answered there. None if there was no time or no route to
        ask.
      returned: success
      type: bool
      sample: false
    vantage:
      description: Where it was tried from.
      returned: success
      type: str
      sample: outside
vantage:
  description: Where the prober stands, V(outside), V(vpc), V(node) or V(pod).
  returned: success
  type: str
  sample: outside
vantage_checked:
  description: Whether nodes and pods were known, so that it was found out rather than said.
  returned: success
  type: bool
  sample: true
network:
  description: What tells the network that was probed from apart from those of other machines, and
    of containers with one of their own. Where two vantage points have the same one, they are one.
  returned: success
  type: str
  sample: 5f0c6d5e8a1b2c3d
requests:
  description: How many requests there were.
  returned: success
  type: dict
  contains:
    planned:
      description: That were to be sent.
      returned: success
      type: int
      sample: 10
    sent:
      description: That were sent and came to an end before O(deadline).
      returned: success
      type: int
      sample: 10
    forged:
      description: That were sent with forged headers, beside these.
      returned: success
      type: int
      sample: 65
    answered:
      description: That an echo app answered.
      returned: success
      type: int
      sample: 10
    unanswered:
      description: Code of why another one was not, to the number of requests.
      returned: success
      type: dict
      sample: {}
timings:
  description:
    - C(min), C(median) and C(max) of C(connect), C(first_byte) and C(total), each in seconds from
      the start of a request. Of requests that were answered, by whatever. Empty if there were none.
  returned: success
  type: dict
  sample:
    connect: {min: 0.0003, median: 0.0004, max: 0.0011}
    first_byte: {min: 0.0021, median: 0.0024, max: 0.0064}
    total: {min: 0.0022, median: 0.0025, max: 0.0066}
targets:
  description:
    - All of this for each address of each target, in their order. C(name) and C(url) name the
      target.
    - C(verdict) is V(untested) for an address of a family for which the prober has no route.
    - Before them stands what an address showed while another one was waited for, and doesn't show
      any more.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os
from collections.abc import Iterable
from functools import partial, reduce
from time import monotonic
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kestrel.real_ip.plugins.module_utils import _bypass as bypass
from ansible_collections.kestrel.real_ip.plugins.module_utils._codes import (
    UNSOUGHT,
    doubt_of,
    with_doubt,
    without_advice,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._derive import (
    STRATEGIES,
    Address,
    canonical,
    parse_ranges,
    untranslated,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._echo import ECHO_FORMATS
from ansible_collections.kestrel.real_ip.plugins.module_utils._evidence import (
    describe,
    describe_unreached,
    led_elsewhere,
    settle,
    summarize,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._language import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
    in_language,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._options import (
    Plan,
    WrongArgument,
    forging,
    plan,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._probe import (
    NoAnswer,
    Request,
    Station,
    Survey,
    Target,
    Visit,
    ask_own_address,
    await_echo,
    resolve,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._proxies import passed_by
from ansible_collections.kestrel.real_ip.plugins.module_utils._queries import NAMES
from ansible_collections.kestrel.real_ip.plugins.module_utils._vantage import (
    PLACES,
    network,
)
from ansible_collections.kestrel.real_ip.plugins.module_utils._verdict import (
    Expectation,
    Times,
    is_answer,
    worsens,
)

TEXTS = {"type": "list", "elements": "str"}
PER_TARGET: dict[str, dict[str, Any]] = {
    "url": {"type": "str"},
    "connect_to": {"type": "str"},
    "host_header": {"type": "str"},
    "server_name": {"type": "str"},
    "expected_source": TEXTS,
    "layer": {"type": "str", "choices": ["l7", "l4"]},
}
TARGET = {**PER_TARGET, "name": {"type": "str"}, "url": {"type": "str", "required": True}}
CLUSTER = {
    "nodes": TEXTS,
    "pods": TEXTS,
    "some_nodes": TEXTS,
    "some_pods": TEXTS,
    "services": TEXTS,
    "load_balancers": TEXTS,
    "pod_names": {"type": "dict"},
    "starting_pods": TEXTS,
    "proxied": TEXTS,
    "intercepted": TEXTS,
}
#: Seconds beside the deadline to try the ways around: without them they count as closed.
BYPASS_TIME = 10
BYPASS: dict[str, dict[str, Any]] = {
    "node_ports": TEXTS,
    "internal_node_ports": TEXTS,
    "node_ports_of_targets": {"type": "list", "elements": "int"},
    "controller": TEXTS,
    "controller_ports": {"type": "list", "elements": "int"},
    "controller_service": TEXTS,
    "pods": TEXTS,
    "service": TEXTS,
    "load_balancer": TEXTS,
    "hosts": TEXTS,
    "paths": TEXTS,
    "listeners": TEXTS,
    "at_usual_ports": {"type": "bool", "default": False},
    "lists_itself": {"type": "bool", "default": False},
    "hands_on": {"type": "bool", "default": False},
    "ingresses": {"type": "dict"},
    "routes": {"type": "dict"},
    "unaddressed": {"type": "dict"},
    "alongside": {"type": "dict"},
    "beyond": {"type": "dict"},
    "omitted": {"type": "dict"},
    "pods_beside": {"type": "list", "elements": "str"},
    "unread": {"type": "dict", "options": {name: {"type": "str"} for name in UNSOUGHT}},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    **PER_TARGET,
    "layer": {**PER_TARGET["layer"], "default": "l7"},
    "targets": {"type": "list", "elements": "dict", "options": TARGET},
    "address_family": {"type": "str", "choices": ["any", "ipv4", "ipv6"], "default": "any"},
    "method": {"type": "str", "default": "GET"},
    "headers": {"type": "dict", "default": {}},
    "expected_source_url": {"type": "str"},
    "cluster_addresses": {"type": "dict", "options": CLUSTER},
    "vantage": {"type": "str", "choices": [*PLACES], "default": "auto"},
    # Its name sounds like a password.
    "bypass": {"type": "dict", "options": BYPASS, "no_log": False},
    "load_balancer": {"type": "str"},
    "strategy": {"type": "str", "choices": [*STRATEGIES]},
    "header": {"type": "str"},
    "trusted_count": {"type": "int"},
    "trusted_ranges": TEXTS,
    "forge": {"type": "bool", "default": True},
    "samples": {"type": "int", "default": 10},
    "expect_backends": {**TEXTS, "default": []},
    "backend_namespace": {"type": "str"},
    "unready_backends": {**TEXTS, "default": []},
    "other_nodes": {**TEXTS, "default": []},
    "namesakes": {**TEXTS, "default": []},
    "max_samples": {"type": "int", "default": 200},
    "concurrency": {"type": "int", "default": 16},
    "timeout": {"type": "float", "default": 5},
    "deadline": {"type": "float", "default": 60},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "float", "default": 300},
    "echo_format": {"type": "str", "choices": [*ECHO_FORMATS], "default": "auto"},
    "echo_queries": {"type": "dict", "options": {name: {"type": "str"} for name in NAMES}},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "tls_client_cert": {"type": "path"},
    "tls_client_key": {"type": "path", "no_log": False},
    "max_body": {"type": "int", "default": 65536},
    "language": {"type": "str", "choices": [*LANGUAGES], "default": DEFAULT_LANGUAGE},
}


def with_own_address(todo: Plan, family: str, until: float) -> list[Target]:
    """The targets, with the answer of ``expected_source_url`` where it is to be asked."""
    sources = {target.question.expectation.source for target in todo.targets}
    if todo.own_address is None or "asked" not in sources:
        return todo.targets
    request = todo.request._replace(method="GET", headers={})
    own = ask_own_address(todo.own_address, request, family, until)
    networks = (*parse_ranges([*own.told.values()]),)
    asked = Expectation("asked", networks, own.asked_at, own.failures)
    return [
        forging(target._replace(question=target.question._replace(expectation=asked)))
        if target.question.expectation.source == "asked"
        else target
        for target in todo.targets
    ]


def results(visits: list[Visit], status: Iterable[str]) -> list[list[dict[str, Any]]]:
    """For each target one entry for each of its addresses, one if it has none.

    ``status``: the load balancer's addresses, each of which can be a target of its own: as those of
    one name they are settled together.
    """
    own = {*map(canonical, status)} - {None}
    groups: dict[int, list[int]] = {}
    for number, visit in enumerate(visits):
        is_own = canonical(visit.target.endpoint.host) in own
        groups.setdefault(-1 if is_own else number, []).append(number)
    found: list[list[dict[str, Any]]] = [[] for _one in visits]
    for numbers in groups.values():
        stations = [(number, one) for number in numbers for one in visits[number].stations]
        seen = [one.result for _number, one in stations], [one.path for _number, one in stations]
        for (number, _one), result in zip(stations, settle(*seen)):
            found[number].append(result)
    return [of or [unreached(visit)] for of, visit in zip(found, visits)]


def unreached(visit: Visit) -> dict[str, Any]:
    """The entry of a target without an address."""
    target, failure = visit.target, visit.failure
    host = target.endpoint.host
    facts = {"address": host, "host": host, "detail": failure.detail}
    return describe_unreached(failure.number, facts, {"name": target.name, "url": target.url})


#: Seconds that a name may take which nobody is connected to by, and so many of them
NAME_TIME = 1
NAMED = 3


def led_to(name: str, family: str) -> set[str]:
    """The addresses that a name gives in time, none where it gives none."""
    try:
        found = resolve(name, 0, family, NAME_TIME)
    except NoAnswer:
        return set()
    return {str(untranslated(one.remote)) for one in found}


def elsewhere(visits: list[Visit], status: Iterable[str], family: str) -> dict[str, list[str]]:
    """The names that were asked for at other addresses than their own, to those of theirs that are
    none of the load balancer's: the first few. ``status``: the load balancer's addresses and names.
    """
    ends = [visit.target.endpoint for visit in visits]
    names = dict.fromkeys(one.label for one in ends if one.label not in ("", one.host))
    known = {name: led_to(name, family) for name in [*names][:NAMED] if not canonical(name)}
    if not any(known.values()):
        return {}
    asked = {str(untranslated(one.address.remote)) for visit in visits for one in visit.stations}
    # A name can have other addresses each time.
    asked.update(*(led_to(one, "any") for one in status))
    return {name: sorted(its - asked) for name, its in known.items()}


#: Seconds in which a connection is taken, if packets aren't dropped: one that is lost is sent again
#: after one.
KNOCK = 2
#: So many are tried at once, which wait for nothing else.
KNOCKS = 64


def walk(
    survey: Callable[..., Survey], ways: list[bypass.Way], until: float, request: Request
) -> list[tuple[bypass.Way, Visit]]:
    """The ways, and what was seen on each. Where no connection is taken, one attempt stands for
    all: each would last until its time is over. ``request``: as sent otherwise.
    """
    surveyed = partial(survey, finish=bypass.evidence, until=until, family="any")
    knocks: dict[bypass.Knock, Target] = {}
    for way in ways:
        knocks.setdefault(bypass.knock_of(way), bypass.knock_at(way))
    brief = request._replace(timeout=min(request.timeout, KNOCK))
    knocking = surveyed(targets=[*knocks.values()], request=brief, concurrency=KNOCKS)
    met = dict(zip(knocks, knocking.run()))
    asked = [*bypass.worth_asking(ways, met)]
    visited = iter(surveyed(targets=[way.target for way, more in asked if more]).run())
    return [(way, next(visited) if more else met[bypass.knock_of(way)]) for way, more in asked]


def walk_around(
    survey: Callable[..., Survey], visits: list[Visit], todo: Plan, until: float
) -> tuple[
    list[dict[str, Any]],
    dict[int, list[dict[str, Any]]],
    dict[int, list[tuple[bypass.Advice, str]]],
    list[str],
]:
    """Try the ways around what stands in front of the pods, see :func:`bypass.judge` and
    :func:`bypass.unsafe`, and through the prober's own machine, see :func:`bypass.sent_from_here`;
    and the warnings that come of them.
    """
    known: dict[Address, list[str]] = {}
    unknown: list[str] = []
    if todo.standpoint.believed_inside:
        aside = (*todo.around.service, *todo.around.controller_service, *todo.around.controller)
        unknown += [host for host, _port in aside]
    for host in todo.around.load_balancer:
        try:
            found = resolve(host, 0, "any", min(todo.request.timeout, until - monotonic()))
            for address in found:
                known.setdefault(address.remote, []).append(host)
        except NoAnswer:
            unknown.append(host)
    here = bypass.through_here(visits, todo.around, known)
    ways = bypass.ways(visits, todo.around, known, todo.standpoint)
    every = walk(survey, [*here, *ways], until, todo.request)
    walked = [one for one in every if one[0].kind != bypass.OWN]
    entries, deceptions, places = bypass.judge(walked, visits, todo.standpoint)
    sent = bypass.sent_from_here([one for one in every if one[0].kind == bypass.OWN], visits)
    both = {of: [*filter(None, (sent.get(of), deceptions.get(of)))] for of in {*sent, *deceptions}}
    unsafe = bypass.unsafe(walked)
    fronts = bypass.fronts(walked, todo.around, visits)
    left = bypass.not_asked(todo.around, walked, entries, visits)
    told = bypass.warnings(walked, entries, unknown, places)
    return entries, both, unsafe, [*told, *fronts, *left]


def with_bypass(result: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """An address' result, its verdict taken back where clients can walk around its proxy, or where
    what arrived may be that of a proxy on the prober's machine; ``found``: what says so.
    """
    if worsens(found["code"], result["code"]):
        doubt = doubt_of(result["code"])
        reason = with_doubt(found["reason"], doubt)
        return {**result, **found, "reason": reason, "doubt": doubt, "safe_strategy": None}
    doubt = doubt_of(found["code"])
    if doubt is None or result["verdict"] != "forgeable" or result["doubt"]:
        return result
    reason = with_doubt(result["reason"], doubt)
    return {**without_advice(result), "reason": reason, "doubt": doubt}


def declared(targets: list[Target]) -> list[dict[str, Any]]:
    """Each way in which a target is to tell the address, once."""
    ways = [target.question.declared for target in targets]
    return [one for place, one in enumerate(ways) if one not in ways[:place]]


def run(params: dict[str, Any]) -> dict[str, Any]:
    """Probe and judge. Raises WrongArgument before the first request, and nothing else."""
    todo, family = plan(params), params["address_family"]
    survey = partial(Survey, request=todo.request, family=family, concurrency=params["concurrency"])
    if params["wait"]:
        await_echo(survey, todo.targets, params["wait_timeout"])
    until = monotonic() + params["deadline"]
    times: list[Times] = []

    def finish(station: Station) -> dict[str, Any]:
        times.extend(sample.times for sample in station.samples if sample.times)
        target = station.target
        title = {"name": target.name, "url": target.url}
        # What there was no time for is no less untested than what was refused.
        tried = {id(forgery) for forgery, _sample in station.forged}
        late = [(one, station.untried) for one in target.trials if id(one) not in tried]
        forged = [*station.forged, *late] if any(map(is_answer, station.samples)) else []
        seen = (station.samples, station.goal, title, forged)
        return describe(target.question, station.path, *seen)

    targets = with_own_address(todo, family, until)
    visits = survey(targets=targets, finish=finish, until=until).run()
    entries, deceptions, unsafe, warnings = walk_around(survey, visits, todo, until + BYPASS_TIME)
    found = [
        (
            bypass.without_unsafe(
                reduce(with_bypass, deceptions.get(number, ()), one), unsafe.get(number, ())
            ),
            visits[number].target.endpoint.label,
        )
        for number, of in enumerate(results(visits, todo.around.load_balancer))
        for one in of
    ]
    names = elsewhere(visits, todo.around.load_balancer, family)
    named = [led_elsewhere(one, host, names.get(host, ())) for one, host in found]
    total = summarize(named, times)
    warnings += bypass.not_looked_for(todo.around, total["coverage"])
    warnings += passed_by(os.environ, (target.url for target in todo.targets))
    return {
        **total,
        "warnings_found": [*total["warnings_found"], *warnings],
        "declared": declared(todo.targets),
        "bypass": entries,
        "vantage": todo.standpoint.place,
        "vantage_checked": todo.standpoint.checked,
        "network": network(),
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("url", "targets")],
        required_one_of=[("url", "targets")],
        required_by={"tls_client_key": ("tls_client_cert",)},
        supports_check_mode=True,
    )
    try:
        found = in_language(run(module.params), module.params["language"])
        module.exit_json(changed=False, **found)
    except WrongArgument as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
