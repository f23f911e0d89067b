# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Every target can be used alone. All tools are installed outside the repository, in
# ${RINGFENCE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/ringfence-etcd}; a second run finds them there.

PYTHON ?= python3
RUN = $(PYTHON) tests/run

.DEFAULT_GOAL := help
.PHONY: help test test-all lint unit integration lab-test changes kills bench demo demo-down build clean distclean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "  %-18s %s\n", $$1, $$2 }'

test: ## what CI runs and a change has to pass: lint, unit, integration, and the lab's scenarios whose day it is
	@$(RUN) test

test-all: ## the same with the scenarios of all days: two hours and a half on two cores
	@$(RUN) test-all

lint: ## formatting, types, documentation, licences, ansible-lint, ansible-test sanity, Galaxy's importer
	@$(RUN) lint

unit: ## unit tests with the newest and the oldest ansible-core and cryptography, on the oldest Python found
	@$(RUN) unit

integration: ## the modules against this machine: ansible-test integration; the page of the proof in a browser
	@$(RUN) integration

lab-test: ## real etcd on real hosts over SSH; needs root
	@$(RUN) lab-test

changes: ## what each change of a cluster costs those who write, with every etcd, as a table; needs root, two hours
	@$(RUN) changes

kills: ## each operation on a cluster killed at every boundary of its steps, counted, as a table; needs root, hours
	@$(RUN) kills

bench: ## time, memory and round trips beside community.crypto, openssl and bare cryptography; needs root
	@$(PYTHON) bench/run

demo: ## boot three hosts on this machine and make an etcd cluster of them; without root, on loopback
	@tests/lab/demo up

demo-down: ## take the demo away
	@tests/lab/demo down

build: ## the collection's tarball, in dist/
	@$(RUN) build

clean: ## remove what builds and tools left in the checkout, and the staged copies
	@$(RUN) clean

distclean: clean ## also remove the installed tools
	@$(RUN) distclean
