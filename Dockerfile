# API and workers; Neo4j is a container of its own (docker-compose.yml).
FROM python:3.11.14-slim-bookworm AS build
ARG LOCK=requirements.lock
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/fieldgraph
ENV PATH=/opt/fieldgraph/bin:$PATH
WORKDIR /src
# the lock alone first: its layer, by far the largest, survives every change of the code
COPY ${LOCK} ./
RUN pip install --no-deps --require-hashes -r ${LOCK}
COPY . .
RUN pip install --no-deps .
# GraphiQL; Neo4j itself is another container
RUN NEO4J_URI=bolt: FIELDGRAPH_CACHE=/opt/fieldgraph/cache fieldgraph db fetch

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --create-home fieldgraph \
    && install -d -o fieldgraph -g fieldgraph /var/lib/fieldgraph /var/lib/fieldgraph/store
COPY --from=build /opt/fieldgraph /opt/fieldgraph
ENV PATH=/opt/fieldgraph/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FIELDGRAPH_HOME=/var/lib/fieldgraph \
    FIELDGRAPH_CACHE=/opt/fieldgraph/cache
USER fieldgraph
WORKDIR /var/lib/fieldgraph
VOLUME /var/lib/fieldgraph/store
EXPOSE 8000
CMD ["fieldgraph", "--help"]
