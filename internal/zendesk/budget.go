package zendesk

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Share says on whose account a request goes. The zero value has the least
// claim.
type Share uint8

// The shares of the rate budget.
const (
	Background Share = iota // refresh, identities, audits: what is left
	Backfill                // export walks that are not increments
	Increments              // the regular export: a tenth kept
	Webhooks                // re-reads that webhooks ask for: a tenth kept
	Comments                // the outbox: a tenth kept
	Live                    // a caller is waiting: half at most, never queues
	shareCount
)

// String names the share, for metrics and logs.
func (s Share) String() string {
	switch s {
	case Backfill:
		return "backfill"
	case Increments:
		return "increments"
	case Webhooks:
		return "webhooks"
	case Comments:
		return "comments"
	case Live:
		return "live"
	default:
		return "background"
	}
}

// guarantee is how many of a minute's requests are kept for a share as long as
// it has not used them. It is rounded down, so that all guarantees together
// are there, but a tenth of anything is at least one.
func (s Share) guarantee(whole int) int {
	switch s {
	case Live:
		return whole / 2
	case Comments, Webhooks, Increments:
		if whole >= 5 {
			return max(1, whole/10)
		}
		return 0
	default:
		return 0
	}
}

// lane is a limit of an endpoint's own, beside the account's.
type lane uint8

const (
	noLane     lane = iota
	ticketLane      // /incremental/* but the users cursor
	userLane        // the users cursor
	searchLane
	searchExportLane // /search/export
	laneCount
)

// isExport tells whether two of each ten are kept for increments.
func (l lane) isExport() bool { return l == ticketLane || l == userLane }

// The export limits of every plan, until a header says more: the High Volume
// add-on has 30 and 60. A search has no limit until a header says one.
const (
	ticketExports = 10
	userExports   = 20
	searchExports = 100
)

// budget deals the requests of a minute out to the shares.
//
// Zendesk counts by its clock's minute, for the whole account. Of rate
// requests a minute, or of less where Zendesk says that less is there (others
// use the account too), live gets half at most, and comments, webhooks and
// increments each have a tenth. What a share has not used is kept for it, and
// lent out as the minute passes: with a third of the minute to go, a third of
// it is still kept. Within its guarantee a share goes ahead as long as
// anything is left; beyond it, with what the others' kept parts leave over.
// Background and backfill have no guarantee, so at the start of a minute a
// fifth is theirs.
//
// The exports' own limits are kept beside it: of each ten requests two are
// for increments alone. After a 429 the window that refused is closed here
// until it opens there.
//
// A budget is safe for concurrent use.
type budget struct {
	now func() time.Time

	mu      sync.Mutex
	rate    int // ours, as configured
	account window
	lanes   [laneCount]window
	heard   int           // what the headers last said is left, -1 before
	changed chan struct{} // closed when waiting may have become shorter
}

// newBudget makes a budget of so many requests a minute.
func newBudget(perMinute int, now func() time.Time) *budget {
	b := &budget{now: now, rate: perMinute, heard: -1, changed: make(chan struct{})}
	at := now()
	b.account = newWindow(at, perMinute)
	b.lanes[ticketLane] = newWindow(at, ticketExports)
	b.lanes[userLane] = newWindow(at, userExports)
	b.lanes[searchLane] = newWindow(at, 0)
	b.lanes[searchExportLane] = newWindow(at, searchExports)
	return b
}

// remaining is what Zendesk's headers last said is left of the account's
// minute, -1 before the first.
func (b *budget) remaining() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard
}

// grant is leave to send one request. Its answer is shown to settle.
type grant struct {
	share         Share
	lane          lane
	minute, lanes uint64 // the windows it was counted in
}

// acquire waits for leave to send a request. Where it would have to wait and
// may not, being live, or has not the time, refused is how long it would have
// been. It fails only with the context's error.
func (b *budget) acquire(ctx context.Context, s Share, l lane) (g grant, refused time.Duration, err error) {
	for {
		if ctx.Err() != nil {
			return grant{}, 0, ctx.Err()
		}
		g, wait, changed := b.take(s, l)
		if wait == 0 {
			return g, 0, nil
		}
		if s == Live || !fits(ctx, wait) {
			return grant{}, wait, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return grant{}, 0, ctx.Err()
		}
	}
}

// fits tells whether a wait ends before the context does.
func fits(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || wait < time.Until(deadline)
}

// take counts a request in, or says how long until it may be worth asking
// again; the channel is closed should that become sooner.
func (b *budget) take(s Share, l lane) (g grant, wait time.Duration, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	own := &b.lanes[l]
	b.account.roll(now)
	wait = b.account.roomForShare(s, now)
	if l != noLane {
		own.roll(now)
		wait = max(wait, own.roomInLane(s, l.isExport(), now))
	}
	if wait > 0 {
		return grant{}, max(wait, time.Millisecond), b.changed
	}
	b.account.count(s)
	own.count(s)
	return grant{share: s, lane: l, minute: b.account.id, lanes: own.id}, 0, nil
}

// settle takes note of what an answer's headers say; nil where there was no
// answer. Every grant is settled once.
func (b *budget) settle(g grant, header http.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.account.inFlight--
	b.lanes[g.lane].inFlight--
	if header == nil {
		return
	}
	sooner := false
	if r, ok := accountReading(header); ok {
		b.account.roll(now)
		if r.limit > 0 {
			r.limit = min(r.limit, b.rate)
		}
		sooner = b.account.learn(r, g.minute == b.account.id, g.share, now)
		if r.left >= 0 {
			b.heard = r.left
		}
	}
	if r, ok := laneReading(header, g.lane); ok {
		own := &b.lanes[g.lane]
		own.roll(now)
		sooner = own.learn(r, g.lanes == own.id, g.share, now) || sooner
	}
	if sooner {
		close(b.changed)
		b.changed = make(chan struct{})
	}
}

// refuse closes, after a 429, the window that it came from: the account's
// where the headers or the text say so or nothing else can be meant, else the
// endpoint's own. A 429 of a limit that we do not count, such as that of one
// ticket's updates, closes nothing. A missing Retry-After is taken to be the
// window's end.
func (b *budget) refuse(g grant, header http.Header, e *Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	w := &b.lanes[g.lane]
	r, told := accountReading(header)
	switch {
	case told && r.left == 0, ofAccount(e):
		w = &b.account
	case g.lane != noLane:
	case told && r.left > 0, e.Endpoint == endpointTicketUpdate:
		return
	default:
		w = &b.account
	}
	w.roll(now)
	until := w.end
	if e.RetryAfter > 0 {
		until = now.Add(e.RetryAfter)
	}
	if until.After(w.blocked) {
		w.blocked = until
	}
	if e.RetryAfter > 0 && e.RetryAfter <= minute {
		w.end = until // it says when the window ends
	}
}
