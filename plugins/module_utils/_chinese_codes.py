# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The texts of ``_codes`` in Chinese, with the same placeholders. A test holds one to the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class CodeTexts(NamedTuple):
    """What a row of ``_codes`` says, by the names that it has there."""

    title: str
    reason: str
    cause: str
    fix: str


_SHOWED = "经 {address} 的 {answered} 个应答中有 {count} 个的 {where} 是 {seen}"
_INSTEAD = "，而不是 {expected}"
_SAFE = "请改用在此实测安全的方式：{advice}"
_VANTAGE = (
    "授予列出节点和 Pod 的权限，或在 cluster_addresses 中给出 nodes 和 pods，或在确定探测端位于集群"
    "之外时设置 vantage: outside"
)
_OUTSIDE = "请从集群之外的机器探测，例如把它列入 real_ip_vantages"
_NOT_ECHO = "应答的不是回显应用。"
_CURL = "用 curl -v 核对 url 和 host_header"

CODES_ZH: Mapping[str, CodeTexts] = {
    # --- preserved
    "V001": CodeTexts(
        "看到了预期的地址",
        "经 {address} 的全部 {answered} 个应答的 {where} 都是 {expected}{unanswered}{not_tested}",
        "要求应答的每个后端都在声明的策略读取之处看到了预期的地址。没有应答的请求会列出；只要 "
        "expect_backends 中的每个后端都已应答，它们就不影响结论。",
        "",
    ),
    "V002": CodeTexts(
        "看到了预期的地址，但无法区分后端",
        "经 {address} 的全部 {answered} 个应答的 {where} 都是 {expected}，但回显应用不报告 Pod "
        "名称，"
        "因此每个后端都已到达只是很可能，并不确定{not_tested}",
        "回显应用不报告自己运行在哪个 Pod，或只报告其他命名空间的 Pod 也可能有的名称。"
        "已按每个后端十个请求发送，全部得到应答，"
        "且都是预期的地址。",
        "",
    ),
    # --- forgeable
    "V101": CodeTexts(
        "客户端可以任意指定地址",
        "经 {address} 的正常请求的 {where} 是 {seen}，但带有伪造的 {line} 的请求使它变成了 {got}",
        "负载均衡透传客户端写入的内容，或在其后追加，而声明的策略读取的正是客户端写入的部分。",
        _SAFE,
    ),
    "V102": CodeTexts(
        "客户端可以改变读取结果",
        "经 {address} 的正常请求的 {where} 是 {seen}，但带有伪造的 {line} 的请求使它变成了 {got}",
        "伪造的请求头改变了声明的策略的读取结果，虽然不是变成伪造的地址："
        "客户端可以隐藏自己的地址。",
        _SAFE,
    ),
    "V103": CodeTexts(
        "客户端可以绕过前置代理",
        "{address} 不是唯一的入口：负载均衡在 {around} 也直接应答，在那里带有伪造的 {line} "
        "的请求使 {where} 变成了 {got}",
        "声明的策略把探测路径上的前置代理计算在内。绕过它直达负载均衡的人（例如经负载均衡的"
        "另一个地址，或其控制器的节点端口），可以自己写入该条目。",
        "让负载均衡，以及开放其控制器节点端口的节点，只放行前置代理。若那里应答的是另一个回显应用，"
        "而本应用不报出其 Pod，请使用会报出的（在 playbook 中 real_ip_echo: bundled）",
    ),
    "V104": CodeTexts(
        "客户端可以通过 PROXY 协议指定地址",
        "经 {address} 的正常请求的 {where} 是 {seen}，但以 {line} 开头的请求使它变成了 {got}",
        "链路上有组件接受任何人发来的 PROXY 协议（第一版或第二版），并相信其中的地址。",
        "只接受前置代理发来的 PROXY 协议；没有代理发送时请关闭",
    ),
    "V105": CodeTexts(
        "客户端可以经某个 Service 自己的地址绕过负载均衡",
        "{address} 之后的 Pod 有一个 Service 带有自己的负载均衡或外部地址 {around}，"
        "在那里带有伪造的 {line} 的请求使 {where} 变成了 {got}",
        "Ingress 指向的 Service，或另一个选择相同 Pod 的 Service，有自己的负载均衡或 "
        "externalIPs。直接访问那里的人，可以自己写入本应由 Ingress 的负载均衡写入的内容。",
        "让有该地址的 Service（用 kubectl get services 查看）使用不带负载均衡的类型"
        "（如 NodePort 或 ClusterIP），且不设置 externalIPs，或让安全组不放行那里",
    ),
    # --- lost
    "V201": CodeTexts(
        "看到的是节点地址，不是客户端地址",
        f"{_SHOWED}（节点地址）{_INSTEAD}",
        "节点替换了源地址：externalTrafficPolicy 为 Cluster 时，kube-proxy 对节点端口就会这样做。"
        "也可能最后一级代理运行在节点上，并且本身经由节点到达。",
        "让七层负载均衡在节点端口之前写入客户端地址，或在 Service 上设置 externalTrafficPolicy: "
        "Local",
    ),
    "V202": CodeTexts(
        "看到的是 Pod 网络或网桥的地址，不是客户端地址",
        f"{_SHOWED}{{pod}}（Pod 网络的地址）{_INSTEAD}",
        "客户端的位置上是节点的网桥，或作为代理的 Pod：kube-proxy 把源地址替换成了网桥的地址，"
        "或者 Pod 中的代理没有计入可信代理。",
        "在最后一级代理的 Service 上设置 externalTrafficPolicy: Local；如果自己的代理运行在 Pod "
        "中，"
        "请增大 trusted_count",
    ),
    "V203": CodeTexts(
        "看到的是 Service 的地址，不是客户端地址",
        f"{_SHOWED}（Service 的地址）{_INSTEAD}",
        "节点用自己网卡上的某个 Service 地址作为源地址，kube-proxy 为 IPVS 模式的节点会这样。",
        "请从集群之外探测，再检查发起连接的节点",
    ),
    "V204": CodeTexts(
        "看到的是负载均衡的地址，不是客户端地址",
        f"{_SHOWED}（负载均衡的地址）{_INSTEAD}",
        "负载均衡以自己的地址建立连接，其后的代理把它当成了客户端。",
        "让负载均衡传递客户端地址（X-Forwarded-For、PROXY 协议或透传源 IP），并把其后的代理计入 "
        "trusted_count",
    ),
    "V205": CodeTexts(
        "看到的是回环地址，不是客户端地址",
        f"{_SHOWED}（回环地址）{_INSTEAD}",
        "Pod 内部有组件先接管了连接：sidecar（Istio 的是 127.0.0.6），或 port-forward。",
        "让 sidecar 保留源地址（Istio：interceptionMode TPROXY），或把它计入 trusted_count；"
        "不要经由 "
        "port-forward 探测",
    ),
    "V206": CodeTexts(
        "看到的是另一个内网地址，不是客户端地址",
        f"{_SHOWED}（另一个内网地址）{_INSTEAD}",
        "在客户端与记录地址之处中间，有使用内网地址的代理或地址转换。",
        "找出地址为 {seen} 的机器；如果是自己的代理，请计入 trusted_count",
    ),
    "V207": CodeTexts(
        "看到的是另一个公网地址，不是客户端地址",
        f"{_SHOWED}（另一个公网地址）{_INSTEAD}",
        "前面有使用公网地址的 CDN、代理或地址转换，或者探测端的流量不是以预期的地址出网。",
        "用本探测之外的方法核对探测端流量的出网地址；负载均衡之前的 CDN 或代理请计入 trusted_count",
    ),
    "V208": CodeTexts(
        "预期的地址在列表的另一个位置",
        "经 {address} 的 {answered} 个应答中有 {count} 个的 {list} 从右数第 {position} 项是 "
        "{expected}，但 {where} 是 {seen}",
        "声明的策略计算的代理与链路上实际的代理不一致。",
        "确认不经过其中每一级代理就无法到达负载均衡之后，设置 {setting}",
    ),
    "V209": CodeTexts(
        "缺少应当携带地址的请求头",
        "经 {address} 的 {answered} 个应答中有 {count} 个缺少 {header}，因此无法从中读到 {expected}"
        "（连接对端：{peer}）",
        "请求没有经过会添加该请求头的七层代理（节点端口、四层 Service、port-forward 或其他端口），"
        "或者该代理之后有组件删除了它。",
        "请探测七层负载均衡的地址；如果是四层负载均衡，请设置 layer: l4",
    ),
    "V210": CodeTexts(
        "策略读取之处没有有效地址",
        "经 {address} 的 {answered} 个应答中有 {count} 个的内容是 {detail}，因此 {where} 不是地址，"
        "也不是 {expected}",
        "列表比策略计算的短，或每一项都是可信或内网地址，或那里写的不是地址。",
        "按负载均衡实际写入的内容选择 strategy、header 和 trusted_count：对照 backends 中的请求头",
    ),
    # --- mixed
    "V301": CodeTexts(
        "部分后端看到预期的地址，其他后端没有",
        "经 {address}，{good} 的 {where} 是 {expected}，但 {bad} 看到的是 {seen}",
        "到达各后端的路径不同：某个节点替换了源地址，或某个副本是另一个版本，或删除了请求头。",
        "比较列出的 Pod 及其节点和版本：kubectl get pods -o wide",
    ),
    "V302": CodeTexts(
        "同一个后端有时才看到预期的地址",
        "经 {address}，同一个后端（{bad}）的 {where} 在部分请求中是 {expected}，在其他请求中是 "
        "{seen}",
        "到同一个后端有多条路径，并非每一条都保留地址：另一个节点、另一个负载均衡或另一个代理。",
        "比较 backends 中的连接对端，以区分各条路径",
    ),
    "V303": CodeTexts(
        "有时才看到预期的地址",
        "经 {address} 的 {answered} 个应答中有 {good} 个的 {where} 是 {expected}，其他是 {seen}",
        "各后端或到达它们的路径不同，而回显应用不报告由哪个 Pod 应答。",
        "请使用会报告 Pod 名称的回显应用（在 playbook 中设置 real_ip_echo: bundled），再比较各后端",
    ),
    # --- unproven
    "V401": CodeTexts(
        "没有预期的地址",
        "没有说明经 {address} 应当看到哪个地址，而探测端自己的地址（{local}）不是公网地址，"
        "因此无从比较",
        "没有预期的地址时，任何地址看起来都对，包括节点或网桥的地址。",
        "把 expected_source 设置为探测端流量的出网地址；中间没有地址转换时可设置为 local；或把 "
        "expected_source_url 设置为会返回调用者地址的 URL",
    ),
    "V402": CodeTexts(
        "没有同一地址族的预期地址",
        "{address} 经由 {family} 到达，但预期的 {expected_any} 属于另一个地址族",
        "预期的地址只在连接所用的地址族内比较。",
        "把探测端的 {family} 地址加入 expected_source，或设置 address_family",
    ),
    "V403": CodeTexts(
        "预期的地址属于集群自身",
        "{address} 的预期地址 {expected}（{expected_from}）属于集群自身，看到它不能证明什么",
        "探测端位于集群之内，或在集群的某个节点之后。",
        "请从集群之外探测",
    ),
    "V404": CodeTexts(
        "预期的地址在每台机器上都有",
        "{address} 的预期地址 {expected}（{expected_from}）是回环、链路本地或组播地址，"
        "或者是每台机器都会分配给自己的容器或虚拟机的地址，无法区分探测端与其他机器",
        "这样的地址不是某一台机器独有的：Pod 中的 sidecar 或经端口转发的容器也会显示它。",
        "请从另一台机器探测负载均衡，并把那台机器的地址设置为 expected_source",
    ),
    "V405": CodeTexts(
        "目标是公网地址，预期的却是内网地址",
        "预期的 {expected} 不是公网地址，而 {address} 是，且应答的 {where} 是 {seen}："
        "途中有地址转换，"
        "或者请求没有离开本地网络",
        "内网源地址不可能原样到达公网目标。",
        "把 expected_source 设置为探测端流量出网时的公网地址",
    ),
    "V406": CodeTexts(
        "探测端的地址可能被转换",
        "探测端自己的地址是 {expected}，但经 {address} 的应答的 {where} 是 {seen}："
        "可能是探测端一侧的"
        "地址转换，也可能是地址不对，从这里无法区分",
        "套接字自己的地址只能证实，不能否定：在 NAT 网关之后看到另一个地址是正常的。",
        "向探测端网络的管理者，或通过 expected_source_url 向服务查询出网地址，并设置为 "
        "expected_source",
    ),
    "V407": CodeTexts(
        "应答来自缓存，或不是对本请求的应答",
        "发往 {address} 的 {sent} 个请求中有 {count} 个的应答不含本请求的 nonce：来自缓存，"
        "或不是对本"
        "请求的应答",
        "应答来自缓存，或有组件删除了把应答与请求对应起来的请求头，"
        "因此应答说的可能是另一个客户端的请求。",
        "为此 URL 关闭缓存，并放行请求头 {nonce_header}",
    ),
    "V409": CodeTexts(
        "预期的地址是连接对端，且没有代理请求头",
        "经 {address} 的 {answered} 个应答中有 {count} 个的连接对端是 {expected}，"
        "且没有代理请求头："
        "这是四层路径，不能由请求头判定",
        "链路上没有七层代理：四层负载均衡保留连接的源地址。",
        "设置 layer: l4",
    ),
    "V410": CodeTexts(
        "有后端没有应答",
        "向 {address} 发送 {sent} 个请求之后，没有应答报告 {missing}{named}：会话保持或 IP Hash "
        "可能总是把本探测端"
        "引向同一个后端",
        "每个要求的后端都必须显示出地址。从未应答的后端可能是错的。",
        "增大 max_samples，或关闭会话保持，或查看 kubectl describe pod {missing}",
    ),
    "V411": CodeTexts(
        "max_samples 太小，不足以到达每个后端",
        "对于无法区分的 {required} 个后端，发往 {address} 的 {sent} 个请求太少：受 max_samples "
        "限制",
        "回显应用不报告 Pod 名称，因此每个后端需要十个请求。",
        "设置 max_samples: {needed}",
    ),
    "V412": CodeTexts(
        "expected_source_url 没有给出地址",
        "expected_source_url 没有给出探测端的 {family} 地址（{detail}），因此在 {address} 无从比较",
        "预期的地址需要查询得到，但没有可用的应答。",
        "用 curl 核对该 URL 是否只返回调用者的地址，或直接给出 expected_source",
    ),
    "V413": CodeTexts(
        "预期的网段中可能有集群的地址",
        "经 {address} 的应答的 {where} 是 {seen}，在预期的 {expected} 之内，"
        "但集群也可能有地址在其中，"
        "因为 cluster_addresses 不完整",
        "按网段匹配时，集群的地址从不算数，而哪些是集群的地址并不清楚。"
        "节点和负载均衡也有公网地址。以零结尾的地址也不算数：不透露完整地址的代理会这样写。",
        "在 expected_source 中给出单个地址，或在 cluster_addresses 中给全 nodes、pods、services 和 "
        "load_balancers（playbook 有列出它们的权限时会自行读取）",
    ),
    "V414": CodeTexts(
        "最左侧的条目可以伪造",
        "经 {address} 的全部 {answered} 个应答的 {where} 都是 {expected}，但只要列表是追加写入的，"
        "客户端"
        "就能自己写入该条目，而这里没有测试伪造",
        "leftmost_non_private 只适合用于统计。",
        "设置 strategy: rightmost_trusted_count，并以自己的代理数量作为 trusted_count",
    ),
    "V415": CodeTexts(
        "部分请求没有应答",
        "发往 {address} 的 {planned} 个请求中有 {count} 个没有应答（{detail}）；其他 {answered} "
        "个的 "
        "{where} 是 {expected}，但本应由谁应答并不清楚",
        "没有应答的请求可能遇到了看不到该地址的后端。只有 expect_backends "
        "中的每个后端都已应答并在应答中"
        "报告名称时，才不影响结论。",
        "修复没有应答的请求遇到的问题，或在 expect_backends 中列出后端",
    ),
    "V416": CodeTexts(
        "预期的地址是目标自己的",
        "预期的 {expected} 就是目标 {address} 自己的地址，看到它无法区分探测端与负载均衡",
        "探测端运行在拥有目标地址的机器上，或把目标的地址当作了预期的地址。",
        "请从另一台机器探测，并把那台机器的地址设置为 expected_source",
    ),
    "V417": CodeTexts(
        "回显应用不报告连接对端",
        "{address} 之后的回显应用不报告连接对端，而在 layer: l4 时只由它判定",
        "文档中的镜像只返回请求头。echo_queries.peer 找到的内容若也出现在请求头中，就不算数："
        "应用可能是从那里取得的。",
        "请使用会报告连接对端的回显应用（在 playbook 中设置 real_ip_echo: bundled）；"
        "如果是七层负载均衡，"
        "请设置 layer: l7",
    ),
    "V418": CodeTexts(
        "探测端的地址是向目标自身查询的",
        "expected_source_url 也指向 {address}，因此预期的 {expected} 本身只是在它之后看到的地址",
        "探测端与目标之间的任何组件都会以同样的方式改变两个应答。",
        "把 expected_source_url 设置为不在同一个负载均衡之后的服务，或直接给出 expected_source",
    ),
    "V419": CodeTexts(
        "看到的是探测端自己的地址，不是查询所得的地址",
        "经 {address} 的应答的 {where} 是 {seen}，即探测套接字自己的地址，但 expected_source_url "
        "给出的是 "
        "{expected}",
        "探测端到 expected_source_url 与到目标的流量以不同的地址离开，例如前者经过公网网关，"
        "后者直达。",
        "把 expected_source_url 设置为与目标走同一条路径的服务，或设置 expected_source: local",
    ),
    "V420": CodeTexts(
        "回显应用隐藏了策略读取的请求头",
        "{address} 之后的回显应用没有原样显示 {header}，因此无法得知收到的内容",
        "httpbin 会略去代理添加的请求头。合并重复行的应用不显示哪一行在最后，而 single_header "
        "以最后一行"
        "为准。只显示一行的应用可能略去了客户端写入的那一行。",
        "对 httpbin 在 url 中加上 ?show_env=1，或使用会显示每一行请求头的回显应用：见 "
        "docs/echo_apps.md",
    ),
    "V421": CodeTexts(
        "从集群内部探测四层",
        "{place}，从那里访问 {address} 可能不经过负载均衡就得到应答；应答的 {where} 是 {seen}",
        "在节点和 Pod 中，kube-proxy 会把发往负载均衡地址的请求直接转给 Pod，并自行选择源地址。"
        "这时看到的内容与客户端无关。",
        _OUTSIDE,
    ),
    "V422": CodeTexts(
        "四层，且未核对探测位置",
        "由于节点或 Pod 未知，没有核对探测端是否为集群的节点或 Pod，而从那里访问 {address} "
        "可能不经过"
        "负载均衡就得到应答；应答的 {where} 是 {seen}",
        "在节点和 Pod 中，kube-proxy 会代替负载均衡应答。不知道节点和 Pod 的地址，"
        "就无法排除这种情况。",
        _VANTAGE,
    ),
    "V423": CodeTexts(
        "从集群内部探测七层，且没有负载均衡的痕迹",
        "{place}，从那里访问 {address} 可能不经过负载均衡就得到应答，"
        "而能证明经过负载均衡的请求头缺失"
        "（{balancer}：{marks}）；应答的 {where} 是 {seen}",
        "在节点和 Pod 中，kube-proxy 会把发往负载均衡地址的请求直接转给 Pod。"
        "负载均衡自己写入的请求头"
        "可以证明经过了它。",
        _OUTSIDE,
    ),
    "V424": CodeTexts(
        "未核对探测位置，且没有负载均衡的痕迹",
        "由于节点或 Pod 未知，没有核对探测端是否为集群的节点或 Pod，而能证明经过 {address} "
        "的负载均衡的"
        "请求头缺失（{balancer}：{marks}）；应答的 {where} 是 {seen}",
        "从节点或 Pod 访问负载均衡的地址，可能不经过负载均衡就得到应答。不知道节点和 Pod 的地址，"
        "又没有"
        "只由负载均衡写入的请求头，就无法排除这种情况。",
        _VANTAGE,
    ),
    "V425": CodeTexts(
        "四层无法区分各个 Pod",
        "经 {address} 的全部 {answered} 个应答的 {where} 都是 {expected}，但回显应用不报告 Pod "
        "名称，"
        "而就绪的 Pod 有 {required} 个",
        "在四层，到每个 Pod 的路径是否保留地址取决于它所在的节点，而哪些 Pod 应答了并不清楚。",
        "请使用会报告 Pod 名称的回显应用，在 playbook 中设置 real_ip_echo: bundled",
    ),
    "V426": CodeTexts(
        "回显应用从请求头取得连接对端",
        "{address} 之后的回显应用对带有伪造的 {line} 的请求报告连接对端为 {got}："
        "它所说的对端取自请求头，"
        "而在 layer: l4 时只由套接字自身的对端判定",
        "面向前置代理的设置（如 uvicorn 的 --proxy-headers，或 "
        "ProxyFix）会用请求头中的地址代替对端。"
        "在四层负载均衡之后，这使任何客户端都能指定自己的地址。",
        "关闭该设置，或使用自己报告对端的回显应用（在 playbook 中设置 real_ip_echo: bundled）",
    ),
    "V427": CodeTexts(
        "回显应用不报告可信网段判断所需的对端",
        "在经 {address} 到达的请求头中，{where} 是 {expected}，但回显应用不报告连接对端，而不在 "
        "trusted_ranges 之内的对端本身就会被当作客户端",
        "信任网段的应用首先看连接对端。经由节点端口时，它是节点而不是负载均衡。",
        "请使用会报告对端的回显应用（在 playbook 中设置 real_ip_echo: bundled），或改为计算代理数量"
        "（strategy: rightmost_trusted_count）",
    ),
    "V428": CodeTexts(
        "看到的是另一个预期地址，不是探测端自己的",
        "经 {address} 的 {where} 是 {seen}，属于预期的地址（{expected}），但探测端自己的地址 "
        "{local} 也是"
        "预期的地址，本应看到它",
        "网段或供多个探测端使用的列表也包含其他机器，其中可能有链路上的代理。",
        "在 expected_source 中只给出本探测端流量必须显示的那一个地址",
    ),
    "V429": CodeTexts(
        "探测端自己的机器也通向 Pod",
        "探测端自己的机器在 {own} 也通向 Pod：其上的组件以探测端的地址访问负载均衡，经 "
        "{address} 到达的请求可能就是它发出的，其 {where} 是 {seen}",
        "探测端运行在前置代理上。无论代理是否传递客户端地址，看到的都是这台机器的地址。",
        "请从另一台机器探测，例如把它列入 real_ip_vantages",
    ),
    "V430": CodeTexts(
        "预期的地址之前还有另一个地址",
        "经 {address} 的 {where} 是 {seen}，属于预期的地址（{expected}），但同样的应答中，"
        "在它靠客户端的一侧还有 {other}，而探测端没有发送任何地址：看到的可能是代理的地址",
        "预期的是链路上某个代理的地址，或者网段、列表也包含它。",
        "在 expected_source 中只给出本探测端流量到达第一个代理时的那一个地址，"
        "并数清代理（trusted_count）。若两者都正确，则是某个代理再次写入了客户端，而不是它自己的对端"
        "（如开启 real_ip_recursive 的 nginx）：让它把对端追加到列表"
        "（ingress-nginx：compute-full-forwarded-for），并把它也计入",
    ),
    # --- no_answer
    "V431": CodeTexts(
        "看到的是本机地址，而本探测端可能是节点",
        "{address} 处预期的 {expected}（{expected_from}）是本机的地址，{like_node}：如果本机是该"
        "集群的节点，它也会用该地址代替每个客户端的地址",
        "节点把请求转给 Pod 时以自己的地址为源。在应用之前的代理看来，这与节点自己的请求相同。",
        "授予列出节点的权限，或在 cluster_addresses 中给出 nodes，或在本机不是该集群的节点时设置 "
        "vantage: outside",
    ),
    "V501": CodeTexts(
        "域名解析不到地址",
        "没有找到 {address} 的地址：{detail}",
        "该域名尚不存在，或探测端的 DNS 不认识它。",
        "用 getent ahosts {host} 核对，或在 connect_to 中给出地址",
    ),
    "V502": CodeTexts(
        "域名解析超时",
        "DNS 在 {detail} 内没有应答 {address} 的查询",
        "探测端的 DNS 不可达。",
        "检查探测机上的 /etc/resolv.conf，或在 connect_to 中给出地址",
    ),
    "V503": CodeTexts(
        "连接被拒绝",
        "{address} 在 {sent} 个请求中拒绝了 {count} 个的连接",
        "该端口无人监听：负载均衡上没有监听器、端口不对，或没有后端。",
        "检查端口和监听器；如果是 Ingress，用 kubectl describe ingress 查看没有创建监听器的原因",
    ),
    "V504": CodeTexts(
        "连接超时",
        "{address} 在 {sent} 个请求中有 {count} 个没有及时接受连接",
        "安全组或防火墙丢弃了数据包，或该地址没有归属。CLB 保留客户端地址，"
        "因此节点的安全组也必须放行它。",
        "对探测端的地址放通负载均衡的端口和节点端口 30000-32768",
    ),
    "V505": CodeTexts(
        "没有路由",
        "探测端没有到 {address} 的路由",
        "探测机没有该地址族的地址，或没有路由。",
        "请从有路由的主机探测，或设置 address_family",
    ),
    "V506": CodeTexts(
        "连接失败",
        "到 {address} 的连接在 {sent} 个请求中失败了 {count} 个：{detail}",
        "网络因所述原因拒绝了连接。",
        "在探测机上用 curl -v 检查到该地址的路径",
    ),
    "V507": CodeTexts(
        "证书未被接受",
        "{address} 的证书未被接受：{detail}",
        "证书属于另一个域名、已过期，或由未知的 CA 签发。",
        "把 server_name 设置为证书中的域名，或把 ca_path 设置为其 CA；如果在此无关紧要，可设置 "
        "validate_certs: false",
    ),
    "V508": CodeTexts(
        "TLS 失败",
        "无法与 {address} 建立 TLS 连接：{detail}",
        "该端口使用另一种协议，或没有共同的版本，或要求客户端证书。",
        "确认该端口使用 TLS，或在 url 中使用 http://；要求客户端证书时请给出 tls_client_cert",
    ),
    "V509": CodeTexts(
        "应答超时",
        "{address} 接受了连接，但在 {sent} 个请求中有 {count} 个没有及时应答",
        "后端卡住，或负载均衡在等待不应答的后端。",
        "检查后端：kubectl get endpointslices、kubectl logs；如果只是慢，请增大 timeout",
    ),
    "V510": CodeTexts(
        "应答没有及时结束",
        "{address} 开始了应答，但在 {sent} 个请求中有 {count} 个没有及时结束",
        "应答太慢，或永不结束：应答的不是回显应用。",
        "用 curl -v 核对 url 和 host_header；如果路径慢，请增大 timeout",
    ),
    "V511": CodeTexts(
        "连接被关闭，没有应答",
        "{address} 在 {sent} 个请求中有 {count} 个没有应答就关闭了连接",
        "后端或防火墙切断了连接，或该端口使用另一种协议（TLS、PROXY 协议）。",
        "确认该端口使用明文 HTTP，或在 url 中使用 https://",
    ),
    "V512": CodeTexts(
        "连接中途关闭",
        "{address} 在 {sent} 个请求中有 {count} 个在应答中途关闭了连接",
        "后端在应答时崩溃，或途中有组件切断了连接。",
        "检查后端：kubectl logs --previous",
    ),
    "V513": CodeTexts(
        "不是 HTTP",
        "{address} 的应答不是 HTTP/1.x：{detail}",
        "该端口使用另一种协议。",
        "核对 url 中的协议和端口",
    ),
    "V514": CodeTexts(
        "应答头过大",
        "{address} 的应答头超过读取的上限（{detail}）",
        _NOT_ECHO,
        _CURL,
    ),
    "V515": CodeTexts(
        "应答过大",
        "{address} 的应答超过 max_body（{detail}）字节",
        "应答的不是回显应用，或其应答异常地长。",
        "用 curl -v 核对 url 和 host_header；确实是回显应用时才增大 max_body",
    ),
    "V516": CodeTexts(
        "HTTP 状态码",
        "{address} 对 {sent} 个请求中的 {count} 个应答了 HTTP 状态码 {detail}",
        "403：没有转发规则匹配该 Host，或被防火墙拒绝。404：Host 有规则，路径没有。502、503、504："
        "负载均衡找不到能应答的后端。",
        "对照 url 和 host_header 检查 Ingress 转发规则的 Host 和路径，再检查 Service 的端点："
        "kubectl get endpointslices",
    ),
    "V517": CodeTexts(
        "重定向",
        "{address} 重定向到 {detail}，探测不跟随",
        "重定向指向另一个地址或监听器，跟随它测到的就是另一条路径。",
        "如果客户端用的就是重定向的目标，请以它作为 url 探测",
    ),
    "V518": CodeTexts(
        "应答为空",
        "{address} 对 {sent} 个请求中的 {count} 个应答了空的正文",
        "应答的不是回显应用，或该方法的应答没有正文。",
        "用 curl -v 核对 url、host_header 和 method",
    ),
    "V519": CodeTexts(
        "HTML 页面",
        "{address} 应答的是 HTML 页面，而不是回显应用的 JSON",
        "应答的是默认页、登录页、错误页或拦截页。",
        "用 curl -v 核对 url 和 host_header：匹配的是负载均衡的哪条转发规则？",
    ),
    "V520": CodeTexts(
        "应答被压缩",
        "{address} 的应答带有 Content-Encoding {detail}，而请求只接受 identity",
        "途中有组件不顾客户端的要求进行压缩；不会解压，因为几个字节就可能膨胀成数 GB。",
        "为此 URL 关闭压缩",
    ),
    "V521": CodeTexts(
        "不是有效的 UTF-8",
        "{address} 应答的字节不是 UTF-8 文本",
        _NOT_ECHO,
        _CURL,
    ),
    "V522": CodeTexts(
        "不是 JSON",
        "{address} 的应答不是 JSON：{detail}",
        "应答的不是回显应用，或应答被截断。",
        _CURL,
    ),
    "V523": CodeTexts(
        "JSON 嵌套过深",
        "{address} 应答的 JSON 嵌套深度超过读取的上限",
        _NOT_ECHO,
        _CURL,
    ),
    "V524": CodeTexts(
        "格式不符",
        "{address} 的应答不是回显应用的格式（{detail}）",
        "应答的是另一个应用，或回显应用的格式与 echo_format 不符。",
        "用 curl -v 核对 url 和 host_header，并核对 echo_format",
    ),
    "V525": CodeTexts(
        "超过总时限",
        "在 {address} 应答之前已超过总时限",
        "目标太多或太慢，时限不够。",
        "增大 deadline 或 concurrency",
    ),
    # --- listed, but no verdict
    "V601": CodeTexts(
        "该地址族没有路由",
        "没有测试 {address}：探测端没有 {family} 的路由",
        "探测机没有该地址族的地址，或没有路由。不影响其他地址的结论。",
        "请从有 {family} 的主机探测，以一并测试它",
    ),
}

WARNINGS_ZH: Mapping[str, str] = {
    "real_ip_differs": (
        "X-Real-IP 是 {rival}，但 {where} 是 {seen}：读取 X-Real-IP 的应用（nginx 的 realip "
        "模块默认如此）"
        "得到的地址与使用声明的策略的应用不同"
    ),
    "list_differs": (
        "X-Forwarded-For 最右侧一项是 {rival}，但 {where} 是 {seen}：读取 X-Forwarded-For "
        "的应用得到的地址"
        "与使用声明的策略的应用不同"
    ),
    "underscored": (
        "客户端发送的 {name} 会原样到达：把下划线当作连字符的应用"
        "（如 gunicorn 22 之前的版本和 uWSGI 之后的应用）可能把它读作 "
        "{header}。下一步：让负载均衡丢弃该名称，或测试应用本身"
    ),
    "proxied": (
        "探测端环境中的 {variable} 指定了代理，那里的大多数客户端都会使用它，而探测从不使用："
        "经过代理的客户端到达时是另一个地址。下一步：curl {url}"
    ),
    "own_seen": (
        "{own} 是探测端建立连接所用的地址，它确实到达了：预期的 {expected} 可能是别人的地址"
    ),
    "unanswered": "发往 {address} 的 {planned} 个请求中有一部分没有应答：{detail}",
    "earlier": (
        "在等待另一个地址应答时，{address} 曾是 {code}，再次探测时是 {then}：出现过一次就算数"
    ),
    "header_missing": "经 {address} 的 {answered} 个应答中有 {count} 个缺少 {header}",
    "unsought": "没有查找{what}：该账号无权列出全部 {resource}。下一步：{command}",
    "bypass": (
        "没有直接访问，或没有测完（没有地址、路由或时间，或 TLS 中每个已知的名称、"
        "或伪造的请求被拒绝）：{address}，"
        "因此没有测试是否能由此绕过 Pod 之前的组件"
    ),
    "unsafe": (
        "{advice} 在探测的路径上是安全的，但负载均衡也在 {around} 直接应答，在那里客户端可以选择"
        "它得到的地址：在负载均衡的安全组只放行前面的代理之前，该策略不安全"
    ),
    "behind": (
        "经 {address} 收到了 {header}，它由 CDN 写入，因此前面有 CDN。负载均衡的状态中只有 {name}，"
        "它可能是 CDN 的域名：绕过 CDN 的途径没有测试"
    ),
    "front": (
        "经 {address} 的 {header} 列出了 {count} 个地址，因此在最后写入的组件之前还有代理。"
        "负载均衡的状态中"
        "只有 {name}，它可能就是前面的代理：没有测试是否能绕过它"
    ),
    "ingress": (
        "Ingress {name} 以自己的地址、主机名或路径通向同样的 Pod，没有询问那里："
        "本结论不涉及从那里来的客户端。"
        "下一步：{command}"
    ),
    "route": (
        "HTTPRoute {name} 经由有自己地址的 Gateway 通向同样的 Pod，没有询问那里：本结论不涉及从那里"
        "来的客户端。下一步：{command}"
    ),
    "alongside": (
        "{name} 在同一个负载均衡上以自己的规则通向同样的 Pod，没有按这些规则询问："
        "本结论不涉及从那里来的客户端。下一步：{command}"
    ),
    "more": "还有 {count} 条警告涉及其他地址：每一条都在 source_ip_info 返回的相应目标中",
    "beyond": (
        "{name} 通向同样的 Pod 的主机名、路径或模式，多于绕过负载均衡前面的组件时所询问的。"
        "下一步：{command}"
    ),
    "unaddressed": (
        "{name} 没有给出其负载均衡的地址，因此没有查找绕过它前面组件的途径。下一步：{command}"
    ),
    "omitted": ("{name} 可能也绕过前面的组件，它的节点端口或地址多于所询问的。下一步：{command}"),
    "node_port": (
        "{address} 不经过负载均衡就能应答（从 {place} 看）：能访问它的人可以自己写入所有请求头。"
        "非直连的 CLB 需要对客户端放通节点端口"
    ),
    "open": (
        "{address} 不经过负载均衡就接受连接（从 {place} 看），但回显应用没有应答所发的请求："
        "知道该请求什么的人可以自己写入所有请求头。非直连的 CLB 需要对客户端放通节点端口"
    ),
    "open_pod": (
        "{address} 是 Pod 的地址，不经过负载均衡就接受连接（从 {place} 看），但回显应用没有应答"
        "所发的请求：知道该请求什么的人可以自己写入所有请求头。可用安全组或 NetworkPolicy "
        "只放通负载均衡"
    ),
    "open_service": (
        "某个 Service 由 {address} 直接通向 Pod，那里接受连接（从 {place} 看），但回显应用没有应答"
        "所发的请求：知道该请求什么的人可以自己写入所有请求头。请将该 Service 改为 ClusterIP 或 "
        "NodePort，或让其安全组不放行其他人"
    ),
    "first_line": (
        "经 {address} 的 {header} 有多行，第一行是 {first}：像多数应用那样读取第一行的应用，"
        "读到的不是 {seen}。下一步：只让一个代理写入它"
    ),
    "pod": (
        "{address} 是 Pod 的地址，不经过负载均衡就能应答（从 {place} 看）：能访问它的人可以自己写入"
        "所有请求头。可用安全组或 NetworkPolicy 只放通负载均衡"
    ),
    "limited": (
        "经 {address} 的 {count} 个伪造的请求因过多被拒绝（429 或 503），或因此未能及时发出，"
        "因此它们会显示什么并不清楚。"
        "下一步：暂时放行本探测端的更多请求，然后重新探测"
    ),
    "name": (
        "{host} 从此处指向没有探测的 {addresses}：经该名称访问者可能先到达 {address} 之前的组件。"
        "下一步：ansible-playbook kestrel.real_ip.verify -e real_ip_url={url}"
    ),
    "forwarded_at_layer_4": (
        "在 layer: l4 时经 {address} 收到了 {header}：由某个代理添加，或是伪造的"
    ),
}
