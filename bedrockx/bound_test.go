package bedrockx_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
)

const (
	claude  bedrockkit.ModelID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	novaPro bedrockkit.ModelID = "us.amazon.nova-pro-v1:0"
	gptOSS  bedrockkit.ModelID = "openai.gpt-oss-120b-1:0"
	prompt  bedrockkit.ModelID = "arn:aws:bedrock:us-east-1:123456789012:prompt/PROMPT1234:1"
)

// blankPNG has a few hundred bytes, whatever its size.
func blankPNG(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.White, color.Black})
	var b bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, img))
	return b.Bytes()
}

// docx has about 2 KB for any length of the same text.
func docx(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("word/document.xml")
	require.NoError(t, err)
	_, err = fmt.Fprintf(w, `<w:document><w:body><w:p><w:r><w:t>%s</w:t></w:r></w:p></w:body></w:document>`, strings.Repeat("manga ", n/6))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// pdf is a document of empty pages. A page takes 1,500 to 3,000 tokens as text,
// and those of its image. Source: Anthropic, "PDF support".
func pdf(pages int) []byte {
	return []byte("%PDF-1.4\n" + strings.Repeat("1 0 obj<</Type/Page/Parent 2 0 R>>endobj\n", pages) + "%%EOF")
}

func once(o *bedrockx.Options) { o.MaxAttempts = 1 }

// windowOf is a table of models whose context windows are of this size.
func windowOf(tokens int) func(bedrockkit.ModelID) (bedrockkit.Capability, bool) {
	return func(id bedrockkit.ModelID) (bedrockkit.Capability, bool) {
		known, ok := bedrockkit.Capabilities(id)
		known.MaxInput, known.MaxOutput = tokens, 4000
		return known, ok
	}
}

func chatWith(content ...converse.Content) converse.Request {
	return converse.Request{MaxTokens: 10, Messages: []converse.Message{{Role: converse.RoleUser, Content: content}}}
}

// bodies are requests whose bytes do not tell their tokens, and what they take.
func bodies(t *testing.T) map[string]struct {
	model bedrockkit.ModelID
	req   converse.Request
	took  int64
	knows string // a part of the error; "" if the window counts
} {
	tool := converse.ToolSpec{Name: "f", InputSchema: []byte(`{"type":"object"}`)}
	withTools := chatWith(converse.Text("hi"))
	withTools.Tools = []converse.ToolSpec{tool}
	grounded := chatWith(converse.Text("What is new in manga?"))
	grounded.Tools = []converse.ToolSpec{{Name: "nova_grounding", System: true}}
	inResult := chatWith(converse.Text("hi"))
	inResult.Tools = []converse.ToolSpec{tool}
	inResult.Messages = append(inResult.Messages,
		converse.Message{Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: "t1", Name: "f", Input: []byte(`{}`)}}},
		converse.Message{Role: converse.RoleUser, Content: converse.Contents{converse.ToolResult{ToolUseID: "t1", Content: converse.Contents{converse.Image{Format: "png", Bytes: blankPNG(t, 1092, 1092)}}}}})
	return map[string]struct {
		model bedrockkit.ModelID
		req   converse.Request
		took  int64
		knows string
	}{
		"a PDF of 90 pages":       {claude, chatWith(converse.Document{Format: "pdf", Name: "catalog", Bytes: pdf(90)}, converse.Text("Sum up.")), 135_000, ""},
		"a docx":                  {claude, chatWith(converse.Document{Format: "docx", Name: "catalog", Bytes: docx(t, 600_000)}, converse.Text("Sum up.")), 100_000, ""},
		"an image":                {claude, chatWith(converse.Image{Format: "png", Bytes: blankPNG(t, 1568, 784)}, converse.Text("?")), 1639 + 10, ""},
		"an image a tool gave":    {claude, inResult, 1590 + 600, ""},
		"tools":                   {claude, withTools, 804 + 40, "more than the bound"},
		"a tool of the service's": {novaPro, grounded, 100_000, ""},
		"a prompt of its own":     {prompt, converse.Request{PromptVariables: map[string]string{"q": "hi"}}, 100_000, ""},
	}
}

// What a body does not tell is bounded by the context window, by a count, or
// refused.
func TestBoundOfWhatBytesDoNotTell(t *testing.T) {
	for name, tt := range bodies(t) {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
				o.InProcess, o.AnyModel = true, true
				o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
					return bedrocktest.Text("ok").Usage(bedrockkit.Usage{InputTokens: tt.took, OutputTokens: 2})
				}
			})
			counted := 0
			client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
				o.Resolve = func(context.Context, bedrockkit.ModelID) (bedrockkit.ModelID, error) { return haiku, nil }
				o.Capabilities = windowOf(200_000)
			})
			send := func(optFns ...func(*bedrockx.Options)) error {
				_, err := converse.New(client, func(o *converse.Options) { o.Model = tt.model }, converse.Call(optFns...)).Send(t.Context(), tt.req)
				return err
			}
			below := func(o *bedrockx.Options) { o.MaxTotalTokens = tt.took - 1 }
			err := send(below)
			require.ErrorIs(t, err, bedrockx.ErrBudget)
			if tt.knows != "" {
				assert.ErrorContains(t, err, tt.knows)
			} else {
				assert.ErrorContains(t, err, "the call may take up to 20", "the window and max tokens")
			}
			assert.Empty(t, srv.Requests())

			window := pricing.NewTokenBudget(205_000)
			require.NoError(t, send(func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{window} }))
			assert.Equal(t, tt.took+2, window.SpentTokens())

			// A count takes the place of the window, but not where the service
			// brings what nobody can count.
			err = send(func(o *bedrockx.Options) {
				o.MaxTotalTokens = tt.took + 2000
				o.InputTokens = func(context.Context, *bedrockx.Call) (int64, error) { counted++; return tt.took, nil }
			})
			if tt.req.PromptVariables != nil || len(tt.req.Tools) > 0 && tt.req.Tools[0].System {
				assert.ErrorIs(t, err, bedrockx.ErrBudget)
			} else {
				assert.NoError(t, err)
			}

			// Without a window there is no bound.
			if tt.knows == "" {
				sent := len(srv.Requests())
				err = send(func(o *bedrockx.Options) {
					o.MaxTotalTokens = 1 << 40
					o.Capabilities = windowOf(0)
				})
				assert.ErrorIs(t, err, bedrockx.ErrBudget)
				assert.ErrorContains(t, err, "the context window of "+string(tt.model)+" is not known")
				assert.Len(t, srv.Requests(), sent)
			}
		})
	}
}

// The same in the bodies of InvokeModel, whichever way they write it.
func TestBoundOfBodies(t *testing.T) {
	image := base64.StdEncoding.EncodeToString(blankPNG(t, 1092, 1092))
	text := base64.StdEncoding.EncodeToString([]byte("A document of plain text, with many words.\n"))
	window := func(o *bedrockx.Options) { o.MaxTotalTokens = 100_000 }
	for name, tt := range map[string]struct {
		body string
		fits bool // within 100,000 tokens, and not the window of 200,000
	}{
		"text":                         {`{"prompt":"Who wrote Berserk?"}`, true},
		"text that names an image":     {`{"prompt":"is \"image\" or \"s3Location\": a word?"}`, true},
		"a tool with members like it":  {`{"tools":[{"name":"f","input_schema":{"properties":{"image":{"type":"string"},"document":{"type":"string"},"bytes":{"type":"string"}}}}]}`, true},
		"a document of plain text":     {`{"document":{"format":"txt","name":"a","source":{"bytes":"` + text + `"}}}`, true},
		"a signature of reasoning":     {`{"thinking":"Hm.","signature":"` + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x12, 0xff, 0x80}, 40)) + `"}`, true},
		"reasoning that is hidden":     {`{"type":"redacted_thinking","data":"` + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x12, 0xff, 0x80}, 40)) + `"}`, true},
		"a hash":                       {`{"prompt":"d41d8cd98f00b204e9800998ecf8427e"}`, true},
		"base64 that is read as text":  {`{"type":"text","text":"` + image + `"}`, true},
		"Anthropic's image":            {`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + image + `"}}`, false},
		"a document with its PDF":      {`{"type":"document","source":{"data":"` + base64.StdEncoding.EncodeToString(pdf(3)) + `"}}`, false},
		"a PDF behind a text":          {`{"data":"` + base64.StdEncoding.EncodeToString(append([]byte("From: me\n\n"), pdf(3)...)) + `"}`, false},
		"Mistral's and Cohere's image": {`{"image_url":{"url":"data:image/png;base64,` + image + `"}}`, false},
		"with a slash escaped":         {`{"image_url":{"url":"data:image\/png;base64,` + strings.ReplaceAll(image, "/", `\/`) + `"}}`, false},
		"a name that is escaped":       {`{"s3Loc\u0061tion":{"uri":"s3:\/\/bucket\/film.mp4"}}`, false},
		"an image of another server":   {`{"image_url":{"url":"https://example.com/a.png"},"type":"image_url"}`, false},
		"a source that is a URL":       {`{"source":{"url":"https://example.com/a.pdf","type":"url"}}`, false},
		"Llama's images":               {`{"prompt":"?","images":["` + image + `"]}`, false},
		"Titan's image":                {`{"inputImage":"` + image + `"}`, false},
		"audio":                        {`{"type":"input_audio","input_audio":{"data":"//uQ","format":"mp3"}}`, false},
		"MP3 without a tag":            {`{"audio":{"format":"mp3","source":{"bytes":"` + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff, 0xfb, 0x90}, 20)) + `"}}}`, false},
		"a file that was given before": {`{"type":"file","file":{"file_id":"file_123"}}`, false},
		"a server's tool":              {`{"tools":[{"type":"web_search_20250305","name":"web_search"}]}`, false},
		"a tool that the model knows":  {`{"tools":[{"type":"computer_20250124","name":"computer","display_width_px":1024}]}`, true},
		"a window of a million tokens": {`{"anthropic_beta":["context-1m-2025-08-07"],"prompt":"Who wrote Berserk?"}`, true},
		"what is cut in a string":      {`{"prompt":"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.AnyModel = true })
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return bedrocktest.Text("x") }).Keep()
			call := converseCall(claude, tt.body)
			call.MaxTokens = 100
			err := bedrockx.New(srv.Client(), window, once).Do(t.Context(), call)
			if tt.fits {
				assert.NotErrorIs(t, err, bedrockx.ErrBudget)
				return
			}
			require.ErrorIs(t, err, bedrockx.ErrBudget)
			assert.ErrorContains(t, err, "the call may take up to 200100 tokens")
			assert.Empty(t, srv.Requests())
		})
	}
}

// A bound in dollars is one for the tier that is asked for and for the dearest
// cache write.
func TestBoundOfTiersAndCacheWrites(t *testing.T) {
	long := strings.Repeat("!@#$%^&*~`", 2000) // near a token a byte
	for name, tt := range map[string]struct {
		model bedrockkit.ModelID
		req   func(*converse.Request)
		usage bedrockkit.Usage
		tier  bedrockkit.ServiceTier
	}{
		"priority":  {gptOSS, func(r *converse.Request) { r.ServiceTier = bedrockkit.TierPriority }, bedrockkit.Usage{InputTokens: 20, OutputTokens: 1000}, bedrockkit.TierPriority},
		"optimized": {novaPro, func(r *converse.Request) { r.Latency = bedrockkit.LatencyOptimized }, bedrockkit.Usage{InputTokens: 20, OutputTokens: 1000}, bedrockkit.TierOptimized},
		"one hour": {claude, func(r *converse.Request) {
			r.Messages[0].Content = converse.Contents{converse.Text(long), converse.CachePoint{TTL: "1h"}}
		}, bedrockkit.Usage{CacheWrite1hTokens: 20_000, OutputTokens: 1000}, ""},
		"five minutes": {claude, func(r *converse.Request) {
			r.Messages[0].Content = converse.Contents{converse.Text(long), converse.CachePoint{}}
		}, bedrockkit.Usage{CacheWrite5mTokens: 20_000, OutputTokens: 1000}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
				o.InProcess = true
				o.Responder = func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
					return bedrocktest.Text("x").Usage(tt.usage)
				}
			})
			actual, err := pricing.Default().Cost(tt.model, tt.usage, func(o *pricing.CostOptions) { o.Tier, o.Region = tt.tier, "us-east-1" })
			require.NoError(t, err)
			chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model, o.MaxTokens = tt.model, 1000 })
			req := chatWith(converse.Text("hi"))
			req.MaxTokens = 1000
			tt.req(&req)
			send := func(limit pricing.Amount) error {
				budget := pricing.NewBudget(limit)
				_, err := chat.Send(t.Context(), req, converse.Call(func(o *bedrockx.Options) { o.MaxCost, o.Budgets = &limit, []*pricing.Budget{budget} }))
				assert.GreaterOrEqual(t, budget.Remaining().Sign(), 0)
				return err
			}
			least, err := pricing.ParseAmount("0.000000000000001")
			require.NoError(t, err)
			assert.ErrorIs(t, send(actual.Sub(least)), bedrockx.ErrBudget)
			assert.Empty(t, srv.Requests())
			assert.NoError(t, send(actual.Mul(2)), "and no more than that is asked of a user")
		})
	}

	// InvokeModel has them beside its body.
	srv := bedrocktest.NewServer(t)
	limit := dollars(t, "0.0131")
	_, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client()), novaPro, bedrockx.Raw(`{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"maxTokens":4000}}`), func(o *bedrockx.Options) {
		o.MaxCost, o.Invoke.ServiceTier = &limit, bedrockkit.TierPriority
	})
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.Empty(t, srv.Requests())
}

// A sum that no int64 holds is refused, and lets nothing else through meanwhile.
func TestBoundsThatOverflow(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	budget := pricing.NewTokenBudget(1000)
	client := bedrockx.New(srv.Client(), once, func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} })
	for _, most := range []string{"9223372036854775807", "4611686018427387904", "1000000000000001"} {
		err := client.Do(t.Context(), converseCall(haiku, `{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"maxTokens":`+most+`}}`))
		assert.ErrorIs(t, err, bedrockx.ErrBudget, most)
		assert.EqualValues(t, 1000, budget.RemainingTokens(), most)
	}
	_, err := bedrockx.Invoke(t.Context(), client, claude, anthropic.Request{MaxTokens: math.MaxInt, Messages: request("x").Messages}, func(o *bedrockx.Options) {
		o.MaxTotalTokens = 1000
		o.Capabilities = func(bedrockkit.ModelID) (bedrockkit.Capability, bool) { return bedrockkit.Capability{}, false }
	})
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.Empty(t, srv.Requests())
}

// A budget of the client that is given with the call as well counts once.
func TestBudgetTwice(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(used(10, 10))
	budget := pricing.NewTokenBudget(500)
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget, nil} })
	_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"), func(o *bedrockx.Options) { o.Budgets = append(o.Budgets, budget) })
	require.NoError(t, err)
	assert.EqualValues(t, 20, budget.SpentTokens())
	assert.EqualValues(t, 480, budget.RemainingTokens())
}

// A count is one of the model that it was made for.
func TestCountOfAnotherModel(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	call := converseCall(claude, `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"`+base64.StdEncoding.EncodeToString(blankPNG(t, 10, 10))+`"}}}]}],"inferenceConfig":{"maxTokens":10}}`)
	err := bedrockx.New(srv.Client(), fallBackOn(bedrockx.Target{Model: "us.amazon.nova-lite-v1:0"})).Do(t.Context(), call, func(o *bedrockx.Options) {
		o.MaxTotalTokens = 10_000
		o.InputTokens = func(context.Context, *bedrockx.Call) (int64, error) { return 100, nil }
	})
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.ErrorContains(t, err, "300010 tokens")
}

// Whatever is asked, nothing is spent beyond a bound. The service counts as much
// as the published rules allow: a token for a byte of text, an image by its
// pixels, a page of a PDF at 3,000, its own prompts, and all of it written to a
// cache if that may be; and it fails, so that calls are sent again.
func TestNothingIsSpentBeyondABound(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	words := strings.Repeat("どの漫画? Which manga! ", 60)
	sent, refused := 0, 0
	for range 400 {
		req := converse.Request{Model: []bedrockkit.ModelID{claude, novaPro, gptOSS, haiku}[rnd.IntN(4)], MaxTokens: 1 + rnd.IntN(2000)}
		text := words[:rnd.IntN(len(words))]
		text = strings.ToValidUTF8("x"+text, "")
		usage := bedrockkit.Usage{InputTokens: int64(len(text)) + 100}
		content := converse.Contents{converse.Text(text)}
		vision := req.Model == claude || req.Model == novaPro || req.Model == haiku
		if vision && rnd.IntN(4) == 0 {
			w, h := 1+rnd.IntN(1568), 1+rnd.IntN(1568)
			content = append(content, converse.Image{Format: "png", Bytes: blankPNG(t, w, h)})
			usage.InputTokens += int64(w * h / 750)
		}
		if vision && rnd.IntN(6) == 0 {
			pages := 1 + rnd.IntN(30)
			content = append(content, converse.Document{Format: "pdf", Name: "a", Bytes: pdf(pages)})
			usage.InputTokens += int64(pages) * 3000
		}
		if rnd.IntN(3) == 0 {
			req.Tools = []converse.ToolSpec{{Name: "f", Description: "Finds.", InputSchema: []byte(`{"type":"object"}`)}}
			usage.InputTokens += 804
		}
		tier := bedrockkit.ServiceTier("")
		switch {
		case req.Model == gptOSS && rnd.IntN(2) == 0:
			req.ServiceTier = []bedrockkit.ServiceTier{bedrockkit.TierPriority, bedrockkit.TierFlex}[rnd.IntN(2)]
			tier = []bedrockkit.ServiceTier{req.ServiceTier, bedrockkit.TierStandard}[rnd.IntN(2)]
		case req.Model == novaPro && rnd.IntN(2) == 0:
			req.Latency, tier = bedrockkit.LatencyOptimized, bedrockkit.TierOptimized
		}
		usage.OutputTokens = int64(rnd.IntN(req.MaxTokens + 1))
		if req.Model == claude && rnd.IntN(2) == 0 {
			ttl := []string{"", "1h"}[rnd.IntN(2)]
			content = append(content, converse.CachePoint{TTL: ttl})
			if ttl == "" {
				usage.CacheWrite5mTokens, usage.InputTokens = usage.InputTokens, 0
			} else {
				usage.CacheWrite1hTokens, usage.InputTokens = usage.InputTokens, 0
			}
		}
		req.Messages = []converse.Message{{Role: converse.RoleUser, Content: content}}

		billed, attempts := pricing.Spend{}, 0
		price := func(u bedrockkit.Usage) {
			cost, err := pricing.Default().Cost(req.Model, u, func(o *pricing.CostOptions) { o.Tier, o.Region = tier, "us-east-1" })
			require.NoError(t, err)
			billed = billed.Add(pricing.Spend{Cost: cost, Tokens: u.Total()})
			attempts++
		}
		fails := rnd.IntN(3) == 0
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
			o.InProcess = true
			o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				price(usage)
				if fails && attempts == 1 { // billed, and nobody is told
					return bedrocktest.Exception("InternalServerException")
				}
				return bedrocktest.Text("ok").Usage(usage).Tier(tier)
			}
		})
		limits := pricing.Spend{Cost: pricing.Rate(1 + rnd.Int64N(20e9)).Of(1 + rnd.Int64N(20_000)), Tokens: 1 << (8 + rnd.IntN(12))}
		inDollars, inTokens := pricing.NewBudget(limits.Cost), pricing.NewTokenBudget(limits.Tokens)
		var bounds func(*bedrockx.Options)
		switch rnd.IntN(4) {
		case 0:
			bounds = func(o *bedrockx.Options) { o.MaxCost = &limits.Cost }
			limits.Tokens = math.MaxInt64
		case 1:
			bounds = func(o *bedrockx.Options) { o.MaxTotalTokens = limits.Tokens }
			limits.Cost = pricing.Rate(1e12).Of(1e12)
		case 2:
			bounds = func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{inDollars} }
			limits.Tokens = math.MaxInt64
		default:
			bounds = func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{inTokens} }
			limits.Cost = pricing.Rate(1e12).Of(1e12)
		}
		chat := converse.New(bedrockx.New(srv.Client(), quick, bounds))
		_, err := chat.Send(t.Context(), req)
		switch {
		case attempts == 0:
			require.ErrorIs(t, err, bedrockx.ErrBudget)
			refused++
		case err != nil:
			require.ErrorIs(t, err, bedrockx.ErrInternal)
			fallthrough
		default:
			sent++
		}
		if !assert.LessOrEqual(t, billed.Tokens, limits.Tokens, "%s %+v", req.Model, usage) ||
			!assert.LessOrEqual(t, billed.Cost.Cmp(limits.Cost), 0, "%s %s %+v: %s over %s", req.Model, tier, usage, billed.Cost, limits.Cost) {
			return
		}
		assert.GreaterOrEqual(t, inDollars.Remaining().Sign(), 0)
		assert.GreaterOrEqual(t, inTokens.RemainingTokens(), int64(0))
	}
	assert.Greater(t, sent, 40)
	assert.Greater(t, refused, 40)
}
