"""The application as a deployment of Ray Serve, which runs replicas of it on the machines of a cluster."""

from collections.abc import Mapping
from typing import Any

from mlkit.core.deferred import Deferred
from mlkit.serving.application import App

serve = Deferred("ray.serve", 'A deployment of Ray Serve needs Ray: pip install "ray[serve]"')


def ray_app(models: Mapping[str, Any], *, deployment: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """An application of Ray Serve that answers as `app` does: ``ray.serve.run(ray_app({"net": "/models/net"}))``.

    Args:
        models: As `app` takes them. Paths must be there on every machine that has a replica; models in memory are sent there.
        deployment: What ``ray.serve.deployment`` takes: ``{"num_replicas": 4, "ray_actor_options": {"num_cpus": 2}}``.
        **options: See `App`.

    Returns:
        What ``ray.serve.run`` takes.
    """
    given = dict(models)
    return serve.deployment(**(deployment or {}))(serve.ingress(lambda: App(given, **options))(type("Models", (), {}))).bind()
