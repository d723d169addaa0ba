package deploy_test

import (
	"debug/elf"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var buildImages = flag.Bool("images", false, "run the build command of the container file, for each architecture")

// instructions are those of the container file, by their stage.
func instructions(t *testing.T) (stages [][]string) {
	data, err := os.ReadFile("Containerfile")
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "FROM "):
			stages = append(stages, nil)
		}
		last := len(stages) - 1
		stages[last] = append(stages[last], line)
	}
	return stages
}

func TestContainerfile(t *testing.T) {
	stages := instructions(t)
	require.Len(t, stages, 2)
	image := stages[1]
	assert.Equal(t, "FROM scratch", image[0], "there is nothing in it but the program, and no shell")
	assert.Contains(t, image, "USER 65532:65532")
	for _, line := range image {
		if argument, ok := strings.CutPrefix(line, "ENTRYPOINT "); ok {
			var command []string
			require.NoError(t, json.Unmarshal([]byte(argument), &command), "a shell would have to run %s", argument)
			assert.Equal(t, []string{"/chatserver"}, command)
		}
		if from, ok := strings.CutPrefix(line, "COPY --from=build /out/"); ok {
			assert.Contains(t, buildCommand(t), " -o /out/"+strings.Fields(from)[0]+" ")
		}
	}

	// The templates start it as the same user, with flags that it has.
	data, err := os.ReadFile("templates/service.yaml")
	require.NoError(t, err)
	assert.Contains(t, string(data), "User: '65532'")
}

// buildCommand is what the first stage runs to build the program.
func buildCommand(t *testing.T) string {
	for _, line := range instructions(t)[0] {
		if command, ok := strings.CutPrefix(line, "RUN "); ok && strings.Contains(command, "go build") {
			return command
		}
	}
	t.Fatal("the container file builds nothing")
	return ""
}

// The build command runs as it stands, for both architectures, into a program that
// needs no library.
func TestContainerBuild(t *testing.T) {
	if !*buildImages {
		t.Skip("it needs a minute; -images runs it")
	}
	for arch, machine := range map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64} {
		out := t.TempDir()
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(buildCommand(t), "/out/", out+"/"))
		cmd.Dir = "../../.."
		cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+arch)
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", said)
		program, err := elf.Open(filepath.Join(out, "chatserver"))
		require.NoError(t, err)
		assert.Equal(t, machine, program.Machine)
		libraries, err := program.ImportedLibraries()
		require.NoError(t, err)
		assert.Empty(t, libraries, "scratch has none")
		require.NoError(t, program.Close())
	}
}
