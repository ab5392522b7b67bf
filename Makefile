# Works on a fresh Debian 12 or 13, from a clean clone. Whatever a target needs is installed with apt where it is missing,
# with sudo where you are not root, and named before. Nothing is written outside .venv, build and the caches of the tools.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
DEB := build/xenlocal.deb

# What each part needs of Debian.
APT_RUN := python3 python3-configobj python3-daemon python3-pyinotify python3-sh
APT_VENV := python3 python3-venv
APT_DEB := build-essential debhelper dh-python fakeroot lintian pybuild-plugin-pyproject python3-all python3-setuptools scdoc
APT_XEN := busybox-static cpio e2fsprogs fakeroot kmod mmdebstrap python3 qemu-system-x86 qemu-utils zstd
APT_LINT := fonts-dejavu-core graphviz librsvg2-bin lvm2 shellcheck systemd
APT_EDITORS := emacs-nox fakeroot nano rsync vim

# All tests that need neither a package nor a machine, and those that do, in the order of their cost.
SLOW_TESTS := $(wildcard tests/editors tests/package tests/systemd tests/xen)
FAST_TESTS := $(filter-out $(SLOW_TESTS) tests/records tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))
FAST_TESTS += $(wildcard tests/test_*.py)

# Silent where nothing is missing, so that the closing line of pytest is the last one.

define need
@missing=; for package in $(1); do \
	dpkg-query -W -f='$${db:Status-Status}' "$$package" 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
done; \
if [ -n "$$missing" ]; then \
	echo "== installing with apt:$$missing"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -q; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
fi
endef

.PHONY: help
help:  ## say what there is
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## (.*)/make \1|\2/' | column -t -s '|'

.PHONY: venv
venv: $(VENV)/ready  ## the Python environment of the tests, in .venv

$(VENV)/ready: requirements-dev.txt
	$(call need,$(APT_VENV))
	@echo "== making $(VENV) from requirements-dev.txt"
	rm -rf $(VENV)
	/usr/bin/python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

.PHONY: lint
lint: venv
	$(call need,$(APT_LINT))
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy xenlocal tests demo bench
	shellcheck -x .ci/run completion/xenlocal debian/tests/smoke debian/xenlocal.postinst debian/xenlocal.postrm libexec/install libexec/modules libexec/resize tests/package/build-deb

.PHONY: check
check: lint  ## lint, types, layers, unit and property tests: what to run after every edit (seconds)
	$(PY) -m pytest -q $(FAST_TESTS)

build/fuzz-venv/ready: requirements-fuzz.txt requirements-dev.txt
	$(call need,$(APT_VENV))
	rm -rf build/fuzz-venv
	/usr/bin/python3 -m venv build/fuzz-venv
	build/fuzz-venv/bin/pip install --quiet --disable-pip-version-check -r requirements-fuzz.txt
	touch $@

.PHONY: fuzz
fuzz: build/fuzz-venv/ready  ## look for bytes that the configuration or the control socket cannot bear (SECONDS=1200 for each)
	build/fuzz-venv/bin/python -m tests.fuzz configuration -max_total_time=$(or $(SECONDS),1200)
	build/fuzz-venv/bin/python -m tests.fuzz control -max_total_time=$(or $(SECONDS),1200)

.PHONY: soak
soak: venv  ## every fault at every command of every scenario, then random days (SECONDS=600 JOBS=2; for a release as long as SEEDS=1000000 take)
	$(PY) -m tests.faults.soak --seconds $(or $(SECONDS),600) --seeds $(or $(SEEDS),1000000) --jobs $(or $(JOBS),2)

.PHONY: coverage
coverage: venv  ## whether the unit tests reach every line and branch of what decides: model, config, planner, engine
	$(call need,$(APT_LINT))
	$(PY) -m coverage run -m pytest -q tests/unit
	$(PY) -m coverage report

.PHONY: saves
saves: venv  ## a thousand saves by each way to save and each editor, read by the real watcher (hours)
	$(call need,$(APT_EDITORS))
	$(PY) -m pytest tests/config/test_saves.py tests/editors --saves=1000

.PHONY: mutants
mutants: venv  ## how many small faults in planner, configuration checks and guards the tests notice (half an hour)
	$(PY) -m tests.mutation

.PHONY: deb
deb:  ## the Debian package, in build/
	$(call need,$(APT_DEB))
	tests/package/build-deb build/deb
	cp build/deb/xenlocal_*_all.deb build/
	cp build/deb/xenlocal_*_all.deb $(DEB)
	@ls build/*.deb

.PHONY: test
test: lint deb  ## check, the package, and everything on a real Xen dom0 (Debian 12) in QEMU (under an hour)
	$(call need,$(APT_XEN) $(APT_EDITORS))
	$(PY) -m pytest $(FAST_TESTS) $(SLOW_TESTS) -m "not long" --deb=$(DEB) --suite=bookworm

.PHONY: test-all
test-all: lint deb  ## test, the long scenarios, and what is for every release on Debian 13 too
	$(call need,$(APT_XEN) $(APT_EDITORS))
	$(PY) -m pytest $(FAST_TESTS) $(SLOW_TESTS) --deb=$(DEB) --suite=bookworm --suite=trixie

.PHONY: demo
demo:  ## the real daemon and command line on a simulated dom0, narrated (a minute)
	$(call need,$(APT_RUN))
	@/usr/bin/python3 -m demo.demo

.PHONY: playground
playground: deb  ## a real Xen dom0 in QEMU with the package installed, a few domUs and a root prompt (or CMD='...')
	$(call need,$(APT_XEN))
	@sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo env PYTHONPATH=tests/xen TERM="$${TERM:-vt220}" /usr/bin/python3 -m playground --deb=$(DEB) --command="$${CMD:-}"

.PHONY: peers
peers: venv deb  ## what goes wrong under Debian's xendomains, and under xenlocal, on real Xen: one table (under an hour)
	$(call need,$(APT_XEN))
	$(PY) -m pytest tests/xen/test_peers*.py --deb=$(DEB) --suite=bookworm

.PHONY: bench
bench:  ## commands, processes and seconds against xendomains, and what the daemon costs (half an hour; IDLE=30 EDITS=500 less)
	$(call need,$(APT_RUN))
	@/usr/bin/python3 -m bench --idle $${IDLE:-300} --edits $${EDITS:-10000}

.PHONY: clean
clean:  ## remove what make made here
	rm -rf build $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find xenlocal tests -name __pycache__ -type d -prune -exec rm -rf {} +
