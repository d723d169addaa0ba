package fileblobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// MaxBytes bounds what is stored and what is read. The default is 64 MiB.
	MaxBytes int64
}

// Store is an [asyncq.BlobStore] of files. It is safe for concurrent use.
type Store struct {
	dir string
	max int64
}

var _ asyncq.BlobStore = (*Store)(nil)

// writing is the folder of files that are being written, within that of the store.
// No key's file has this name.
const writing = "new"

// staleAfter is how long after its last change a file in it is that of a process that
// was killed.
const staleAfter = time.Hour

// New returns a store in a folder, which it makes if it is missing; only its owner
// may read it. It deletes what processes that were killed have left half written.
func New(dir string, optFns ...func(*Options)) (*Store, error) {
	o := Options{MaxBytes: 64 << 20}
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if err := os.MkdirAll(filepath.Join(dir, writing), 0o700); err != nil {
		return nil, fmt.Errorf("fileblobs: %w", err)
	}
	s := &Store{dir: dir, max: o.MaxBytes}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("fileblobs: deleting what was left half written: %w", err)
	}
	return s, nil
}

// sweep deletes the files of processes that were killed.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, writing))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > staleAfter {
			err = os.Remove(filepath.Join(s.dir, writing, entry.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // another has deleted it
			return err
		}
	}
	return nil
}

// file is the name of a key's file, which differs from those of all others also
// where names have no case, and is not a name that a system keeps for itself.
func (s *Store) file(key string) string {
	var b strings.Builder
	b.WriteString("b-")
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	name := b.String()
	if len(name) > 200 {
		name = fmt.Sprintf("h-%x", sha256.Sum256([]byte(key)))
	}
	return filepath.Join(s.dir, name)
}

// Put implements [asyncq.BlobStore].
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return fail("storing", key, err)
	}
	if int64(len(data)) > s.max {
		return fail("storing", key, fmt.Errorf("%d bytes are more than %d", len(data), s.max))
	}
	f, err := os.CreateTemp(filepath.Join(s.dir, writing), "*")
	if err != nil {
		return fail("storing", key, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fail("storing", key, err)
	}
	// Unlike a rename, a link does not replace what is there.
	err = os.Link(f.Name(), s.file(key))
	if errors.Is(err, fs.ErrExist) {
		err = asyncq.ErrExists
	}
	return fail("storing", key, err)
}

// Get implements [asyncq.BlobStore].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fail("reading", key, err)
	}
	f, err := os.Open(s.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		err = asyncq.ErrNotFound
	}
	if err != nil {
		return nil, fail("reading", key, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, s.max+1))
	if err == nil && int64(len(data)) > s.max {
		err = fmt.Errorf("the file has more than %d bytes", s.max)
	}
	if err != nil {
		return nil, fail("reading", key, err)
	}
	return data, nil
}

// Delete implements [asyncq.BlobStore].
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return fail("deleting", key, err)
	}
	err := os.Remove(s.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fail("deleting", key, err)
}

func fail(what, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("fileblobs: %s %s: %w", what, key, err)
}
