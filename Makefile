# Every target sets the machine up first (.tools/setup does nothing when all is there).
# One profile (dev), one feature set: no target makes another one's work stale.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build demo gateway-demo test bench bench-relay bench-gateway bench-peers deb check fmt mutants ci

# Sourced in each recipe, not exported here: setup may only just have installed ccache and cargo.
ENVIRONMENT := source .tools/env
WORKSPACE := --workspace --locked
# One list for both benches, so that neither makes the other's build stale.
MEASURED := --bin khlong --bin khlong-relay --bin khlong-gateway --example bench --example gateway-bench

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing (compilers, libclang, ccache, Rust); all targets do this first
	@.tools/setup

build: setup ## Build everything, tests included
	@$(ENVIRONMENT) && cargo build $(WORKSPACE) --all-targets

demo: setup ## A relay, three nodes, a conversation, a crash, convergence: in under a minute once built
	@$(ENVIRONMENT) && cargo build $(WORKSPACE) --all-targets && .tools/demo

gateway-demo: setup ## Accounts, a Thai QR, a payment, a fee, a refund, a killed process, books that balance: in 20 seconds once built
	@$(ENVIRONMENT) && cargo build $(WORKSPACE) --all-targets && "$${CARGO_TARGET_DIR:-target}/debug/examples/gateway-demo"

test: setup ## All tests, the examples in the docs, and the independent decoder of the frozen vectors
	@$(ENVIRONMENT) && .tools/test

# A build of its own (--release): figures of the dev profile are of no use.
bench: bench-relay bench-gateway ## Measure all; BENCH="--full --json --samples 1" goes to both (first build: a quarter of an hour)

bench-relay: setup ## Measure relay and node; BENCH="--only ingest --only wire" takes a part
	@$(ENVIRONMENT) && cargo build $(WORKSPACE) --release $(MEASURED) && "$${CARGO_TARGET_DIR:-target}/release/examples/bench" $(BENCH)

bench-gateway: setup ## Measure the gateway; BENCH="--only ledger --only http" takes a part
	@$(ENVIRONMENT) && cargo build $(WORKSPACE) --release $(MEASURED) && "$${CARGO_TARGET_DIR:-target}/release/examples/gateway-bench" $(BENCH)

# The peers come from their own packages; one that cannot be had fails the command.
bench-peers: setup ## The same beside NATS JetStream and PostgreSQL, in turn, with ratios; arguments as for bench
	@$(ENVIRONMENT) && .tools/peers && peers="$${CARGO_TARGET_DIR:-target}/peers" && \
	  $(MAKE) --no-print-directory bench-relay BENCH="--only ingest --only fanout --nats-server $$peers/bin/nats-server $(BENCH)" && \
	  $(MAKE) --no-print-directory bench-gateway BENCH="--only ledger --only postgres-journal --postgres $$peers/postgres $(BENCH)"

deb: setup ## A Debian package of the relay, in target/ (a release build, as for bench)
	@$(ENVIRONMENT) && cargo build $(WORKSPACE) --release --bin khlong-relay && relay/packaging/deb "$${CARGO_TARGET_DIR:-target}/release/khlong-relay" "$${CARGO_TARGET_DIR:-target}"

check: setup ## Formatting, clippy and rustdoc, warnings denied
	@$(ENVIRONMENT) && cargo fmt --all --check
	@$(ENVIRONMENT) && cargo clippy $(WORKSPACE) --all-targets -- -D warnings
	@$(ENVIRONMENT) && RUSTDOCFLAGS="-D warnings" cargo doc $(WORKSPACE) --no-deps

fmt: setup ## Format all Rust code
	@$(ENVIRONMENT) && cargo fmt --all

mutants: setup ## Switch one rule off at a time; the search for bugs must notice each (10 minutes)
	@.tools/mutants

ci: ## What CI runs: tests, demo, lints, dependency checks, the README's commands
	@.ci/run
