package family

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Among refuses a value of a field that is none of those which are allowed.
func Among[T string | int](field string, value T, allowed ...T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = fmt.Sprint(a)
	}
	list := names[0]
	if last := len(names) - 1; last > 0 {
		list = strings.Join(names[:last], ", ") + " or " + names[last]
	}
	if text, ok := any(value).(string); ok {
		return fmt.Errorf("%s is %q; it is %s", field, text, list)
	}
	return fmt.Errorf("%s is %v; it is %s", field, value, list)
}

// DataURI is data of a media type, such as image/png, as a URI.
func DataURI(mediaType string, data []byte) string {
	return "data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(data)
}

// TextOrParts reads content that is a string in JSON or a list of parts. text is
// the part of a string; an empty one is not content.
func TextOrParts[P any](data []byte, text func(string) []P) (parts []P, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte{'"'}) {
		err = json.Unmarshal(data, &parts)
		return parts, err
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil || s == "" {
		return nil, err
	}
	return text(s), nil
}
