"""Holds files of resources against KEDA's own types, in which no field may be unknown. For check-manifests."""

import json
import sys

import yaml
from cloudcoil.models.keda import v1alpha1

TYPES = {"keda.sh/v1alpha1": v1alpha1}

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        for resource in yaml.safe_load_all(file):
            kind = getattr(TYPES[resource["apiVersion"]], resource["kind"])
            kind.model_validate_json(json.dumps(resource), strict=True, extra="forbid")
            print(f"{path}: {resource['kind']} passed")
