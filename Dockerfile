# Built from this repository alone: docker build -t auth-service .
# Any Python from 3.11 on will do; pin a digest with --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The service's environment has no pip of its own, the build backend lives in another one: neither is copied later.
RUN python -m venv --without-pip /opt/auth-service && python -m venv /build/backend
COPY requirements-build.lock requirements.lock ./
RUN python -m pip --python /opt/auth-service/bin/python install --require-hashes -r requirements.lock \
    && /build/backend/bin/python -m pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml LICENSE ./
COPY app app
RUN /build/backend/bin/python -m pip wheel --no-build-isolation --no-deps --wheel-dir /build/dist . \
    && python -m pip --python /opt/auth-service/bin/python install --no-deps --no-index /build/dist/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="auth-service" \
      org.opencontainers.image.description="An OAuth 2.0 token service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# What installs packages has no place in a running service.
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel \
    && rm -rf /usr/local/lib/python3*/ensurepip \
    && groupadd --gid 10001 auth-service \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir / --shell /usr/sbin/nologin auth-service
COPY --from=build /opt/auth-service /opt/auth-service
# The file system may be read-only: bytecode is compiled already, and nothing else is written.
ENV PATH=/opt/auth-service/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BIND_ADDR=0.0.0.0:8080
USER 10001:10001
WORKDIR /
EXPOSE 8080 9464
# Asks the metrics listener, which answers while the public one is full. For docker; Kubernetes has probes of its own.
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-I", "-S", "-c", "import http.client, os, sys; connection = http.client.HTTPConnection(os.environ.get('METRICS_ADDR', '127.0.0.1:9464'), timeout=2); connection.request('GET', '/health/live'); sys.exit(connection.getresponse().status != 200)"]
ENTRYPOINT ["auth-service"]
CMD ["serve"]
