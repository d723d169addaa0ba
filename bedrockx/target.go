package bedrockx

import (
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
)

// targetKey is an account and region, as far as they are named or the clients
// tell them apart, and a model.
type targetKey struct {
	api             RuntimeAPI // nil where it is of a type that cannot be compared
	account, region string
	model           bedrockkit.ModelID
}

func (c *Call) target() targetKey {
	return Target{Model: c.Model, API: c.api, Region: c.Region, Account: c.account}.key()
}

func (t Target) key() targetKey {
	key := targetKey{t.API, t.Account, t.Region, t.Model}
	if _, sdk := t.API.(*bedrockruntime.Client); !sdk && reflect.TypeOf(t.API).Kind() != reflect.Pointer && !reflect.ValueOf(t.API).Comparable() {
		key.api = nil
	}
	return key
}

// perTarget holds a state for each target. Reading it takes no lock, as every
// call does.
type perTarget[T any, P state[T]] struct {
	mu     sync.Mutex // held to add a target
	states atomic.Pointer[map[targetKey]P]
}

// A state is what is known of a target. One that is idle says no more than a
// new one would.
type state[T any] interface {
	*T
	idle(now time.Time) bool
}

// maxTargets bounds the states that are kept, as a service may let its users say
// the model. Those that are idle make room. If none is, a further target has no
// state that is kept: so no user can make a client forget the others.
const maxTargets = 1000

// find returns the state of a target, or nil if there is none yet.
func (p *perTarget[T, P]) find(key targetKey) P {
	if states := p.states.Load(); states != nil {
		return (*states)[key]
	}
	return nil
}

// get returns the state of a target, a new one if there is none yet.
func (p *perTarget[T, P]) get(key targetKey) P {
	if state := p.find(key); state != nil {
		return state
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if state := p.find(key); state != nil {
		return state
	}
	added := map[targetKey]P{}
	if states := p.states.Load(); states != nil {
		added = maps.Clone(*states)
	}
	if now := time.Now(); len(added) >= maxTargets {
		maps.DeleteFunc(added, func(_ targetKey, state P) bool { return state.idle(now) })
	}
	state := P(new(T))
	if len(added) < maxTargets {
		added[key] = state
		p.states.Store(&added)
	}
	return state
}
