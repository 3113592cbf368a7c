package zendesktest

import "time"

// The service stops sending to a webhook that fails too often: at 70 % errors
// over five minutes its circuit breaker opens for a while. What falls into
// that while is lost; whether the service would keep it is not known, and this
// is the harder case.
const (
	breakerWindow = 5 * time.Minute
	breakerShare  = 0.7
	// breakerLeast is how many tries must be seen before a share means much.
	breakerLeast = 10
	breakerPause = time.Minute
)

// breaker is what a webhook's deliveries came to of late.
type breaker struct {
	tries  []try // oldest first, none older than the window
	closes time.Time
}

type try struct {
	at     time.Time
	failed bool
}

// isOpen tells whether a webhook gets nothing for now.
func (k *hooks) isOpen(hook string) bool {
	if !k.opt.Breaker {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.breakers[hook]
	return b != nil && time.Now().Before(b.closes)
}

// judge counts one try, and opens the breaker where too many have failed. Once
// it closes it begins to count anew.
func (k *hooks) judge(hook string, failed bool) {
	if !k.opt.Breaker {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	b, now := k.breakers[hook], time.Now()
	if b == nil {
		b = &breaker{}
		k.breakers[hook] = b
	}
	kept, bad := b.tries[:0], 0
	for _, t := range append(b.tries, try{now, failed}) {
		if now.Sub(t.at) >= breakerWindow {
			continue
		}
		kept = append(kept, t)
		if t.failed {
			bad++
		}
	}
	b.tries = kept
	if len(kept) >= breakerLeast && float64(bad) >= breakerShare*float64(len(kept)) {
		b.tries, b.closes = nil, now.Add(breakerPause)
	}
}
