package bedrocktest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// A Fault makes requests fail that would have been answered. It applies to requests of
// Op that the server has not refused. Nth, Every or Chance selects some of them; set
// at most one. If none is set, the fault applies to all.
//
// If Instead is set, it is sent, and no scripted reply is consumed. Otherwise Apply
// changes a copy of the reply that would have been sent:
//
//	bedrocktest.Fault{Op: bedrockkit.OpConverseStream, Nth: 2,
//		Apply: func(r *bedrocktest.Reply) { r.AbortAfter(300) }}
type Fault struct {
	Op     bedrockkit.Operation // AnyOp is all
	Nth    int                  // counted from 1
	Every  int                  // each Every-th
	Chance float64              // from 0 to 1, drawn from [Options.Seed]: the same on every run

	Instead *Reply
	Apply   func(*Reply)
}

// check says what is wrong with a fault.
func (f Fault) check() error {
	which := 0
	for _, set := range []bool{f.Nth != 0, f.Every != 0, f.Chance != 0} {
		if set {
			which++
		}
	}
	switch {
	case f.Op != AnyOp && !known(f.Op):
		return fmt.Errorf("no such operation: %q", f.Op)
	case f.Nth < 0 || f.Every < 0:
		return errors.New("requests are counted from 1")
	case !(f.Chance >= 0 && f.Chance <= 1):
		return fmt.Errorf("a chance of %v; it is from 0 to 1", f.Chance)
	case which > 1:
		return errors.New("it says twice which requests: only one of nth, every and chance can be set")
	case f.Instead == nil && f.Apply == nil:
		return errors.New("it does not say what happens, as error=ThrottlingException or cut=100")
	}
	return nil
}

// faults finds the faults that hit a request.
func (s *Server) faults(req *Request) (instead *Reply, apply []func(*Reply)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.opts.Faults {
		if f.Op != AnyOp && f.Op != req.Op {
			continue
		}
		s.faultCount[i]++
		n := s.faultCount[i]
		hit := true
		switch {
		case f.Nth > 0:
			hit = n == f.Nth
		case f.Every > 0:
			hit = n%f.Every == 0
		case f.Chance > 0:
			draw := digest("fault", itoa(int(s.opts.Seed)), itoa(i), itoa(n)) >> 11
			hit = float64(draw)/(1<<53) < f.Chance
		}
		switch {
		case !hit:
		case f.Instead != nil:
			return f.Instead, nil
		case f.Apply != nil:
			apply = append(apply, f.Apply)
		}
	}
	return nil, apply
}

// ParseFault reads a fault from a line of comma-separated settings, as the
// flag -fault of cmd/bedrockfake takes it:
//
//	op=ConverseStream,nth=2,abort=300
//	every=10,error=ThrottlingException
//	chance=0.05,exception=ModelStreamErrorException@3
//
// Which requests: op=NAME and one of nth=N, every=N, chance=P. What happens, one of:
// error=CODE · html=STATUS · gzip=BYTES · cut=BYTES · abort=BYTES · end=EVENTS ·
// exception=CODE@EVENTS · corrupt=EVENTS · claim=EVENTS · stall (before the
// headers) · stall=EVENTS · delay=DURATION · pace=TOKENS (a second).
func ParseFault(s string) (Fault, error) {
	var f Fault
	fail := func(part, want string) (Fault, error) {
		return Fault{}, fmt.Errorf("fault %q: %q: %s", s, part, want)
	}
	var seen []string
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		key, value, hasValue := strings.Cut(part, "=")
		if slices.Contains(seen, key) {
			return fail(part, "it is said twice")
		}
		seen = append(seen, key)
		had := f.Instead != nil || f.Apply != nil
		var n int64
		var err error
		switch key {
		case "nth", "every", "cut", "abort", "end", "corrupt", "claim", "html", "gzip":
			if n, err = strconv.ParseInt(value, 10, 32); err != nil || n < 0 {
				return fail(part, "a whole number is expected, as in "+key+"=3")
			}
		}
		if n == 0 && (key == "nth" || key == "every") {
			return fail(part, "requests are counted from 1")
		}
		apply := func(fn func(*Reply)) { f.Apply = fn }
		switch key {
		case "op":
			f.Op = bedrockkit.Operation(value)
			if !known(f.Op) {
				return fail(part, "no such operation; their names are those of the API reference, as ConverseStream")
			}
		case "nth":
			f.Nth = int(n)
		case "every":
			f.Every = int(n)
		case "chance":
			if f.Chance, err = strconv.ParseFloat(value, 64); err != nil || !(f.Chance > 0 && f.Chance <= 1) {
				return fail(part, "a number above 0, and up to 1, is expected, as in chance=0.05")
			}
		case "error":
			if _, ok := exceptions[value]; !ok {
				return fail(part, "no such exception of Bedrock Runtime, as ThrottlingException")
			}
			f.Instead = Exception(value)
		case "html":
			if http.StatusText(int(n)) == "" || n < 200 {
				return fail(part, "an HTTP status is expected, as in html=200")
			}
			f.Instead = HTML(int(n))
		case "gzip":
			f.Instead = GzipBomb(n)
		case "cut":
			apply(func(r *Reply) { r.CutAfter(n) })
		case "abort":
			apply(func(r *Reply) { r.AbortAfter(n) })
		case "end":
			apply(func(r *Reply) { r.EndAfter(int(n)) })
		case "corrupt":
			apply(func(r *Reply) { r.Corrupt(int(n), -1) })
		case "claim":
			apply(func(r *Reply) { r.Claim(int(n), 1<<32-1, 0) })
		case "exception":
			code, events, _ := strings.Cut(value, "@")
			e, ok := exceptions[code]
			at, err := strconv.ParseUint(events, 10, 31)
			if !ok || err != nil {
				return fail(part, "an exception and a number of events are expected, as in exception=ThrottlingException@3")
			}
			apply(func(r *Reply) { r.ExceptionAfter(int(at), code, e.message) })
		case "stall":
			if !hasValue {
				apply(func(r *Reply) { r.Stall() })
				break
			}
			at, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return fail(part, "a number of events is expected, as in stall=2")
			}
			apply(func(r *Reply) { r.StallAfter(int(at)) })
		case "delay":
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return fail(part, "a duration is expected, as in delay=1.5s")
			}
			apply(func(r *Reply) { r.Delay(d) })
		case "pace":
			tps, err := strconv.ParseFloat(value, 64)
			if err != nil || !(tps > 0) {
				return fail(part, "tokens a second are expected, as in pace=2")
			}
			apply(func(r *Reply) { r.Pace(tps) })
		default:
			return fail(part, "no such setting")
		}
		if does := key != "op" && key != "nth" && key != "every" && key != "chance"; does && had {
			return fail(part, "only one thing can happen; what happens besides is a fault of its own")
		}
	}
	if err := f.check(); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", s, err)
	}
	return f, nil
}

func known(op bedrockkit.Operation) bool {
	for _, r := range routes {
		if r.op == op {
			return true
		}
	}
	return false
}
