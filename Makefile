# opmeter: per-operation Istio metrics for any Envoy. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help run demo-report generated build envoy-path test test-versions test-shared istio-parts test-istio check unit wasm-test bench bench-core memory reload soak reproduce manifests fuzz fuzz-build deny clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Variables: ENVOY=/path/to/envoy uses your own Envoy. For run: ONCE=1 ends after the report, ROUNDS=10,"
	@echo "MTLS=1 puts mutual TLS between the two sidecars, SHARED=1 gives each both directions under one configuration and has"
	@echo "both call each other, PROMETHEUS=1 (or its path) lets a Prometheus scrape them;"
	@echo "bench: FULL=1 for all there is, ARGS='--only profile' for a part (ARGS=--help lists them);"
	@echo "CLIENT_ and SERVER_ with ADDRESS, PORT, STATS_PORT, ADMIN_PORT, HEALTH_PORT, and UPSTREAM_PORT, PROMETHEUS_PORT,"
	@echo "CLIENT_INBOUND_PORT, SERVER_OUTBOUND_PORT move what listens."

run: build ## Build all, start two Envoys with the module, send traffic, show the metrics
	@make/run.sh

demo-report: build ## Run with Prometheus and write a page about it: target/demo-report.html (REPORT=, PICTURES=DIR)
	@make/demo-report.sh

generated: ## Write the checked-in files that come from code: rules, dashboards
	@make/generated.sh

build: ## Build the module, dist/opmeter.wasm
	@make/build.sh

envoy-path: ## Print the path of the Envoy in use, installing it if need be (make -s envoy-path)
	@make/envoy-path.sh

test: ## Run everything: check, unit and end-to-end tests, tests on WebAssembly
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory wasm-test
	@$(MAKE) --no-print-directory fuzz-build

test-versions: build ## The end-to-end tests on every supported Envoy, or on VERSIONS="1.36.4 1.39.3"
	@make/test-versions.sh

test-shared: build ## The corpus in Envoys whose directions share a configuration, every way: VERSIONS="1.36.4 1.40.0", CASES=exchange
	@make/test-shared.sh

istio-parts: ## Build or unpack the parts of a real Istio, once, below .tools: 15 to 30 minutes
	@make/istio-parts.sh

test-istio: build ## The manifests and the module on a real Istio, as root, under six minutes; ARGS=NAME for some tests
	@make/test-istio.sh

check: ## Formatting, lints and documentation without warnings
	@make/check.sh

unit: ## All tests of the workspace, with the built module and a real Envoy
	@make/test.sh

wasm-test: ## The core's tests on WebAssembly, under Node
	@make/wasm-test.sh

bench: build ## What the module costs a real Envoy, under two minutes; FULL=1 measures all and writes docs/bench
	@make/bench.sh

bench-core: ## What the core costs alone, natively: matching, configuring, a request, a header
	@cargo bench -q -p opmeter-bench --bench core

manifests: ## Make istio-manifests/ again from its opmeter.yaml files
	@make/manifests.sh

memory: build ## The memory that a full series budget takes of a real Envoy, with 1, 2 and 4 workers
	@make/memory.sh

reload: build ## A hundred updates of the configuration under 200,000 requests, by LDS and by ECDS: RELOADS=, REQUESTS=
	@OPMETER_RELOADS="$(or $(RELOADS),100)" OPMETER_RELOAD_REQUESTS="$(or $(REQUESTS),200000)" make/life.sh life lose_nothing

soak: build ## Mixed traffic through two hops, everything counted and compared, memory flat: MINUTES=30
	@OPMETER_SOAK_MINUTES="$(or $(MINUTES),30)" make/life.sh soak everything

reproduce: build ## Build the module in two other folders and compare the digests
	@make/reproduce.sh

fuzz: ## Run every fuzz target for a minute: SECONDS=60, or RUNS=1000000 inputs; TARGETS="label path"
	@make/fuzz.sh "$(or $(SECONDS),60)" "$(RUNS)" "$(TARGETS)"

fuzz-build: ## Build every fuzz target
	@make/fuzz-build.sh

deny: ## Licences, bans and sources of all dependencies; known vulnerabilities where their list can be had
	@make/deny.sh

clean: ## Remove what was built; installed tools in .tools stay
	rm -rf target dist
