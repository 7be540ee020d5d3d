# kube-sluice: what can be done with a checkout. `make` alone lists it.
#
# Nothing needs to be installed first: each target that runs something begins with `setup`. All of it runs on the
# project's own Node, which is first in PATH.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# vitest prints to the terminal and leaves its figures in a file as well. With CI set, no test may be skipped because
# the machine lacks something, and no snapshot is written.
vitest = CI=true vitest run --project $(1) --reporter=default --reporter=json --outputFile.json=.cache/reports/$(1).json

# Folders too: their time is that of the last file that came or went.
bundled := $(shell find src ! -name '*.test.ts') scripts/build.ts scripts/bundle.ts package.json package-lock.json

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: tools dist/kube-sluice.cjs ## install what is missing on this machine, and build; quick when nothing is

.PHONY: tools
tools:
	@scripts/setup.sh

dist/kube-sluice.cjs: $(bundled) | tools
	@node scripts/build.ts

.PHONY: demo
demo: setup ## a two-node cluster in network namespaces, Services on it, traffic (needs root)
	@bin/kube-sluice demo

.PHONY: test
test: check e2e ## everything: static checks, unit and property tests, tests on the real kernel (needs root)
	@node scripts/count-tests.ts .cache/reports/{unit,e2e,uml}.json

.PHONY: check
check: setup ## static checks, unit and property tests
	@rm -rf .cache/reports
	biome ci $(if $(NO_COLOR),--colors=off) .
	tsc -p .
	$(call vitest,unit)

.PHONY: e2e
e2e: setup ## tests on the real kernel: network namespaces, CNI plugins, a second kernel for IPVS (needs root)
	@rm -f .cache/reports/{e2e,uml}.json
	@[ "$$(id -u)" -eq 0 ] || { echo "make e2e: only root can make network namespaces and rules" >&2; exit 1; }
	@scripts/e2e.sh

.PHONY: bench
bench: setup ## measure: one JSON line a figure (needs root); BENCH="--mode ipvs" and the like choose
	@node bench/main.ts $(BENCH)

.PHONY: build
build: tools ## build dist/kube-sluice.cjs anew
	@node scripts/build.ts

.PHONY: clean
clean: ## remove what was built and cached; node_modules stays
	rm -rf dist .cache
