package servertest

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	return start(tb, "fauxqs")
}

// DynamoDB starts dynalite for this test, with no table in it, and returns the
// configuration of its clients.
//
// What it lacks: UpdateTimeToLive, transactions and
// ReturnValuesOnConditionCheckFailure. A table is active a moment after it was
// created: wait for it.
func DynamoDB(tb testing.TB) (aws.Config, bool) {
	tb.Helper()
	return start(tb, "dynalite")
}

func start(tb testing.TB, name string) (aws.Config, bool) {
	tb.Helper()
	// The folder of this file: the tests of every package are to find it.
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "node")
	node, err := exec.LookPath("node")
	if err != nil {
		tb.Logf("not against %s: there is no node on the PATH", name)
		return aws.Config{}, false
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", name)); err != nil {
		tb.Logf("not against %s: run npm ci --prefix internal/servertest/node", name)
		return aws.Config{}, false
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
	url, err := bufio.NewReader(stdout).ReadString('\n')
	late.Stop()
	if err != nil {
		_ = cmd.Wait() // then all of the log is there
		tb.Fatalf("%s did not start: %v\n%s", name, err, log.String())
	}
	url = strings.TrimSpace(url)
	tb.Logf("against %s on %s", name, url)
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test", Source: "servertest"}, nil
		}),
	}, true
}
