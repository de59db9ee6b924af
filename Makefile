# Everything one does with this project; `make help` lists it. What is more than a line lies in scripts/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
TOOLS := target/tools/bin

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show the main job on a simulated PBX; brings its own RabbitMQ unless CLOCKOUT_AMQP_URL is set
	@scripts/ensure cc
	@cargo build --bin clockout
	@scripts/with-rabbitmq target/debug/clockout demo

.PHONY: test
test: ## Run all tests; they bring their own RabbitMQ unless CLOCKOUT_TEST_AMQP_URL is set
	@scripts/ensure cc broker
	@for need in $(FOREIGN); do \
	  scripts/ensure $$need || echo "tests that need $$need say that they are left out" >&2; done
	cargo test --workspace

# What only some tests need: a browser, the examples' languages, judges of alert rules, units and Compose files.
# CLOCKOUT_TEST_STRICT says which of them must not be missing.
FOREIGN := browser compose node php promtool python systemd

.PHONY: schemas
schemas: ## Write docs/schemas anew
	@scripts/ensure cc
	cargo build --bin clockout
	$(foreach subject,job outcome config,target/debug/clockout schema $(subject) > docs/schemas/$(subject).json;)

.PHONY: pictures
pictures: ## Take pictures of the page, light and dark, wide and narrow, into target/pictures; some go into docs/page
	@scripts/ensure cc broker browser
	@mkdir -p target/pictures
	CLOCKOUT_PICTURES=$(CURDIR)/target/pictures cargo test --test page -- the_page_shows on_the_page
	cp target/pictures/{shift-end-light-1280,outage-dark-1280,shift-end-dark-390,paused-light-1280}.png docs/page/

.PHONY: check
check: ## Check format, lints, documentation, dependencies and what a job costs the engine
	@scripts/ensure cc
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	@$(MAKE) deny engine-cost

.PHONY: deny
deny: $(TOOLS)/cargo-deny ## Check licences, sources, bans and advisories of the dependencies (part of check)
	$(TOOLS)/cargo-deny --log-level error check --hide-inclusion-graph bans licenses sources
	@if $(TOOLS)/cargo-deny fetch db >/dev/null 2>&1; then $(TOOLS)/cargo-deny check advisories; \
	else echo "left out: advisories, as the RustSec database cannot be fetched from here"; fi

# A debug build: it checks as well, and compiles in half the time.
$(TOOLS)/cargo-deny:
	cargo install cargo-deny --version 0.20.2 --locked --debug --root target/tools

.PHONY: sim
sim: ## Simulate the engine under faults: SEEDS=100000 for as many, SEED=n to replay one
	$(if $(SEEDS),CLOCKOUT_SIM_SEEDS=$(SEEDS)) $(if $(SEED),CLOCKOUT_SIM_SEED=$(SEED)) \
	  cargo test --test simulation every_seed -- --nocapture

.PHONY: cluster
cluster: ## Take the nodes of a RabbitMQ cluster away one by one while jobs flow (part of test)
	@scripts/ensure cc rabbitmq
	cargo test --test chaos cluster -- --nocapture

.PHONY: chaos soak
soak: JOBS ?= 20000
soak: STRIKES ?= 12
soak: SEEDS ?= 50
soak: MINUTES ?= 120
soak: BUILD = --release
chaos: ## Let real parts fail while jobs flow: SEEDS=10 or SEED=n to replay one, JOBS=2000 STRIKES=8 ONLY=worker SHARDS=3 REPORT=file
soak: ## The same for long, of a release build: no seed begins after MINUTES=120, SEEDS=50 of 20,000 jobs each, PARALLEL=1 at a time
chaos: BUILD =
chaos soak:
	@scripts/ensure cc rabbitmq
	$(foreach v,SEED SEEDS JOBS STRIKES MINUTES ONLY SHARDS PARALLEL REPORT,$(if $($v),CLOCKOUT_CHAOS_$v='$($v)')) \
	  cargo test $(BUILD) --test chaos whatever_fails -- --nocapture

.PHONY: mutants
mutants: ## Break one invariant after the other on purpose, and see whether simulation and chaos notice
	@scripts/ensure cc rabbitmq
	scripts/mutants

.PHONY: engine-cost engine-cost-update
engine-cost: COST = check
engine-cost-update: COST = update
engine-cost: ## Count what a job costs the engine and compare with bench/engine/cost.toml (part of check)
engine-cost-update: ## Write bench/engine/cost.toml anew
engine-cost engine-cost-update:
	@scripts/ensure cc valgrind
	cargo build --release -p clockout-engine-cost
	target/release/engine-cost $(COST) bench/engine/cost.toml

# A million waiting jobs need more memory than tests do.
BENCH = NODE_MEMORY=6GiB scripts/with-rabbitmq target/release/clockout-bench
PEERS := aio-pika celery-batches node-amqplib plain

.PHONY: bench bench-quick
bench: SIZE = --rounds $(or $(ROUNDS),5)
bench-quick: SIZE = --rounds $(or $(ROUNDS),1) --quick
bench-quick: ONLY ?= drain,latency,start-up
bench: ## Measure clockout beside the floor and its peers, an hour and a half: ONLY=drain,latency WHO=floor,clockout ROUNDS=5
bench-quick: ## Less of it in three minutes, once built, for a first look
bench bench-quick: bench-build $(PEERS:%=target/bench/peers/%)
	$(BENCH) suite $(SIZE) $(if $(ONLY),--only $(ONLY)) $(if $(WHO),--who $(WHO)) $(if $(ROW),--row '$(ROW)')

# As users run it, but that its functions have names and their callers can be found.
PROFILED = CARGO_PROFILE_RELEASE_DEBUG=line-tables-only RUSTFLAGS="-C force-frame-pointers=yes" \
  cargo build --release --target-dir target/profile -p clockout

.PHONY: profile
profile: bench-build ## Say by perf where the worker's processor time goes: ROW='PBX 5 ms'
	@scripts/ensure perf
	$(PROFILED)
	rm -f target/profile/samples-*
	$(BENCH) suite --rounds 1 --only drain --who clockout --row '$(or $(ROW),PBX 5 ms)' \
	  --clockout bench/profile/recorded --out target/profile/results.json
	bench/profile/shares.py target/profile/samples-*

.PHONY: bench-soak
bench-soak: bench-build ## See whether memory, handles or tasks of the worker grow in MINUTES=60 at RATE=200 jobs per second
	$(BENCH) soak --minutes $(or $(MINUTES),60) --rate $(or $(RATE),200)

.PHONY: bench-build
bench-build:
	@scripts/ensure cc rabbitmq
	cargo build --release -p clockout -p clockout-bench

# Always: what is there may be of another day.
.PHONY: always
always:
target/bench/peers/%: always
	@bench/peers/$*/install $@

.PHONY: plots
plots: target/bench/plots ## Draw the pictures and fill in the tables of docs/performance.md and docs/operating.md from bench/results
	$</bin/python bench/plots/plots.py bench/results docs/performance.md docs/operating.md

target/bench/plots: bench/plots/requirements.txt
	@scripts/ensure python
	python3 -m venv $@
	$@/bin/pip install --quiet --requirement $<

.PHONY: bench-engine
bench-engine: ## Measure the engine alone: jobs per second
	@scripts/ensure cc
	cargo bench -p clockout-engine-cost

.PHONY: fuzz
fuzz: $(TOOLS)/cargo-fuzz ## Feed random bytes to every parser, for SECONDS=60 each
	@for target in $$($(TOOLS)/cargo-fuzz list); do \
	  mkdir -p "fuzz/corpus/$$target"; \
	  RUSTC_BOOTSTRAP=1 $(TOOLS)/cargo-fuzz run "$$target" "fuzz/corpus/$$target" "fuzz/seeds/$$target" \
	    -- -max_total_time=$(or $(SECONDS),60); done

$(TOOLS)/cargo-fuzz:
	cargo install cargo-fuzz --version 0.13.2 --locked --debug --root target/tools

.PHONY: docker
docker: ## Build the image and run in Docker what the docs show, on the ports of docker-compose.yml: DOCKER_BUILD='--network host'
	@scripts/ensure cc compose
	docker image inspect rabbitmq:4-management >/dev/null 2>&1 || docker pull rabbitmq:4-management
	docker build $(DOCKER_BUILD) --tag clockout .
	CLOCKOUT_TEST_DOCKER=1 cargo test --test contract in_docker -- --nocapture

.PHONY: systemd
systemd: ## Boot a Debian in a container, and run there the unit of deploy/systemd as docs/hardening.md says; needs root
	@scripts/ensure cc broker nspawn
	scripts/debian target/debian
	CLOCKOUT_TEST_SYSTEMD=$(CURDIR)/target/debian cargo test --test contract in_systemd -- --nocapture

.PHONY: up
up: ## Start RabbitMQ, the simulated PBX, a worker, Prometheus and Grafana in Docker
	$(COMPOSE) --profile sim --profile watch up --build --detach

.PHONY: down
down: ## Stop what `make up` started and remove its data
	$(COMPOSE) --profile sim --profile watch down --volumes

.PHONY: clean
clean: ## Remove everything that was built
	cargo clean
