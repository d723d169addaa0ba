package cache

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

// preimage returns what is hashed for a request.
func preimage(r Request) ([]byte, error) {
	e := new(encoder)
	err := e.request(&r)
	return e.out, err
}

// A reader reads pre-images back. That it can is the proof that no two requests
// share one.
type reader struct{ rest []byte }

func (r *reader) take(n int) []byte {
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) long() int    { return int(binary.BigEndian.Uint64(r.take(8))) }
func (r *reader) text() string { return string(r.take(r.long())) }
func (r *reader) short() []byte {
	return r.take(int(binary.BigEndian.Uint32(r.take(4))))
}

// value returns the next value, or the tag that ends an array or an object.
func (r *reader) value() (v any, end byte) {
	switch tag := r.take(1)[0]; tag {
	case 'n':
		return nil, 0
	case 't', 'f':
		return tag == 't', 0
	case '#':
		return json.Number(r.short()), 0
	case '"':
		return string(r.short()), 0
	case '[':
		list := []any{}
		for {
			v, end := r.value()
			if end == ']' {
				return list, 0
			}
			list = append(list, v)
		}
	case '{':
		object := map[string]any{}
		for {
			name, end := r.value()
			if end == '}' {
				return object, 0
			}
			object[name.(string)], _ = r.value()
		}
	case ']', '}':
		return nil, tag
	default:
		panic(fmt.Sprintf("tag %q", tag))
	}
}

// readPreimage returns the request, its body apart as a value.
func readPreimage(p []byte) (Request, any) {
	r := &reader{rest: p[len(schema):]}
	q := Request{Namespace: r.text(), Tenant: r.text(), Class: Class(r.text()), Account: r.text(), Region: r.text(), Model: bedrockkit.ModelID(r.text())}
	for range r.long() {
		q.Params = append(q.Params, Param{r.text(), r.text()})
	}
	v, _ := r.value()
	if len(r.rest) > 0 {
		panic("more than one body")
	}
	return q, v
}

// render writes a value as JSON in another way than anybody would: all of a
// string is escaped, and surrogates keep their code.
func render(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.WriteByte('"')
		for i := 0; i < len(v); {
			r, n := utf8.DecodeRuneInString(v[i:])
			if r == utf8.RuneError && n == 1 {
				r, n = rune(v[i]&0xF)<<12|rune(v[i+1]&0x3F)<<6|rune(v[i+2]&0x3F), 3
			}
			if r >= 0x10000 {
				fmt.Fprintf(b, `\u%04X\u%04x`, 0xD800+(r-0x10000)>>10, 0xDC00+(r-0x10000)&0x3FF)
			} else {
				fmt.Fprintf(b, `\u%04x`, r)
			}
			i += n
		}
		b.WriteByte('"')
	case []any:
		b.WriteString("\n[ ")
		for i, item := range v {
			if i > 0 {
				b.WriteString(" ,\t")
			}
			render(b, item)
		}
		b.WriteString("\r]")
	case map[string]any:
		b.WriteByte('{')
		i := 0
		for name, item := range v { // in any order
			if i++; i > 1 {
				b.WriteByte(',')
			}
			render(b, name)
			b.WriteString(" : ")
			render(b, item)
		}
		b.WriteByte('}')
	case json.Number:
		b.WriteString(string(v))
	default:
		fmt.Fprint(b, map[any]string{nil: "null", true: "true", false: "false"}[v])
	}
}

// decodeJSON is what encoding/json reads, numbers as they stand.
func decodeJSON(t *testing.T, body []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	return v
}

// hasNoMeaning says why valid JSON may have no key.
func hasNoMeaning(body []byte) bool {
	if !utf8.Valid(body) {
		return true
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	type level struct {
		names map[string]bool // nil for an array
		name  bool            // a name is next
	}
	var open []*level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			return true
		}
		var top *level
		if len(open) > 0 {
			top = open[len(open)-1]
		}
		if name, ok := token.(string); ok && top != nil && top.names != nil && top.name {
			if top.names[name] {
				return true
			}
			top.names[name], top.name = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			open = append(open, &level{names: map[string]bool{}, name: true})
		case json.Delim('['):
			open = append(open, &level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
			if len(open) > 0 {
				open[len(open)-1].name = true
			}
			continue
		default:
			if top != nil {
				top.name = true
			}
			continue
		}
		if len(open) > maxDepth {
			return true
		}
	}
}

var bodySeeds = []string{
	`{}`, `[]`, `null`, `true`, `0`, `-0`, `-1.5e+10`, `1E5`, `""`, `"a"`, ` { "b" : 1 , "a" : [ ] } `,
	`{"messages":[{"role":"user","content":[{"text":"Was ist \"One Piece\"?"}]}],"inferenceConfig":{"temperature":0.0,"maxTokens":512}}`,
	`{"a":{"d":1,"c":{"z":[{"y":1,"x":2}],"w":"\u00e9"}},"A":"é"}`,
	`"\ud83d\ude00"`, `"😀"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\ud83d\ud83d\ude00"`, "\"\ufffd\"", `"\ufffd"`,
	`"\u0022\u005c\/\b\f\n\r\t"`, `"\u0000"`, `"01234567\n01234567"`, `"日本語のマンガ、とても長い文字列"`,
	`["#",35,"n",null,"[","]"]`, `[[],[[]]]`, `[{},{"":{}}]`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`,
	"\"\xff\"", "\"\xed\xa0\x80\"", "\"a\nb\"", `01`, `1.`, `.5`, `+1`, `1e`, `-`, `tru`, `nullx`, `{"a"}`, `{"a":}`, `{,}`, `[1,]`, `[1 2]`, `"`, `"\`, `"\u12`, `"\x"`, ``, ` `, `{} {}`, "\x00", "1\x00",
	strings.Repeat("[", 128) + strings.Repeat("]", 128), strings.Repeat("[", 129) + strings.Repeat("]", 129),
}

// A pre-image can be read back, and is the same however its JSON was written.
func FuzzPreimage(f *testing.F) {
	for _, body := range bodySeeds {
		f.Add([]byte(body), "namespace", "tenant", "name", "value")
	}
	f.Add([]byte(`1`), "\x00\x00", "\x00\x00\x00\x01a", "", "\xff")
	f.Fuzz(func(t *testing.T, body []byte, namespace, tenant, name, value string) {
		r := Request{Namespace: namespace, Tenant: tenant, Class: Class("c" + name), Account: value, Region: tenant, Model: bedrockkit.ModelID("m" + value),
			Params: []Param{{value, name}, {name, value}}, Body: body}
		p, err := preimage(r)
		if err != nil {
			require.True(t, !json.Valid(body) || hasNoMeaning(body), "%s: %v", body, err)
			return
		}
		require.True(t, json.Valid(body) && utf8.Valid(body), "%q is no JSON in UTF-8", body)
		q, v := readPreimage(p)
		slices.SortFunc(q.Params, func(a, b Param) int { return strings.Compare(a.Name+a.Value, b.Name+b.Value) })
		want := r
		want.Body = nil
		slices.SortFunc(want.Params, func(a, b Param) int { return strings.Compare(a.Name+a.Value, b.Name+b.Value) })
		assert.ElementsMatch(t, want.Params, q.Params)
		want.Params, q.Params = nil, nil
		assert.Equal(t, want, q)

		// encoding/json reads a lone surrogate as U+FFFD.
		if reference := decodeJSON(t, body); !strings.Contains(fmt.Sprint(reference), "\ufffd") {
			require.False(t, hasNoMeaning(body), "%s has a key", body)
			require.Equal(t, reference, v)
		}
		var b strings.Builder
		render(&b, v)
		r.Body = []byte(b.String())
		again, err := preimage(r)
		require.NoError(t, err, "%s", r.Body)
		require.Equal(t, p, again, "%s and %s", body, r.Body)
	})
}

// Two requests have the same pre-image if and only if they are equal.
func FuzzDifferentRequests(f *testing.F) {
	add := func(a, b Request) {
		f.Add(a.Namespace, a.Tenant, string(a.Class), a.Region, a.Body, b.Namespace, b.Tenant, string(b.Class), b.Region, b.Body)
	}
	for i, body := range bodySeeds {
		add(Request{Body: []byte(body)}, Request{Body: []byte(bodySeeds[(i+1)%len(bodySeeds)])})
		add(Request{Body: []byte(body)}, Request{Body: []byte(" " + body)})
	}
	one := []byte("1")
	add(Request{Namespace: "a", Tenant: "b", Body: one}, Request{Namespace: "ab", Body: one})
	add(Request{Namespace: "a|b", Tenant: "c", Body: one}, Request{Namespace: "a", Tenant: "b|c", Body: one})
	add(Request{Namespace: "a\x00\x00\x00\x00\x00\x00\x00\x00", Body: one}, Request{Namespace: "a", Tenant: "", Body: one})
	add(Request{Namespace: "\x00\x00\x00\x00\x00\x00\x00\x01a", Body: one}, Request{Tenant: "a", Body: one})
	f.Fuzz(func(t *testing.T, n1, t1, c1, r1 string, b1 []byte, n2, t2, c2, r2 string, b2 []byte) {
		x := Request{Namespace: n1, Tenant: t1, Class: Class("c" + c1), Region: r1, Model: "m", Body: b1}
		y := Request{Namespace: n2, Tenant: t2, Class: Class("c" + c2), Region: r2, Model: "m", Body: b2}
		p, err := preimage(x)
		if err != nil {
			return
		}
		q, err := preimage(y)
		if err != nil {
			return
		}
		v, w := decodeJSON(t, b1), decodeJSON(t, b2)
		same := n1 == n2 && t1 == t2 && c1 == c2 && r1 == r2 && assert.ObjectsAreEqual(v, w)
		if bytes.Equal(p, q) {
			require.True(t, same, "two requests share a pre-image: %+v and %+v", x, y)
			return
		}
		require.False(t, same && !strings.Contains(fmt.Sprint(v), "\ufffd"), "equal requests have two pre-images: %s and %s", b1, b2)
		require.False(t, bytes.HasPrefix(p, q) || bytes.HasPrefix(q, p), "a pre-image is the beginning of another")
	})
}
