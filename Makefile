# `make up` serves the whole product on this machine; `make test` runs all the tests. Python 3.11+ and make are all it needs.
PYTHON ?= python3
# Files of tests that run at the same time: more than the cores makes each so slow that what waits gives up.
JOBS ?= 2
DEAR_JOBS ?= 2
# The tests that need no whole site.
QUICK := -n $(JOBS) --dist loadfile --durations 15 tests --ignore tests/conformance --ignore tests/e2e --ignore tests/engine
VENV := .venv/bin
# Which calls of AWS the sites of the tests make is written down here, and compared with tests/calls/listed.toml.
CALLS := .pytest_cache/calls
# The folder's name is left to the shell, which takes it as it is.
RUN := PATH="$$PWD/$(VENV):$$PATH"
# The names of what was given as `make up NAME=value`, as opposed to what the shell has set for other programs.
GIVEN = $(strip $(foreach name,$(.VARIABLES),$(if $(findstring command,$(origin $(name))),$(name))))
UV_COMPILE := $(VENV)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header
MKDOCS := NO_MKDOCS_2_WARNING=1 $(VENV)/python -m mkdocs
# Settings of an imaginary site that is served to the world, for the checks alone.
CHECKED := SECRET_KEY=a-key-for-the-checks-alone-0123456789-abcdefghijklmnopqrstuvw COHORT_ACCOUNT=111122223333 VAR_DIR=/nonexistent DATABASE_URL=sqlite://:memory: \
	SITE_URL=https://cohort.example.org ALLOWED_HOSTS=cohort.example.org SECURE_COOKIES=true

.PHONY: help up install test coverage conformance bench screenshots docs lint lint-types lint-rest lint-front format lock schema clean

help:
	@echo "make up      install, start everything, serve on http://localhost:8000 (PORT, AWS_PORT, VAR_DIR move it)"
	@echo "make test    run all the tests (T=tests/stacks runs some)"
	@echo "make coverage    run the tests that need no whole site, and say which branches no test takes"
	@echo "make conformance   try the main path on the embedded AWS, or AWS=localstack, or AWS=account AWS_PROFILE=..., and write docs/conformance.md"
	@echo "make bench   measure how fast it is, beside its peers, and write docs/benchmarks.md"
	@echo "make screenshots   take pictures of every page into var/screenshots, with axe-core's eye on each"
	@echo "make docs    build the documentation into site/, which is served at /docs/; draw the database and the tables of settings anew"
	@echo "make lint    run all the checks"
	@echo "make format  put the code into shape"
	@echo "make lock    lock the versions named in requirements.in, requirements-dev.in and package.json"
	@echo "make schema  write stacks/manifest.schema.json and web/types/api.d.ts from the code"
	@echo "make clean   remove what was installed (never var/, where the data lies)"

install:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is missing. On Debian or Ubuntu: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) scripts/install.py

up: install site/index.html
	@$(RUN) COHORT_GIVEN="$(GIVEN)" exec $(VENV)/python scripts/up.py

# The dear tests begin in the order given: left to itself, xdist keeps the files with the fewest tests for the end, which take longest.
test: install
ifdef T
	@$(RUN) $(VENV)/python -m pytest $(T)
else
ifeq ($(COHORT_SLOW),1)
	@$(MAKE) --no-print-directory coverage
else
	@$(RUN) $(VENV)/python -m pytest $(QUICK)
endif
	@rm -rf $(CALLS) && mkdir -p $(CALLS)
	@$(RUN) RECORD_AWS_CALLS="$$PWD/$(CALLS)" $(VENV)/python -m pytest -n $(DEAR_JOBS) --dist loadfile --no-loadscope-reorder --durations 15 tests/conformance tests/engine tests/e2e
	@$(RUN) $(VENV)/python -m tests.calls $(CALLS)
endif

# AWS=embedded (the default), localstack or account. SEED=N has IAM's changes be seen as in the run that printed it; WITH_HOST=1
# deploys the host and the backups too, for DOMAIN=...
coverage: install
	@rm -f .coverage .coverage.*
	@$(RUN) $(VENV)/python -m coverage run -m pytest $(QUICK)
	@$(VENV)/python -m coverage combine --quiet
	@$(VENV)/python -m coverage report

conformance: install
	@$(RUN) $(VENV)/python -m tests.conformance $(or $(AWS),embedded) $(if $(SEED),--seed $(SEED)) $(if $(WITH_HOST),--with-host) $(if $(DOMAIN),--domain $(DOMAIN))

bench: install
	@$(RUN) $(VENV)/python -m tests.benchmarks

screenshots: install
	@$(RUN) $(VENV)/python -m tests.screenshots

# What follows from the code is written anew first, then everything is built; Material's notice about its own future is left out.
docs: install
	@$(CHECKED) $(VENV)/python scripts/docs_parts.py
	@$(MKDOCS) build --quiet --strict
	@echo "Built site/; \`make up\` serves it at /docs/."

site/index.html: mkdocs.yml scripts/docs_hook.py $(shell find docs -type f) | install
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) scripts/install.py run $(VENV)/python -m mkdocs build --quiet

# The types take as long as all the rest: they are checked beside it, and what each has to say is shown when it ends.
lint: install
	@$(MAKE) --no-print-directory --output-sync=target -j 3 lint-types lint-rest lint-front

lint-types:
	@$(CHECKED) $(VENV)/python -m mypy .

lint-rest:
	@$(VENV)/python -m ruff check .
	@$(VENV)/python -m ruff format --check .
	@$(VENV)/lint-imports --no-logo
	@$(CHECKED) $(VENV)/python manage.py check --deploy --fail-level WARNING
	@$(CHECKED) $(VENV)/python manage.py makemigrations --check --dry-run
	@$(RUN) $(VENV)/python scripts/lint_templates.py
	@$(CHECKED) $(VENV)/python scripts/docs_parts.py --check
	@$(MKDOCS) build --quiet --strict

lint-front:
	@$(RUN) node_modules/.bin/eslint .
	@$(RUN) node_modules/.bin/prettier --log-level warn --check .
	@$(RUN) node_modules/.bin/tsc
	@$(VENV)/python -m djlint --lint --quiet web control_plane assets
	@$(RUN) $(CHECKED) $(VENV)/python scripts/api_types.py --check

format: install
	@$(VENV)/python -m ruff check --fix .
	@$(VENV)/python -m ruff format .
	@$(RUN) node_modules/.bin/prettier --log-level warn --write .

lock: install
	@$(UV_COMPILE) -o requirements.txt requirements.in
	@$(UV_COMPILE) -o requirements-dev.txt requirements-dev.in
	@$(UV_COMPILE) -o tests/conformance/localstack.txt tests/conformance/localstack.in
	@$(UV_COMPILE) -o tests/benchmarks/awscli-requirements.txt tests/benchmarks/awscli-requirements.in
	@$(RUN) npm install --package-lock-only

schema: install
	@$(VENV)/python -c "import json; from stacks.manifest import json_schema; print(json.dumps(json_schema(), indent=2, sort_keys=True))" > stacks/manifest.schema.json
	@$(RUN) $(CHECKED) $(VENV)/python scripts/api_types.py

clean:
	rm -rf .venv .venv-awscli .venv-localstack node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis cdk.out
