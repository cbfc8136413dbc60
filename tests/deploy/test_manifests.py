"""The overlays have only fields of KubeRay's CRDs, and name objects, files and settings that exist.

`kuberay-1.7.0-fields.json` is the tree of field names and types of the `ray.io/v1` CRDs of KubeRay
1.7.0, without their status. `$NAME` refers to a shared part.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exvad.cli.main import VERBS, build_parser
from exvad.config import Config, build_config, load_config
from exvad.serving.settings import ServerSettings
from tests.helpers.kustomize import OVERLAYS, build, copy_deploy, pod_specs, render
from tests.helpers.manifest_names import labelled_pods, unresolved

Objects = tuple[dict[str, Any], ...]
FIELDS = json.loads(Path(__file__).with_name("kuberay-1.7.0-fields.json").read_text())
PLAIN: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "number": (int, float),
}


def problems(value: Any, schema: Any, path: str) -> Iterator[str]:
    """Yield the fields of a manifest that the CRD does not have or that have another type.

    Args:
        value: a part of the manifest.
        schema: the tree of its fields and types.
        path: where the part is in the manifest.
    """
    if isinstance(schema, str) and schema.startswith("$"):
        schema = FIELDS["shared"][schema[1:]]
    if isinstance(schema, list):
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for index, item in enumerate(value):
            yield from problems(item, schema[0], f"{path}[{index}]")
    elif isinstance(schema, dict):
        if not isinstance(value, dict):
            yield f"{path} is no mapping"
            return
        for name, item in value.items():
            if name in schema or "*" in schema:
                yield from problems(item, schema.get(name, schema.get("*")), f"{path}.{name}")
            else:
                yield f"{path}.{name} is unknown"
    elif schema == "int-or-string":
        if not isinstance(value, int | str):
            yield f"{path} is no number or text"
    elif schema != "any" and not isinstance(value, PLAIN[schema]):
        yield f"{path} is no {schema}"


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    """The name of each overlay."""
    name: str = request.param
    return name


@pytest.fixture
def objects(overlay: str) -> Objects:
    """The rendered objects of each overlay."""
    return render(overlay)


def select(objects: Objects, kind: str, name: str = "") -> list[dict[str, Any]]:
    """Return the objects of a kind, or the one with a name."""
    return [
        thing
        for thing in objects
        if thing["kind"] == kind and name in ("", thing["metadata"]["name"])
    ]


def data_of(objects: Objects, config_map: str, file: str) -> Any:
    """Return the content of a YAML file in a config map."""
    (found,) = select(objects, "ConfigMap", config_map)
    return yaml.safe_load(found["data"][file])


def run_config(objects: Objects) -> Config:
    """Return the configuration of the run of an overlay."""
    return build_config(data_of(objects, "exvad-run", "run.yaml"))


def mounts(pod: dict[str, Any]) -> dict[str, str]:
    """Return the folders of a pod's first container by volume."""
    return {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}


def is_below(path: str | Path, pod: dict[str, Any], volume: str) -> bool:
    """Whether a path of a container is on a volume."""
    return Path(path).is_relative_to(mounts(pod)[volume])


def test_every_field_is_in_the_crd_or_the_template_of_pods(objects: Objects) -> None:
    rays = [thing for thing in objects if thing["kind"].startswith("Ray")]
    assert len(rays) == 6
    for thing in rays:
        assert thing["apiVersion"] == FIELDS["api"]
        fields = FIELDS["kinds"][thing["kind"]]["spec"]
        assert list(problems(thing["spec"], fields, thing["metadata"]["name"])) == []
    for thing in objects:
        if thing["kind"] in ("Deployment", "StatefulSet", "Job"):
            place = thing["metadata"]["name"]
            assert list(problems(thing["spec"]["template"], "$template", place)) == []


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"entrypont": "python"}, "spec.entrypont is unknown"),
        ({"backoffLimit": "3"}, "spec.backoffLimit is no integer"),
        (
            {"rayClusterSpec": {"workerGroupSpecs": [{"template": {"spec": {"container": []}}}]}},
            "spec.rayClusterSpec.workerGroupSpecs[0].template.spec.container is unknown",
        ),
    ],
)
def test_wrong_field_is_found(wrong: dict[str, Any], complaint: str) -> None:
    assert list(problems(wrong, FIELDS["kinds"]["RayJob"]["spec"], "spec")) == [complaint]


def test_every_name_leads_to_its_definition(objects: Objects) -> None:
    assert unresolved(objects) == []


@pytest.mark.parametrize("component", ["vllm", "mtls"])
def test_every_name_of_an_option_leads_to_its_definition(overlay: str, component: str) -> None:
    objects = render(overlay, component)
    assert unresolved(objects) == []
    for thing in objects:
        if thing["kind"].startswith("Ray"):
            fields = FIELDS["kinds"][thing["kind"]]["spec"]
            assert list(problems(thing["spec"], fields, "spec")) == []
            cluster = thing["spec"].get("rayClusterSpec") or thing["spec"]["rayClusterConfig"]
            assert ("tlsOptions" in cluster) == (component == "mtls")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("PersistentVolumeClaim", "exvad-runs"),
        ("PersistentVolumeClaim", "exvad-models"),
        ("Secret", "exvad-models"),
        ("Secret", "exvad-database"),
        ("Secret", "exvad-keys"),
        ("ConfigMap", "exvad-run"),
        ("ServiceAccount", "exvad"),
        ("Service", "mlflow"),
        ("Service", "postgres"),
        ("Service", "exvad-server"),
        ("StorageClass", "exvad-shared"),
        ("NodePool", "exvad-gpu"),
    ],
)
def test_name_without_a_definition_is_found(kind: str, name: str) -> None:
    objects = render("eks")
    assert select(objects, kind, name)
    rest = tuple(thing for thing in objects if thing not in select(objects, kind, name))
    assert unresolved(rest) != []


def test_label_that_selects_nothing_is_found() -> None:
    objects = copy.deepcopy(render("minimal"))
    (service,) = select(objects, "Service", "mlflow")
    service["spec"]["selector"] = {"app": "mlflo"}
    assert unresolved(objects) == ["Service/mlflow: no selected container has port 5000"]


def test_overlay_without_secrets_is_refused(overlay: str, tmp_path: Path) -> None:
    built = build(copy_deploy(tmp_path, with_secrets=False) / "overlays" / overlay)
    assert built.returncode != 0
    assert "secrets/" in built.stderr


def test_volume_of_one_node_is_mounted_by_one_pod(objects: Objects) -> None:
    modes = {
        thing["metadata"]["name"]: thing["spec"]["accessModes"]
        for thing in select(objects, "PersistentVolumeClaim")
    }
    users: dict[str, list[str]] = {}
    for place, _, pod in labelled_pods(objects):
        for volume in pod.get("volumes") or ():
            if claim := volume.get("persistentVolumeClaim"):
                users.setdefault(claim["claimName"], []).append(place)
    assert len(users["exvad-runs"]) > 10
    assert modes["exvad-runs"] == modes["exvad-models"] == ["ReadWriteMany"]
    for claim, places in users.items():
        assert modes[claim] == ["ReadWriteMany"] or len(places) == 1, claim


def test_no_pod_runs_as_root_and_volumes_belong_to_its_group(objects: Objects) -> None:
    for place, _, pod in labelled_pods(objects):
        context = pod["securityContext"]
        assert context["runAsNonRoot"], place
        assert context["runAsUser"] == (999 if "postgres" in place else 1000), place
        assert context["fsGroup"] == context["runAsUser"], place
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False, place
        # Only the autoscaler, in the head of a job, talks to Kubernetes.
        is_head = "headGroupSpec" in place and "RayJob" in place
        assert pod.get("automountServiceAccountToken", True) == is_head, place


def test_each_object_belongs_to_a_step_and_each_job_has_its_own(objects: Objects) -> None:
    steps = {
        (thing["kind"], thing["metadata"]["name"]): thing["metadata"]["labels"]["step"]
        for thing in objects
    }
    jobs = {name: step for (kind, name), step in steps.items() if kind in ("RayJob", "Job")}
    assert jobs == {f"exvad-{step}": step for step in jobs.values()}
    assert set(steps.values()) == {*jobs.values(), "platform", "serve"}


def test_jobs_are_commands_of_exvad_on_the_run_of_the_overlay(objects: Objects) -> None:
    verbs = []
    for job in select(objects, "RayJob"):
        # A shell would replace or split these.
        assert not set("$\"'`;&|") & set(job["spec"]["entrypoint"])
        program, *arguments = job["spec"]["entrypoint"].split()
        options = build_parser().parse_args(arguments)
        assert program == "exvad"
        verbs.append(arguments[0])
        assert arguments[0] in VERBS
        if arguments[0] == "sweep":  # KubeRay gives the same command again after a lost head
            assert options.resume == "unfinished"
        for _, _, pod in pod_specs(job):
            folder, file = Path(options.preset).parent, Path(options.preset).name
            assert str(folder) == mounts(pod)["run"]
            assert file == "run.yaml"
    assert sorted(verbs) == ["evaluate", "labels", "preprocess", "sweep", "train"]


def test_run_is_the_preset_with_the_places_of_the_cluster(overlay: str, objects: Objects) -> None:
    config = run_config(objects)
    places = {"run": config.run, "store": config.store}
    data = {"root": config.data.root, "annotations": config.data.annotations}
    preset = load_config("ucf_crime")
    expected = preset.model_copy(update={**places, "data": preset.data.model_copy(update=data)})
    assert config == expected
    if overlay != "minimal":
        scheme = {"eks": "s3://", "gke": "gs://"}[overlay]
        assert config.store.startswith(scheme)
        assert config.data.root.startswith(scheme)
    for job in select(objects, "RayJob"):
        for _, _, pod in pod_specs(job):
            assert is_below(config.run, pod, "runs")
            assert is_below(config.data.annotations, pod, "runs")


def test_models_are_downloaded_once_into_the_cache_of_all_pods(objects: Objects) -> None:
    (job,) = select(objects, "Job", "exvad-models")
    config = run_config(objects)
    script = job["spec"]["template"]["spec"]["containers"][0]["args"][0]
    fetched = {line.split()[2] for line in script.splitlines() if line}
    assert fetched == {config.captioner.model, config.llm.model}
    for place, _, pod in labelled_pods(objects):
        if "Ray" not in place and "exvad-models" not in place:
            continue
        container = pod["containers"][0]
        environment = {variable["name"]: variable["value"] for variable in container["env"]}
        assert environment["HF_HOME"] == mounts(pod)["models"], place
        assert {"secretRef": {"name": "exvad-models"}} in container["envFrom"], place


def test_clusters_of_jobs_scale_from_zero_around_a_head_without_tasks(
    overlay: str, objects: Objects
) -> None:
    spot = {
        "minimal": {},
        "eks": {"karpenter.sh/capacity-type": "spot"},
        "gke": {"cloud.google.com/gke-spot": "true"},
    }[overlay]
    for job in select(objects, "RayJob"):
        cluster = job["spec"]["rayClusterSpec"]
        assert cluster["enableInTreeAutoscaling"]
        assert cluster["autoscalerOptions"]["version"] == "v2"
        head = cluster["headGroupSpec"]
        assert head["rayStartParams"] == {"num-cpus": "0"}
        assert not spot.items() & (head["template"]["spec"].get("nodeSelector") or {}).items()
        assert [group["groupName"] for group in cluster["workerGroupSpecs"]] == ["cpu", "gpu"]
        for group in cluster["workerGroupSpecs"]:
            assert group["minReplicas"] == group["replicas"] == 0
            pod = group["template"]["spec"]
            assert spot.items() <= (pod.get("nodeSelector") or {}).items()
            limits = pod["containers"][0]["resources"]["limits"]
            assert ("nvidia.com/gpu" in limits) == (group["groupName"] == "gpu")


# Importing Ray's schema warns about Ray's own code.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_service_serves_the_checkpoint_that_the_job_trains(objects: Objects) -> None:
    from ray.serve.schema import ServeDeploySchema

    settings = ServerSettings.model_validate(data_of(objects, "exvad-server", "serve.yaml"))
    assert settings.api_keys is not None, "a server that other machines reach needs keys"
    assert settings.checkpoint == run_config(objects).in_run("checkpoint")
    (service,) = select(objects, "RayService")
    serving = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (application,) = serving.applications
    assert application.import_path == "serve.app:app"
    ((_, _, pod),) = pod_specs(service)
    variable = application.runtime_env["env_vars"]["EXVAD_SERVE"]
    assert Path(variable).parent == Path(mounts(pod)["settings"])
    assert settings.api_keys == Path(mounts(pod)["keys"]) / "keys"
    assert is_below(settings.spool, pod, "spool")
    assert is_below(settings.checkpoint, pod, "runs")
    parts = (settings.clip, settings.captioner, settings.explainer)
    assert sum(part.gpus or 0 for part in parts) <= 1
    cpus = float(pod["containers"][0]["resources"]["requests"]["cpu"])
    assert sum(part.cpus for part in (*parts, settings.decoder, settings.analyst)) < cpus


def test_long_running_pods_have_probes(objects: Objects) -> None:
    for thing in (*objects, *select(render("eks", "vllm"), "Deployment", "vllm")):
        if thing["kind"] in ("Deployment", "StatefulSet"):
            ((_, _, pod),) = pod_specs(thing)
            assert {"readinessProbe", "livenessProbe"} <= pod["containers"][0].keys()
    (server,) = select(objects, "RayService")
    ((_, _, pod),) = pod_specs(server)
    # KubeRay brings its own, and deploys the application only to a head that is ready.
    assert not [name for name in pod["containers"][0] if name.endswith("Probe")]


def test_only_the_server_is_reachable_from_outside(objects: Objects) -> None:
    policies = {
        thing["metadata"]["name"]: thing["spec"] for thing in select(objects, "NetworkPolicy")
    }
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    selected = [
        policy["podSelector"]["matchLabels"]
        for name, policy in policies.items()
        if name != "deny-all"
    ]
    for place, labels, _ in labelled_pods(objects):
        allowed = any(wanted.items() <= labels.items() for wanted in selected)
        assert allowed or "exvad-models" in place, f"nothing reaches {place}"
    outside = {
        name
        for name, policy in policies.items()
        for rule in policy.get("ingress") or ()
        for peer in rule["from"]
        if "ipBlock" in peer or "ingress-nginx" in str(peer)
    }
    assert outside == {"server"}
    (ingress,) = select(objects, "Ingress")
    annotations = str(ingress["metadata"]["annotations"])
    is_https = ingress["spec"].get("tls") or '"HTTPS"' in annotations or "allow-http" in annotations
    assert is_https
