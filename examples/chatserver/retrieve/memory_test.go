package retrieve_test

import (
	"testing"

	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve/retrievetest"
)

func TestMemory(t *testing.T) {
	retrievetest.Run(t, func(*testing.T) retrieve.Store { return &retrieve.Memory{} })
}
