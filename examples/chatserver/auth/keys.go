package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrDenied is the error of a key, a token or a ticket that is not good.
var ErrDenied = errors.New("access denied")

// A Caller is who asks.
type Caller struct {
	ID      string    // of the key, or of the token's issuer and subject; it may be logged
	Name    string    // for people
	Expires time.Time // when the token does; zero for a key
}

// A Checker knows callers by what they bring. It is safe for concurrent use.
type Checker interface {
	// Check returns the caller of a token, or an error that is [ErrDenied].
	Check(ctx context.Context, token string) (Caller, error)
}

// Key is what is stored of an API key.
type Key struct {
	ID      string    `json:"id"` // the public part of the key
	Name    string    `json:"name"`
	SHA256  string    `json:"sha256"` // of the whole key, in hex
	Created time.Time `json:"created"`
}

// Keys are API keys in a file. A change of the file holds within a second.
type Keys struct {
	path string

	mu      sync.Mutex
	keys    []Key
	checked time.Time   // when the file was looked at
	file    fs.FileInfo // the one that was read; nil for none
}

// OpenKeys reads the keys of a file. One that is not there has none.
func OpenKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k, k.read()
}

// ParseKeys returns the keys of the content of such a file, which cannot be changed:
// for a server that gets them from a store of secrets.
func ParseKeys(data []byte) (*Keys, error) {
	k := &Keys{}
	if err := json.Unmarshal(data, &k.keys); err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	return k, nil
}

// keyForm is mak_, eight characters that may be seen, and 26 that may not.
var keyForm = regexp.MustCompile(`^mak_([A-Z2-7]{8})_[A-Z2-7]{26}$`)

var keyName = regexp.MustCompile(`^[\pL\pN ._@-]{1,64}$`)

// Add makes a key for a name and returns it. It is not stored, so this is the only
// time that it can be seen.
func (k *Keys) Add(name string) (key string, err error) {
	if !keyName.MatchString(name) {
		return "", fmt.Errorf("the name is %q; it has 1 to 64 letters, digits, spaces and . _ @ -", name)
	}
	id := rand.Text()[:8]
	key = "mak_" + id + "_" + rand.Text()
	return key, k.change(func(keys []Key) ([]Key, error) {
		return append(keys, Key{ID: id, Name: name, SHA256: digest(key), Created: time.Now().UTC().Truncate(time.Second)}), nil
	})
}

// Revoke makes a key worthless.
func (k *Keys) Revoke(id string) error {
	return k.change(func(keys []Key) ([]Key, error) {
		left := slices.DeleteFunc(slices.Clone(keys), func(key Key) bool { return key.ID == id })
		if len(left) == len(keys) {
			return nil, fmt.Errorf("no key has the id %q; chatserver keys list shows the ids", id)
		}
		return left, nil
	})
}

// List returns the keys, the oldest first.
func (k *Keys) List() ([]Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(); err != nil {
		return nil, err
	}
	return slices.Clone(k.keys), nil
}

// Check implements [Checker].
func (k *Keys) Check(_ context.Context, token string) (Caller, error) {
	form := keyForm.FindStringSubmatch(token)
	if form == nil {
		return Caller{}, ErrDenied
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		return Caller{}, err
	}
	sum := digest(token)
	for _, key := range k.keys {
		if key.ID == form[1] && subtle.ConstantTimeCompare([]byte(key.SHA256), []byte(sum)) == 1 {
			return Caller{ID: keyPrefix + key.ID, Name: key.Name}, nil
		}
	}
	return Caller{}, ErrDenied
}

// keyPrefix begins the id of a caller with a key.
const keyPrefix = "key "

// has reports whether a key is there, by its public part.
func (k *Keys) has(id string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		return false, err
	}
	return slices.ContainsFunc(k.keys, func(key Key) bool { return key.ID == id }), nil
}

// refresh reads the file, but once a second at most. An error means that it is not
// known who was revoked.
func (k *Keys) refresh() error {
	if time.Since(k.checked) <= time.Second {
		return nil
	}
	return k.read()
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// read reads the file if it has changed.
func (k *Keys) read() error {
	if k.path == "" {
		k.checked = time.Now()
		return nil
	}
	info, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		k.keys, k.file, k.checked = nil, nil, time.Now()
		return nil
	}
	if err == nil && !same(info, k.file) {
		var data []byte
		if data, err = os.ReadFile(k.path); err == nil {
			var keys []Key
			if err = json.Unmarshal(data, &keys); err == nil {
				k.keys, k.file = keys, info
			}
		}
	}
	if err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	k.checked = time.Now()
	return nil
}

// same reports whether a file is still the one that was read. Of two changes within
// some milliseconds, or on some disks a second, the time is the same.
func same(now, before fs.FileInfo) bool {
	return before != nil && now.ModTime().Equal(before.ModTime()) && now.Size() == before.Size() && os.SameFile(now, before)
}

// change writes the file anew, so that a reader sees the old one or the new one.
func (k *Keys) change(by func([]Key) ([]Key, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.path == "" {
		return errors.New("these keys are in no file, and cannot be changed")
	}
	if err := k.read(); err != nil {
		return err
	}
	keys, err := by(k.keys)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(k.path), ".keys-*") // with the mode 0600
	if err != nil {
		return fmt.Errorf("writing the keys: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(data, '\n'))
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), k.path)
	}
	if err != nil {
		return fmt.Errorf("writing the keys: %w", err)
	}
	k.file = nil
	return k.read()
}

// token is what a request brings: X-Api-Key, or a bearer token.
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
