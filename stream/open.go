package stream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// Converse opens a ConverseStream. It returns when the first output has arrived;
// failures before that are retried. It does not change the input. The error is a
// [*bedrockx.Error].
func Converse(ctx context.Context, c *bedrockx.Client, in *bedrockruntime.ConverseStreamInput, optFns ...func(*bedrockx.Options)) (*Stream, error) {
	if in == nil {
		in = &bedrockruntime.ConverseStreamInput{}
	}
	again := func(soFar string) (*bedrockx.Call, error) {
		copied := *in
		copied.Messages = append(slices.Clone(in.Messages), types.Message{
			Role:    types.ConversationRoleAssistant,
			Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: soFar}},
		})
		return converseCall(&copied), nil
	}
	return Open(ctx, c, converseCall(in), again, optFns...)
}

func converseCall(in *bedrockruntime.ConverseStreamInput) *bedrockx.Call {
	return &bedrockx.Call{
		Op:      bedrockkit.OpConverseStream,
		Outcome: bedrockx.Outcome{Model: bedrockkit.ModelID(aws.ToString(in.ModelId))},
		SDKInput: func() (any, error) {
			copied := *in
			return &copied, nil
		},
	}
}

// InvokeModel opens an InvokeModelWithResponseStream, with a decoder for its chunks:
// of the model's family, such as anthropic.NewDecoder, your own, or [RawChunks].
// newDecoder is called for each attempt. Otherwise it is like [Converse].
func InvokeModel(ctx context.Context, c *bedrockx.Client, in *bedrockruntime.InvokeModelWithResponseStreamInput, newDecoder func() Decoder, optFns ...func(*bedrockx.Options)) (*Stream, error) {
	if in == nil {
		in = &bedrockruntime.InvokeModelWithResponseStreamInput{}
	}
	return openInvoke(ctx, c, &bedrockx.Call{
		Op:      bedrockkit.OpInvokeModelWithResponseStream,
		Outcome: bedrockx.Outcome{Model: bedrockkit.ModelID(aws.ToString(in.ModelId))},
		SDKInput: func() (any, error) {
			copied := *in
			return &copied, nil
		},
	}, nil, newDecoder, optFns)
}

// A Payload is a body in the form of a model family, with a decoder for its streamed
// answer, such as anthropic.Request. Use [bedrockx.Raw] for a model without a type in
// any package: it yields the chunks unchanged.
type Payload interface {
	// EncodeInvoke returns the JSON body for the model. An error says what is
	// wrong with the request; nothing is sent then.
	EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)

	// NewDecoder returns a decoder of the answer, for one attempt.
	NewDecoder() Decoder
}

// Invoke is [InvokeModel] with a typed request.
//
//	s, err := stream.Invoke(ctx, client, model, nova.Request{…})
//
// If in has a method Continued(soFar string), which returns the request for the rest
// of an answer, the stream can be continued; see bedrockx.Options.Continue.
func Invoke[In Payload](ctx context.Context, c *bedrockx.Client, model bedrockkit.ModelID, in In, optFns ...func(*bedrockx.Options)) (*Stream, error) {
	var again func(soFar string) (*bedrockx.Call, error)
	if r, ok := any(in).(interface{ Continued(soFar string) In }); ok {
		again = func(soFar string) (*bedrockx.Call, error) { return requestCall(model, r.Continued(soFar)), nil }
	}
	return openInvoke(ctx, c, requestCall(model, in), again, in.NewDecoder, optFns)
}

func requestCall[In Payload](model bedrockkit.ModelID, in In) *bedrockx.Call {
	call := &bedrockx.Call{Op: bedrockkit.OpInvokeModelWithResponseStream, Outcome: bedrockx.Outcome{Model: model}}
	call.SetPayload(in)
	return call
}

func openInvoke(ctx context.Context, c *bedrockx.Client, call *bedrockx.Call, again func(string) (*bedrockx.Call, error), newDecoder func() Decoder, optFns []func(*bedrockx.Options)) (*Stream, error) {
	if newDecoder == nil {
		return nil, &bedrockx.Error{Op: call.Op, Model: call.Model, Kind: bedrockx.KindValidation,
			Err: errors.New("it needs a decoder, such as anthropic.NewDecoder or stream.RawChunks")}
	}
	s := &Stream{call: call, again: again, newDec: func() frameDecoder { return &chunkFrames{decoder: newDecoder()} }}
	return s.begun(ctx, c, optFns)
}

// Open opens the ConverseStream of a call that the caller has made. Package converse
// uses it with its own body. Open sets the call's Decode and Share.
//
// again returns the call that asks for the rest of an answer that begins with soFar,
// for bedrockx.Options.Continue. It returns a nil call if that is not possible. If
// again is nil, the stream is never continued.
func Open(ctx context.Context, c *bedrockx.Client, call *bedrockx.Call, again func(soFar string) (*bedrockx.Call, error), optFns ...func(*bedrockx.Options)) (*Stream, error) {
	s := &Stream{call: call, again: again, newDec: func() frameDecoder { return converseFrames{} }}
	return s.begun(ctx, c, optFns)
}

func (s *Stream) begun(ctx context.Context, c *bedrockx.Client, optFns []func(*bedrockx.Options)) (*Stream, error) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.began = time.Now()
	open := false
	defer func() {
		if !open { // an error, or a panic of a policy: no connection stays
			s.cancel()
		}
	}()
	s.open = func(call *bedrockx.Call) error { return c.Do(ctx, call, optFns...) }
	s.call.Decode, s.call.Share = s.begin, s.share
	if err := s.open(s.call); err != nil {
		return nil, err
	}
	open = true
	// A stream that nobody reads ends with its context too, maybe before stop is set.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = context.AfterFunc(ctx, func() {
		if !s.claimed.Load() || s.pulled.Load() {
			s.end(context.Cause(ctx))
		}
	})
	return s, nil
}

// share makes the Decode of a copy of the call, which is sent for several. What
// it reads is for the keeper of the answer.
func (s *Stream) share(call *bedrockx.Call) (rest func() error) {
	other := &Stream{call: call, newDec: s.newDec, cancel: func() {}}
	call.Decode = other.begin
	return func() error {
		for {
			if _, err := other.next(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}
