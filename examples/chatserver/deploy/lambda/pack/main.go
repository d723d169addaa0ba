// Command pack builds the Lambda functions of MangaAssist and makes a zip of each, as
// the templates expect them in their bucket of artifacts. In the folder of the module:
//
//	go run ./examples/chatserver/deploy/lambda/pack -out dist
//
// A zip has the program as "bootstrap", for the runtime provided.al2023. The same
// source gives the same zip. One over 10 MB is an error: the larger it is, the later
// the first answer.
package main

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// functions are the packages beside this one that are functions.
var functions = []string{"rest", "stream", "socket", "jobs", "notify"}

// maxZip is the most bytes of a zip.
const maxZip = 10_000_000

func main() {
	out := flag.String("out", "dist", "the `folder` of the zips")
	arch := flag.String("arch", "arm64", "the `architecture` of the functions: arm64 or amd64")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *out, *arch, functions); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdout io.Writer, out, arch string, functions []string) error {
	if arch != "arm64" && arch != "amd64" {
		return fmt.Errorf("-arch is %q; it is arm64 or amd64", arch)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	build, err := os.MkdirTemp("", "pack")
	if err != nil {
		return err
	}
	defer os.RemoveAll(build)
	var large error
	for _, name := range functions {
		program, file := filepath.Join(build, name), filepath.Join(out, name+".zip")
		// lambda.norpc leaves out a protocol that provided.al2023 does not speak.
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", program,
			"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/"+name)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("building %s: %w", name, err)
		}
		size, err := pack(program, file)
		if err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
		fmt.Fprintf(stdout, "%s\t%.1f MB\n", file, float64(size)/1e6)
		if size > maxZip {
			large = errors.Join(large, fmt.Errorf("%s has %d bytes; at most %d are allowed: see what it imports", file, size, maxZip))
		}
	}
	return large
}

// pack makes a zip with a program as its bootstrap, and returns its size.
func pack(program, file string) (size int64, err error) {
	in, err := os.Open(program)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z := zip.NewWriter(out)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(w, in); err != nil {
		return 0, err
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	return out.Seek(0, io.SeekCurrent)
}
