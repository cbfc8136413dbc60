"""Follow every name in rendered manifests to its definition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.helpers.kustomize import pod_specs

# What the cluster has, or the documentation tells to make.
GIVEN = {
    ("IngressClass", "nginx"),
    ("NodeClass", "default"),
    ("Secret", "exvad-tls"),
}
# KubeRay gives its pods this label.
KUBERAY = {"app.kubernetes.io/name": "kuberay"}
SERVICE_URL = re.compile(r"(?:://|@)([a-z][a-z-]*):(\d+)")
Object = dict[str, Any]


def labelled_pods(objects: Iterable[Object]) -> Iterator[tuple[str, dict[str, str], Object]]:
    """Yield the pods of all objects: place, labels with those of KubeRay, specification."""
    for thing in objects:
        place = f"{thing['kind']}/{thing['metadata']['name']}"
        added = KUBERAY if thing["kind"].startswith("Ray") else {}
        for path, labels, pod in pod_specs(thing, place):
            yield path, {**labels, **added}, pod


def unresolved(objects: Iterable[Object]) -> list[str]:
    """Return what the objects name and no object defines, as `place: kind name`."""
    objects = list(objects)
    defined = {(thing["kind"], thing["metadata"]["name"]) for thing in objects} | GIVEN
    for thing in objects:
        if thing["kind"] == "StatefulSet":
            for claim in thing["spec"].get("volumeClaimTemplates", ()):
                name = f"{claim['metadata']['name']}-{thing['metadata']['name']}-0"
                defined.add(("PersistentVolumeClaim", name))
    missing = []
    for thing in objects:
        place = f"{thing['kind']}/{thing['metadata']['name']}"
        for kind, name in references(thing):
            if (kind, name) not in defined:
                missing.append(f"{place}: {kind} {name}")
        missing += [f"{place}: {problem}" for problem in _selection_problems(thing, objects)]
        for path, _, pod in pod_specs(thing, place):
            missing += [f"{path}: {problem}" for problem in _mount_problems(pod, thing)]
    return sorted(set(missing))


def references(thing: Object) -> Iterator[tuple[str, str]]:
    """Yield the kinds and names of the objects that an object refers to."""
    spec = thing.get("spec") or {}
    for _, _, pod in pod_specs(thing):
        yield from _pod_references(pod)
    for _, claim in _claims(thing):
        yield "StorageClass", claim["storageClassName"]
    if thing["kind"] == "StatefulSet":
        yield "Service", spec["serviceName"]
    if thing["kind"] == "PersistentVolume":
        yield "StorageClass", spec["storageClassName"]
        yield "PersistentVolumeClaim", spec["claimRef"]["name"]
    if thing["kind"] == "Ingress":
        yield from _ingress_references(thing)
    if thing["kind"] == "IngressClass":
        yield spec["parameters"]["kind"], spec["parameters"]["name"]
    if thing["kind"] == "NodePool":
        reference = spec["template"]["spec"]["nodeClassRef"]
        yield reference["kind"], reference["name"]
    annotations = thing["metadata"].get("annotations") or {}
    if backend := annotations.get("cloud.google.com/backend-config"):
        yield "BackendConfig", re.findall(r'"default": "([\w-]+)"', backend)[0]


def _claims(thing: Object) -> Iterator[tuple[str, Object]]:
    if thing["kind"] == "PersistentVolumeClaim":
        yield thing["metadata"]["name"], thing["spec"]
    if thing["kind"] == "StatefulSet":
        for claim in thing["spec"].get("volumeClaimTemplates", ()):
            yield claim["metadata"]["name"], claim["spec"]


def _pod_references(pod: Object) -> Iterator[tuple[str, str]]:
    if "serviceAccountName" in pod:
        yield "ServiceAccount", pod["serviceAccountName"]
    for volume in pod.get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield "PersistentVolumeClaim", claim["claimName"]
        if source := volume.get("configMap"):
            yield "ConfigMap", source["name"]
        if source := volume.get("secret"):
            yield "Secret", source["secretName"]
    for container in (*pod["containers"], *(pod.get("initContainers") or ())):
        for source in container.get("envFrom") or ():
            for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                if key in source:
                    yield kind, source[key]["name"]
        texts = [variable.get("value", "") for variable in container.get("env") or ()]
        texts += [*(container.get("command") or ()), *(container.get("args") or ())]
        for text in texts:
            for host, _ in SERVICE_URL.findall(text):
                yield "Service", host


def _ingress_references(ingress: Object) -> Iterator[tuple[str, str]]:
    spec, annotations = ingress["spec"], ingress["metadata"].get("annotations") or {}
    if "ingressClassName" in spec:
        yield "IngressClass", spec["ingressClassName"]
    else:
        assert annotations["kubernetes.io/ingress.class"] == "gce"
    for secured in spec.get("tls") or ():
        yield "Secret", secured["secretName"]
    if certificate := annotations.get("networking.gke.io/managed-certificates"):
        yield "ManagedCertificate", certificate
    for rule in spec["rules"]:
        for path in rule["http"]["paths"]:
            yield "Service", path["backend"]["service"]["name"]


def _selection_problems(thing: Object, objects: list[Object]) -> Iterator[str]:
    """Yield labels that select no pod, ports that no container has, and nodes that no pool has."""
    pods = list(labelled_pods(objects))
    spec = thing.get("spec") or {}
    if thing["kind"] == "Service":
        selected = [pod for _, labels, pod in pods if spec["selector"].items() <= labels.items()]
        ports = {
            value
            for pod in selected
            for container in pod["containers"]
            for port in container.get("ports") or ()
            for value in (port["containerPort"], port.get("name"))
        }
        for port in spec["ports"]:
            if port.get("targetPort", port["port"]) not in ports:
                yield f"no selected container has port {port.get('targetPort', port['port'])}"
    if thing["kind"] == "NetworkPolicy":
        peers = [peer for rule in spec.get("ingress") or () for peer in rule.get("from") or ()]
        for selector in (spec["podSelector"], *(peer.get("podSelector") or {} for peer in peers)):
            wanted = (selector.get("matchLabels") or {}).items()
            if not any(wanted <= labels.items() for _, labels, _ in pods):
                yield f"no pod has the labels {dict(wanted)}"
    pools = [
        other["spec"]["template"]["metadata"]["labels"]
        for other in objects
        if other["kind"] == "NodePool"
    ]
    for path, _, pod in pod_specs(thing):
        wanted_pool = (pod.get("nodeSelector") or {}).get("exvad/nodes")
        if wanted_pool and {"exvad/nodes": wanted_pool} not in pools:
            yield f"{path}: no pool of nodes {wanted_pool}"


def _mount_problems(pod: Object, thing: Object) -> Iterator[str]:
    volumes = {volume["name"] for volume in pod.get("volumes") or ()}
    volumes |= {name for name, _ in _claims(thing)}
    mounted = set()
    for container in pod["containers"]:
        mounted |= {mount["name"] for mount in container.get("volumeMounts") or ()}
    yield from (f"no volume {name}" for name in sorted(mounted - volumes))
    yield from (f"volume {name} is not mounted" for name in sorted(volumes - mounted))
