"""Renders the kustomizations in deploy/kubernetes as kustomize does, as far as they use it, and checks what comes out."""

import copy
import re
from pathlib import Path

import kubernetes_validate
import yaml

from order_stage import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
# What the tests read the core kinds' schemas of.
KUBERNETES = "1.34"
WITHOUT_NAMESPACE = {"Namespace"}


def documents(path: Path) -> list[dict]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


# ---- Rendering


def render(folder: Path, into: list[dict] | None = None) -> list[dict]:
    """The objects of a kustomization; those of a component come to the ones that are there."""
    (kustomization,) = documents(folder / "kustomization.yaml")
    known = {"apiVersion", "kind", "namespace", "resources", "components", "images", "patches"}
    assert set(kustomization) <= known, f"{folder}: the tests can't render {set(kustomization) - known}"
    objects = into if into is not None else []
    for name in kustomization.get("resources", []):
        path = (folder / name).resolve()
        objects += render(path) if path.is_dir() else documents(path)
    for name in kustomization.get("components", []):
        render((folder / name).resolve(), into=objects)
    if "namespace" in kustomization:
        for item in objects:
            if item["kind"] not in WITHOUT_NAMESPACE:
                item["metadata"]["namespace"] = kustomization["namespace"]
    for patch in kustomization.get("patches", []):
        targets = [item for item in objects if matches(item, patch["target"])]
        assert targets, f"{folder}: nothing is patched by {patch['target']}"
        for item in targets:
            apply(item, yaml.safe_load(patch["patch"]))
    for image in kustomization.get("images", []):
        for item in objects:
            for container in containers(item):
                if container["image"].split(":")[0] == image["name"]:
                    container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
    # Nothing is shared that YAML's anchors made one.
    objects[:] = copy.deepcopy(objects)
    return objects


def matches(item: dict, target: dict) -> bool:
    assert set(target) <= {"kind", "name", "labelSelector"}, target
    labels = dict(pair.split("=") for pair in target.get("labelSelector", "").split(",") if pair)
    return (
        item["kind"] == target["kind"]
        and target.get("name", item["metadata"]["name"]) == item["metadata"]["name"]
        and labels.items() <= item["metadata"].get("labels", {}).items()
    )


def apply(item: dict, operations: list[dict]) -> None:
    """A JSON patch."""
    for operation in operations:
        *way, last = operation["path"].strip("/").split("/")
        parent = item
        for name in way:
            parent = parent[int(name) if isinstance(parent, list) else name]
        key = int(last) if isinstance(parent, list) else last
        # What is replaced or removed has to be there.
        parent[key]
        if operation["op"] == "remove":
            del parent[key]
        else:
            assert operation["op"] == "replace", operation
            parent[key] = operation["value"]


# ---- Looking


def pod(item: dict) -> dict | None:
    """The pod's specification within an object that starts pods of the program."""
    return item["spec"]["template"]["spec"] if item["kind"] in ("Deployment", "Job") else None


def containers(item: dict) -> list[dict]:
    specification = pod(item)
    return specification["containers"] + specification.get("initContainers", []) if specification else []


def find(objects: list[dict], kind: str, name: str | None = None) -> dict:
    (found,) = [item for item in objects if item["kind"] == kind and name in (None, item["metadata"]["name"])]
    return found


def environment(objects: list[dict], container: dict) -> dict[str, str]:
    """What the program is told in a container."""
    told = {}
    for source in container.get("envFrom", []):
        told |= find(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        if "value" in variable:
            told[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["configMapKeyRef"]
            told[variable["name"]] = find(objects, "ConfigMap", reference["name"])["data"][reference["key"]]
    return told


# ---- Validating


KINDS = {(kind["version"], kind["kind"]): kind for kind in documents(Path(__file__).parent / "kubernetes_kinds.yaml")[0]}


def mistakes(item: dict) -> list[str]:
    """What is wrong with an object by the schemas of its kind, strictly: members that nobody knows are wrong too."""
    kind = KINDS.get((item["apiVersion"], item["kind"]))
    if kind:
        form = {name: value for name, value in kind.items() if name.startswith("spec")}
        return list(compare({name: item[name] for name in item if name == "spec"}, form, item["kind"]))
    try:
        kubernetes_validate.validate(item, KUBERNETES, strict=True)
    except (
        kubernetes_validate.ValidationError,
        kubernetes_validate.SchemaNotFoundError,
        kubernetes_validate.InvalidSchemaError,
    ) as error:
        return [f"{item['kind']} {item['metadata']['name']}: {getattr(error, 'message', error)}"]
    return []


def compare(value, form, place: str):
    if isinstance(form, dict):
        if not isinstance(value, dict):
            yield f"{place} isn't an object"
            return
        members = {name.rstrip("!"): member for name, member in form.items()}
        for name in value:
            if name in members or "*" in members:
                yield from compare(value[name], members.get(name, members.get("*")), f"{place}.{name}")
            else:
                yield f"{place}.{name} isn't known"
        yield from (
            f"{place}.{name.rstrip('!')} is missing" for name in form if name.endswith("!") and name[:-1] not in value
        )
    elif isinstance(form, list):
        if not isinstance(value, list):
            yield f"{place} isn't a list"
            return
        for number, element in enumerate(value):
            yield from compare(element, form[0], f"{place}[{number}]")
    elif form in ("string", "integer", "boolean"):
        # A word that YAML takes for a number or a truth value isn't a string.
        if type(value) is not {"string": str, "integer": int, "boolean": bool}[form]:
            yield f"{place} isn't a {form}: {value!r}"
    elif not re.fullmatch(form, str(value)):
        yield f"{place} is none of {form}: {value!r}"
