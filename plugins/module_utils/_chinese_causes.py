# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The texts of ``_causes`` in Chinese, with the same placeholders. A test holds one to the other.

Commands and variables are the same in every language: they stand in ``_causes`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class CauseTexts(NamedTuple):
    """What a row of ``_causes`` says, by the names that it has there.

    ``fix`` is empty where the row has a command or a variable there, or nothing.
    """

    title: str
    symptom: str
    cause: str
    fix: str = ""


_PARTS_UNKNOWN = "部分链路未知。"
_STOPS = "playbook 在探测之前就停止。"
_FEWER = "Pod 少于期望数量或一个也没有；ReplicaSet 报告 FailedCreate。"
_PENDING = "Pod 一直处于 Pending。"
_PULL = "ErrImagePull、ImagePullBackOff。"
_IMAGE = "改为正确的镜像名和标签"

CAUSES_ZH: Mapping[str, CauseTexts] = {
    # --- What the tool itself lacks
    "P001": CauseTexts(
        "无法询问 API Server",
        _STOPS,
        "从运行 playbook 的地方连不上 API Server，或无法信任它，因此对链路一无所知",
        "让 API Server 可达且可信：{next}",
    ),
    "P002": CauseTexts(
        "凭据被拒绝",
        _STOPS,
        "令牌或证书不正确、已过期或已被吊销",
        "获取新的 kubeconfig 或令牌，以 real_ip_kubeconfig 或 real_ip_api_key 给出",
    ),
    "P003": CauseTexts(
        "缺少权限",
        _PARTS_UNKNOWN,
        "本次运行的账号没有权限 {where} {verb} {resource}，因此这部分链路未知",
    ),
    "P004": CauseTexts(
        "context 指向了另一个集群",
        "部署的内容都不在那里。",
        "context {context} 指向的集群 {server} 没有命名空间 {namespace}。kubeconfig 中还有其他 "
        "context，"
        "其中之一可能才是要用的：{others}",
        "把 real_ip_context 设置为要用的那一个：{others}",
    ),
    "P005": CauseTexts(
        "API Server 没有 Ingress 资源",
        "kubectl: the server doesn't have a resource type ingresses.",
        "API Server 在 networking.k8s.io/v1 和更早的版本中都没有 Ingress；它提供的是 {served}",
        "使用 Kubernetes 1.14 或更高版本，或开启该 API：kube-apiserver "
        "--runtime-config=networking.k8s.io/v1/ingresses=true",
    ),
    "P006": CauseTexts(
        "集群的一部分无法读取",
        "部分链路未知，且运行时间很长。",
        "API Server 能应答，但不应答 {read}，因此这部分链路未知（{detail}）",
        "重新运行；如果仍然如此，查看 API Server 日志中关于 {read} 的内容",
    ),
    "P007": CauseTexts(
        "kubeconfig 无法使用",
        _STOPS,
        "没有 kubeconfig、它无法读取，或其中没有该 context，因此没有通往 API Server 的途径",
        "以 real_ip_kubeconfig 给出存在且完整的 kubeconfig，以 real_ip_context 给出其中的 "
        "context：{detail}",
    ),
    # --- Pods that don't run
    "P101": CauseTexts(
        "命名空间正在删除",
        "命名空间中无法创建新对象，已有的对象正在消失。",
        "命名空间及其中的一切正在被删除{held}",
        "等它删除完毕后重新部署，或使用另一个命名空间：{held_fix}",
    ),
    "P102": CauseTexts(
        "没有可以创建 Pod 的对象",
        "Service 没有 Pod，也没有 Deployment 会创建它们。",
        "命名空间中没有为 Service {service} 创建 Pod 的 Deployment",
        "部署为它创建 Pod 的工作负载",
    ),
    "P103": CauseTexts(
        "Deployment 的副本数为 0",
        "没有 Pod。",
        "Deployment 期望的 Pod 数量是 0",
    ),
    "P111": CauseTexts(
        "配额已用完",
        _FEWER,
        "命名空间的 ResourceQuota {quota} 没有余量容纳这些 Pod（{detail}）",
    ),
    "P112": CauseTexts(
        "Pod Security 拒绝了 Pod",
        _FEWER,
        "命名空间的 Pod Security Standard 不允许这些 Pod 的要求（{detail}）",
        "按消息的要求为 Pod 设置 securityContext",
    ),
    "P113": CauseTexts(
        "准入策略或 webhook 拒绝了 Pod",
        _FEWER,
        "集群的 {policy} 拒绝了这些 Pod（{detail}）",
        "请 {policy} 的负责人放行，或按它的要求修改 Pod",
    ),
    "P114": CauseTexts(
        "准入 webhook 没有应答",
        _FEWER,
        "创建 Pod 之前必须询问 webhook {policy}，而它没有应答（{detail}）",
        "修复该 webhook 的服务，或在其配置中设置 failurePolicy: Ignore",
    ),
    "P119": CauseTexts(
        "无法创建 Pod",
        _FEWER,
        "API Server 拒绝了这些 Pod（{detail}）",
        "按消息修改 Deployment",
    ),
    "P121": CauseTexts(
        "没有节点接收 Pod：污点",
        _PENDING,
        "每个可用的节点都有该 Pod 不容忍的污点（{detail}）",
    ),
    "P122": CauseTexts(
        "没有节点接收 Pod：节点已封锁",
        _PENDING,
        "节点已封锁（cordon），不再接收新的 Pod（{detail}）",
    ),
    "P123": CauseTexts(
        "没有节点接收 Pod：资源不足",
        _PENDING,
        "没有节点能满足该 Pod 的资源请求（{detail}）",
        "增加节点，或调低 Deployment 的 requests",
    ),
    "P124": CauseTexts(
        "没有节点接收 Pod：节点选择器",
        _PENDING,
        "没有节点带有该 Pod 要求的标签（{detail}）",
    ),
    "P125": CauseTexts(
        "节点未就绪",
        "Pod 一直处于 Pending，或某个节点上的 Pod 不再应答。",
        "节点没有向 API Server 报告就绪（{detail}）",
        "检查该节点的 kubelet，或更换节点",
    ),
    "P129": CauseTexts(
        "没有节点接收 Pod",
        _PENDING,
        "调度器找不到节点（{detail}）",
        "修改消息中指出的内容",
    ),
    "P131": CauseTexts(
        "镜像不存在",
        _PULL,
        "镜像仓库中没有镜像 {image}：名称或标签不对",
        _IMAGE,
    ),
    "P132": CauseTexts(
        "镜像仓库拒绝拉取",
        _PULL,
        "镜像仓库不允许集群拉取 {image}：缺少拉取密钥，或密钥没有权限",
        "用 kubectl create secret docker-registry 创建拉取密钥，并在 real_ip_image_pull_secrets "
        "中给出"
        "它的名称",
    ),
    "P133": CauseTexts(
        "镜像仓库限制拉取频率",
        _PULL,
        "镜像仓库收到的拉取请求过多，要求稍后再拉取 {image}",
        "使用账号拉取，或使用自己的镜像仓库",
    ),
    "P134": CauseTexts(
        "镜像仓库不可达",
        _PULL,
        "节点连不上 {image} 所在的镜像仓库：域名、路由、防火墙，或仓库的网络白名单",
        "打通从节点到镜像仓库的网络",
    ),
    "P135": CauseTexts(
        "镜像的架构不符",
        "容器立即以 exec format error 退出，或镜像没有匹配的平台。",
        "镜像 {image} 没有适合该节点处理器的程序",
        "使用为节点的架构构建的镜像",
    ),
    "P136": CauseTexts(
        "镜像名格式错误",
        "InvalidImageName。",
        "{image} 不是镜像名",
        _IMAGE,
    ),
    "P139": CauseTexts(
        "无法拉取镜像",
        _PULL,
        "节点无法拉取 {image}（{detail}）",
        "修复消息中指出的问题",
    ),
    "P141": CauseTexts(
        "容器内存不足",
        "OOMKilled、CrashLoopBackOff。",
        "容器 {container} 需要的内存超过其限制 {limit}，被内核终止",
    ),
    "P142": CauseTexts(
        "容器崩溃",
        "CrashLoopBackOff，多次重启。",
        "容器 {container} 自行退出，退出码 {exit_code}{detail}",
        "查看它的最后几行日志，修复其中指出的问题",
    ),
    "P143": CauseTexts(
        "无法创建容器",
        "CreateContainerConfigError、CreateContainerError、RunContainerError。",
        "无法创建容器 {container}（{detail}）",
        "创建消息中指出的对象，或从 Deployment 中去掉对它的引用",
    ),
    "P151": CauseTexts(
        "应用没有监听被检查的端口",
        "Pod 在运行，但从不就绪；就绪检查的连接被拒绝。",
        "就绪检查的端口无人监听（{detail}）：应用监听的是另一个端口，或还没有启动",
        "让应用监听就绪检查和 Service 指定的端口",
    ),
    "P152": CauseTexts(
        "就绪检查失败",
        "Pod 在运行，但从不就绪。",
        "应用对就绪检查的应答是失败（{detail}）",
        "让就绪检查请求应用能够应答的内容",
    ),
    "P153": CauseTexts(
        "负载均衡的健康检查使 Pod 不能就绪",
        "Pod 在运行，容器已就绪，但 Pod 未就绪。",
        "直连 Pod 时，只有负载均衡的健康检查通过后 Pod 才就绪，而它的 readiness gate {gate} "
        "尚未满足",
        "让 Pod 的安全组对负载均衡的健康检查放通容器端口",
    ),
    # --- Services that lead nowhere
    "P201": CauseTexts(
        "缺少 Ingress",
        "没有会创建负载均衡的对象。",
        "命名空间中没有 Ingress {name}",
        "指定一个存在的 Ingress",
    ),
    "P202": CauseTexts(
        "缺少 Service",
        "TKE 的事件 E4041；负载均衡没有后端。",
        "{by} 指定了 Service {name}，而命名空间中没有它",
    ),
    "P203": CauseTexts(
        "Ingress 指向另一个 Service",
        "应答的不是所部署的 Pod。",
        "Ingress 把请求转发到 {seen}，而不是 Service {service}",
    ),
    "P204": CauseTexts(
        "Service 没有该端口",
        "TKE 的事件 E4042；负载均衡没有后端。",
        "Ingress {ingress} 指定了端口 {port}，而 Service 没有该端口（{ports}）",
    ),
    "P205": CauseTexts(
        "ClusterIP 类型的 Service 没有节点端口",
        "TKE 的事件 E4047；负载均衡没有后端。",
        "非直连时负载均衡转发到节点端口，而 ClusterIP 类型的 Service 没有节点端口",
    ),
    "P206": CauseTexts(
        "Service 的标签选择器没有匹配到 Pod",
        "Pod 在运行，但 Service 没有端点。",
        "命名空间中没有 Pod 带有 Service 标签选择器要求的标签（{selector}）",
    ),
    "P207": CauseTexts(
        "Service 没有标签选择器",
        "Pod 在运行，但 Service 没有端点。",
        "Service 没有标签选择器，因此 Kubernetes 不会为它生成端点",
    ),
    "P208": CauseTexts(
        "Service 的 targetPort 不对",
        "Pod 已就绪，但负载均衡返回 502。",
        "Service 转发到 Pod 的端口 {port}，而该端口无人监听（{detail}）",
    ),
    "P209": CauseTexts(
        "没有就绪的端点",
        "负载均衡返回 502 或 503。",
        "Service 没有就绪的端点（{detail}）",
        "修复 Pod：有关 Pod 的发现与本条一并列出。若没有，则 Pod 仍在启动：请重新运行，"
        "若等待时间太短，请加大 real_ip_wait_timeout",
    ),
    "P210": CauseTexts(
        "有端点不属于任何 Pod",
        "部分请求失败，或由别的应用应答。",
        "EndpointSlice 中的 {address} 不是 Service 的 Pod",
    ),
    # --- Ingress and load balancer
    "P301": CauseTexts(
        "删除卡住",
        "对象还在，但一直处于删除中；负载均衡仍在计费。",
        "它在 {since} 被删除，但被 {finalizers} 阻塞",
        "让处理该 finalizer 的控制器完成工作，或先在控制台删除负载均衡，再手动去掉 finalizer",
    ),
    "P302": CauseTexts(
        "ingressClassName 与注解矛盾",
        "Ingress 一直没有地址，或在控制器之间来回切换。",
        "Ingress 的 ingressClassName 是 {seen}，注解中却是 {other}",
    ),
    "P303": CauseTexts(
        "没有控制器处理该 Ingress 的 class",
        "Ingress 一直没有地址，也没有事件。",
        "Ingress 的 class 是 {seen}，集群中没有对应的 IngressClass，它也不是 {wanted}",
    ),
    "P304": CauseTexts(
        "负载均衡的控制器已关闭",
        "Ingress 一直没有地址，也没有事件。",
        "kube-system/tke-service-controller-config 中的 EnableIngressController 是 "
        '"false"：没有控制器处理 Ingress',
    ),
    "P305": CauseTexts(
        "TKE 报告错误",
        "对象一直没有地址，或修改没有同步到负载均衡。",
        "TKE 报告 {error}：{title}{detail}",
        "按该错误码处理，见 `ingress.md`",
    ),
    "P306": CauseTexts(
        "尚无负载均衡的地址",
        "对象一直没有地址，也没有事件。",
        "它的状态中没有地址，也没有事件说明原因：控制器不存在、太慢或没有权限",
        "确认 {controller} 在运行，并等待地址",
    ),
    "P307": CauseTexts(
        "负载均衡的域名无法解析",
        "V501、V502。",
        "状态中的域名是 {address}，探测端的 DNS 解析不到它的地址（{detail}）",
        "让探测端使用能解析该域名的 DNS",
    ),
    "P308": CauseTexts(
        "没有转发规则匹配请求的 Host",
        "CLB 返回 403，其他控制器返回 404。",
        "Ingress 的转发规则针对 {hosts}，而请求的是 {asked}",
    ),
    "P309": CauseTexts(
        "没有转发规则匹配请求的路径",
        "404。",
        "Ingress 的转发规则针对 {paths}，而请求的是 {asked}",
    ),
    "P310": CauseTexts(
        "应用自身返回错误",
        "链路正常，但返回 {status}。",
        "绕过负载均衡和节点直接请求，应用同样返回 {status}",
        "部署能应答 {asked} 的应用，或把 real_ip_path 设置为它有的路径",
    ),
    "P311": CauseTexts(
        "请求被重定向",
        "V517。",
        "负载均衡重定向到 {location}，那是另一条链路{detail}",
    ),
    "P312": CauseTexts(
        "负载均衡给出的是域名而不是地址",
        "ADDRESS 一栏是域名。",
        "状态中只有 {address}：它的地址可能变化，因此每次运行都重新解析",
    ),
    "P313": CauseTexts(
        "未要求直连 Pod，却已直连",
        "负载均衡绕过节点端口，直接转发到 Pod。",
        "{detail}。较新的集群只要没有明确拒绝就会开启直连（EnableDefaultDirectAccess），这时由 Pod "
        "的安全组"
        "决定能否访问，而不是节点端口",
    ),
    "P314": CauseTexts(
        "Pod 所在网络未开启直连",
        "TKE 的事件 E4033；或 Pod 已就绪，但负载均衡返回 502。",
        "要求直连 Pod，而 Pod 使用 GlobalRouter 网络的地址，集群没有为它开启直连"
        "（GlobalRouteDirectAccess：{seen}）",
    ),
    "P315": CauseTexts(
        "前面有组件拒绝了请求：WAF",
        "Host 有转发规则，但返回 403。",
        "Ingress 有匹配该请求的转发规则，请求却被拒绝并返回 403（{detail}）：Web 应用防火墙会这样",
        "让防火墙（WAF）放行探测端的地址和请求，或用它放行的请求探测",
    ),
    # --- The network between
    "P401": CauseTexts(
        "负载均衡不接受连接",
        "V504：连接超时。",
        "发往 {address} 的数据包被丢弃：负载均衡的安全组没有放行该客户端，或该地址没有归属",
        "在负载均衡的安全组中对客户端放通该端口",
    ),
    "P402": CauseTexts(
        "负载均衡没有监听器",
        "V503：连接被拒绝。",
        "{address} 拒绝连接：负载均衡存在，但该端口没有监听器",
        "在负载均衡控制台查看监听器是否存在，或是否被手动删除",
    ),
    "P403": CauseTexts(
        "负载均衡连不上节点端口",
        "Pod 已就绪且能应答，但负载均衡返回 502 或 504。",
        "直接请求时 Pod 能应答，但负载均衡从节点端口 {port} 得不到应答。CLB 保留客户端地址，"
        "因此节点的"
        "安全组必须对客户端自身放通该端口",
        "在节点的安全组中对客户端的地址放通节点端口",
    ),
    "P404": CauseTexts(
        "应用应答太慢",
        "负载均衡返回 504，或 V509。",
        "绕过负载均衡和节点直接请求，应用需要 {seconds} 秒或更久才应答",
        "让应用更快，或调大负载均衡等待应答的时间",
    ),
    "P405": CauseTexts(
        "应用使用另一种协议",
        "Pod 已就绪，但负载均衡返回 502。",
        "绕过负载均衡和节点直接请求，应用使用 {scheme}，而负载均衡对它使用 HTTP",
        "让负载均衡以 {scheme} 访问后端（TkeServiceConfig 的 forwardType）",
    ),
    "P406": CauseTexts(
        "没有 Pod 的节点丢弃请求",
        "部分请求超时。",
        "在 externalTrafficPolicy: Local 时，没有就绪 Pod 的节点会丢弃负载均衡转发给它的请求"
        "（{detail}）",
    ),
    "P407": CauseTexts(
        "直连被开启，而 Pod 未放通",
        "Pod 已就绪且能应答，但负载均衡返回 502 或 504。",
        "{detail}，因此负载均衡转发到 Pod，而不是已对它放通的节点端口。直接请求时 Pod 能应答，"
        "但不应答"
        "负载均衡",
    ),
    "P408": CauseTexts(
        "探测端的网络可能只允许通过代理出网",
        "V504：连接超时；运行 playbook 的环境设置了 {variable}。",
        "发往 {address} 的数据包被丢弃，而环境变量 {variable} 是 {proxy}：如果只有它能出网，"
        "就无法探测。"
        "探测从不使用代理，否则看到的会是代理的地址",
        "请从可以直接出网的机器探测，例如把它列入 real_ip_vantages，或让防火墙放行本机",
    ),
    "P409": CauseTexts(
        "负载均衡以 HTTPS 访问使用 HTTP 的应用",
        "Pod 已就绪，但负载均衡返回 502。",
        "TkeServiceConfig {name} 设置了 forwardType: HTTPS，而绕过负载均衡和节点直接请求，应用以 "
        "HTTP 应答",
        "在 TkeServiceConfig 中设置 forwardType: HTTP",
    ),
    # --- An address that doesn't arrive
    "P501": CauseTexts(
        "节点替换了客户端地址",
        "四层时的 V201、V202。",
        "externalTrafficPolicy 是 Cluster，因此 kube-proxy 用节点地址替换了客户端地址",
    ),
    "P502": CauseTexts(
        "链路上的代理多于或少于计算的数量",
        "V208、V210。",
        "客户端地址到达了，但不在声明的策略读取之处（{detail}）",
        "按负载均衡实际写入的内容选择 strategy、header 和 trusted_count",
    ),
    "P503": CauseTexts(
        "没有七层负载均衡写入该请求头",
        "V209。",
        "到达的请求没有 {header}：它没有经过七层负载均衡，或该负载均衡不写入它，"
        "或之后有组件删除了它",
    ),
    "P504": CauseTexts(
        "客户端可以指定应用认定的地址",
        "V101、V102。",
        "负载均衡透传客户端写入的内容，而声明的策略会读取它（{detail}）",
        "让负载均衡重新写入该请求头",
    ),
    "P505": CauseTexts(
        "可以绕过前置代理",
        "V103。",
        "负载均衡也绕过前置代理直接应答客户端（{detail}）",
        "让负载均衡，以及开放其控制器节点端口的节点，只放行前置代理",
    ),
    "P506": CauseTexts(
        "有一个 Pod 与其他的不同",
        "V301：部分后端看到预期的地址，其他后端没有。",
        "Pod {name} 看到 {seen}，其他 Pod 看到客户端地址；它不是由 Deployment 最新的 ReplicaSet "
        "创建的",
    ),
    "P507": CauseTexts(
        "有一个节点替换地址",
        "V301：某个节点上的后端看不到客户端地址。",
        "只有节点 {name} 上的 Pod 看到 {seen} 而不是客户端地址：该节点上有地址转换",
        "把该节点的地址转换规则（nft list ruleset、iptables-save）与另一个节点比较，删除不属于 "
        "kube-proxy 的规则",
    ),
    "P508": CauseTexts(
        "Pod 内有组件先接管连接",
        "V205：应用看到回环地址。",
        "应用看到 {seen}：Pod 中的另一个容器接受连接并重新发起（{detail}）",
        "让 sidecar 保留源地址（Istio：interceptionMode TPROXY），或不在这些 Pod 中使用它",
    ),
    "P509": CauseTexts(
        "探测端不在集群之外",
        "V421、V423。",
        "探测在集群的 {place} 上运行，那里由 kube-proxy 代替负载均衡应答",
        "请在集群之外运行 playbook，或在 real_ip_vantages 中列出集群之外的主机",
    ),
    "P510": CauseTexts(
        "没有说明预期的地址",
        "V401、V402、V412。",
        "没有说明应当看到哪个地址，因此无从比较",
        "把 real_ip_expected_source 设置为探测端流量的出网地址",
    ),
    "P511": CauseTexts(
        "客户端与负载均衡之间有组件替换了地址",
        "V206、V207、V406。",
        "看到的 {seen} 不属于任何节点、Pod 或负载均衡：前面有 NAT、代理或 CDN，或预期的地址不对",
        "查明探测端流量的出网地址，并把代理或 CDN 计入 real_ip_trusted_count",
    ),
    "P512": CauseTexts(
        "看到的是节点或 Pod 的地址，不是客户端地址",
        "七层时的 V201、V202。",
        "应当是客户端地址的位置上是集群的地址 {seen}：前面有集群内的代理，而它本身经由节点端口到达",
        "在该代理的 Service 上设置 externalTrafficPolicy: Local",
    ),
    "P513": CauseTexts(
        "负载均衡之后有组件删除了请求头",
        "V209、V301，但负载均衡的其他请求头都到达了。",
        "负载均衡自己的请求头（{marks}）到达了，X-Forwarded-For 却没有："
        "应用或它之前的服务器删除了它",
        "让应用的服务器传递 X-Forwarded-For",
    ),
    "P514": CauseTexts(
        "客户端可以通过 PROXY 协议指定地址",
        "V104。",
        "链路上有组件接受任何人发来的 PROXY 协议（{detail}）",
        "只接受前置代理发来的 PROXY 协议；没有代理发送时请关闭",
    ),
    "P515": CauseTexts(
        "应用从请求头取得对端",
        "V426。",
        "应用报告的对端取自任何人都能写入的请求头（{detail}）",
        "关闭应用面向前置代理的设置（uvicorn 的 --proxy-headers、ProxyFix）",
    ),
    "P516": CauseTexts(
        "应用报告的信息太少",
        "V417、V425、V427。",
        "应用没有报告结论所依据的内容（{detail}）",
        "使用会报告对端和 Pod 的应用：见 docs/echo_apps.md",
    ),
    "P517": CauseTexts(
        "预期的地址也包含其他机器",
        "V428、V430。",
        "预期的不只是探测端自己的地址，因此代理的地址也可能被算作符合（{detail}）",
        "把 real_ip_expected_source 设置为探测端流量到达时的那一个地址",
    ),
    "P518": CauseTexts(
        "探测端运行在前置代理上",
        "V429。",
        "探测端自己的机器也通向 Pod（{detail}）",
        "请从另一台机器运行 playbook，或在 real_ip_vantages 中列出其他主机",
    ),
}
