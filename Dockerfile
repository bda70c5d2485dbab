# A static binary in an empty image, run by a user without rights.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/picket . && mkdir /out/data

FROM scratch
COPY --from=build /out/picket /picket
# Agents keep their log here; the volume inherits the owner.
COPY --from=build --chown=65532:65532 /out/data /var/lib/picket
USER 65532:65532
VOLUME /var/lib/picket
EXPOSE 26379 26380 26381
ENTRYPOINT ["/picket"]
CMD ["run", "--config", "/etc/picket/picket.yaml"]
