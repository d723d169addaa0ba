# Every target is a step of .ci/run, which is what CI runs.
.PHONY: check test race fuzz lint run

check: ## all that CI does
	.ci/run

test race fuzz:
	.ci/run $@

lint:
	.ci/run format vet lint

run: ## the chat server, on http://127.0.0.1:8080/
	go run ./examples/chatserver
