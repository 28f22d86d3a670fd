# c2conn: `make demo` shows what it does, `make test` proves it.

SHELL := /bin/bash
# -trimpath is a cache key of its own: with it everywhere, the Graph models (minutes
# of compiling) are built once for plain builds and once for the race detector.
export GOFLAGS := -trimpath -buildvcs=false
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/c2conn/c2conn/internal/cli.number=$(VERSION)
PLAIN   := CGO_ENABLED=0
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: build demo test bench conformance integration live ci fmt vet lint cross fuzz golden clean

build:
	$(PLAIN) go build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/c2conn ./cmd/c2conn-sim

# The main job against a simulated tenant: the wizard in a terminal, the scripted run elsewhere.
demo: build
	@scripts/demo

test:
	go test -race -timeout 35m ./...

# Every figure that the documentation quotes.
bench: build
	@scripts/bench

# Recorded Graph and EWS traffic against the official schemas; needs ../shared.
conformance: build
	@scripts/conformance

# The keychain and clients that nobody here wrote; needs root, apt and npm.
integration: build
	@scripts/integration

# The journey against a real tenant, and what Microsoft's services really answer; see docs/live.md.
live: build
	@scripts/live

fmt:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "not gofmt-ed:"; echo "$$bad"; exit 1; }

vet:
	$(PLAIN) go vet ./...
	$(PLAIN) go vet -tags integration ./integration
	@if $(PLAIN) go list -deps ./cmd/c2conn | grep azure-sdk-for-go/sdk/azcore; then echo "c2conn must not link azcore"; exit 1; fi
	$(PLAIN) GOOS=windows go vet ./connections/... ./internal/certs/... ./internal/cloud/... ./internal/handout/...
	$(PLAIN) GOOS=darwin go vet ./connections/... ./internal/certs/... ./internal/cloud/... ./internal/handout/...

lint:
	@scripts/lint $(GOLANGCI)

# One after the other: each compiles the Graph models and takes 4.5 GB.
cross:
	$(PLAIN) GOOS=windows GOARCH=amd64 go build -ldflags '$(LDFLAGS)' -o bin/c2conn.exe ./cmd/c2conn
	$(PLAIN) GOOS=darwin GOARCH=arm64 go build -ldflags '$(LDFLAGS)' -o bin/c2conn-darwin-arm64 ./cmd/c2conn

ci:
	@scripts/ci

FUZZTIME ?= 30s
fuzz:
	@scripts/fuzz $(FUZZTIME)

# Rewrites the golden screens and texts; look at the difference before committing it.
golden:
	go test ./wizard/ ./internal/cli/ ./internal/advice/ ./internal/report/ ./registration/ -update

clean:
	rm -rf bin dist
