# `make` alone lists what there is. What takes more than a line stands in
# .ci/suites.sh, which runs as well without make.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Stamped into the programs. From git where there is one, and given by hand
# (make build VERSION=v1.2.3) where there is not. The time is the commit's, not
# the build's: so that the same source makes the same bytes.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || true)
TIME    ?= $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || true)

STAMP    = aniproxy/internal/buildinfo
LDFLAGS  = -s -w -X $(STAMP).version=$(VERSION) -X $(STAMP).commit=$(COMMIT) -X $(STAMP).committed=$(TIME)
# The list of what a program was made of is written by this machine, for whatever
# system the program is.
SBOM     = GOOS= GOARCH= CGO_ENABLED=0 go run -trimpath -buildvcs=false ./internal/sbom -licences docs/dependencies.md -version '$(VERSION)' -commit '$(COMMIT)' -time '$(TIME)'
GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

FUZZTIME ?= 60s
BENCH    ?= .
COUNT    ?= 1
SOAKTIME ?= 2h

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: build
build: ## build ./bin/aniproxy and ./bin/zendesk-sim, static, stamped, each with a list of what is in it (.cdx.json)
	@mkdir -p bin
	$(GO_BUILD) -o bin/ ./cmd/aniproxy ./cmd/zendesk-sim
	@for program in aniproxy zendesk-sim; do $(SBOM) -name $$program "bin/$$program$$(go env GOEXE)" >bin/$$program.cdx.json; done

.PHONY: run
run: build ## build, then start the simulator and the proxy on loopback; no account needed
	./bin/aniproxy demo

.PHONY: test
test: ## everything CI checks, in 15 minutes at most; installs what it lacks
	@.ci/suites.sh

.PHONY: check
check: build ## the quick round: build, lint, tests without the race detector
	@.ci/suites.sh --only format lint
	go test ./...

.PHONY: lint
lint: ## golangci-lint as .golangci.yml has it
	@.ci/suites.sh --only lint

.PHONY: bench
bench: ## benchmarks with allocations (BENCH=regexp COUNT=6 for benchstat)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (60s) each; keeps a part of what it finds, under testdata/fuzz
	@status=0; FUZZTIME=$(FUZZTIME) .ci/fuzz.sh || status=$$?; .ci/corpus.sh; exit $$status

.PHONY: corpus
corpus: ## keep a part of what fuzzing found, under testdata/fuzz
	@.ci/corpus.sh

.PHONY: soak
soak: ## the long form (ANIPROXY_LONG=1) of the tests named TestSoak… and TestKill…, with the race detector
	@grep -rqE --include '*_test.go' '^func Test(Soak|Kill)' . || { echo 'soak: there is no such test' >&2; exit 1; }
	ANIPROXY_LONG=1 go test -race -count 1 -timeout $(SOAKTIME) -v -run '^Test(Soak|Kill)' ./...

.PHONY: audit
audit: ## known vulnerabilities in what the programs call (asks a database on the network)
	@.ci/audit.sh

.PHONY: cover
cover: ## what the tests reach: total here, lines in bin/cover.html
	@mkdir -p bin
	go test -coverpkg ./... -coverprofile bin/cover.out ./...
	go tool cover -html bin/cover.out -o bin/cover.html
	@go tool cover -func bin/cover.out | tail -n 1

.PHONY: reproducible
reproducible: ## build again from a copy elsewhere with an empty cache: the bytes must be the same
	@VERSION='$(VERSION)' COMMIT='$(COMMIT)' TIME='$(TIME)' .ci/reproducible.sh

.PHONY: clean
clean: ## remove what make has built, but not .tools (minutes to build) nor data/
	rm -rf bin

# Steps of the above, and for a machine that is to be got ready beforehand.
.PHONY: tools deps-check
tools: # install what make test needs
	@.ci/suites.sh --setup
deps-check: # go.mod is tidy, the modules are what go.sum says
	@.ci/suites.sh --only modules
