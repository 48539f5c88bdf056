# syntax=docker/dockerfile:1
# escape=\
# A comment
ARG BASE=debian:bookworm UNSET
from --platform=$BUILDPLATFORM ${BASE} as Build
MAINTAINER Ana <ana@example.org>
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG A="x y" B
ENV one=1 two="2 3" three=4\ 5
ENV legacy some "quoted" value
LABEL a.b="c" d=e
RUN apt-get update && \
    # a comment between
    apt-get install -y \
      golang
RUN ["/bin/true", "a\tb"]
RUN --network=none --mount=type=cache,target=/x make
WORKDIR /src
COPY --chown=1:2 --chmod=644 a "b" c/
COPY ["with space", "dst/"]
ADD --checksum=sha256:00 https://example.org/x.tar /x
COPY --from=build --link /hello /usr/bin/
VOLUME /data /more
VOLUME ["/data"]
USER me:us
EXPOSE 80 443/tcp $PORTS
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f http://localhost || exit 1
HEALTHCHECK NONE
HEALTHCHECK CMD ["/check"]
ONBUILD COPY . /app
ENTRYPOINT ["app"]
CMD
FROM scratch
CMD run me
