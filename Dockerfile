# Two images: `serve` (Ray head and workers) and `ui` (the Streamlit page). `make image` builds both.
#
# Everything that is installed comes before the code, so that a change of code rebuilds in seconds.

# Another base, by --build-arg.
ARG PYTHON=pinned

# The tag's index of all platforms, so amd64 and arm64 alike; the digest is what counts. It stands here
# and not in the argument, where Dependabot would not see it.
FROM docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS pinned
# They bring old copies of themselves and of others, which scanners find; `venv` has its own.
RUN pip uninstall --yes setuptools wheel

# checkov:skip=CKV_DOCKER_7: the base is pinned by digest, above
# hadolint ignore=DL3006
FROM ${PYTHON} AS base
ENV PATH=/app/.venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
RUN groupadd --gid 10001 app && useradd --uid 10001 --gid 10001 --create-home app


# What is installed depends on these files alone; the package is an empty one until code is copied.
FROM base AS sources
# Rather no image than one with gigabytes of CUDA, which the build's cache would keep.
ENV CPU_TORCH=only
COPY pyproject.toml requirements.txt LICENSE ./
COPY scripts/install scripts/slim scripts/
RUN mkdir serve_app && touch README.md serve_app/__init__.py

FROM sources AS serve-packages
# With `,score` for `sentiment score` inside the cluster.
ARG EXTRAS=serve,tracing
RUN scripts/install "$EXTRAS"

FROM serve-packages AS serve-slim
RUN scripts/slim .venv

FROM sources AS ui-slim
RUN scripts/install ui && scripts/slim .venv


# The prepared model. Only what preparation imports is copied (a test compares), so that other code
# changes do not prepare again.
FROM serve-packages AS model
RUN scripts/install prepare
ARG MODEL=models/sst2-minilm
ARG REVISION=
COPY models models
COPY serve_app/__init__.py serve_app/validation.py serve_app/
COPY serve_app/engine/__init__.py serve_app/engine/artifacts.py serve_app/engine/backend.py \
     serve_app/engine/certificate.py serve_app/engine/loading.py serve_app/engine/onnx_backend.py \
     serve_app/engine/postprocess.py serve_app/engine/tokenizer.py serve_app/engine/torch_backend.py \
     serve_app/engine/
COPY serve_app/jobs/__init__.py serve_app/jobs/build.py serve_app/jobs/candidates.py \
     serve_app/jobs/classifier.py serve_app/jobs/errors.py serve_app/jobs/export.py \
     serve_app/jobs/fingerprint.py serve_app/jobs/firsttoken.py serve_app/jobs/folder.py \
     serve_app/jobs/graph.py serve_app/jobs/hub.py serve_app/jobs/kinds.py \
     serve_app/jobs/labelled.py serve_app/jobs/prepare.py serve_app/jobs/progress.py \
     serve_app/jobs/quantize.py serve_app/jobs/source.py serve_app/jobs/stopping.py \
     serve_app/jobs/texts.json serve_app/jobs/texts.py serve_app/jobs/verify.py \
     serve_app/jobs/
# The token of a private model comes as a build secret and stays out of every layer.
RUN --mount=type=secret,id=hf_token \
    if [ -f /run/secrets/hf_token ]; then HF_TOKEN=$(cat /run/secrets/hf_token); export HF_TOKEN; fi; \
    python -m serve_app.jobs.prepare --model "$MODEL" ${REVISION:+--revision "$REVISION"} --output /model


FROM base AS serve
LABEL org.opencontainers.image.title="sentiment-service" \
      org.opencontainers.image.description="Ray Serve: one text classifier in PyTorch and ONNX Runtime" \
      org.opencontainers.image.licenses="Apache-2.0"
# What serve_app/ray_environment.py puts in place on one machine; a test compares.
ENV RAY_SERVE_ENABLE_HA_PROXY=1 \
    RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
    RAY_SERVE_LOG_TO_STDERR=1 \
    RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE=1 \
    RAY_SERVE_HAPROXY_RETRY_ON="conn-failure empty-response" \
    RAY_SERVE_HAPROXY_MAXCONN=16384 \
    RAY_SERVE_HAPROXY_BINARY_PATH=/app/.venv/bin/sentiment-haproxy \
    RAY_SERVE_HAPROXY_METRICS_ENABLED=0 \
    RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S=300 \
    RAY_SERVE_METRICS_EXPORT_INTERVAL_MS=1000 \
    RAY_SERVE_QUEUE_LENGTH_CACHE_TIMEOUT_S=0.05 \
    RAY_worker_niceness=0 \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_AUTH_MODE=token \
    HF_HUB_OFFLINE=1 \
    HOME=/tmp \
    SENTIMENT_MODEL=/model
COPY --from=serve-slim /app /app
COPY --from=model /model /model
COPY scripts/alone scripts/drain scripts/
COPY serve_config.yaml serve_config.local.yaml ./
COPY serve_app serve_app
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.version="$VERSION" org.opencontainers.image.revision="$COMMIT"
USER 10001:10001
EXPOSE 8000 8265
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
# The whole service in one container. On Kubernetes the operator starts head and workers instead.
CMD ["scripts/alone"]


FROM base AS ui
LABEL org.opencontainers.image.title="sentiment-page" \
      org.opencontainers.image.description="The Streamlit page of sentiment-service" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV HOME=/tmp \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501 \
    STREAMLIT_SERVER_HEADLESS=true \
    STREAMLIT_SERVER_FILE_WATCHER_TYPE=none \
    STREAMLIT_BROWSER_GATHER_USAGE_STATS=false
COPY --from=ui-slim /app /app
COPY ui ui
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.version="$VERSION" org.opencontainers.image.revision="$COMMIT"
USER 10001:10001
WORKDIR /app/ui
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "app.py"]
