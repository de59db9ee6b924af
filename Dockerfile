# The worker as a small image: docker build -t clockout . && docker run --rm clockout --help

FROM rust:1-bookworm AS build
WORKDIR /src
# The dependencies first, on a stand-in for our code: this layer is built again only when they change.
COPY Cargo.toml Cargo.lock ./
COPY bench/Cargo.toml bench/
COPY bench/engine/Cargo.toml bench/engine/
RUN mkdir -p src bench/src bench/engine/src bench/engine/benches \
 && echo 'fn main() {}' \
  | tee src/main.rs bench/src/main.rs bench/engine/src/lib.rs bench/engine/benches/engine.rs > src/lib.rs \
 && cargo build --release --locked
COPY src src
# Docker keeps our files' times, which may lie before the stand-in's.
RUN touch src/lib.rs src/main.rs && cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get -qq update \
 && apt-get -qq install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin clockout
COPY --from=build /src/target/release/clockout /usr/local/bin/clockout
USER 10001
# Reachable from outside the container; in it the default, loopback, would be of no use.
ENV CLOCKOUT_HTTP_LISTEN=0.0.0.0:9464
EXPOSE 9464
# The image has no curl, and needs none.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["bash", "-c", \
  "exec 3<>/dev/tcp/127.0.0.1/${CLOCKOUT_HTTP_LISTEN##*:} && printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '^HTTP/1.. 200 ' <&3"]
ENTRYPOINT ["clockout"]
CMD ["run"]
