# Copyright (c) 2026, the kestrel.real_ip contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: it can change at any time.

"""The texts of ``_tke_errors`` in Chinese. A test holds one to the other.

Commands and variables are the same in every language: they stand in ``_tke_errors`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.kestrel.real_ip.plugins.module_utils._language import chinese
from ansible_collections.kestrel.real_ip.plugins.module_utils._tke_errors import (
    ERRORS,
    TkeError,
)


class ErrorTexts(NamedTuple):
    """What a row of ``_tke_errors`` says, by the names that it has there.

    ``fix`` is empty where the row has a command or a variable there, or nothing.
    """

    title: str
    cause: str
    fix: str = ""


_INGRESS, _SERVICE = "Ingress", "Service"

_EDIT = "kubectl -n {namespace} edit ingress {name}"
_TLS = (
    "把 real_ip_qcloud_cert_id 设置为证书 ID；或让 spec.tls 的每一项都指定同一命名空间中的一个 "
    "Opaque "
    f"Secret，其键 qcloud_cert_id 保存证书 ID，而不是 PEM 文本：{_EDIT}"
)
_SERVICES = "对照 Ingress 中 Service 的名称和端口与实际存在的：kubectl -n {namespace} get services"
_CONFIGS = (
    "对照注解 tke-service-config 中的名称与实际存在的："
    "kubectl -n {namespace} get tkeserviceconfigs.cloud.tencent.com"
)
_EXISTING = "把 real_ip_existing_lb_id 设置为"
_BY_HAND = f"{_EXISTING}在 CLB 控制台手动创建的负载均衡的 ID"
_SUBNET = "把 real_ip_subnet_id 设置为存在的子网的 ID"
_RULES = (
    "在 real_ip_ingress_annotations 中把 {annotation} 写成 JSON 格式的规则列表，每条规则包含 host、"
    "path 和 backend（serviceName 和 servicePort）"
)
_BY_HAND_DELETE = "如果没有其他用途，请在 CLB 控制台手动删除该{what}"
_NO_ADDRESS = ErrorTexts("子网没有空闲地址", "负载均衡所在子网的地址已用完。")
_ARREARS = ErrorTexts("账号欠费", "账号余额不足以使用负载均衡。")
_NO_SUBNET = ErrorTexts("子网不存在", "负载均衡要使用的子网不存在。", _SUBNET)
_NO_CONFIG = ErrorTexts(
    "TkeServiceConfig 不存在", "{kind} 指定的 TkeServiceConfig 不在它的命名空间中。", _CONFIGS
)
_INTERNAL = ErrorTexts("云内部错误", "控制器依赖的某个云服务出错。")
_CONTROLLER = ErrorTexts("控制器内部错误", "TKE 的 Ingress 控制器自身出错。")
_TKE_CONFIG = ErrorTexts(
    "集群缺少 tke-config",
    "kube-system 中的 ConfigMap tke-config 缺失或不完整，控制器从中读取地域和网络。",
)


def _of_kind(texts: ErrorTexts, kind: str) -> ErrorTexts:
    return texts._replace(cause=texts.cause.replace("{kind}", kind))


ERRORS_ZH: Mapping[tuple[str, str], ErrorTexts] = {
    # --- Ingress
    (_INGRESS, "E4000"): ErrorTexts(
        "云 API 调用过于频繁", "云 API 限制调用频率；控制器会自行重试。"
    ),
    (_INGRESS, "E4003"): ErrorTexts("负载均衡配额已用完", "账号不能再创建负载均衡。"),
    (_INGRESS, "E4004"): ErrorTexts("监听器配额已用完", "该负载均衡不能再创建监听器。"),
    (_INGRESS, "E4005"): ErrorTexts("转发规则配额已用完", "该负载均衡不能再创建转发规则。"),
    (_INGRESS, "E4006"): ErrorTexts("监听器设有重定向", "设有重定向的监听器不能删除。"),
    (_INGRESS, "E4007"): ErrorTexts(
        "控制器得不到凭据",
        "为控制器提供凭据的服务（Norm）拒绝了它，多半是因为修改了 ip-masq-agent，"
        "请求不再以节点地址发出。",
    ),
    (_INGRESS, "E4008"): ErrorTexts(
        "缺少角色 TKE_QCSRole", "TKE 代为操作所用的账号角色 TKE_QCSRole 不存在或已被撤销。"
    ),
    (_INGRESS, "E4009"): ErrorTexts(
        "TLS 没有指定 Secret", "spec.tls 中有一项没有 secretName，或为空。", _TLS
    ),
    (_INGRESS, "E4010"): ErrorTexts(
        "TLS 的 Secret 不存在", "spec.tls 指定的某个 Secret 不存在。", _TLS
    ),
    (_INGRESS, "E4011"): ErrorTexts(
        "Secret 中没有证书 ID", "spec.tls 指定的某个 Secret 缺少键 qcloud_cert_id。", _TLS
    ),
    (_INGRESS, "E4012"): ErrorTexts(
        "证书被拒绝", "负载均衡不接受 Secret 的 qcloud_cert_id 指定的证书。", _TLS
    ),
    (_INGRESS, "E4013"): ErrorTexts(
        "规则缺少 http",
        "Ingress 的某条规则在 http 下没有内容。",
        f"在每条规则的 http 下写明路径：{_EDIT}",
    ),
    (_INGRESS, "E4017"): ErrorTexts(
        "负载均衡的标签被修改", "控制器用来识别负载均衡的标签被他人修改。"
    ),
    (_INGRESS, "E4018"): ErrorTexts(
        "指定的已有负载均衡不存在",
        "kubernetes.io/ingress.existLbId 指定的负载均衡不存在。",
        _BY_HAND,
    ),
    (_INGRESS, "E4019"): ErrorTexts(
        "指定的已有负载均衡由 TKE 创建",
        "kubernetes.io/ingress.existLbId 指定的负载均衡是 TKE 为另一个对象创建的。",
        _BY_HAND,
    ),
    (_INGRESS, "E4020"): ErrorTexts(
        "指定的已有负载均衡被另一个 Ingress 使用",
        "另一个 Ingress 正在使用 kubernetes.io/ingress.existLbId 指定的负载均衡。",
        f"{_EXISTING}没有其他 Ingress 使用的负载均衡的 ID",
    ),
    (_INGRESS, "E4021"): ErrorTexts(
        "指定的已有负载均衡已有监听器",
        "kubernetes.io/ingress.existLbId 指定的负载均衡已有监听器。",
        f"{_EXISTING}没有监听器的负载均衡的 ID",
    ),
    (_INGRESS, "E4022"): ErrorTexts(
        "无法读取注解 http-rules",
        "kubernetes.io/ingress.http-rules 不是格式正确的 JSON。",
        _RULES.format(annotation="kubernetes.io/ingress.http-rules"),
    ),
    (_INGRESS, "E4023"): ErrorTexts(
        "无法读取注解 https-rules",
        "kubernetes.io/ingress.https-rules 不是格式正确的 JSON。",
        _RULES.format(annotation="kubernetes.io/ingress.https-rules"),
    ),
    (_INGRESS, "E4024"): ErrorTexts(
        "负载均衡的参数被拒绝", "无法按 Ingress 注解的要求创建负载均衡。"
    ),
    (_INGRESS, "E4025"): ErrorTexts("负载均衡资源不足", "云上没有足够的资源创建负载均衡。"),
    (_INGRESS, "E4026"): ErrorTexts(
        "无法读取注解 extensiveParameters",
        "kubernetes.io/ingress.extensiveParameters 不是 JSON。",
        "把 real_ip_extensive_parameters 设置为 CreateLoadBalancer 的参数",
    ),
    (_INGRESS, "E4027"): _ARREARS,
    (_INGRESS, "E4030"): ErrorTexts(
        "指定的已有负载均衡是传统型",
        "传统型负载均衡不支持 Ingress 的七层转发规则。",
        f"{_EXISTING}非传统型负载均衡的 ID",
    ),
    (_INGRESS, "E4031"): ErrorTexts(
        "路径被拒绝",
        "Ingress 的某个路径的写法不被负载均衡接受，例如正则表达式。",
        "把 real_ip_path 设置为以斜杠开头的普通路径",
    ),
    (_INGRESS, "E4032"): ErrorTexts(
        "负载均衡的 IP 版本不对",
        "负载均衡的 AddressIPVersion 与集群网络不符。",
        "把 real_ip_address_ip_version 设置为与集群网络相符的版本",
    ),
    (_INGRESS, "E4033"): ErrorTexts(
        "不支持该 IP 版本", "集群所在地域不提供该 AddressIPVersion 的负载均衡。"
    ),
    (_INGRESS, "E4034"): ErrorTexts(
        "IPv6 的规则没有 host",
        "某条规则没有 host，而 IPv6 负载均衡不像 IPv4 那样以自己的地址代替。",
        "设置 real_ip_host",
    ),
    (_INGRESS, "E4035"): ErrorTexts(
        "证书 ID 格式不对", "Secret 的 qcloud_cert_id 不符合证书 ID 的格式。", _TLS
    ),
    (_INGRESS, "E4036"): ErrorTexts(
        "证书不存在", "Secret 的 qcloud_cert_id 指定的证书不存在。", _TLS
    ),
    (_INGRESS, "E4037"): ErrorTexts(
        "direct-access 既不是 true 也不是 false",
        "ingress.cloud.tencent.com/direct-access 既不是 true 也不是 false。",
        "把 real_ip_direct_access 设置为 true 或 false",
    ),
    (_INGRESS, "E4038"): ErrorTexts(
        "证书类型不对", "qcloud_cert_id 指定的证书不是监听器需要的类型。"
    ),
    (_INGRESS, "E4039"): ErrorTexts("证书已过期", "qcloud_cert_id 指定的证书已过期。"),
    (_INGRESS, "E4040"): ErrorTexts(
        "host 没有证书",
        "spec.tls 中没有任何一项为其中一个 host 提供证书。",
        f"为每个 host 在 spec.tls 中添加一项：{_EDIT}",
    ),
    (_INGRESS, "E4041"): ErrorTexts(
        "Service 不存在",
        "Ingress 指定的 Service 不在它的命名空间中：写错了，或指定错了。",
        _SERVICES,
    ),
    (_INGRESS, "E4042"): ErrorTexts(
        "Service 没有该端口", "Ingress 指定的端口，其 Service 没有。", _SERVICES
    ),
    (_INGRESS, "E4043"): _of_kind(_NO_CONFIG, _INGRESS),
    (_INGRESS, "E4044"): ErrorTexts(
        "注解 rule-mix 不对",
        "kubernetes.io/ingress.rule-mix 的值不被控制器接受。",
        '在 real_ip_ingress_annotations 中把 kubernetes.io/ingress.rule-mix 设置为 "true"',
    ),
    (_INGRESS, "E4045"): ErrorTexts(
        "注解 internetChargeType 不对",
        "云上没有 kubernetes.io/ingress.internetChargeType 的这个值。",
        "把 real_ip_internet_charge_type 设置为 TRAFFIC_POSTPAID_BY_HOUR 或 "
        "BANDWIDTH_POSTPAID_BY_HOUR",
    ),
    (_INGRESS, "E4046"): ErrorTexts(
        "注解 internetMaxBandwidthOut 不对",
        "kubernetes.io/ingress.internetMaxBandwidthOut 不是云上接受的数值。",
        "把 real_ip_internet_max_bandwidth_out 设置为 1 到 2048 之间的 Mbps 数",
    ),
    (_INGRESS, "E4047"): ErrorTexts(
        "Service 的类型是 ClusterIP",
        "非直连时负载均衡转发到节点端口，而 ClusterIP 类型的 Service 没有节点端口。",
    ),
    (_INGRESS, "E4048"): ErrorTexts(
        "有两个默认证书",
        "spec.tls 中有不止一项是默认证书。",
        f"在 spec.tls 中只保留一个默认证书：{_EDIT}",
    ),
    (_INGRESS, "E4049"): ErrorTexts(
        "同一个 host 有两个证书",
        "spec.tls 中有不止一项为同一个 host 提供证书。",
        f"在 spec.tls 中为每个 host 只保留一个证书：{_EDIT}",
    ),
    (_INGRESS, "E4050"): ErrorTexts(
        "注解 tke-service-config-auto 不对",
        "ingress.cloud.tencent.com/tke-service-config-auto 的值不被控制器接受。",
        "在 real_ip_ingress_annotations 中把 ingress.cloud.tencent.com/tke-service-config-auto "
        '设置为 "true"',
    ),
    (_INGRESS, "E4051"): ErrorTexts(
        "TkeServiceConfig 使用了保留名称",
        "ingress.cloud.tencent.com/tke-service-config 指定的名称以控制器自动创建的配置所用的后缀结"
        "尾。",
        "把 real_ip_tke_service_config 设置为不以 -auto-ingress-config 或 -auto-service-config "
        "结尾的名称",
    ),
    (_INGRESS, "E4052"): ErrorTexts(
        "host 被拒绝",
        "Ingress 的某个 host 的写法不被 TKE 接受。",
        "把 real_ip_host 设置为含有点的小写域名",
    ),
    (_INGRESS, "E4053"): _NO_ADDRESS,
    (_INGRESS, "E4054"): ErrorTexts(
        "后端配额已用完", "该负载均衡不能再绑定后端服务；通常上限为 200。"
    ),
    (_INGRESS, "E4055"): _NO_SUBNET,
    (_INGRESS, "E4060"): ErrorTexts(
        "账号未开通 SNAT Pro", "直连 GlobalRouter 网络的 Pod 需要 SNAT Pro，而该账号未开通。"
    ),
    (_INGRESS, "E4066"): ErrorTexts(
        "无法创建资源定义", "控制器无法创建它的某个 CustomResourceDefinition。"
    ),
    (_INGRESS, "E4068"): ErrorTexts(
        "重定向互相矛盾", "Ingress 要求的重定向彼此矛盾，或与其他重定向矛盾。"
    ),
    (_INGRESS, "E4071"): ErrorTexts("云联网异常", "云联网（CCN）不满足控制器的要求。"),
    (_INGRESS, "E4074"): ErrorTexts("节点欠费", "要作为后端服务的某个节点已欠费。"),
    (_INGRESS, "E4081"): ErrorTexts(
        "https-rules 互相矛盾",
        "kubernetes.io/ingress.https-rules 的要求自相矛盾，或与其他规则矛盾。",
    ),
    (_INGRESS, "E4082"): ErrorTexts(
        "对没有标签选择器的 Service 要求直连", "没有标签选择器的 Service 不能直连 Pod。"
    ),
    (_INGRESS, "E4084"): ErrorTexts(
        "SNAT Pro 与跨地域绑定 1.0 冲突", "SNAT Pro 不能与跨地域绑定 1.0 一起使用。"
    ),
    (_INGRESS, "E4091"): _NO_SUBNET,
    (_INGRESS, "E4098"): ErrorTexts(
        "负载均衡 ID 格式不对",
        "Ingress 给出的负载均衡 ID 不符合格式。",
        f"{_EXISTING}存在的负载均衡的 ID，它以 lb- 开头",
    ),
    (_INGRESS, "E4101"): ErrorTexts(
        "80 与 443 端口冲突", "Ingress 在 80 和 443 端口上的要求互相冲突。"
    ),
    **{(_INGRESS, f"E500{number}"): _INTERNAL for number in range(3, 10)},
    (_INGRESS, "E6001"): _TKE_CONFIG,
    (_INGRESS, "E6002"): _TKE_CONFIG,
    (_INGRESS, "E6006"): ErrorTexts(
        "云 API 没有应答控制器", "控制器无法解析云 API 的域名，或没有及时得到应答。"
    ),
    (_INGRESS, "E6007"): _CONTROLLER,
    (_INGRESS, "E6009"): _CONTROLLER,
    (_INGRESS, "W1000"): ErrorTexts(
        "Service 不存在", "控制器找不到 Ingress 指定的 Service。", _SERVICES
    ),
    (_INGRESS, "W1001"): ErrorTexts(
        "负载均衡残留",
        "Ingress 已删除，其负载均衡没有删除。",
        _BY_HAND_DELETE.format(what="负载均衡"),
    ),
    (_INGRESS, "W1002"): ErrorTexts(
        "监听器残留",
        "Ingress 已删除，其负载均衡的一个监听器没有删除。",
        _BY_HAND_DELETE.format(what="监听器"),
    ),
    # --- Service
    (_SERVICE, "E4001"): ErrorTexts(
        "TKE 的角色缺少授权", "TKE 代为操作所用的账号角色 TKE_QCSRole 不存在或缺少授权。"
    ),
    (_SERVICE, "E4004"): ErrorTexts("负载均衡配额已用完", "账号不能再创建负载均衡。"),
    (_SERVICE, "E4005"): ErrorTexts(
        "负载均衡的参数被拒绝", "无法按 Service 注解的要求创建负载均衡。"
    ),
    (_SERVICE, "E4008"): _NO_ADDRESS,
    (_SERVICE, "E4009"): _ARREARS,
    (_SERVICE, "E4011"): ErrorTexts(
        "指定的已有负载均衡不存在",
        "service.kubernetes.io/tke-existed-lbid 指定的负载均衡不存在。",
        f"{_EXISTING}存在的负载均衡的 ID",
    ),
    (_SERVICE, "E4012"): ErrorTexts(
        "指定的已有负载均衡由 TKE 创建",
        "service.kubernetes.io/tke-existed-lbid 指定的负载均衡是 TKE 为另一个对象创建的。",
        f"{_EXISTING}不是由 TKE 创建的负载均衡的 ID",
    ),
    (_SERVICE, "E4013"): ErrorTexts(
        "指定的已有负载均衡被另一个集群使用",
        "另一个集群正在使用 service.kubernetes.io/tke-existed-lbid 指定的负载均衡。",
        f"{_EXISTING}没有其他集群使用的负载均衡的 ID",
    ),
    (_SERVICE, "E4014"): ErrorTexts(
        "负载均衡的端口被占用",
        "Service 的某个端口与负载均衡的另一个监听器冲突。",
        "把 real_ip_service_port 设置为负载均衡的其他监听器没有使用的端口",
    ),
    (_SERVICE, "E4016"): ErrorTexts(
        "未开启负载均衡复用", "Service 要求复用负载均衡，而复用没有开启。"
    ),
    (_SERVICE, "E4026"): _of_kind(_NO_CONFIG, _SERVICE),
    (_SERVICE, "E4033"): ErrorTexts(
        "要求直连，但没有后端支持", "已开启直连，但 Service 没有使用独立弹性网卡（ENI）的 Pod。"
    ),
    (_SERVICE, "E4036"): ErrorTexts(
        "两个绑定的地址和端口相同", "负载均衡的一个绑定与另一个绑定的四元组（地址和端口）相同。"
    ),
    (_SERVICE, "E4037"): ErrorTexts("子网异常", "负载均衡要使用的子网不满足控制器的要求。"),
    (_SERVICE, "E4062"): ErrorTexts("证书异常", "监听器的证书不满足控制器的要求。"),
    (_SERVICE, "E4075"): ErrorTexts("地域异常", "Service 要求的地域不满足控制器的要求。"),
}


def in_chinese(row: TkeError) -> ErrorTexts:
    """What a row says in Chinese; of a code without a row, the controller's own words stay."""
    texts = ERRORS_ZH.get((row.kind, row.code))
    if texts is not None and row == ERRORS[row.kind, row.code]:
        # A command or a variable is typed as it stands.
        return texts if texts.fix else texts._replace(fix=row.fix)
    return ErrorTexts(f"TKE 错误 {row.code}", chinese(row.cause), row.fix)
