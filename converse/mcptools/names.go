package mcptools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/mangaassist/bedrockkit/converse"
)

// maxName is the most characters of a tool's name in Bedrock.
const maxName = 64

// Join combines the tools of several servers, for converse.Options.ToolSource. A name
// that only one server has is not changed. If several servers have it, each gets its
// server's name in front: "shelf_search", "orders_search". A tool keeps its first
// name, even if the lists of the servers change later, so that no tool is renamed
// during a conversation.
//
// It fails if [Server.Tools] fails for one of the servers.
func Join(servers ...*Server) func(context.Context) ([]converse.Tool, error) {
	type key struct {
		server int
		name   string
	}
	var mu sync.Mutex
	var names namer[key]
	return func(ctx context.Context) ([]converse.Tool, error) {
		lists := make([][]converse.Tool, len(servers))
		for i, s := range servers {
			tools, err := s.Tools(ctx)
			if err != nil {
				return nil, err
			}
			lists[i] = tools
		}
		mu.Lock()
		defer mu.Unlock()
		uses := map[string]int{}
		used := map[key]bool{}
		for i, tools := range lists {
			for _, f := range tools {
				uses[f.Spec.Name]++
				used[key{i, f.Spec.Name}] = true
			}
		}
		names.keep(used)
		var all []converse.Tool
		for i, tools := range lists {
			for _, f := range tools {
				name := f.Spec.Name
				if uses[name] > 1 || names.taken[name] {
					name = legal(servers[i].name() + "_" + name)
				}
				f.Spec.Name = names.give(key{i, f.Spec.Name}, name)
				all = append(all, f)
			}
		}
		return all, nil
	}
}

// A namer gives names to tools, each another and always the same one. It is for
// one goroutine at a time.
type namer[K comparable] struct {
	given map[K]string
	taken map[string]bool
}

// give returns the name that the key has, or gives it one: the name that it wants,
// with a hash behind it if another key has that.
func (n *namer[K]) give(k K, name string) string {
	if had, ok := n.given[k]; ok {
		return had
	}
	wanted := name
	for i := 0; n.taken[name]; i++ {
		name = hashed(wanted, fmt.Sprintf("%v/%d", k, i))
	}
	if n.given == nil {
		n.given, n.taken = map[K]string{}, map[string]bool{}
	}
	n.given[k], n.taken[name] = name, true
	return name
}

// maxNames is how many names are remembered of tools that are not there any more.
const maxNames = 10_000

// keep forgets the names of all other keys, once there are too many.
func (n *namer[K]) keep(used map[K]bool) {
	if len(n.given) <= maxNames {
		return
	}
	maps.DeleteFunc(n.given, func(k K, name string) bool {
		if used[k] {
			return false
		}
		delete(n.taken, name)
		return true
	})
}

// legalNames gives the tools of one server names that Bedrock accepts. A name that
// is legal stays as it is, unless another tool got it before.
func legalNames(n *namer[string], originals []string) []string {
	used := map[string]bool{}
	for _, original := range originals {
		used[original] = true
	}
	n.keep(used)
	names := make([]string, len(originals))
	for _, wanted := range []bool{true, false} { // legal ones first
		for i, original := range originals {
			if name := legal(original); (name == original) == wanted {
				names[i] = n.give(original, name)
			}
		}
	}
	return names
}

// legal puts an underscore in the place of each character that Bedrock does not
// accept in the name of a tool, and shortens a long name.
func legal(original string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, original)
	switch {
	case name == "":
		return "tool"
	case len(name) > maxName:
		return hashed(name, original)
	}
	return name
}

// hashed ends a name with a hash of what it stands for, within Bedrock's length.
func hashed(name, original string) string {
	sum := sha256.Sum256([]byte(original))
	hash := hex.EncodeToString(sum[:4])
	return name[:min(len(name), maxName-1-len(hash))] + "_" + hash
}
