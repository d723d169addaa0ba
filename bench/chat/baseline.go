// Package chat has two servers that answer the same questions over a WebSocket and
// over server-sent events: MangaAssist itself, and Baseline, what a good engineer
// writes in a day with the AWS SDK, coder/websocket and encoding/json.
package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/coder/websocket"

	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// Baseline is the server by hand. It sends the same frames as MangaAssist, asks with
// the same tools, and logs each answer. It has no look-ups, no costs, no metrics, no
// limits, and no answer that outlives its connection.
type Baseline struct {
	client *bedrockruntime.Client
	model  string
	tools  *types.ToolConfiguration
	log    *slog.Logger
}

const prompt = `You are MangaAssist, a knowledgeable assistant for a Japanese manga store. ` +
	`Use the available tools to look up catalog data, check order statuses and verify availability. ` +
	`Always use tools when the user asks about specific manga, orders or stock, and state nothing about them that a tool did not tell. ` +
	`Format recommendations with title (Japanese and romanized), author, genre and a brief description. ` +
	`Respond in the language of the user's last message.`

// NewBaseline returns the server of a client and a model.
func NewBaseline(client *bedrockruntime.Client, model string, log *slog.Logger) (*Baseline, error) {
	b := &Baseline{client: client, model: model, tools: &types.ToolConfiguration{}, log: log}
	for _, tool := range [][3]string{
		{shop.SearchMangaCatalogTool, shop.SearchMangaCatalogDescription, shop.SearchMangaCatalogSchema},
		{shop.GetOrderStatusTool, shop.GetOrderStatusDescription, shop.GetOrderStatusSchema},
		{shop.CheckMangaAvailabilityTool, shop.CheckMangaAvailabilityDescription, shop.CheckMangaAvailabilitySchema},
	} {
		var schema map[string]any
		if err := json.Unmarshal([]byte(tool[2]), &schema); err != nil {
			return nil, err
		}
		b.tools.Tools = append(b.tools.Tools, &types.ToolMemberToolSpec{Value: types.ToolSpecification{
			Name: aws.String(tool[0]), Description: aws.String(tool[1]),
			InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(schema)},
		}})
	}
	return b, nil
}

// Handler answers GET /ws and POST /v1/manga/query.
func (b *Baseline) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", b.serveSocket)
	mux.HandleFunc("POST /v1/manga/query", b.serveEvents)
	return mux
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type ask struct {
	Type      string    `json:"type"`
	RequestID string    `json:"request_id"`
	Messages  []message `json:"messages"`
}

type frame struct {
	Type       string `json:"type"`
	RequestID  string `json:"request_id,omitempty"`
	AnswerID   string `json:"answer_id,omitempty"`
	Sequence   int    `json:"sequence,omitempty"`
	Model      string `json:"model,omitempty"`
	Data       string `json:"data,omitempty"`
	Usage      *usage `json:"usage,omitempty"`
	StopReason string `json:"stop_reason,omitempty"`
	LatencyMS  int64  `json:"latency_ms,omitempty"`
	FirstMS    int64  `json:"time_to_first_token_ms,omitempty"`
	Message    string `json:"message,omitempty"`
}

type usage struct {
	Input  int32 `json:"input_tokens"`
	Output int32 `json:"output_tokens"`
}

// check bounds a conversation.
func check(messages []message) error {
	if len(messages) == 0 || len(messages) > 100 || len(messages)%2 == 0 {
		return errors.New("messages must be 1 to 100 and end with a message of the user")
	}
	for i, m := range messages {
		if want := [2]string{"user", "assistant"}[i%2]; m.Role != want {
			return fmt.Errorf("messages[%d] must be of the %s", i, want)
		}
		if n := len(strings.TrimSpace(m.Content)); n == 0 || n > 16<<10 {
			return fmt.Errorf("messages[%d] must have 1 to 16384 bytes", i)
		}
	}
	return nil
}

func (b *Baseline) serveSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(128 << 10)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		ticker := time.NewTicker(30 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			bounded, done := context.WithTimeout(ctx, 10*time.Second)
			err := conn.Ping(bounded)
			done()
			if err != nil {
				cancel()
				return
			}
		}
	}()
	write := func(ctx context.Context, f frame) error {
		data, err := json.Marshal(f)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return conn.Write(ctx, websocket.MessageText, data)
	}
	var answers sync.WaitGroup
	defer answers.Wait()
	defer cancel()
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		var a ask
		err = json.Unmarshal(data, &a)
		if err == nil {
			err = check(a.Messages)
		}
		if err != nil {
			write(ctx, frame{Type: "error", RequestID: a.RequestID, Message: err.Error()})
			continue
		}
		answers.Go(func() {
			if err := b.answer(ctx, a, write); err != nil {
				write(ctx, frame{Type: "error", RequestID: a.RequestID, Message: "the model failed"})
			}
		})
	}
}

func (b *Baseline) serveEvents(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Query string `json:"query"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&body); err != nil || strings.TrimSpace(body.Query) == "" {
		http.Error(w, `{"error":"the body must be JSON with a query"}`, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	write := func(_ context.Context, f frame) error {
		if f.Type == "start" {
			return nil
		}
		data, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if err := control.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", f.Sequence, f.Type, data); err != nil {
			return err
		}
		return control.Flush()
	}
	if err := b.answer(r.Context(), ask{Messages: []message{{"user", body.Query}}}, write); err != nil {
		write(r.Context(), frame{Type: "error", Message: "the model failed"})
	}
}

// answer asks the model and sends a frame for each token.
func (b *Baseline) answer(ctx context.Context, a ask, write func(context.Context, frame) error) error {
	began := time.Now()
	in := &bedrockruntime.ConverseStreamInput{
		ModelId: &b.model, ToolConfig: b.tools,
		System:          []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: prompt}},
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(2048), Temperature: aws.Float32(0.5)},
	}
	for _, m := range a.Messages {
		in.Messages = append(in.Messages, types.Message{Role: types.ConversationRole(m.Role), Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: m.Content}}})
	}
	if err := write(ctx, frame{Type: "start", RequestID: a.RequestID, AnswerID: a.RequestID, Model: b.model}); err != nil {
		return err
	}
	out, err := b.client.ConverseStream(ctx, in)
	if err != nil {
		b.log.Warn("failed", "request_id", a.RequestID, "error", err)
		return err
	}
	s := out.GetStream()
	defer s.Close()
	last := frame{Type: "complete", RequestID: a.RequestID, Model: b.model}
	for ev := range s.Events() {
		switch ev := ev.(type) {
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			text, ok := ev.Value.Delta.(*types.ContentBlockDeltaMemberText)
			if !ok {
				continue
			}
			if last.Sequence++; last.Sequence == 1 {
				last.FirstMS = time.Since(began).Milliseconds()
			}
			if err := write(ctx, frame{Type: "token", RequestID: a.RequestID, Sequence: last.Sequence, Data: text.Value}); err != nil {
				return err
			}
		case *types.ConverseStreamOutputMemberMessageStop:
			last.StopReason = string(ev.Value.StopReason)
		case *types.ConverseStreamOutputMemberMetadata:
			if u := ev.Value.Usage; u != nil {
				last.Usage = &usage{aws.ToInt32(u.InputTokens), aws.ToInt32(u.OutputTokens)}
			}
		}
	}
	if err := s.Err(); err != nil {
		b.log.Warn("failed", "request_id", a.RequestID, "error", err)
		return err
	}
	if last.StopReason == "" {
		return errors.New("the stream has no end")
	}
	last.Sequence++
	last.LatencyMS = time.Since(began).Milliseconds()
	b.log.Info("answered", "request_id", a.RequestID, "model", b.model, "stop_reason", last.StopReason, "usage", last.Usage)
	return write(ctx, last)
}
