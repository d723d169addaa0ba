package dynamosession

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
)

// API is what a [Store] calls of a *dynamodb.Client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Options are the options of a [Store]. The zero value of a field means its default.
type Options struct {
	// TTL is how long a session is kept after it was saved. By default it never
	// expires. DynamoDB removes an item up to some days after it has expired, if the
	// table's time to live is set. Until then, the item counts as not existing.
	TTL time.Duration

	// MaxBytes bounds the compressed size of a history. For a longer history the error
	// is session.ErrTooLarge. The default is 4 MiB.
	MaxBytes int
}

// Store is a [session.Store] in DynamoDB. Loads are strongly consistent.
type Store struct {
	api     API
	table   string
	options Options
}

var _ session.Store = (*Store)(nil)

// New returns a store in a table.
func New(api API, table string, optFns ...func(*Options)) *Store {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 4 << 20
	}
	return &Store{api: api, table: table, options: o}
}

const (
	// maxPlain is the longest JSON that is stored as it is.
	maxPlain = 32 << 10
	// maxPart leaves room for the id and the other attributes in an item of
	// 400 KB (Amazon DynamoDB Developer Guide, "Quotas").
	maxPart = 390 << 10
	// maxJSON bounds what is read of a compressed history.
	maxJSON = 256 << 20
)

// A record is a session's item.
type record struct {
	version int64
	plain   string
	zipped  []byte
	token   string // of the save
	parts   int
	claim   string    // of the last claim
	busy    time.Time // until when it holds
}

// Load returns a history, or session.ErrNotFound.
func (s *Store) Load(ctx context.Context, id string) (session.History, error) {
	if err := check(ctx, id); err != nil {
		return session.History{}, err
	}
	// While the parts are read, the session may be saved anew.
	for range 10 {
		out, err := s.get(ctx, key(id))
		if err != nil {
			return session.History{}, err
		}
		if out == nil {
			return session.History{}, session.ErrNotFound
		}
		r, err := readRecord(out)
		if err != nil {
			return session.History{}, err
		}
		complete, err := s.readParts(ctx, id, r)
		if err != nil {
			return session.History{}, err
		}
		if !complete {
			continue
		}
		messages, err := r.messages()
		return session.History{Messages: messages, Version: r.version, Busy: r.busy}, err
	}
	return session.History{}, errors.New("dynamosession: a part of the session is missing")
}

// Save stores a history.
func (s *Store) Save(ctx context.Context, id string, h session.History) (int64, error) {
	if err := check(ctx, id); err != nil {
		return 0, err
	}
	now := time.Now()
	// Later than any that was before, also before a Delete.
	version := max(h.Version+1, now.UnixMicro())
	item := key(id)
	item["version"] = number(version)
	item["updated_at"] = number(now.Unix())
	expires := s.expires(now)
	if expires != nil {
		item["expires_at"] = expires
	}
	parts, err := s.write(item, h.Messages)
	if err != nil {
		return 0, err
	}
	token := rand.Text() // of this save
	item["token"] = text(token)
	if len(parts) > 0 {
		item["parts"] = number(int64(len(parts)))
	}
	written := &record{token: token}
	for i, part := range parts {
		partItem := partKey(id, token, i)
		partItem["part"] = &types.AttributeValueMemberB{Value: part}
		if expires != nil {
			partItem["expires_at"] = expires
		}
		written.parts = i + 1
		if _, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: partItem}); err != nil {
			s.removeParts(ctx, id, written)
			return 0, fail("saving", err)
		}
	}

	put := &dynamodb.PutItemInput{TableName: &s.table, Item: item, ReturnValues: types.ReturnValueAllOld,
		ExpressionAttributeValues: map[string]types.AttributeValue{":now": number(now.Unix())}}
	if h.Version == 0 {
		put.ConditionExpression = aws.String("attribute_not_exists(id) OR expires_at <= :now")
	} else {
		put.ConditionExpression = aws.String("version = :version AND (attribute_not_exists(expires_at) OR expires_at > :now)")
		put.ExpressionAttributeValues[":version"] = number(h.Version)
	}
	out, err := s.api.PutItem(ctx, put)
	if err != nil {
		var conflict *types.ConditionalCheckFailedException
		if errors.As(err, &conflict) {
			return s.conflict(ctx, id, version, written)
		}
		// It may have been saved all the same, so the parts stay.
		return 0, fail("saving", err)
	}
	if old, err := readRecord(out.Attributes); err == nil {
		s.removeParts(ctx, id, old)
	}
	return version, nil
}

// Claim sets the time until which a request has claimed a session, in one small write.
func (s *Store) Claim(ctx context.Context, id string, version int64, until time.Time) (int64, error) {
	if err := check(ctx, id); err != nil {
		return 0, err
	}
	now := time.Now()
	next := max(version+1, now.UnixMicro())
	claim := rand.Text() // of this call
	update := &dynamodb.UpdateItemInput{TableName: &s.table, Key: key(id),
		ExpressionAttributeNames: map[string]string{"#token": "token"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":now": number(now.Unix()), ":next": number(next), ":claim": text(claim), ":busy": number(max(0, until.UnixMilli()))}}
	set := "SET version = :next, updated_at = :now, claim = :claim, busy_until = :busy"
	remove := ""
	if version == 0 {
		// There may be one that has expired: nothing of it stays.
		set += ", messages = :none, #token = :claim"
		update.ExpressionAttributeValues[":none"] = text("[]")
		remove = " REMOVE messages_gzip, parts"
		update.ConditionExpression = aws.String("attribute_not_exists(id) OR expires_at <= :now")
	} else {
		update.ConditionExpression = aws.String("version = :version AND (attribute_not_exists(expires_at) OR expires_at > :now)")
		update.ExpressionAttributeValues[":version"] = number(version)
		update.ExpressionAttributeNames = nil
	}
	if expires := s.expires(now); expires != nil {
		set += ", expires_at = :expires"
		update.ExpressionAttributeValues[":expires"] = expires
	} else if version == 0 {
		remove += ", expires_at"
	}
	update.UpdateExpression = aws.String(set + remove)
	if _, err := s.api.UpdateItem(ctx, update); err != nil {
		var conflict *types.ConditionalCheckFailedException
		if !errors.As(err, &conflict) {
			return 0, fail("claiming", err)
		}
		// If the answer to a first attempt was lost, the SDK's second one meets
		// what the first has written.
		item, err := s.get(ctx, key(id))
		if err != nil {
			return 0, err
		}
		if r, err := readRecord(item); err != nil || r.claim != claim {
			return 0, session.ErrConflict
		}
	}
	return next, nil
}

// conflict is what became of a save whose condition failed. Where the answer to
// a first attempt was lost, the SDK's second one meets what the first has saved.
func (s *Store) conflict(ctx context.Context, id string, version int64, written *record) (int64, error) {
	item, err := s.get(ctx, key(id))
	if err != nil {
		return 0, err
	}
	if item != nil {
		if r, err := readRecord(item); err == nil && r.token == written.token {
			return version, nil
		}
	}
	s.removeParts(ctx, id, written)
	return 0, session.ErrConflict
}

// Delete removes a history.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := check(ctx, id); err != nil {
		return err
	}
	out, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: key(id), ReturnValues: types.ReturnValueAllOld})
	if err != nil {
		return fail("deleting", err)
	}
	old, err := readRecord(out.Attributes)
	if err != nil {
		return nil // there was none
	}
	return s.removeParts(ctx, id, old)
}

func check(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return session.CheckID(id)
}

func fail(what string, err error) error { return fmt.Errorf("dynamosession: %s: %w", what, err) }

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// key is the key of a session. The prefix keeps ids apart from those of parts,
// whatever is in them.
func key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": text("s#" + id)}
}

func partKey(id, token string, i int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": text(fmt.Sprintf("p#%s#%d#%s", token, i, id))}
}

func (s *Store) expires(now time.Time) types.AttributeValue {
	if s.options.TTL <= 0 {
		return nil
	}
	return number(now.Add(s.options.TTL).Unix())
}

// get reads an item; one that has expired is not there.
func (s *Store) get(ctx context.Context, key map[string]types.AttributeValue) (map[string]types.AttributeValue, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, fail("loading", err)
	}
	if len(out.Item) == 0 {
		return nil, nil
	}
	if _, ok := out.Item["expires_at"]; ok {
		if at, err := readNumber(out.Item, "expires_at"); err != nil || at <= time.Now().Unix() {
			return nil, err
		}
	}
	return out.Item, nil
}

// write puts the messages into a session's item, or returns the parts that they
// are kept in.
func (s *Store) write(item map[string]types.AttributeValue, messages []converse.Message) ([][]byte, error) {
	if messages == nil {
		messages = []converse.Message{}
	}
	data, err := json.Marshal(messages)
	if err != nil {
		return nil, fail("writing a history", err)
	}
	if len(data) <= min(maxPlain, s.options.MaxBytes) {
		item["messages"] = text(string(data))
		return nil, nil
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err = w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fail("writing a history", err)
	}
	switch size := zipped.Len(); {
	case size > s.options.MaxBytes || len(data) > maxJSON:
		return nil, fmt.Errorf("%w: compressed it has %d bytes of %d", session.ErrTooLarge, size, s.options.MaxBytes)
	case size <= maxPart:
		item["messages_gzip"] = &types.AttributeValueMemberB{Value: zipped.Bytes()}
		return nil, nil
	}
	var parts [][]byte
	for zipped.Len() > 0 {
		parts = append(parts, zipped.Next(maxPart))
	}
	return parts, nil
}

var errForeign = errors.New("dynamosession: the item is none of a session")

func readNumber(item map[string]types.AttributeValue, name string) (int64, error) {
	v, ok := item[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, errForeign
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		return 0, errForeign
	}
	return n, nil
}

func readRecord(item map[string]types.AttributeValue) (*record, error) {
	r := &record{}
	var err error
	if r.version, err = readNumber(item, "version"); err != nil {
		return nil, err
	}
	token, ok := item["token"].(*types.AttributeValueMemberS)
	if !ok {
		return nil, errForeign
	}
	r.token = token.Value
	if claim, ok := item["claim"].(*types.AttributeValueMemberS); ok {
		r.claim = claim.Value
		if at, err := readNumber(item, "busy_until"); err == nil && at > 0 {
			r.busy = time.UnixMilli(at)
		}
	}
	if plain, ok := item["messages"].(*types.AttributeValueMemberS); ok {
		r.plain = plain.Value
		return r, nil
	}
	if zipped, ok := item["messages_gzip"].(*types.AttributeValueMemberB); ok {
		r.zipped = zipped.Value
		return r, nil
	}
	parts, err := readNumber(item, "parts")
	if err != nil || parts < 1 || parts > 1<<20 {
		return nil, errForeign
	}
	r.parts = int(parts)
	return r, nil
}

// readParts reads the parts of a history, and reports whether all are there.
func (s *Store) readParts(ctx context.Context, id string, r *record) (bool, error) {
	for i := range r.parts {
		part, err := s.get(ctx, partKey(id, r.token, i))
		if err != nil {
			return false, err
		}
		b, ok := part["part"].(*types.AttributeValueMemberB)
		if !ok {
			return false, nil
		}
		r.zipped = append(r.zipped, b.Value...)
	}
	return true, nil
}

func (r *record) messages() ([]converse.Message, error) {
	data := []byte(r.plain)
	if r.zipped != nil {
		zr, err := gzip.NewReader(bytes.NewReader(r.zipped))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(zr, maxJSON))
		}
		if err != nil {
			return nil, fail("reading a history", err)
		}
	}
	var messages []converse.Message
	if err := json.Unmarshal(data, &messages); err != nil {
		return nil, fail("reading a history", err)
	}
	return messages, nil
}

// removeParts removes what no session names any more. What it cannot remove
// ends with the TTL.
func (s *Store) removeParts(ctx context.Context, id string, r *record) error {
	var errs []error
	for i := range r.parts {
		if _, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: partKey(id, r.token, i)}); err != nil {
			errs = append(errs, fail("deleting a part", err))
		}
	}
	return errors.Join(errs...)
}
