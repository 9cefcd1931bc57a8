# livenessd in a container. It works on the host's routing table, hence on the host's network:
#
#   docker build -t livenessd .
#   docker run --network host --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW \
#     -v /etc/livenessd:/etc/livenessd:ro -v /run/livenessd:/run/livenessd livenessd
#
# NET_ADMIN: routes, rules and firewall marks. NET_RAW: binding a socket to an interface.

FROM debian:bookworm AS build
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates nodejs npm && \
    npm install -g deno@2.9.6 && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /livenessd
COPY . .
RUN scripts/compile

FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install -y --no-install-recommends libnl-3-200 libnl-route-3-200 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /livenessd/dist/livenessd /usr/local/bin/livenessd
ENTRYPOINT ["livenessd"]
CMD ["run", "-c", "/etc/livenessd/livenessd.yaml"]
