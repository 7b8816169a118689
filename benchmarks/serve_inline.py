"""A model of mlkit called in the handler of an ASGI application, on uvicorn: nothing is checked, nothing is batched.

python benchmarks/serve_inline.py MODEL PORT
"""

import json
import sys

import numpy as np
import uvicorn

import mlkit


def application(model):
    async def answer(scope, receive, send):
        body = b"{}"
        if scope["method"] == "POST":
            parts, more = [], True
            while more:
                message = await receive()
                parts.append(message["body"])
                more = message["more_body"]
            inputs = json.loads(b"".join(parts))["instances"]
            body = json.dumps({"predictions": model.predict_on_batch(np.asarray(inputs, "float32")).tolist()}).encode()
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return answer


if __name__ == "__main__":
    model = mlkit.models.load_model(sys.argv[1], compile=False)
    model.predict_on_batch(np.zeros((1, *model.input_shape[1:]), "float32"))
    uvicorn.run(
        application(model), port=int(sys.argv[2]), http="httptools", lifespan="off", log_level="warning", access_log=False
    )
