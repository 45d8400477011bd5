"""The fields of KubeRay's RayJob that our file may use, as JSON Schema.

Restated from the custom resource definitions of KubeRay 1.5 (`ray.io/v1`, types `RayJobSpec`,
`RayClusterSpec`, `HeadGroupSpec`, `WorkerGroupSpec`); of Kubernetes' pods only what is used here.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}


def only(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


QUANTITIES: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "integer"], "pattern": r"^\d+(\.\d+)?([mkMG]i?)?$"},
}
# The values of `ray start` flags are strings in the definition, numbers too.
START_PARAMS: Schema = {"type": "object", "additionalProperties": TEXT}
CONTAINER = only(
    {
        "name": TEXT,
        "image": TEXT,
        "resources": only({"requests": QUANTITIES, "limits": QUANTITIES}),
    },
    {
        "env": list_of(only({"name": TEXT}, {"value": TEXT, "valueFrom": ANYTHING})),
        "envFrom": list_of(only({"secretRef": only({"name": TEXT})})),
        "ports": list_of(only({"containerPort": COUNT}, {"name": TEXT})),
        "volumeMounts": list_of(only({"name": TEXT, "mountPath": TEXT}, {"readOnly": FLAG})),
    },
)
VOLUME = only(
    {"name": TEXT},
    {
        "configMap": only({"name": TEXT}),
        "persistentVolumeClaim": only({"claimName": TEXT}, {"readOnly": FLAG}),
    },
)
POD = only(
    {
        "spec": only(
            {"containers": {**list_of(CONTAINER), "minItems": 1}},
            {"volumes": list_of(VOLUME), "tolerations": list_of(ANYTHING)},
        )
    },
    {"metadata": ANYTHING},
)
WORKER_GROUP = only(
    {
        "groupName": TEXT,
        "minReplicas": COUNT,
        "maxReplicas": COUNT,
        "rayStartParams": START_PARAMS,
        "template": POD,
    },
    {"replicas": COUNT, "numOfHosts": COUNT},
)
RAY_CLUSTER = only(
    {
        "headGroupSpec": only(
            {"rayStartParams": START_PARAMS, "template": POD}, {"serviceType": TEXT}
        ),
        "workerGroupSpecs": list_of(WORKER_GROUP),
        "rayVersion": TEXT,
    },
    {
        "authOptions": only({"mode": {"enum": ["disabled", "token"]}}),
        "enableInTreeAutoscaling": FLAG,
    },
)
RAY_JOB = only(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": only({"name": TEXT}, {"namespace": TEXT, "labels": ANYTHING}),
        "spec": only(
            {"entrypoint": TEXT, "rayClusterSpec": RAY_CLUSTER},
            {
                "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
                "backoffLimit": COUNT,
                "activeDeadlineSeconds": COUNT,
                "shutdownAfterJobFinishes": FLAG,
                "ttlSecondsAfterFinished": COUNT,
            },
        ),
    }
)
