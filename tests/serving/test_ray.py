"""The application as a deployment of Ray Serve, in the environment that has Ray (.ci/run)."""

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from mlkit import serving
from tests.serving.asking import net, rows, until

ray = pytest.importorskip("ray", reason="the cluster that the deployment runs on")


def test_a_deployment_answers_as_the_application(tmp_path):
    from ray import serve

    model, x = net(), rows(3)
    serving.publish(model, tmp_path / "net")
    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False)
    try:
        serve.start(http_options={"port": 8127})
        serve.run(serving.ray_app({"net": tmp_path / "net"}, deployment={"num_replicas": 1}, max_batch_size=4))
        ask = lambda path, body=None: urllib.request.urlopen(f"http://127.0.0.1:8127{path}", body, timeout=30).read()

        def is_ready():
            try:
                return json.loads(ask("/v2/health/ready"))["ready"]
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                return False

        until(is_ready, 60)
        found = json.loads(ask("/v1/models/net:predict", json.dumps({"instances": x.tolist()}).encode()))
        np.testing.assert_allclose(found["predictions"], model.predict(x, verbose=0), atol=1e-6)
        with pytest.raises(urllib.error.HTTPError) as error:
            ask("/v1/models/nope:predict", b"{}")
        assert (error.value.code, json.loads(error.value.read())["error"]) == (
            404,
            "there is no model 'nope'; there are 'net'.",
        )
    finally:
        serve.shutdown()
        ray.shutdown()
