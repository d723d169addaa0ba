package batch

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"github.com/mangaassist/bedrockkit/converse"
)

// ReadRecords yields the records of an input file that [Write] or another program has
// written. A line is {"recordId": …, "modelInput": …}; the id is optional. In is the
// type of the records:
//
//	records := batch.ReadRecords[anthropic.Request](file)
//
// If a line cannot be read, an error is yielded and the records end. A line has at
// most 64 MiB.
func ReadRecords[In any](file io.Reader) iter.Seq2[Record[In], error] {
	return func(yield func(Record[In], error) bool) {
		lines := newLineReader(file, maxReadLine)
		for n := 1; ; n++ {
			text, err := lines.next()
			if err == io.EOF {
				return
			}
			var line struct {
				ID    string `json:"recordId"`
				Input *In    `json:"modelInput"`
			}
			if err == nil {
				err = json.Unmarshal(text, &line)
			}
			if err == nil && line.Input == nil {
				err = errUnreadable
			}
			if err != nil {
				yield(Record[In]{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if !yield(Record[In]{ID: line.ID, Input: *line.Input}, nil) {
				return
			}
		}
	}
}

// UnmarshalJSON reads a request in the form of the Converse operation. A member that
// it does not know is an error.
func (c *Converse) UnmarshalJSON(data []byte) error {
	var v struct {
		Messages  []converse.Message `json:"messages"`
		System    converse.Contents  `json:"system"`
		Inference struct {
			MaxTokens     int      `json:"maxTokens"`
			Temperature   *float64 `json:"temperature"`
			TopP          *float64 `json:"topP"`
			StopSequences []string `json:"stopSequences"`
		} `json:"inferenceConfig"`
		Tools  *struct{} `json:"toolConfig"`
		Output *struct {
			Format struct {
				Structure struct {
					Schema struct {
						Schema      string `json:"schema"`
						Name        string `json:"name"`
						Description string `json:"description"`
					} `json:"jsonSchema"`
				} `json:"structure"`
			} `json:"textFormat"`
		} `json:"outputConfig"`
		Fields   json.RawMessage   `json:"additionalModelRequestFields"`
		Paths    []string          `json:"additionalModelResponseFieldPaths"`
		Metadata map[string]string `json:"requestMetadata"`
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	for name := range members {
		switch name {
		case "messages", "system", "inferenceConfig", "toolConfig", "outputConfig",
			"additionalModelRequestFields", "additionalModelResponseFieldPaths", "requestMetadata":
		default:
			return fmt.Errorf("the member %q is not one of a Converse record", name)
		}
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*c = Converse{
		Messages: v.Messages, System: v.System, MaxTokens: v.Inference.MaxTokens, Temperature: v.Inference.Temperature,
		TopP: v.Inference.TopP, StopSequences: v.Inference.StopSequences,
		AdditionalFields: v.Fields, ResponseFields: v.Paths, Metadata: v.Metadata,
	}
	if v.Tools != nil {
		c.Tools = []converse.ToolSpec{{}} // which is refused
	}
	if v.Output != nil {
		s := v.Output.Format.Structure.Schema
		c.OutputFormat = &converse.OutputFormat{Schema: json.RawMessage(s.Schema), Name: s.Name, Description: s.Description}
	}
	return nil
}
