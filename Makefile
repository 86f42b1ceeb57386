# `make test` on a fresh machine installs what is missing, builds and tests everything.
.PHONY: deps build test lint bench demo

deps:
	@.dev/deps

build: deps
	cargo build --workspace --all-targets

test: deps
	cargo test --workspace

lint: deps
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench: deps
	cargo bench --workspace

demo: deps
	cargo build --bin flow
	target/debug/flow demo
