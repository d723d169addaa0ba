package cache

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// An EncryptionKey is a key of [Encrypted].
type EncryptionKey struct {
	// ID names the key. It has 1 to 255 bytes, such as "2026-11", and is stored
	// unencrypted with every value.
	ID string

	// Secret is 32 random bytes.
	Secret []byte
}

// encryptedV1 is the first byte of what Encrypted stores. After it come the
// length of the key's id, the id, the nonce, the ciphertext and its tag.
const encryptedV1 = 1

// Encrypted returns a store that keeps its values in store, encrypted and
// authenticated with AES-256-GCM and a random nonce. The namespace, the tenant and the
// key of an entry are authenticated too. So Get returns [ErrCorrupt] if a value was
// changed, or was moved to another key or tenant. Keys, lengths and times stay
// visible; for keys that show nothing, see [NewKeyer].
//
// The first key encrypts; all keys decrypt. To rotate keys, add the new key at the end
// in all programs, then move it to the front, and remove the old key when its last
// entry has expired. Use a key for at most 2^32 values.
func Encrypted(store Store, keys ...EncryptionKey) (Store, error) {
	e := &encrypted{store: store, aeads: map[string]cipher.AEAD{}}
	for i, k := range keys {
		fail := func(format string, args ...any) (Store, error) {
			return nil, fmt.Errorf("cache: encryption key %d: %w", i, fmt.Errorf(format, args...))
		}
		if n := len(k.ID); n == 0 || n > 255 {
			return fail("an ID of %d bytes; it must have 1 to 255", n)
		}
		if len(k.Secret) != 32 {
			return fail("a secret of %d bytes; AES-256 takes 32", len(k.Secret))
		}
		if e.aeads[k.ID] != nil {
			return fail("the ID is there twice")
		}
		block, err := aes.NewCipher(k.Secret)
		if err != nil {
			return fail("%w", err)
		}
		if e.aeads[k.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return fail("%w", err)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("cache: no encryption key")
	}
	e.first = e.aeads[keys[0].ID]
	e.header = append([]byte{encryptedV1, byte(len(keys[0].ID))}, keys[0].ID...)
	return e, nil
}

type encrypted struct {
	store  Store
	aeads  map[string]cipher.AEAD // by id
	first  cipher.AEAD            // which encrypts
	header []byte                 // of what is written
}

func (e *encrypted) Get(ctx context.Context, key Key) (Entry, error) {
	entry, err := e.store.Get(ctx, key)
	if err != nil {
		return Entry{}, err
	}
	corrupt := func(why string) (Entry, error) {
		return Entry{}, fmt.Errorf("%w: %s", ErrCorrupt, why)
	}
	v := entry.Value
	if len(v) < 2 || v[0] != encryptedV1 || len(v) < 2+int(v[1]) {
		return corrupt("it was not encrypted here")
	}
	header, sealed := v[:2+int(v[1])], v[2+int(v[1]):]
	aead := e.aeads[string(header[2:])]
	if aead == nil {
		return corrupt(fmt.Sprintf("it is encrypted with a key that is not known, %q", header[2:]))
	}
	entry.Value, err = aead.Open([]byte{}, nil, sealed, additional(header, &key))
	if err != nil {
		return corrupt("it was changed, or is of another key or tenant")
	}
	return entry, nil
}

func (e *encrypted) Set(ctx context.Context, key Key, value []byte, ttl time.Duration) error {
	sealed := make([]byte, len(e.header), len(e.header)+len(value)+e.first.Overhead())
	copy(sealed, e.header)
	sealed = e.first.Seal(sealed, nil, value, additional(e.header, &key))
	return e.store.Set(ctx, key, sealed, ttl)
}

func (e *encrypted) Delete(ctx context.Context, key Key) error { return e.store.Delete(ctx, key) }

// additional is what is authenticated beside the value.
func additional(header []byte, key *Key) []byte {
	const purpose = "bedrockkit/cache/encrypted/1"
	b := make([]byte, 0, len(purpose)+len(header)+8+len(key.Namespace)+8+len(key.Tenant)+len(key.Sum))
	b = append(b, purpose...)
	b = append(b, header...) // has its own length
	b = binary.BigEndian.AppendUint64(b, uint64(len(key.Namespace)))
	b = append(b, key.Namespace...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(key.Tenant)))
	b = append(b, key.Tenant...)
	return append(b, key.Sum[:]...)
}
