# SPDX-License-Identifier: GPL-3.0-or-later
# Each command first makes the virtual environment of the lock file, where it is missing.
#   PYTHON   the CPython for it: a path, python3.12 or 3.12; if unset, the distribution's or the newest
#   ONLY     names or groups of checks, separated by commas
#   WORDS    what a row of the matrix must have, as "units 2.17"
#   FUZZ_SECONDS  how long make fuzz looks for faults

PYTHON ?=
ONLY ?=
FUZZ_SECONDS ?= 600
environment := python3 -m tools.environment --python "$(PYTHON)"

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-faults test-matrix bench fuzz lint docs release lock lab-down clean

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: ## Make the virtual environment, and .venv as a link to it
	@$(environment)

demo: ## Deploy and verify on a test cluster that is set up on this machine; it stays up
	@$(environment) -- python -m tools.demo

test: ## Run every check, or those that ONLY names
	@$(environment) -- python -m tools.check $(ONLY)

test-faults: ## Turn every fault of the test cluster on, and see its cause named and mended
	@$(environment) -- python -m tools.check faults

test-matrix: ## Run units, sanity and playbooks with every ansible-core, CPython and Kubernetes; WORDS choose
	@$(environment) -- python -m tools.matrix $(WORDS)

bench: ## Measure echo app, probe, diagnosis and a fleet, and site.yml side by side with other ways
	@$(environment) -- python -m tools.bench_echo
	@$(environment) -- python -m tools.bench_probe
	@$(environment) -- python -m tools.bench_path
	@$(environment) -- python -m tools.bench_fleet
	@$(environment) -- python -m tools.bench

fuzz: ## Feed what reads answers with made-up ones for ten minutes, or FUZZ_SECONDS
	@$(environment) -- python -m tools.fuzz $(FUZZ_SECONDS)

lint: ## Run only the linters
	@$(environment) -- python -m tools.check lint

docs: ## Make the site of the documentation, build/site/html; PICTURES=1 also shows it as a browser does
	@$(environment) -- python -m tools.site $(if $(PICTURES),--pictures)

release: ## Build the artifact to publish, and look at it as Galaxy does; FINAL=1 fails if something is left to do
	@$(environment) -- python -m tools.release $(if $(FINAL),--final)

lock: ## Write requirements/*.txt from requirements/*.in; UPGRADE=1 takes newer versions
	@$(environment) -- python -m tools.lock write $(if $(UPGRADE),--upgrade)

lab-down: ## Remove the demo's test cluster
	@$(environment) -- python -m lab down

clean: ## Remove what these commands wrote into the checkout
	rm -rf build .ansible .venv
