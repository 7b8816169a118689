"""A model of mlkit behind LitServe, as its guide has it.

python benchmarks/serve_litserve.py MODEL PORT MAX_BATCH_SIZE
"""

import sys

import litserve
import numpy as np

import mlkit


class Api(litserve.LitAPI):
    def setup(self, device):
        self.model = mlkit.models.load_model(sys.argv[1], compile=False)
        for n in range(1, self.max_batch_size + 1):
            self.predict(np.zeros((n, *self.model.input_shape[1:]), "float32"))

    def decode_request(self, request):
        return np.asarray(request["instances"][0], "float32")

    def predict(self, x):
        return self.model.predict_on_batch(x if x.ndim > len(self.model.input_shape) - 1 else x[None])

    def encode_response(self, output):
        return {"predictions": np.atleast_2d(output).tolist()}


if __name__ == "__main__":
    size = int(sys.argv[3])
    api = Api(max_batch_size=size, batch_timeout=0.002 if size > 1 else 0.0, api_path="/predict")
    litserve.LitServer(api, accelerator="cpu", timeout=60).run(
        port=int(sys.argv[2]), host="127.0.0.1", log_level="warning", access_log=False, generate_client_file=False
    )
