# `make test` on a fresh machine installs what is missing, builds and tests everything.
# The toolchain everything here was built and tested with; ignored where rustup is not.
export RUSTUP_TOOLCHAIN ?= 1.95.0

.PHONY: deps build test lint bench demo

deps:
	@.dev/deps

build: deps
	cargo build --workspace --all-targets

# What the build wrote is on the disk before the tests begin: they measure real syncs against real time limits.
test: deps
	cargo test --workspace --no-run
	sync
	cargo test --workspace --no-fail-fast

lint: deps
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny > /dev/null; then cargo deny check; else echo "lint: cargo-deny is not installed; licences and advisories were not checked"; fi

bench: deps
	cargo bench --workspace

demo: deps
	cargo build --bin flow
	target/debug/flow demo
