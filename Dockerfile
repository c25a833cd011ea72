# The service and nothing else: no build tools, no tests, no emulators. `make image` builds it.
FROM python:3.13.15-slim-trixie AS base

FROM base AS build
WORKDIR /build
COPY requirements.txt ./
# Wheels only, so that no compiler is needed, and each with the hash that the lock file wants of it.
# A mirror or proxy of yours goes into a pip.conf given as --secret id=pip.conf; no layer keeps it.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python --disable-pip-version-check --no-cache-dir \
        install --require-hashes --no-deps --only-binary :all: --requirement requirements.txt
COPY app app
# Compiled here, because the root file system is not writable where this runs.
RUN python -m compileall -q --invalidation-mode unchecked-hash app

FROM base
# What installs packages has no business where none are to be installed.
RUN python -m pip --disable-pip-version-check uninstall --quiet --yes \
    --root-user-action ignore pip setuptools wheel
COPY --from=build /opt/venv /opt/venv
COPY --from=build /build/app /srv/app
COPY LICENSE /licenses/LICENSE
WORKDIR /srv
# The environment goes over the configuration file, so host and port cannot be set there. PORT is for
# platforms that set it; SERVER__PORT goes over it.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SERVER__HOST=:: \
    PORT=8000
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Any response below 500 shows that the process is alive: also a 404 or a 421, if the configuration
# file sets an internal port or allowed hosts. localhost is tried with IPv6 and with IPv4.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; e = os.environ; c = http.client.HTTPConnection('localhost', int(e.get('SERVER__INTERNAL_PORT') or e.get('SERVER__PORT') or e['PORT']), timeout=2); c.request('GET', '/livez'); sys.exit(c.getresponse().status >= 500)"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve"]

# Last, so that a new revision rebuilds nothing else.
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Vault BFF" \
    org.opencontainers.image.description="The server side of Apideck's Hosted Vault" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
