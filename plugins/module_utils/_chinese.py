# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""Phrases that texts are put together from: English to Chinese, with the same placeholders."""

from __future__ import annotations

from collections.abc import Mapping

PHRASES: Mapping[str, str] = {
    # --- Joints
    "": "",
    " ": " ",
    ", ": "、",
    "; ": "；",
    ": ": "：",
    " and ": " 和 ",
    " or ": " 或 ",
    "{kind} {name}": "{kind} {name}",
    "{told}.": "{told}。",
    "{item} ({count})": "{item}（{count}）",
    "{item} ({count} of {total})": "{item}（{total} 个中的 {count} 个）",
    "{count} more": "另有 {count} 项",
    " and {count} more": " 等，另有 {count} 个",
    "none": "无",
    "nothing": "无",
    "nobody": "无",
    # --- Where the address is read (_verdict)
    "the socket peer": "连接对端",
    "{header}": "{header}",
    "entry {count} from the right of {header}": "{header} 从右数第 {count} 项",
    "the rightmost {header} entry": "{header} 最右侧一项",
    "the nearest address outside trusted_ranges": "trusted_ranges 之外最近的地址",
    "the rightmost public {header} entry": "{header} 最右侧的公网地址",
    "the leftmost public {header} entry": "{header} 最左侧的公网地址",
    # --- What the expected address is known from (Expectation.source)
    "given": "已指定",
    "asked": "查询所得",
    "local": "探测端自己的地址",
    "inferred": "推断",
    # --- What a verdict rests on (_verdict)
    "no address": "没有地址",
    "not told": "未报告",
    "{address}, in the first of several lines": "{address}（在多行中的第一行）",
    "none are known": "未知",
    "no class is given": "未给出类别",
    "{count} × {title}": "{count} × {title}",
    " (of {planned} requests {titles})": "（{planned} 个请求中：{titles}）",
    " (pod {pods})": "（Pod {pods}）",
    ", only {pods}": "，只有 {pods}",
    "; {left}": "；{left}",
    "forgery tested in part": "只测试了部分伪造",
    "the echo app doesn't name its pod": "回显应用不报告 Pod 名称",
    "the connection leads to the machine that {other} is as well: expected one of its own. "
    "Next: compare their ansible_host, ansible_port and jump hosts": (
        "连接到达的机器与 {other} 是同一台：应为各自的机器。"
        "下一步：比较两者的 ansible_host、ansible_port 和跳板机"
    ),
    "; warnings: {count}": "；警告：{count}",
    "; {told} ({name})": "；{told}（{name}）",
    "{name} and {count} more": "{name} 等，另有 {count} 个",
    "this run has changed {objects}, and what is in front may not follow yet: verify again": (
        "本次运行更改了 {objects}，前置的负载均衡可能尚未生效：请再次验证"
    ),
    "check mode: of what is there now, without the changes that a run would make": (
        "检查模式：这是现有内容的结果，不含运行将做的更改"
    ),
    "{reason}; {told}": "{reason}；{told}",
    "honest requests decide nothing: {title} ({code})": "正常请求无法得出结论：{title}（{code}）",
    "vantage not checked": "未核对探测位置",
    "what each address showed was not kept, so that this may be among it": (
        "没有保存各地址的结果，因此其中可能有它"
    ),
    "forgery not tested": "未测试伪造",
    "ways around not looked for": "未查找绕行途径",
    "others that may answer not looked for": "未查找可能代为应答者",
    "probed from where Ansible runs": "从运行 Ansible 的机器探测",
    "{told} (no right to list {resources})": "{told}（无权列出 {resources}）",
    "whether a node port answers without the load balancer": "节点端口是否绕过负载均衡应答",
    "whether another Service leads past the load balancer": "是否有其他 Service 绕过该负载均衡",
    "whether the Ingress controller answers at node ports": "Ingress 控制器是否在节点端口应答",
    "where else the pods of the Ingress controller are reached": (
        "Ingress 控制器的 Pod 还可以从哪里访问"
    ),
    "whether another Ingress leads to the Ingress controller": (
        "是否有其他 Ingress 通向 Ingress 控制器"
    ),
    "whether another Ingress leads to the same pods": "是否有其他 Ingress 通向同样的 Pod",
    "whether another Ingress answers in its place": "是否有其他 Ingress 代为应答",
    "whether another Service listens where the probe asks": "是否有其他 Service 在探测的地址监听",
    "whether an HTTPRoute leads to the same pods": "是否有 HTTPRoute 通向同样的 Pod",
    "at which address a Gateway leads to the same pods": "Gateway 在哪个地址通向同样的 Pod",
    "any expected address counts, seen {seen}": "任何预期地址均算，看到的是 {seen}",
    "any expected address counts": "任何预期地址均算",
    "the host's name leads elsewhere": "主机名指向别处",
    "not ready, and not asked: {pods}": "尚未就绪，未探测：{pods}",
    "pods that weren't ready not asked": "未探测尚未就绪的 Pod",
    "nodes without its pods: {nodes}": "没有其 Pod 的节点：{nodes}",
    "nodes without its pods": "有的节点上没有其 Pod",
    "nodes without its pods not known": "是否有节点没有其 Pod 未知",
    "probed in check mode": "在检查模式下探测",
    "probed by a run that had just changed what is in front": "由刚刚更改了前置负载均衡的运行探测",
    "{reason}; {host} leads elsewhere from here: {addresses}": (
        "{reason}；{host} 从此处指向别处：{addresses}"
    ),
    "{reason}; not tested, no route: {addresses}": "{reason}；没有路由而未测试：{addresses}",
    "addresses without a route not tested": "没有路由的地址未测试",
    "no forgery tested on some pods": "未在部分 Pod 上测试伪造",
    "no forgery tested on {pods}": "未在 {pods} 上测试伪造",
    "forgery tested in part ({refused} of {sent} forged requests not answered{never})": (
        "只测试了部分伪造（{sent} 个伪造请求中有 {refused} 个没有应答{never}）"
    ),
    ", none with {names}": "，凡带 {names} 的均无应答",
    "none was; let the load balancer write the header anew": ("没有；请让负载均衡重新写入该请求头"),
    "on which a kubelet listens, and which nodes the cluster has is not known": (
        "本机上有 kubelet 监听，而集群有哪些节点并不清楚"
    ),
    "which is a node by what vantage says": "vantage 说本机是节点",
    "the prober is a node of the cluster": "探测端是集群的节点",
    "the prober is a pod of the cluster": "探测端是集群的 Pod",
    "outside": "集群之外",
    "vpc": "VPC 内",
    "not there any more": "已不存在",
    # --- Why there was no answer (_probe, _echo)
    "{title}: {detail}": "{title}：{detail}",
    "not asked for": "未要求",
    "answered {texts}": "应答为 {texts}",
    "no address of family {family}": "没有 {family} 地址",
    "byte {place}": "第 {place} 字节",
    "a character reference that is no character": "字符引用不是字符",
    "a member stands twice in one object": "同一对象中有重复的成员",
    "echo_queries.headers finds no header lines": "echo_queries.headers 没有找到请求头",
    "{query} finds no text": "{query} 没有找到文本",
    "{query} finds what the answer does not hold": "{query} 找到了应答中没有的内容",
    "no text of {form}": "不是 {form} 的文本",
    "no object but {kind}": "不是对象，而是 {kind}",
    "members {names}": "成员为 {names}",
    # --- Objects that are none of Kubernetes' (_findings)
    "Right": "权限",
    "Read": "读取",
    "Cluster": "集群",
    "See {command}": "查看 {command}",
    # --- What checks find: rights, pods
    "in the namespace {namespace}": "在命名空间 {namespace} 中",
    "in the whole cluster": "在整个集群中",
    "404 for the namespace {namespace} from {server}; other contexts: {others}": (
        "{server} 对命名空间 {namespace} 返回 404；其他 context：{others}"
    ),
    "; context: {context}, others: {others}": "；context：{context}，其他：{others}",
    "no ingresses in {served}": "{served} 中没有 ingresses",
    ". What holds it: {reasons}": "。阻塞它的是：{reasons}",
    "metadata.deletionTimestamp: {since}{held}": "metadata.deletionTimestamp: {since}{held}",
    "metadata.deletionTimestamp: {since}, finalizers: {held}": (
        "metadata.deletionTimestamp: {since}，finalizers：{held}"
    ),
    "nothing that is named": "未知的组件",
    "no Deployment and no pod": "没有 Deployment，也没有 Pod",
    "condition ReplicaFailure, {reason}: {message}": "状况 ReplicaFailure，{reason}：{message}",
    "condition PodScheduled, Unschedulable: {reasons}": (
        "状况 PodScheduled，Unschedulable：{reasons}"
    ),
    "condition Ready: {status}, {detail}": "状况 Ready：{status}，{detail}",
    "condition {gate} isn't True": "状况 {gate} 不是 True",
    "Raise the quota, or lower what the pods ask for": "提高配额，或调低 Pod 的资源请求",
    "Change the affinity of the Deployment": "修改 Deployment 的亲和性",
    "Change the pod's tolerations or node selector": "修改 Pod 的容忍或节点选择器",
    "Give the container a higher memory limit": "调高容器的内存限制",
    "container {name} waits, {reason}: {message}": "容器 {name} 在等待，{reason}：{message}",
    "container {name}: {reason}": "容器 {name}：{reason}",
    ", exit code {code}": "，退出码 {code}",
    ", {count} restarts": "，重启 {count} 次",
    "event {reason}: {message}": "事件 {reason}：{message}",
    "; {kind} {name}, {event}": "；{kind} {name}，{event}",
    # --- What checks find: Service
    "404 from {asked}": "{asked} 返回 404",
    "the API server": "API Server",
    "{server} (context {name}; the kubeconfig has {others} as well)": (
        "{server}（context {name}；kubeconfig 中还有 {others}）"
    ),
    "The playbook": "playbook",
    "The Ingress {name}": "Ingress {name}",
    "Name a Service that exists": "指定一个存在的 Service",
    "Create the Service, or name one that exists in the Ingress": (
        "创建该 Service，或在 Ingress 中指定一个存在的 Service"
    ),
    "Ingress {name} names port {port}, the Service has {ports}{event}": (
        "Ingress {name} 指定端口 {port}，Service 的端口是 {ports}{event}"
    ),
    "it has {ports}": "它的端口是 {ports}",
    "Name one of the Service's ports in the Ingress": "在 Ingress 中指定 Service 已有的端口",
    "spec.selector: none": "spec.selector：无",
    "spec.selector: {labels}, 0 pods": "spec.selector: {labels}，0 个 Pod",
    "Set the selector to labels that the pods carry": "把标签选择器改为 Pod 带有的标签",
    "no endpoint": "没有端点",
    "{count} endpoints, none of them ready": "{count} 个端点，均未就绪",
    "endpoints.addresses: {addresses}, managed by {manager}": (
        "endpoints.addresses: {addresses}，管理者：{manager}"
    ),
    # --- What checks find: Ingress and load balancer
    "not set": "未设置",
    "spec.ingressClassName: {field}, annotation {key}: {annotation}": (
        "spec.ingressClassName: {field}，注解 {key}: {annotation}"
    ),
    "{field}: {seen}; IngressClasses: {classes}": "{field}: {seen}；IngressClass：{classes}",
    "Name a class that the cluster has": "指定集群中存在的 class",
    'data.{switch} of ConfigMap {name}: {seen}; annotation {key}: "true"{event}': (
        'ConfigMap {name} 的 data.{switch}：{seen}；注解 {key}: "true"{event}'
    ),
    '{key} is "true", written by {other} and not by who made the {kind}': (
        '{key} 是 "true"，由 {other} 写入，而不是 {kind} 的创建者'
    ),
    '{key} is not set, and {switch} is "true" for what is made from now on': (
        '未设置 {key}，而 {switch} 是 "true"，对此后创建的对象生效'
    ),
    "No documented fix": "没有记载的处理方法",
    ". {cause}": "。{cause}",
    "The event doesn't say what this code means.": "事件没有说明该错误码的含义。",
    "status.loadBalancer.ingress: empty": "status.loadBalancer.ingress：空",
    "the controller of the class {seen}": "class {seen} 的控制器",
    " of the class {seen}": "（class {seen}）",
    "what makes load balancers{of_class} for Services, such as the cloud's controller,": (
        "为 Service 创建负载均衡{of_class}的组件（例如云上的控制器）"
    ),
    # --- What checks find: answers
    "environment: {variable}={proxy}": "环境变量：{variable}={proxy}",
    "the address without a name": "不带域名的地址",
    "the load balancer's own address": "负载均衡器自身的地址",
    "Give the rule the host {asked}, or leave real_ip_url and real_ip_host unset": (
        "为该转发规则设置 host {asked}，或不设置 real_ip_url 和 real_ip_host"
    ),
    "Set real_ip_host to a name under the rule's wildcard": (
        "把 real_ip_host 设置为转发规则通配符之下的域名"
    ),
    "asked directly, the app answers {status}": "直接请求时应用返回 {status}",
    "whether the app itself refuses it could not be asked": "无法直接确认是否由应用自己拒绝",
    "another address": "另一个地址",
    ", by the annotation {key}": "，由注解 {key} 触发",
    "Probe where it leads to, with real_ip_url": "用 real_ip_url 探测重定向的目标",
    "asked directly, pod {pod} port {port}: {said}": "直接请求 Pod {pod} 的端口 {port}：{said}",
    "{outcome} ({told}) after {seconds} s": "{seconds} 秒后{outcome}（{told}）",
    "answers": "有应答",
    "refused": "被拒绝",
    "timeout": "超时",
    "other": "使用另一种协议",
    "another protocol than HTTP": "HTTP 之外的协议",
    "the connection is refused": "连接被拒绝",
    "Set the Service's targetPort to the port that the app listens on": (
        "把 Service 的 targetPort 设置为应用监听的端口"
    ),
    "Open the container's port in the security group of the pods": (
        "在 Pod 的安全组中放通容器端口"
    ),
    "no ready pod on {nodes}": "{nodes} 上没有就绪的 Pod",
    "the header": "该请求头",
    "node": "节点",
    "pod": "Pod",
    "Let the load balancer write the header, or probe the layer-7 load balancer's address": (
        "让负载均衡写入该请求头，或探测七层负载均衡的地址"
    ),
    "a forged {header}: dropped": "伪造的 {header}：被丢弃",
    "none is known": "未知",
    "arrived: {marks}": "到达的：{marks}",
    "backend {name} on {node}: {seen}": "{node} 上的后端 {name}：{seen}",
    "no sidecar seen": "没有发现 sidecar",
    "containers: {names}": "容器：{names}",
    "the containers {names}": "容器 {names}",
    # --- The picture of the way (_diagnosis)
    "client": "客户端",
    "balancer": "负载均衡",
    "ingress": "Ingress",
    "service": "Service",
    "any host": "任意域名",
    "{name}: {host}{path} to {service}": "{name}：{host}{path} 转发到 {service}",
    "{port} to {target}": "{port} 转发到 {target}",
    "node port {ports}": "节点端口 {ports}",
    "not readable": "无法读取",
    "{ready} of {count} ready": "{count} 个中 {ready} 个就绪",
    "{phase}, not ready": "{phase}，未就绪",
    # --- The page (_summary): labels
    "vantage": "探测位置",
    "probe": "探测",
    "seen": "看到",
    "expected": "预期",
    "address": "地址",
    "backend": "后端",
    "forged": "伪造",
    "trust": "可信",
    "reason": "依据",
    "also": "另外",
    "warning": "警告",
    "way": "链路",
    "cause": "原因",
    "type": "执行",
    "set": "设置",
    "fix": "处理",
    "evidence": "证据",
    "log": "日志",
    "explain": "详解",
    "earlier": "此前",
    "done": "已完成",
    "running": "运行中",
    "then": "随后",
    "again": "重新验证",
    "remove": "清理",
    "awx": "AWX",
    "instead of ansible-playbook, launch the job template that runs the same playbook; what "
    "stands after -e goes into its variables, or into those of the inventory's host": (
        "不执行 ansible-playbook，而是启动运行同一 playbook 的作业模板；"
        "-e 之后的内容填入其变量，或填入清单中该主机的变量"
    ),
    # --- The page: what became of a forged header
    "passed_through": "透传",
    "appended": "追加",
    "replaced": "被替换",
    "dropped": "被丢弃",
    "untested": "未测试",
    # --- The page: what was done
    "created": "已创建",
    "changed": "已修改",
    "unchanged": "未变",
    "adopted": "已接管",
    "kept": "已保留",
    "absent": "不存在",
    "deleted": "已删除",
    "{objects} in the namespace {namespace}": "命名空间 {namespace} 中的 {objects}",
    "what was deployed is removed by this run (real_ip_ephemeral)": (
        "所部署的内容由本次运行清理（real_ip_ephemeral）"
    ),
    # --- The page: sentences
    "CAUSE {code}": "原因 {code}",
    "NOTHING WRONG": "未发现问题",
    "NO CAUSE FOUND": "未找到原因",
    "no cause was found, and it is not shown that the client's address arrives": (
        "未找到原因，也没有证明客户端的地址会到达"
    ),
    "not probed": "未探测",
    "no answer": "没有应答",
    "The host was not reached": "未能连接到该主机",
    "No result": "没有结果",
    "the host became unreachable, or a task failed that nothing could be said after. "
    "Next: see its own message above": (
        "该主机变得不可达，或者有任务失败，之后无法再得出结论。下一步：查看上文中它自己的消息"
    ),
    "none given": "未指定",
    "Check mode: there is no address to probe yet, so that nothing was probed.": (
        "检查模式：还没有可探测的地址，因此没有探测。"
    ),
    "nothing is wrong with the way": "链路没有问题",
    "{reason} (diagnosed only, so that no verdict was drawn)": "{reason}（只做诊断，没有得出结论）",
    "another verification": "另一次验证",
    "from {name}: {reason}": "从 {name}：{reason}",
    ", from {name}": "，从 {name}",
    "{verdict} from {names}": "从 {names}：{verdict}",
    "expected {expected}, saw {seen}": "预期 {expected}，看到 {seen}",
    "pods, which the echo app does not name": "Pod（回显应用不报告名称）",
    "ansible-playbook kestrel.real_ip.explain -e real_ip_code={code}": (
        "ansible-playbook kestrel.real_ip.explain -e real_ip_code={code} -e real_ip_language=zh"
    ),
    "last lines of {pod}, container {container}:": "{pod} 的容器 {container} 的最后几行：",
    # --- What a code means (_explain)
    "{code} ({kind}): {title}": "{code}（{kind}）：{title}",
    "{code} of TKE on {kind}: {title}": "TKE 在 {kind} 上的 {code}：{title}",
    "error": "错误",
    "info": "提示",
    "- Says: {reason}.": "- 表述：{reason}。",
    "- Cause: {cause}": "- 原因：{cause}",
    "- Fix: {fix}.": "- 处理：{fix}。",
    "- Symptom: {symptom}": "- 现象：{symptom}",
    "- See it by hand: {command}": "- 手动查看：{command}",
    "- Fix ({kind}): {fix}": "- 处理（{kind}）：{fix}",
    "- More: {link}": "- 详见：{link}",
    "command": "命令",
    "variable": "变量",
    "console": "人工",
    "Nothing to mend": "无需处理",
    "nothing to mend": "无需处理",
    "no documented fix": "没有记载的处理方法",
}
