"""The manifests in deploy/kubernetes are valid, and say of the program what is true. No cluster has run them."""

import copy
import json
import re
import shutil
import subprocess

import pytest
import yaml

from order_manifests import FOLDER, OVERLAYS, containers, documents, environment, find, mistakes, pod, render
from order_stage import PARTITIONS, REPOSITORY, order_worker_binary, queue_of

README = (FOLDER / "README.md").read_text()
WORKER = {"app.kubernetes.io/name": "order-worker", "app.kubernetes.io/component": "worker"}


@pytest.fixture(params=OVERLAYS)
def objects(request) -> list[dict]:
    return render(FOLDER / "overlays" / request.param)


def program(*arguments, **variables):
    done = subprocess.run(
        [str(order_worker_binary()), *arguments], env=variables, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


def told_pods(objects):
    """Each container of the program, with the pod it is in and what it is told."""
    return [
        (pod(item), container, environment(objects, container)) for item in objects for container in containers(item)
    ]


# ---- Valid


def test_every_object_is_as_the_schema_of_its_kind_says(objects):
    assert [mistake for item in objects for mistake in mistakes(item)] == []


@pytest.mark.parametrize(
    "kind, path, value",
    [
        ("Deployment", ("spec", "template", "spec", "terminationGraceSeconds"), 45),
        ("Deployment", ("spec", "template", "spec", "terminationGracePeriodSeconds"), "45"),
        ("Job", ("spec", "backoffLimit"), "10"),
        ("NetworkPolicy", ("spec", "egres"), []),
        ("ScaledObject", ("spec", "minReplicas"), 2),
        ("ScaledObject", ("spec", "maxReplicaCount"), "4"),
        ("RabbitmqCluster", ("spec", "rabbitmq", "plugins"), []),
        ("Cluster", ("spec", "postgresql", "synchronous", "method"), "all"),
        ("Cluster", ("spec", "postgresql", "parameters", "max_connections"), 200),
        ("ObjectStore", ("spec", "configuration", "destination"), "s3://elsewhere/"),
    ],
)
def test_a_mistake_is_found(kind, path, value):
    item = copy.deepcopy(find(render(FOLDER / "overlays" / "operators"), kind, None if kind != "Job" else "order-worker-migrate"))
    *way, last = path
    place = item
    for name in way:
        place = place[name]
    place[last] = value
    assert mistakes(item), f"{path} = {value!r} is taken"


def test_kustomize_itself_makes_the_same_of_them(request):
    command = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    if not shutil.which(command[0]):
        pytest.skip("there is no kustomize here")
    for overlay in OVERLAYS:
        folder = FOLDER / "overlays" / overlay
        done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        made = sorted(json.dumps(item, sort_keys=True) for item in yaml.safe_load_all(done.stdout))
        assert made == sorted(json.dumps(item, sort_keys=True) for item in render(folder))


def test_pods_keep_to_the_restricted_standard_on_a_read_only_root(objects):
    namespace = find(objects, "Namespace")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"
    user = re.search(r"^ARG UID=(\d+)$", (REPOSITORY / "deploy/container/Dockerfile").read_text(), re.MULTILINE)[1]
    for specification, container, _ in told_pods(objects):
        assert specification["securityContext"]["runAsNonRoot"] is True
        assert specification["securityContext"]["runAsUser"] == int(user)
        assert specification["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(specification)
        assert specification["automountServiceAccountToken"] is False
        assert all(set(volume) - {"name"} <= {"secret", "configMap"} for volume in specification["volumes"])
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


# ---- True


def test_every_command_and_setting_is_the_programs(objects, tmp_path):
    status, text = program("run", "--print-config", AMQP_URL="amqp://a:b@c", DATABASE_URL="postgresql://a:b@c/d")
    assert status == 0, text
    table = re.findall(r"^\| `[^`]+` \| `([A-Z_]+)` \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    for specification, container, told in told_pods(objects):
        assert not set(told) - set(table), f"{container['name']}: the program has no such settings"
        # The files that the settings name are where the pod has them.
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in specification["volumes"]}
        there = {
            f"{path}/{item['path']}"
            for path, name in mounts.items()
            for item in (volumes[name].get("secret") or volumes[name]["configMap"])["items"]
        }
        named = set(re.findall(r"/run/[\w./-]+", " ".join([*told.values(), *container["args"]])))
        assert named == there, f"{container['name']}: mounted and named differ"
        files = {}
        for path in there:
            files[path] = tmp_path / path.strip("/").replace("/", "-")
            files[path].write_text("secret\n")
        local = {}
        for name, value in told.items():
            for path, file in files.items():
                value = value.replace(path, str(file))
            local[name] = value
        status, text = program("run", "--print-config", **({"AMQP_URL": "amqp://a:b@c"} | local))
        assert status == 0, f"{container['name']}: {text}"
        # The addresses can be read: with nobody there, only connecting fails.
        nobody = {name: re.sub(r"@[\w.-]+:\d+", "@127.0.0.1:1", value) for name, value in local.items()}
        nobody["DATABASE_URL"] = re.sub(r"host=\S+ port=\d+", "host=127.0.0.1 port=1", nobody["DATABASE_URL"])
        _, text = program("doctor", **({"AMQP_URL": "amqp://a:b@127.0.0.1:1"} | nobody | {"WAIT": "0s"}))
        assert re.search(r"^ok +broker address", text, re.MULTILINE), text
        assert re.search(r"^ok +database address", text, re.MULTILINE), text
        arguments = [str(files.get(argument, argument)) for argument in container["args"]]
        # What isn't there is said to be a mistake, and what is there is found in the help.
        words = [word for word in arguments if not word.startswith("/")]
        status, text = program(*words, "--help")
        assert status == 0 and "USAGE: order-worker " + words[0] in text, f"order-worker {' '.join(words)}: {text}"
        own = [word for before, word in zip(["", *words], words) if not before.startswith("--grant-")]  # but for roles' names
        assert all(word in text for word in own), f"order-worker {' '.join(words)} is not in:\n{text}"


def test_the_drain_ends_before_the_grace_does(objects):
    deployment = find(objects, "Deployment")
    (container,) = containers(deployment)
    drain = int(environment(objects, container)["DRAIN_TIMEOUT"].removesuffix("s"))
    assert pod(deployment)["terminationGracePeriodSeconds"] >= drain + 20


def test_probes_and_metrics_are_served(objects, running):
    deployment = find(objects, "Deployment")
    (container,) = containers(deployment)
    told = environment(objects, container)
    (port,) = container["ports"]
    assert str(port["containerPort"]) == told["HTTP_PORT"]
    assert told["HTTP_HOST"] == "0.0.0.0", "probes come from outside the pod"
    paths = {"/metrics"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
        paths.add(container[probe]["httpGet"]["path"])
    # A worker that waits for broker or database is not to be restarted for it.
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for monitor in (item for item in objects if item["kind"] == "PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            assert endpoint["port"] == port["name"]
            paths.add(endpoint["path"])
    for path in paths:
        assert running.workers[0].get(path)[0] == 200, path


def test_what_selects_the_workers_selects_them(objects):
    deployment = find(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == WORKER
    assert deployment["spec"]["selector"]["matchLabels"] == WORKER
    assert find(objects, "PodDisruptionBudget", "order-worker")["spec"]["selector"]["matchLabels"] == WORKER
    for constraint in pod(deployment)["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == WORKER
    for monitor in (item for item in objects if item["kind"] == "PodMonitor"):
        assert monitor["spec"]["selector"]["matchLabels"] == WORKER
    policy = find(objects, "NetworkPolicy")["spec"]
    for item in objects:
        if pod(item):
            selector = policy["podSelector"]["matchLabels"]
            assert selector.items() <= item["spec"]["template"]["metadata"]["labels"].items()


def test_pods_may_reach_what_they_are_told_to_reach(objects):
    ports = {
        port["port"]
        for rule in find(objects, "NetworkPolicy")["spec"]["egress"]
        for port in rule["ports"]
        if port["protocol"] == "TCP"
    }
    for _, _, told in told_pods(objects):
        needed = {int(port) for port in re.findall(r":(\d+)/", told.get("AMQP_URL", ""))}
        needed |= {int(port) for port in re.findall(r"port=(\d+)", told["DATABASE_URL"])}
        assert needed and needed <= ports


def test_each_secret_is_made_by_somebody(objects):
    """Either by an operator, or by the reader of the README, which names it and each of its keys."""
    referred = {}
    for item in objects:
        for secret, keys in secrets_of(item):
            referred.setdefault(secret, set()).update(keys)
    for secret, keys in referred.items():
        (row,) = [line for line in README.splitlines() if line.startswith(f"| `{secret}` |")] or [None]
        assert row, f"README.md doesn't say where the secret {secret} comes from"
        assert all(f"`{key}`" in row for key in keys), f"README.md doesn't name {keys} of {secret}"


def secrets_of(value):
    if isinstance(value, list):
        for element in value:
            yield from secrets_of(element)
    elif isinstance(value, dict):
        if "secretName" in value:
            yield value["secretName"], {item["key"] for item in value.get("items", [])}
        if {"parameter", "name", "key"} <= value.keys() or set(value) == {"name", "key"}:
            if "parameter" in value or value["name"].endswith("-backup"):
                yield value["name"], {value["key"]}
        for member in value.values():
            yield from secrets_of(member)


def test_the_roles_are_those_that_the_database_knows():
    objects = render(FOLDER / "overlays" / "operators")
    cluster = find(objects, "Cluster")["spec"]
    owner = cluster["bootstrap"]["initdb"]["owner"]
    roles = {owner, *(role["name"] for role in cluster.get("managed", {}).get("roles", []))}
    (rule,) = cluster["postgresql"]["pg_hba"]
    assert set(rule.split()[2].split(",")) == roles and rule.split()[0] == "hostssl" and rule.split()[-1] == "cert"
    used = {re.search(r"user=(\S+)", told["DATABASE_URL"])[1] for _, _, told in told_pods(objects)}
    (migrate,) = containers(find(objects, "Job", "order-worker-migrate"))
    granted = {migrate["args"][number + 1] for number, word in enumerate(migrate["args"]) if word.startswith("--grant-")}
    assert used <= roles and granted == roles - {owner}
    assert f"user={owner} " in environment(objects, migrate)["DATABASE_URL"]
    assert f"/{cluster['bootstrap']['initdb']['database']}" in "/" + re.search(
        r"dbname=(\S+)", environment(objects, migrate)["DATABASE_URL"]
    )[1]


def test_a_commit_waits_for_a_standby_and_backups_are_made():
    objects = render(FOLDER / "overlays" / "operators")
    cluster = find(objects, "Cluster")
    assert cluster["spec"]["instances"] == 3
    assert cluster["spec"]["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    (plugin,) = cluster["spec"]["plugins"]
    assert plugin["isWALArchiver"] is True
    assert plugin["parameters"]["barmanObjectName"] == find(objects, "ObjectStore")["metadata"]["name"]
    backup = find(objects, "ScheduledBackup")["spec"]
    assert backup["pluginConfiguration"]["name"] == plugin["name"]
    assert backup["cluster"]["name"] == cluster["metadata"]["name"]
    assert len(backup["schedule"].split()) == 6, "the operator's schedules begin with seconds"


def test_the_broker_is_what_the_program_needs():
    objects = render(FOLDER / "overlays" / "operators")
    broker = find(objects, "RabbitmqCluster")["spec"]
    assert broker["replicas"] == 3
    assert "rabbitmq_consistent_hash_exchange" in broker["rabbitmq"]["additionalPlugins"]
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    major = r"rabbitmq:(\d+)"
    assert re.match(major, broker["image"])[1] == re.match(major, compose["rabbitmq"]["image"])[1]
    database = find(objects, "Cluster")["spec"]["imageName"]
    assert database.split(":")[1] == re.match(r"postgres:(\d+)", compose["postgres"]["image"])[1]
    # The accounts are where the configuration looks for them, under the name that they were made with.
    statefulset = broker["override"]["statefulSet"]["spec"]["template"]["spec"]
    (mount,) = statefulset["containers"][0]["volumeMounts"]
    (volume,) = statefulset["volumes"]
    (item,) = volume["secret"]["items"]
    assert f"load_definitions = {mount['mountPath']}/{item['path']}\n" in broker["rabbitmq"]["additionalConfig"]
    assert f"keep {item['key']} <<" in (REPOSITORY / "deploy/container/secrets").read_text()
    name = find(objects, "RabbitmqCluster")["metadata"]["name"]
    assert f"@{name}:5671/orders" in find(objects, "ConfigMap", "order-worker")["data"]["AMQP_URL"]


def test_workers_grow_with_the_queues_and_no_further_than_the_partitions():
    objects = render(FOLDER / "overlays" / "operators")
    scaled = find(objects, "ScaledObject")["spec"]
    deployment = find(objects, "Deployment")
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"], "an update of the Deployment must not undo the scaling"
    assert find(render(FOLDER / "overlays" / "external"), "Deployment")["spec"]["replicas"] >= 2
    _, text = program("run", "--print-config", AMQP_URL="amqp://a:b@c", DATABASE_URL="postgresql://a:b@c/d")
    lanes = int(re.search(r"^lanes\b\D*(\d+)", text, re.MULTILINE)[1])
    assert 2 <= scaled["minReplicaCount"] < scaled["maxReplicaCount"]
    assert scaled["maxReplicaCount"] * lanes <= PARTITIONS
    (trigger,) = scaled["triggers"]
    queues = re.compile(trigger["metadata"]["queueName"])
    assert all(queues.search(queue_of(partition)) for partition in range(100))
    assert not any(queues.search(name) for name in ("orders.dead", "orders.retry", "orders.unrouted", "xorders.00"))
    behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 600 > behavior["scaleUp"]["stabilizationWindowSeconds"]
    authentication = find(objects, "TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]


def test_the_alerts_are_those_of_deploy_prometheus():
    objects = render(FOLDER / "overlays" / "operators")
    (alerts,) = documents(REPOSITORY / "deploy/prometheus/alerts.yaml")
    assert find(objects, "PrometheusRule")["spec"]["groups"] == alerts["groups"], "run deploy/kubernetes/alerts"
