package bedrockx

import (
	"maps"
	"reflect"
	"sync"
	"sync/atomic"

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
	key := targetKey{c.api, c.account, c.region, c.Model}
	if c.sdk == nil && reflect.TypeOf(c.api).Kind() != reflect.Pointer && !reflect.ValueOf(c.api).Comparable() {
		key.api = nil
	}
	return key
}

// perTarget holds a state for each target. Reading it takes no lock, as every
// call does.
type perTarget[T any] struct {
	mu     sync.Mutex // held to add a target
	states atomic.Pointer[map[targetKey]*T]
}

// maxTargets bounds the states that are kept: a service may let its users say
// the model. All begin anew then.
const maxTargets = 1000

// find returns the state of a target, or nil where there is none yet.
func (p *perTarget[T]) find(key targetKey) *T {
	if states := p.states.Load(); states != nil {
		return (*states)[key]
	}
	return nil
}

// get returns the state of a target, a new one where there is none yet.
func (p *perTarget[T]) get(key targetKey) *T {
	if state := p.find(key); state != nil {
		return state
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if state := p.find(key); state != nil {
		return state
	}
	added := map[targetKey]*T{}
	if states := p.states.Load(); states != nil && len(*states) < maxTargets {
		added = maps.Clone(*states)
	}
	state := new(T)
	added[key] = state
	p.states.Store(&added)
	return state
}
