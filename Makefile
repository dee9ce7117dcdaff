SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

BIN   := bin/eipgw
CACHE := $(CURDIR)/.cache
LINT  := $(CACHE)/bin/golangci-lint
LINT_VERSION := v2.6.2
BENCHSTAT := $(CACHE)/bin/benchstat
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da

define newline


endef

# The demo's real parts: SWITCH=frr runs FRR as both switches, ROUTER=ovs runs
# Open vSwitch in userspace as the virtual routers.
SWITCH ?= embedded
ROUTER ?= embedded

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# With the profile cmd/eipgw/default.pgo, which go build finds by itself.
.PHONY: build
build: ## build bin/eipgw
	@mkdir -p bin
	go build -o $(BIN) ./cmd/eipgw

# For tests and lint nothing is optimized by the profile: that would be everything compiled once more.
NOPGO := GOFLAGS="$$GOFLAGS -pgo=off"

.PHONY: pgo
pgo: root ## renew cmd/eipgw/default.pgo, by which the compiler optimizes, from learning a million routes
	.ci/packages bench
	rm -rf $(CACHE)/pgo
	go build -trimpath -pgo=off -o $(CACHE)/pgo/eipgw ./cmd/eipgw
	go run ./perf/scale -eipgw $(CACHE)/pgo/eipgw -only eipgw -rounds 2 -profile $(CACHE)/pgo
	go tool pprof -proto -output cmd/eipgw/default.pgo $(CACHE)/pgo/eipgw-*.cpu

.PHONY: root
root:
	@[ "$$(id -u)" = 0 ] || { echo "needs root: it makes network namespaces, loads an XDP program and opens AF_XDP sockets. Run it as root (sudo make $(or $(firstword $(MAKECMDGOALS)),test)), or 'make unit' for what needs no root." >&2; exit 1; }

.PHONY: demo
demo: root build ## the gateway's main job on a network in namespaces; SWITCH=frr ROUTER=ovs for real parts
	@sets=""; [ "$(SWITCH)" != frr ] || sets="$$sets frr"; [ "$(ROUTER)" != ovs ] || sets="$$sets ovs"; \
	[ -z "$$sets" ] || .ci/packages $$sets
	$(BIN) demo --switch $(SWITCH) --router $(ROUTER)

.PHONY: test
test: root build ## every test: unit, race, pcap cases, integration with FRR, BIRD, ExaBGP, Open vSwitch and OVN
	.ci/packages test
	$(NOPGO) go vet ./...
	$(NOPGO) go test -count=1 -timeout 15m ./... # the integration tests build the binary: no cached result speaks for it
	$(NOPGO) go test -race -timeout 15m $(RACE)

# What has goroutines or memory of its own is run again under the race detector.
RACE := ./encap/... ./dataplane/... ./bgpd/... ./cmd/... ./pcaps/...

.PHONY: unit
unit: ## the tests that need no root; the others skip and say so
	$(NOPGO) go vet ./...
	$(NOPGO) go test ./...

.PHONY: ci
ci: export EIPGW_NO_SKIP = 1
ci: check-generated lint test ## what .ci/run runs: a skip is a failure

.PHONY: lint
lint: $(LINT) ## gofmt, vet, staticcheck and the import rules
	$(NOPGO) $(LINT) run --allow-parallel-runners ./...

$(LINT):
	.ci/packages build
	GOBIN=$(CACHE)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

$(BENCHSTAT):
	GOBIN=$(CACHE)/bin go install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)

.PHONY: generate
generate: ## regenerate the XDP program and the pcap cases
	.ci/packages generate
	go generate ./...

.PHONY: check-generated
check-generated: generate ## fail when the committed generated files are not what the sources give
	go mod tidy -diff
	@out=$$(git status --porcelain -- '*_bpfel.go' '*_bpfel.o' pcaps go.mod go.sum) || exit 1; \
	[ -z "$$out" ] || { echo "generated files differ from what is committed (run 'make generate' and commit):"; echo "$$out"; exit 1; }

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (default 30s)
	@set -e; grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r d; do \
	  for f in $$(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' $$d/*_test.go | awk '{print $$2}' | sort -u); do \
	    echo "== $$d $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$d; done; done

# Benchmarks in memory: each COUNT times, but loading, which takes seconds. Times are CPU
# times of a thread, so that others on the machine disturb them less.
COUNT ?= 6
BENCHTIME ?= 100ms
BENCHES := ./encap ./dataplane ./perf
define benchmarks
go test -run '^$$' -bench . -skip '^BenchmarkLoad$$' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) -timeout 1h $(BENCHES)
go test -run '^$$' -bench '^BenchmarkLoad$$' -benchtime 1x -count 3 -timeout 1h ./perf
endef

.PHONY: bench
bench: $(BENCHSTAT) ## benchmarks in memory, medians beside perf/baseline by benchstat; COUNT and BENCHTIME
	@mkdir -p $(CACHE)
	@rm -f $(CACHE)/bench.txt
	{ $(subst $(newline), && ,$(benchmarks)); } | tee $(CACHE)/bench.txt
	$(BENCHSTAT) -ignore machine,toolchain,state,commit,cpu,goos,goarch baseline=perf/baseline/bench.txt now=$(CACHE)/bench.txt

# What the machine is busy with goes into the baseline: make baseline STATE="nothing else runs"
STATE ?= not said
.PHONY: baseline
baseline: ## run the benchmarks and make them the new perf/baseline; STATE says what else the machine does
	@mkdir -p perf/baseline $(CACHE)
	{ echo "machine: $$(nproc) CPUs, $$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $$(uname -r)"; \
	  echo "toolchain: $$(go env GOVERSION) GOAMD64=$$(go env GOAMD64)"; echo "commit: $$(git describe --always --dirty)"; echo "state: $(STATE)"; \
	  $(subst $(newline), && ,$(benchmarks)); } | tee $(CACHE)/baseline.txt
	mv $(CACHE)/baseline.txt perf/baseline/bench.txt

.PHONY: lpm
lpm: ## lookups beside DPDK's rte_lpm and bart.Fast in turns
	.ci/packages bench
	go run ./perf/lpm

ROUNDS ?= 5
RESULTS ?= perf/results
.PHONY: peers
peers: root build ## eipgw and all it is measured beside, in turn over veth: rates, delays, CPU time, series; tables and plots to RESULTS (default perf/results)
	.ci/packages bench
	go build -o $(CACHE)/bin/veth ./perf/veth
	$(CACHE)/bin/veth -rounds $(ROUNDS) -out $(RESULTS)
	$(CACHE)/bin/veth -rounds $(ROUNDS) -series latency -contenders eipgw,testpmd -out $(RESULTS)
	$(CACHE)/bin/veth -rounds 3 -series eips -out $(RESULTS)
	$(CACHE)/bin/veth -rounds $(ROUNDS) -series churn -out $(RESULTS)
	$(CACHE)/bin/veth -series soak -out $(RESULTS)

.PHONY: profile
profile: root build ## CPU, heap, block, mutex and scheduler profiles and a flame graph of a gateway under load, to perf/profiles/DATE
	go run ./perf/veth -profile perf/profiles/$$(date +%Y-%m-%dT%H%M%S)

.PHONY: scale
scale: root build ## a million routes from BIRD, beside a bare GoBGP, ROUNDS times (default 5); then poll gaps
	.ci/packages bench
	go run ./perf/scale -rounds $(ROUNDS)
	go run ./perf/scale -gaps

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .cache
