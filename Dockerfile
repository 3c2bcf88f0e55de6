# Built from this repository alone: docker build -t auth-service .
# Any Python from 3.11 on will do. The base is a tag here, so that whoever builds gets its security updates and may take it
# from a mirror; a release names a digest (--build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:...), which `make image
# RELEASE=1` insists on, and which stands in the image's labels.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

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
# What nothing here imports, and is large: kubernetes' second, asynchronous client (68 MB), and the sample data (25 MB) that
# Litestar would fill examples with. The imports after it are all that the commands can reach.
RUN cd /opt/auth-service/lib/python3*/site-packages && rm -rf kubernetes/aio faker/providers \
    && /opt/auth-service/bin/python -c "import app.cli, app.lifecycle, app.keys.sources.secret, app.keys.sources.redis" \
    && /opt/auth-service/bin/auth-service config check

FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="auth-service" \
      org.opencontainers.image.description="An OAuth 2.0 token service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
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
# No HEALTHCHECK: orchestrators have probes of their own, on the metrics listener (/health/live, /health/ready).
ENTRYPOINT ["auth-service"]
CMD ["serve"]
