"""The chart, rendered by Helm itself, is valid by Kubernetes' own schemas. Slow: Helm may have to be built first."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet import topics
from infra.kafka.topics import TOPICS
from speed_layer.landing.lander import LandingConfig

pytestmark = pytest.mark.slow

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "peacewatch"
HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
NEEDED = {"settings.PEACEWATCH_KAFKA_BOOTSTRAP": "kafka:9092", "settings.PEACEWATCH_LAKE": "s3://bucket/lake"}
ALL = {
    **NEEDED,
    "processes.land.autoscaling.enabled": "true",
    "processes.land.autoscaling.authenticationRef": "kafka",
    "ingress.enabled": "true",
    "ingress.host": "peace.example.org",
    "ingress.tlsSecret": "page",
    "airflow.enabled": "true",
    "airflow.driverPorts[0]": "7078",
    "image.registry": "registry.example.org/fleet",
}


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> str:
    installed = shutil.which("helm")
    if installed is not None:
        return installed
    go = shutil.which("go")
    assert go is not None, "neither helm nor go is on the PATH; install one of them"
    folder = tmp_path_factory.mktemp("helm")
    subprocess.run([go, "install", HELM], env={**os.environ, "GOBIN": str(folder)}, check=True, timeout=1500)
    return str(folder / "helm")


def rendered(helm: str, values: dict[str, str]) -> list[dict[str, Any]]:
    chosen = [f"--set={name}={value}" for name, value in values.items()]
    command = [helm, "template", "fleet", str(CHART), "--kube-version", "1.31", *chosen]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("values", [NEEDED, ALL], ids=["as it is", "all parts"])
def test_every_manifest_is_valid(helm: str, values: dict[str, str]) -> None:
    import kubernetes_validate  # noqa: PLC0415 - seconds, also where this test is not among those that run

    manifests = rendered(helm, values)
    kinds = [manifest["kind"] for manifest in manifests]
    assert kinds.count("Deployment") == (6 if values is ALL else 5)
    assert kinds.count("Job") == 1
    for manifest in manifests:
        if manifest["kind"] != "ScaledObject":  # KEDA's own
            kubernetes_validate.validate(manifest, "1.31", strict=True)
    assert ("ScaledObject" in kinds) == (values is ALL)


@pytest.mark.timeout(1800)
def test_a_pod_is_nobodys_root_and_has_its_own_secrets_alone(helm: str) -> None:
    authority = {r"secret.keys.ca\.pem": "PEACEWATCH_KAFKA_CA", "processes.record.secrets[0]": "ca.pem"}
    secrets = {
        "kafkaSetup.secrets[0]": "mongo-uri",
        "kafkaSetup.secrets[1]": "ca.pem",
        "image.pullSecrets[0]": "registry",
    }
    manifests = rendered(helm, {**ALL, **secrets, **authority})
    pods = [each["spec"]["template"]["spec"] for each in manifests if each["kind"] in {"Deployment", "Job"}]
    assert all(pod["imagePullSecrets"] == [{"name": "registry"}] for pod in pods)
    containers = [(pod, each) for pod in pods for each in [*pod.get("initContainers", []), *pod["containers"]]]
    for of_pod, container in containers:
        check_container(of_pod, container)


def check_container(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["enableServiceLinks"] is False, "a Service peacewatch-kafka would set PEACEWATCH_KAFKA_PORT"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    named = {}
    for variable in container["env"]:
        folder, _, key = variable["value"].rpartition("/")
        if folder == "/run/secrets/peacewatch":
            named[key] = variable["name"]
    assert named.pop("ca.pem", "PEACEWATCH_KAFKA_CA") == "PEACEWATCH_KAFKA_CA", "a setting that is a file itself"
    assert all(name.endswith("_FILE") for name in named.values())
    mounted = {item["key"] for volume in pod["volumes"] for item in volume.get("secret", {}).get("items", [])}
    assert named.keys() == mounted - {"ca.pem"}


@pytest.mark.timeout(1800)
def test_values_that_cannot_work_are_refused(helm: str) -> None:
    command = [helm, "template", "fleet", str(CHART), "--kube-version", "1.31"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "PEACEWATCH_KAFKA_BOOTSTRAP" in result.stderr


@pytest.mark.timeout(1800)
def test_airflow_is_set_up_before_its_four_processes_start(helm: str) -> None:
    [pod] = [
        manifest["spec"]["template"]["spec"]
        for manifest in rendered(helm, ALL)
        if manifest["kind"] == "Deployment" and manifest["metadata"]["name"].endswith("-airflow")
    ]
    assert [container["args"] for container in pod["initContainers"]] == [["airflow-setup"]]
    commands = {container["name"]: container["args"] for container in pod["containers"]}
    assert {name: arguments[:2] for name, arguments in commands.items()} == {
        name: ["airflow", name] for name in ("api-server", "scheduler", "dag-processor", "triggerer")
    }


@pytest.mark.timeout(1800)
def test_topics_are_created_by_a_job_that_reaches_kafka(helm: str) -> None:
    """By the image that has the command, under a policy of its own; and not where somebody else creates them."""
    manifests = rendered(helm, NEEDED)
    [job] = [each for each in manifests if each["kind"] == "Job"]
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert (container["args"], container["image"].partition(":")[0]) == (["kafka-setup"], "peacewatch-alert")
    labels = job["spec"]["template"]["metadata"]["labels"]
    policies = [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]
    [policy] = [each for each in policies if each["podSelector"]["matchLabels"].items() <= labels.items()]
    assert policy["ingress"] == []
    assert 9092 in {port["port"] for each in policy["egress"] for port in each["ports"]}
    without = rendered(helm, {**NEEDED, "kafkaSetup.enabled": "false"})
    assert len(without) == len(manifests) - 2


def of_kind(manifests: list[dict[str, Any]], kind: str, component: str) -> dict[str, Any]:
    (found,) = (
        each
        for each in manifests
        if each["kind"] == kind and each["metadata"]["labels"].get("app.kubernetes.io/component") == component
    )
    return found


@pytest.mark.timeout(1800)
def test_keda_scales_the_landers_by_their_lag(helm: str) -> None:
    """By KEDA's own reference of a ScaledObject: its schema is not among those of Kubernetes."""
    manifests = rendered(helm, ALL)
    scaled, landers = of_kind(manifests, "ScaledObject", "land")["spec"], of_kind(manifests, "Deployment", "land")
    assert scaled["scaleTargetRef"] == {"name": landers["metadata"]["name"]}
    assert "replicas" not in landers["spec"], "each upgrade would set KEDA's number back"
    assert 0 < scaled["minReplicaCount"] <= scaled["maxReplicaCount"] <= TOPICS[topics.REPORTS].partitions
    (trigger,) = scaled["triggers"]
    assert (trigger["type"], trigger["authenticationRef"]) == ("kafka", {"name": "kafka"})
    assert all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA takes nothing but text there"
    read = {"bootstrapServers": "kafka:9092", "topic": topics.REPORTS, "consumerGroup": LandingConfig("", "", "").group}
    assert read.items() <= trigger["metadata"].items()


@pytest.mark.timeout(1800)
def test_probes_and_disruption_budgets_are_of_the_pods(helm: str) -> None:
    manifests = rendered(helm, NEEDED)
    for deployment in (each for each in manifests if each["kind"] == "Deployment"):
        spec, component = deployment["spec"], deployment["metadata"]["labels"]["app.kubernetes.io/component"]
        (container,) = spec["template"]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        for probe, path in {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}.items():
            asked = container[f"{probe}Probe"]["httpGet"]
            assert (asked["path"], asked["port"] in ports) == (path, True), component
        if spec["replicas"] > 1:
            budget = of_kind(manifests, "PodDisruptionBudget", component)["spec"]
            assert budget["maxUnavailable"] == 1
            assert budget["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
