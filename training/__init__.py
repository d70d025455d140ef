"""Images and a few labels in, a served bundle out. Knows torch; knows nothing of HTTP or serving."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as serving does
