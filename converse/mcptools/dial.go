package mcptools

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Dial returns the transport of a new connection. A [Server] calls it for
// each: when it is first used, and again after a connection has ended.
type Dial func(ctx context.Context) (mcp.Transport, error)

// Command starts a program that speaks MCP over its standard input and output.
// The program gets the few environment variables that a program needs to run
// (PATH, HOME and the like) and no others, so that it does not see the
// credentials of this one. [Server.Close] closes its input, and ends it if it is
// still there two seconds later. For more, write a Dial that returns an
// [mcp.CommandTransport].
func Command(name string, args ...string) Dial {
	return func(context.Context) (mcp.Transport, error) {
		cmd := exec.Command(name, args...) // the connection ends it, and not the context of the first call
		cmd.Env = environment()
		return &mcp.CommandTransport{Command: cmd, TerminateDuration: 2 * time.Second}, nil
	}
}

func environment() []string {
	names := []string{"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER", "LANG", "LC_ALL"}
	if runtime.GOOS == "windows" {
		names = []string{"APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATH", "PATHEXT", "PROCESSOR_ARCHITECTURE",
			"SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE", "PROGRAMFILES"}
	}
	env := []string{}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// HTTP connects to an endpoint that speaks MCP's streamable HTTP. The client adds what
// the endpoint needs, such as an Authorization header; nil means [http.DefaultClient].
// A client with a Timeout also ends the stream of notices.
func HTTP(endpoint string, client *http.Client) Dial {
	return func(context.Context) (mcp.Transport, error) {
		return &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client}, nil
	}
}
