# make demo   watch a real supervisord drive two real HAProxys
# make test   all tests, on real HAProxys and a real supervisord
# make race   the same under the race detector
# make lint   gofmt, go vet, staticcheck
# make fuzz   each fuzz target for FUZZTIME
# make bench  the benchmarks of docs/benchmarks.md

export PATH := $(PATH):/usr/sbin:/sbin
FUZZTIME ?= 10s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZ = haproxysock:FuzzParseAddr haproxysock:FuzzAnswer haproxysock:FuzzStatScanner \
	listener:FuzzConn listener:FuzzConnCharacters listener:FuzzParseSpec \
	cluster:FuzzParseExpression cluster:FuzzTable cmd/supervisor-haproxy:FuzzRange

.PHONY: build demo test race lint fuzz bench need
build:
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o supervisor-haproxy ./cmd/supervisor-haproxy

need:
	@scripts/need haproxy:haproxy supervisord:supervisor

demo: need
	go run ./demo $(DEMOFLAGS)

test: need
	HAPROXYTEST=required go test ./...

race: need
	@scripts/need "gcc:gcc libc6-dev"
	HAPROXYTEST=required CGO_ENABLED=1 go test -race ./...

lint:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not as gofmt has it: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

fuzz:
	@set -e; for target in $(FUZZ); do \
		go test ./$${target%%:*} -run '^$$' -fuzz "^$${target##*:}\$$" -fuzztime $(FUZZTIME); \
	done

bench: need
	go test ./haproxysock -run '^$$' -bench . -benchmem
	go test ./cluster -run '^$$' -bench . -benchtime 40x
	go test ./cmd/supervisor-haproxy -run '^$$' -bench . -benchtime 2000x -timeout 30m
