.PHONY: help run test race fuzz lint check setup

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 8

run: ## the chat server, on http://127.0.0.1:8080/
	go run ./examples/chatserver

test: ## the tests; Go is enough for them
	go test ./...

race: ## the tests with the race detector, which needs gcc
	.ci/run race

fuzz: ## each fuzz target for FUZZTIME, two seconds if it is not set
	.ci/run fuzz

lint: ## gofmt, go vet, staticcheck
	.ci/run format vet lint

check: ## all that CI does; `make setup` installs what it needs
	.ci/run --no-install

setup: ## the packages that check needs, on Debian as root
	.ci/setup
