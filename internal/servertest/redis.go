package servertest

import (
	"bufio"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Redis starts the redis-server of the PATH, on loopback and without files. It
// returns its address and what kills it, which the end of the test does as well.
// The test is skipped if there is none: .ci/run installs Debian's.
func Redis(tb testing.TB, flags ...string) (addr string, kill func()) {
	tb.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		tb.Skip("there is no redis-server on the PATH")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	addr = listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}, flags...)...)
	cmd.Dir = tb.TempDir()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		if err := cmd.Process.Kill(); err != nil {
			tb.Error(err)
		}
		_ = cmd.Wait() // "signal: killed"
	})
	tb.Cleanup(kill)
	var log strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			tb.Log("against", path)
			return addr, kill
		}
	}
	tb.Fatal("redis-server did not start\n" + log.String())
	return "", nil
}
