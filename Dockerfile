FROM python:3.12-slim

# Tear sheets as PDF are set with Pango, in a font.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/*

# A user of its own, and a lake it may write to.
RUN useradd --create-home --uid 1000 barlake && install -d -o barlake -g barlake /data

WORKDIR /opt/barlake
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY barlake barlake
COPY ingest_service ingest_service
COPY feature_service feature_service
COPY training_service training_service
COPY simulation_service simulation_service
COPY app app
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[simulation,dashboard,postgres]'

# Compiled kernels are kept where any user may write. Whoever runs containers keeps workers alive by himself.
ENV BARLAKE_ROOT=/data \
    BARLAKE_STARTS_WORKERS=false \
    NUMBA_CACHE_DIR=/tmp/numba \
    HOME=/tmp \
    PYTHONUNBUFFERED=1
USER 1000:1000
WORKDIR /data
VOLUME /data
EXPOSE 8000 8501

ENTRYPOINT ["barlake"]
CMD ["--help"]
