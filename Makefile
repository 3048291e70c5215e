# One command each; `make help` lists them. What they do is in tools/, tests/demo/, tests/vm/,
# tests/containers/ and tests/bench/.
PYTHON ?= python3
SUITE ?= bookworm
STEPS = format lint types contracts unit integration

.PHONY: help check $(STEPS) environments demo containers install deb rpm vm vm-all bench faults kills outages endurance clean

help:
	@echo "make check        all that CI runs short of demo and vm: $(STEPS)"
	@echo "make STEP         one of these steps"
	@echo "make demo         a first boot on a view of this very machine, as root, in namespaces"
	@echo "make containers   init systems and network managers in Debian containers; docs/containers.md"
	@echo "make install      the agent on this machine, or below DESTDIR=, as FAMILY= has it"
	@echo "make deb          dist/waagent_*.deb for Debian, or FAMILY=ubuntu"
	@echo "make rpm          dist/waagent-*.rpm for FAMILY=redhat, fedora, suse, sles or azurelinux"
	@echo "make vm           our package in real virtual machines, scenario by scenario; docs/vm.md"
	@echo "make vm-all       containers, then virtual machines with Debian 12 and 13"
	@echo "make faults       each fault of a disk or command in a first boot, real; docs/faults.md"
	@echo "make kills        SIGKILL to the child at each step of an extension's life; docs/kills.md"
	@echo "make endurance    a thousand goal states, clock jumps, 25 dependent extensions; 45 minutes"
	@echo "make outages      what each fault of the fabric costs, for an hour of it; docs/outages.md"
	@echo "make bench        our agent and Debian's own in turns, in virtual machines; docs/bench.md"
	@echo "make clean        remove what the above made in this folder"

check:
	@$(PYTHON) tools/check.py

$(STEPS):
	@$(PYTHON) tools/check.py $@

environments:
	@$(PYTHON) tools/check.py environments

demo:
	@$(PYTHON) tools/launch.py demo

# SCENARIO= is one of tests/containers/scenarios/.
containers:
	@$(PYTHON) tools/launch.py containers $(SCENARIO)

# AGENT_PYTHON is the interpreter that shall run the agent, PYTHONDIR the folder for its modules.
install:
	@$(PYTHON) tools/packaging/install.py --destdir="$(DESTDIR)" --family="$(FAMILY)" \
		--interpreter="$(AGENT_PYTHON)" --python-dir="$(PYTHONDIR)" --rpm-files="$(RPM_FILES)"

deb:
	@$(PYTHON) tools/packaging/deb.py "$(FAMILY)"

rpm:
	@$(PYTHON) tools/packaging/rpm.py --family="$(FAMILY)" --interpreter="$(AGENT_PYTHON)"

# What fits into fifteen minutes; SCENARIO= alone is all there is, as vm-all has it.
vm: SCENARIO ?= first_boot extensions hanging generalized
# SUITE=trixie is Debian 13; ROOT= and FAMILY= another distribution, as a folder or a tar file;
# AGENT= another package; BREAK= one of tests/vm/breaks/; SCENARIO= one of tests/vm/scenarios/.
vm:
	@$(PYTHON) tools/launch.py vm --suite=$(SUITE) $(if $(AGENT),--agent="$(AGENT)") \
		$(if $(ROOT),--root="$(ROOT)" --family=$(FAMILY)) $(if $(BREAK),--break="$(BREAK)") \
		$(SCENARIO)

vm-all:
	@verdict=0; \
	$(MAKE) --no-print-directory containers || verdict=1; \
	$(MAKE) --no-print-directory vm SUITE=bookworm SCENARIO= || verdict=1; \
	$(MAKE) --no-print-directory vm SUITE=trixie SCENARIO= || verdict=1; \
	exit $$verdict

# Every row of docs/faults.md's disks and commands, real, with real time limits.
faults:
	@$(PYTHON) tools/launch.py faults run

# Every row of docs/kills.md, and a kill before every single step.
kills:
	@$(PYTHON) tools/launch.py kills run

# COUNT= is another number of goal states; from 500 on with the bounds of a long run.
endurance:
	@$(PYTHON) tools/launch.py endurance $(COUNT)

# WHAT= is one of hour, real, package, child; all of them without it.
outages:
	@$(PYTHON) tools/launch.py outages $(WHAT)

bench:
	@$(PYTHON) tools/launch.py bench $(BENCH)

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
