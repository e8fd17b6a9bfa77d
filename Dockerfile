# The embedded Proxmox in a container, for suites in any language:
#   docker build -t pytest-proxmox .
#   docker run --rm --hostname pve -p 8006:8006 -v "$PWD/state:/state" pytest-proxmox
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY pytest_proxmox ./pytest_proxmox
RUN ["pip", "wheel", "--no-cache-dir", "--wheel-dir", "/wheels", "."]

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels pytest-proxmox \
    && useradd --create-home --uid 10001 pve \
    && install --directory --owner pve /state
USER pve
WORKDIR /state
VOLUME ["/state"]
EXPOSE 8006
# The ready file is there while requests are answered.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["test", "-s", "/state/ready.json"]
ENTRYPOINT ["pytest-proxmox"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8006", "--ready-file", "/state/ready.json"]
