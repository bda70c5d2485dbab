# make demo   the main job, shown: three Redis, three agents, a master that dies
# make test   everything that must hold before a change lands (CI runs this)
# make bench  failover times beside Redis Sentinel's, in one run
# make chaos  what is lost beside Redis Sentinel when hosts and networks break
# make clients  how long client libraries can't write when the master changes, beside Redis Sentinel
SHELL := bash
GO ?= go

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

SIM_TIME ?= 2m# of seeds for the consensus simulator
SIM_FROM ?= 0# the first of them; 0: others each time
WORLD_SEEDS ?= 1000# for the simulation of the whole system
WORLD_FROM ?= 0# the first of them; 0: others each time
SOAK_COMMITS ?= 10000000# of three nodes with real disks
ARGS     ?=

RACE := GORACE=atexit_sleep_ms=0 $(GO) test -race -parallel 4 -timeout 15m

.PHONY: build demo test check unit scale flood sim world planted smoke bench chaos clients bench-consensus bench-consensus-short deb tarball kubernetes soak vuln redis tools man clean

build: ## the static binary, bin/picket
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/picket .

demo: redis build ## one failover, told in milliseconds; ARGS=--once ends after it
	bin/picket demo $(ARGS)

test: SIM_FROM = 1# the same seeds in each run; make sim and make world play others
test: WORLD_FROM = 1
test: SIM_TIME = 30s
test: WORLD_SEEDS = 400
test: check unit scale sim world planted smoke bench-consensus-short kubernetes ## all checks and tests

check: ## formatting, vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

unit: tools ## all tests, with the race detector, which else has each process sleep for a second before it ends; most of them wait most of the time
	$(RACE) $$($(GO) list ./... | grep -v /sentinel/)
	$(RACE) $$($(GO) list ./sentinel/... | grep /sentinel/) # not beside ./sentinel: both have agents whose elections need the processors in time

scale: tools ## ten thousand clients of one agent, a thousand masters; figures, in half a minute
	$(GO) test ./sentinel/scale -v

flood: tools ## failovers under a flood of ten thousand connections
	$(GO) test ./sentinel/scale -run TestFlood -v -args -scale.flood=1112 -scale.pace=2000 -scale.rounds=8 $(ARGS)

sim: ## seeds of the consensus simulator for SIM_TIME
	$(GO) test -timeout 2h ./consensus/sim -run TestSeeds -v -sim.time=$(SIM_TIME) -sim.from=$(SIM_FROM)

world: ## WORLD_SEEDS runs of the whole system, on virtual time; some hundred a minute; ARGS=-world.torn: of partitions and lost data
	$(GO) test -timeout 12h ./sentinel/sim -run TestSeeds -v -world.seeds=$(WORLD_SEEDS) -world.from=$(WORLD_FROM) $(ARGS)

planted: ## the bugs that the simulators, and the tests of webhooks, must catch, and how many seeds it needs for each
	$(GO) test -tags planted -timeout 30m ./consensus/sim ./failover ./sentinel/sim ./sentinel/webhook -run TestPlantedBugs -v

smoke: tools build ## the demonstration and a short benchmark, on the real binary
	bin/picket demo --once
	$(GO) run ./sentinel/bench --picket bin/picket --alone --crashes 5 --hangs 2 --switchovers 5

bench: tools build ## failover times of Picket and Redis Sentinel, side by side
	$(GO) run ./sentinel/bench --picket bin/picket $(ARGS)

chaos: tools build ## what clients lose when hosts and networks break, beside Redis Sentinel, in a quarter of an hour, as root; ARGS="--short --alone"
	$(GO) run ./sentinel/chaos --picket bin/picket $(ARGS)

clients: tools build ## client libraries of many languages while the master changes, beside Redis Sentinel, in three minutes; ARGS=--alone
	$(GO) run ./sentinel/clients --picket bin/picket $(ARGS)

bench-consensus: ## our Raft beside etcd/raft and hashicorp/raft, in some minutes; ARGS="-behind 1000000 -svg docs"
	cd consensus/bench && $(GO) run . $(ARGS)

bench-consensus-short: ## proves that the benchmark runs
	cd consensus/bench && $(GO) vet ./... && $(GO) test ./... && $(GO) run . -short

soak: ## an hour of seeds, and ten million commits that must leave memory and disk as they were
	$(GO) test -timeout 1h ./consensus -run MemoryAndDisk -v -soak.commits=$(SOAK_COMMITS)
	$(MAKE) sim SIM_TIME=1h

deb: build ## a Debian package, in bin
	docs/packaging/build deb bin/picket $(VERSION) bin

tarball: build ## the same files for other systems, in bin
	docs/packaging/build tarball bin/picket $(VERSION) bin

kubernetes: build ## the example for Kubernetes, by the types of its API and by picket itself
	cd docs/kubernetes/check && $(GO) vet ./... && $(GO) test ./...

vuln: ## known vulnerabilities in what the binary calls; needs the vulnerability database's host
	$(GO) run $(GOVULNCHECK) ./...

redis: ## redis-server, where it is missing
	@.ci/setup run

tools: ## what the tests need, where it is missing
	@.ci/setup test

man: ## manual pages, bin/man
	$(GO) run . man bin/man

clean:
	rm -rf bin
