# The service and its bundles, nothing else (.dockerignore says what of models/ goes in): no torch inside.
# README.md ("In a container") has the commands, also those for CUDA (EXTRA=serve-cuda).

FROM python:3.12-slim AS build
ARG EXTRA=serve
RUN python -m venv /opt/venv
WORKDIR /app
COPY requirements requirements
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
    -r "requirements/${EXTRA}.txt"
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY models/__init__.py models/
COPY serving/__init__.py serving/
# Editable: the environment points at /app, where the next stage puts the code itself. Without isolation the build uses
# the setuptools that was installed above; nothing is downloaded. The service needs neither setuptools nor pip.
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e . \
    && /opt/venv/bin/pip uninstall --yes setuptools pip

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 fewlabel && install --directory --owner 10001 --group 10001 --mode 700 /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY models models
COPY serving serving
USER 10001
# onnxruntime can send usage data over the network and keeps an id in the home folder; numpy and OpenCV would start a
# thread for each core in every process, though the service asks for the threads that it needs.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    OPENBLAS_NUM_THREADS=1 \
    FEWLABEL_HOST=0.0.0.0 \
    FEWLABEL_INDEX=/data/index.sqlite
# What users write. A new named volume takes over this folder's owner; other mounts must be writable for 10001.
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('FEWLABEL_PORT', 8000)}/health/ready\", timeout=2)"]
CMD ["python", "-m", "serving"]
