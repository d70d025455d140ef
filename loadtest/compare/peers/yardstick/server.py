"""The least that FastAPI does with an upload: read it, answer a constant. Decodes nothing, knows no model."""

import os

from fastapi import FastAPI, Request, Response

ANSWER = os.environ["ANSWER"].encode()
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Response:
    """The same answer to everything."""
    await request.body()
    return Response(ANSWER, media_type="application/json")
