package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/examples/chatserver/covers"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// forwarded is the message that API Gateway makes of a batch, or of ten items of it:
// deploy/templates/vtl/batch-request.vm. It has put the message into a queue and given
// the ids out before a program has seen the batch.
type forwarded struct {
	Version   int    `json:"batch"`
	RequestID string `json:"request_id"`
	Caller    string `json:"caller"`
	First     int    `json:"first"` // number of the first item in the whole batch
	rest.Batch
}

// The bounds of a message: a hundred items in a batch, ten in a message.
const (
	maxForwarded      = 10
	maxForwardedItems = 100
)

var uuidForm = regexp.MustCompile(`^[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}$`)

// ErrForwarded is the error of a message that is not a batch of API Gateway, and never
// will be.
var ErrForwarded = errors.New("the message is not a batch that API Gateway has forwarded")

// SubmitForwarded submits the items of a batch that API Gateway has put into the queue
// manga-fm-requests. An item that cannot be done has failed, and its status says why,
// as nobody waits for an answer. The same message again submits nothing twice. An
// error other than [ErrForwarded] means that the message should come again.
func (s *Service) SubmitForwarded(ctx context.Context, message string) error {
	m := forwarded{}
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		return fmt.Errorf("%w: it is not JSON", ErrForwarded)
	}
	switch _, known := priorities[m.Priority]; {
	case m.Version != 1:
		return fmt.Errorf("%w: its version is %d, this program reads 1", ErrForwarded, m.Version)
	case !uuidForm.MatchString(m.RequestID):
		return fmt.Errorf("%w: its request_id is no UUID", ErrForwarded)
	case m.Caller == "":
		return fmt.Errorf("%w: it has no caller; the method of the API must need an API key", ErrForwarded)
	case !known:
		return fmt.Errorf("%w: its priority is %.20q", ErrForwarded, m.Priority)
	case len(m.Items) < 1 || len(m.Items) > maxForwarded || m.First < 0 || m.First+len(m.Items) > maxForwardedItems:
		return fmt.Errorf("%w: it has %d items, the first is number %d", ErrForwarded, len(m.Items), m.First)
	}
	noCallback := m.CallbackURL != "" && s.checkCallback(m.CallbackURL) != nil
	ids := make([]string, len(m.Items))
	var requests []asyncq.Request[Analysis]
	var failed []asyncq.Status
	pixels := covers.MaxPixels
	for i, item := range m.Items {
		item.AdditionalContext, item.Text = rest.Clean(item.AdditionalContext), rest.Clean(item.Text)
		picture, bad := contents(item, &pixels)
		ids[i] = forwardedID(m.RequestID, m.First+i)
		r := request(ids[i], m.Caller, m.RequestID, m.Batch, item, picture)
		class := ""
		if _, ok := s.books.ByID(item.MangaID); !ok {
			class = unknownManga
		} else if noCallback {
			class = callbackRefused
		} else if r.Payload.Validate() != nil || len(bad) > 0 {
			class = "validation"
		}
		if class == "" {
			requests = append(requests, r)
			continue
		}
		now := time.Now().UTC()
		failed = append(failed, asyncq.Status{ID: r.ID, State: asyncq.Failed, Priority: r.Priority, Metadata: r.Metadata,
			CreatedAt: now, UpdatedAt: now, FinishedAt: now, ExpiresAt: now.Add(Retention), ErrorClass: class})
	}
	if err := s.list(ctx, m.Caller, ids...); err != nil {
		return err
	}
	var errs []error
	for _, status := range failed {
		if err := s.backend.Status.Create(ctx, status); !errors.Is(err, asyncq.ErrExists) {
			errs = append(errs, err)
		}
	}
	if len(requests) > 0 {
		for _, submitted := range s.producer.SubmitBatch(ctx, requests) {
			errs = append(errs, submitted.Err)
		}
	}
	return errors.Join(errs...)
}

// forwardedID is the id that API Gateway has given out for an item: that of the
// request, with the number of the item at its end.
func forwardedID(requestID string, item int) string {
	return fmt.Sprintf("%s%03d", requestID[:len(requestID)-3], item)
}
