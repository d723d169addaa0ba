package bedrockkit

import "fmt"

// Support says whether a model takes something: yes, no or unknown. The zero value is
// Unknown. Refuse a request only if it is No. It is Unknown for a model or a field
// without a description; only Bedrock knows then.
type Support uint8

// The three states.
const (
	Unknown Support = iota // no source says
	No                     // documented, or measured by others, to be refused
	Yes                    // known to be taken
)

var supportNames = [...]string{"unknown", "no", "yes"}

// String returns "yes", "no" or "unknown".
func (s Support) String() string {
	if int(s) < len(supportNames) {
		return supportNames[s]
	}
	return fmt.Sprintf("Support(%d)", uint8(s))
}

// MarshalText returns the name of the state. It fails for any other value.
func (s Support) MarshalText() ([]byte, error) {
	if int(s) >= len(supportNames) {
		return nil, fmt.Errorf("%d is not a Support", uint8(s))
	}
	return []byte(supportNames[s]), nil
}

// UnmarshalText reads the name of a state. It fails for any other text.
func (s *Support) UnmarshalText(text []byte) error {
	for i, name := range supportNames {
		if string(text) == name {
			*s = Support(i)
			return nil
		}
	}
	return fmt.Errorf("unknown support %q; there are yes, no and unknown", text)
}

// supportOf is Yes or No, for what is known.
func supportOf(yes bool) Support {
	if yes {
		return Yes
	}
	return No
}
