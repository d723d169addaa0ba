package converse

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
	"github.com/mangaassist/bedrockkit/stream"
)

// joinBlock puts a block together that a stream sends in events of its own: a
// tool use that the service runs by itself, the result of one, and an image
// (API reference, ContentBlockStart and ContentBlockDelta). It is nil for a
// block that was cut and for one that this version does not know, which is in
// stream.Result alone.
func joinBlock(b stream.Block) (Content, error) {
	if !b.Complete || len(b.Unknown) == 0 {
		return nil, nil
	}
	event, _ := jsonscan.Entries(b.Unknown[0], '{')
	start, _ := jsonscan.Entries(find(event, "start"), '{')
	if len(start) != 1 {
		return nil, nil
	}
	kind := start[0].Key
	block, ok := jsonscan.Entries(start[0].Value, '{')
	if !ok {
		return nil, nil
	}
	switch kind {
	case "toolUse":
		input, ok := object(json.RawMessage(b.Text))
		if !ok {
			return nil, fmt.Errorf("the input of the service's own tool use %q is not a JSON object", text(block, "toolUseId"))
		}
		block = append(block, member{Key: "input", Value: input})
	case "toolResult":
		block = append(block, member{Key: "content", Value: joinResult(deltas(b, kind))})
	case "image":
		block = append(block, joinImage(deltas(b, kind))...)
	default:
		return nil, nil
	}
	return decodeContent(jsonscan.Join([]member{{Key: kind, Value: jsonscan.Join(block)}}), 0)
}

// deltas are what the events after the first one add to a block of a kind.
func deltas(b stream.Block, kind string) (all []json.RawMessage) {
	for _, raw := range b.Unknown[1:] {
		event, _ := jsonscan.Entries(raw, '{')
		delta, _ := jsonscan.Entries(find(event, "delta"), '{')
		if v := find(delta, kind); v != nil {
			all = append(all, v)
		}
	}
	return all
}

// joinResult is the content of a tool's result; each delta has a list of it.
// A text that begins a list goes on with the text that ended the one before.
func joinResult(deltas []json.RawMessage) json.RawMessage {
	content := []byte{'['}
	add := func(block json.RawMessage) {
		if len(content) > 1 {
			content = append(content, ',')
		}
		content = append(content, block...)
	}
	var open []byte // a text that may go on
	flush := func() {
		if open != nil {
			add(appendTextBlock(nil, string(open)))
			open = nil
		}
	}
	for _, delta := range deltas {
		blocks, _ := jsonscan.Entries(delta, '[')
		for i, block := range blocks {
			all, _ := jsonscan.Entries(block.Value, '{')
			quoted := find(all, "text")
			if isText := len(all) == 1 && len(quoted) > 0 && quoted[0] == '"'; !isText {
				flush()
				add(block.Value)
				continue
			}
			if i > 0 {
				flush()
			}
			open = append(open, jsonscan.Unquote(quoted)...)
			if open == nil {
				open = []byte{}
			}
		}
	}
	flush()
	return append(content, ']')
}

// joinImage is the source of an image, whose bytes may come in pieces, and the
// error of one that could not be made.
func joinImage(deltas []json.RawMessage) (image []member) {
	var data []byte
	var source, failed json.RawMessage
	for _, delta := range deltas {
		all, _ := jsonscan.Entries(delta, '{')
		if v := find(all, "error"); v != nil {
			failed = v
		}
		v := find(all, "source")
		if v == nil {
			continue
		}
		source = v
		members, _ := jsonscan.Entries(v, '{')
		if piece, err := base64.StdEncoding.DecodeString(text(members, "bytes")); err == nil {
			data = append(data, piece...)
		}
	}
	if data != nil {
		source = append(appendBlob([]byte(`{"bytes":`), data), '}')
	}
	if source != nil {
		image = append(image, member{Key: "source", Value: source})
	}
	if failed != nil {
		image = append(image, member{Key: "error", Value: failed})
	}
	return image
}
