"""cluster.yaml is what Ray's cluster launcher takes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import ray
import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_the_cluster_file_fits_the_schema_that_ray_ships() -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    jsonschema.validate(cluster, schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]
