package servertest

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// SQS starts fauxqs for this test, with no queue in it, and returns the
// configuration of its clients. It serves SNS as well. Queues have URLs of a host
// that is not there; the configuration's BaseEndpoint is where to send requests.
//
// What it lacks: message move tasks, and SNS over HTTP. A receive that is
// cancelled while it waits swallows the next message until its visibility
// timeout.
func SQS(tb testing.TB) (aws.Config, bool) {
	tb.Helper()
	return startAWS(tb, "fauxqs")
}

// DynamoDB starts dynalite for this test, with no table in it, and returns the
// configuration of its clients.
//
// What it lacks: UpdateTimeToLive, transactions and
// ReturnValuesOnConditionCheckFailure. A table is active a moment after it was
// created: wait for it.
func DynamoDB(tb testing.TB) (aws.Config, bool) {
	tb.Helper()
	return startAWS(tb, "dynalite")
}

// PostgreSQL starts a PostgreSQL with pgvector for this test (PGlite, PostgreSQL as
// WebAssembly), with no table in it, and returns its DSN.
//
// What it lacks: its connections share one backend, so they see each other's settings
// and a transaction of one holds up the others.
func PostgreSQL(tb testing.TB) (dsn string, ok bool) {
	tb.Helper()
	return start(tb, "pglite", "@electric-sql/pglite-pgvector")
}

// MCP returns the command that starts the reference server of the Model Context
// Protocol (server-everything) on its standard input and output.
func MCP(tb testing.TB) (command []string, ok bool) {
	tb.Helper()
	dir, node, ok := installed(tb, "@modelcontextprotocol/server-everything")
	if !ok {
		return nil, false
	}
	return []string{node, filepath.Join(dir, "node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "stdio"}, true
}

// startAWS starts the server of a service of AWS, and returns the configuration of
// its clients.
func startAWS(tb testing.TB, name string) (aws.Config, bool) {
	tb.Helper()
	url, ok := start(tb, name, name)
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test", Source: "servertest"}, nil
		}),
	}, ok
}

// start starts a server of an npm package, and returns its URL.
func start(tb testing.TB, name, pkg string) (url string, ok bool) {
	tb.Helper()
	dir, node, ok := installed(tb, pkg)
	if !ok {
		return "", false
	}
	cmd := exec.Command(node, "serve.js", name)
	cmd.Dir = dir
	var log strings.Builder
	cmd.Stderr = &log
	stdin, err := cmd.StdinPipe() // the server ends when it is closed
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = stdin.Close()
		late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			tb.Errorf("%s: %v\n%s", name, err, log.String())
		}
	})
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	url, err = bufio.NewReader(stdout).ReadString('\n')
	late.Stop()
	if err != nil {
		_ = cmd.Wait() // then all of the log is there
		tb.Fatalf("%s did not start: %v\n%s", name, err, log.String())
	}
	url = strings.TrimSpace(url)
	tb.Logf("against %s on %s", name, url)
	return url, true
}

// installed finds Node and an npm package, in the folder that has it.
func installed(tb testing.TB, name string) (dir, node string, ok bool) {
	tb.Helper()
	root, err := os.Getwd() // a test runs in the folder of its package
	for err == nil && filepath.Dir(root) != root {
		if _, missing := os.Stat(filepath.Join(root, "internal", "servertest", "node")); missing == nil {
			break
		}
		root = filepath.Dir(root)
	}
	dir = filepath.Join(root, "internal", "servertest", "node")
	node, err = exec.LookPath("node")
	if err != nil {
		tb.Logf("not against %s: there is no node on the PATH", name)
		return "", "", false
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", name)); err != nil {
		tb.Logf("not against %s: run npm ci --prefix internal/servertest/node", name)
		return "", "", false
	}
	return dir, node, true
}
