# What people and CI call. Every target first makes sure that .venv is as uv.lock says.

.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster image test test-cluster storm storm-cluster lint bench bench-parts docs

BIN := .venv/bin
ARGS ?=

help:
	@printf 'make demo    start a node, deploy the examples, call each with real data, and end\n'
	@printf '             (ARGS=--keep: keep the node running until Ctrl-C)\n'
	@printf 'make demo-cluster  three nodes on one PostgreSQL and S3-compatible store; one is killed under\n'
	@printf '             load (ARGS=--keep: keep the logs)\n'
	@printf 'make image   build the container image into dist/, and try it as root (no engine is needed)\n'
	@printf 'make test    run the whole test suite (ARGS: for pytest, such as ARGS="-k manifest")\n'
	@printf 'make storm   run the tests that take long: kills, faults, floods, searches (ARGS: for pytest)\n'
	@printf 'make test-cluster   strike PostgreSQL under Patroni while nodes write (root; 15 minutes)\n'
	@printf 'make storm-cluster  the same for hours, then whole nodes (KILLS, FREEZES, CUTS: how many;\n'
	@printf '             PROFILE; ARGS=--minutes=60: no longer than that for each of the three)\n'
	@printf 'make lint    check style, types, layers, dependencies and known bad patterns\n'
	@printf 'make bench   measure against peers, side by side (ARGS: such as ARGS=--quick)\n'
	@printf 'make bench-parts  measure what has commands of its own: contracts, the sink guard,\n'
	@printf '             capabilities, delivery, overload, sources\n'
	@printf 'make docs    write what is made from code and lock: parts of docs/reference, constraints.txt\n'

demo:
	@scripts/bootstrap
	@$(BIN)/python scripts/demo $(ARGS)

demo-cluster:
	@scripts/bootstrap test
	@$(BIN)/python -m scripts.demo_cluster $(ARGS)

image:
	@scripts/bootstrap
	@$(BIN)/python -m scripts.image --out dist/casemate-image.tar
	@$(BIN)/python -m scripts.image --try dist/casemate-image.tar

test:
	@scripts/bootstrap test
	@scripts/test $(ARGS)

storm:
	@scripts/bootstrap test
	@scripts/test --storm $(ARGS)

# The first loses nothing; the second loses what it acknowledged, and the nodes have to refuse it.
test-cluster:
	@scripts/bootstrap test
	@scripts/cluster-tools
	@PYTHONPATH=tests:. $(BIN)/python -m cluster --profile guide --engine-kills 2 --switches 1 \
		--kills 1 --cuts 2 --freezes 1 --dcs-freezes 1 --clocks 2 --fulls 1 --slows 1 $(ARGS)
	@PYTHONPATH=tests:. $(BIN)/python -m cluster.nodes --lanes one --node-kills 2 --node-freezes 1 \
		--failovers 1 --cut-database 1 --cut-nodes 1 $(ARGS)
	@PYTHONPATH=tests:. $(BIN)/python -m cluster --profile watched --freezes 1 --kills 1 $(ARGS)
	@PYTHONPATH=tests:. $(BIN)/python -m cluster --profile stock --lags 1 $(ARGS)

KILLS ?= 1000
FREEZES ?= 100
CUTS ?= 60
PROFILE ?= guide

storm-cluster:
	@scripts/bootstrap test
	@scripts/cluster-tools
	@PYTHONPATH=tests:. $(BIN)/python -m cluster --profile $(PROFILE) --engine-kills $(KILLS) \
		--kills 100 --switches 100 --freezes $(FREEZES) --dcs-freezes $(FREEZES) --cuts $(CUTS) \
		--clocks 100 --fulls 100 --slows 100 $(ARGS)
	@PYTHONPATH=tests:. $(BIN)/python -m cluster.nodes --lanes all --in-a-row 2 --pause 1 \
		--node-kills $(KILLS) --node-freezes $(FREEZES) --failovers 60 --backend-kills 150 \
		--machine-kills 10 --switches 10 --machine-freezes 20 --both-freezes 20 \
		--standby-kills 200 --standby-freezes 70 --dcs-kills 500 --dcs-freezes 150 $(ARGS)
	@PYTHONPATH=tests:. $(BIN)/python -m cluster.nodes --node-kills 100 --node-freezes 20 \
		--failovers 20 --machine-kills 10 --switches 10 --slow-commits 20 \
		--cut-database $(CUTS) --cut-bucket $(CUTS) --cut-nodes $(CUTS) $(ARGS)

# Two at a time: mypy takes about as long as all others. What each says comes in one piece.
lint:
	@scripts/bootstrap
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going $(CHECKS)

CHECKS := lint-types lint-style lint-layers lint-dependencies lint-bounds lint-patterns lint-reference
.PHONY: $(CHECKS)

lint-types:
	$(BIN)/mypy
	$(BIN)/mypy scripts/demo
lint-style:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
lint-layers:
	$(BIN)/mypy --package scripts.image --package scripts.demo_cluster
	$(BIN)/lint-imports
lint-dependencies:
	$(BIN)/deptry src
lint-bounds:
	$(BIN)/python scripts/measure --check
lint-patterns:
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src
# What differs is made by `make docs`. The tests say so too, but a quarter of an hour later.
lint-reference:
	$(BIN)/python -m casemate.api.reference | diff docs/reference/api.md -
	$(BIN)/python -m casemate.cli.reference | diff docs/reference/cli.md -

bench:
	@scripts/bootstrap bench
	@$(BIN)/python -m bench $(ARGS)

bench-parts:
	@scripts/bootstrap test
	@scripts/bootstrap bench
	@for part in policy observing contracts guard capabilities delivery overload sources advisories building; do \
		echo "== python -m bench.$$part"; $(BIN)/python -m bench.$$part || exit 1; \
	done

# Each page is written only when it could be made: a failure must not leave an empty one.
docs:
	@scripts/bootstrap
	$(BIN)/python -m casemate.manifest docs/reference
	$(BIN)/python -m casemate.playbooks docs/reference
	$(BIN)/python -m casemate.audit docs/reference
	page=$$($(BIN)/python -m casemate.api.reference) && printf '%s\n' "$$page" >docs/reference/api.md
	page=$$($(BIN)/python -m casemate.cli.reference) && printf '%s\n' "$$page" >docs/reference/cli.md
	versions=$$(scripts/constraints) && printf '%s\n' "$$versions" >constraints.txt
