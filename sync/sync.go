// Package sync keeps the mirror up: it walks Zendesk's exports and hands what
// it reads to the store, on a schedule and on request.
//
// A run follows both streams, users and tickets, each from its saved cursor to
// its end, at the same time, because Zendesk counts them in budgets of their
// own. Every page goes to the store in one batch with the cursor after it, so
// that a run can end at any page, by a fault or a kill, and the next one goes
// on there. The first run ever begins at the beginning: the fill. At the end
// of a stream stands its watermark: the moment up to which it is known.
//
// There are two lanes, and one run at a time in each:
//
//   - The lane of increments follows the streams and owns their positions. A
//     request while it runs joins that run. Where one stream has ended and the
//     other is still being filled, which can take a day, such a request makes
//     the first one be followed again: nothing waits for the other's fill.
//   - The lane of full walks reads everything from the beginning, beside the
//     living mirror and without touching its positions; the versions of the
//     records decide what counts. Increments go on meanwhile in their own
//     lane, so answers do not age while a walk goes on for hours. A full walk
//     asked for while an increment runs begins after it; further requests
//     join the one that waits. One walk is held in memory alone: after a
//     restart it begins anew.
//
// A full walk asked for before both streams have ever reached their end is
// the fill itself, since that reads everything: it joins the fill that goes
// on, or is it, in the lane of increments.
//
// What the exports do not show, people's further numbers, is read beside the
// runs by a goroutine of its own from the store's list of debts, see
// identities.go; it is no part of a run, and its faults fail none.
//
// This file: what a Syncer is made of. jobs.go: requests and runs. follow.go:
// what a run does with a stream. walk.go: reading a stream page by page.
// schedule.go: cron. progress.go: what is told of it all.
package sync

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	stdsync "sync"
	"time"

	"github.com/robfig/cron/v3"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

var (
	// ErrStopped says that a run was asked for after the end.
	ErrStopped = errors.New("the mirror's upkeep has stopped")
	// ErrRunning says that Run was called a second time.
	ErrRunning = errors.New("the mirror's upkeep has been started already")
)

// Page is what a source answers, in the domain's terms.
type Page = caller.Page

// Request is what it is asked.
type Request = caller.PageRequest

// records counts what a page holds.
func records(p *Page) int { return len(p.Users) + len(p.Tickets) }

// Source is Zendesk as the syncer sees it. Its errors are
// [caller.UpstreamError]; it has retried what can be, and waited as long as
// Zendesk said. Both methods are called from several goroutines.
type Source interface {
	// Export reads one page.
	Export(ctx context.Context, r Request) (*Page, error)
	// Identities reads up to 100 users with their identities; ids that Zendesk
	// does not have any more come back as gone.
	Identities(ctx context.Context, userIDs []int64) ([]caller.UserUpdate, []caller.Gone, error)
}

// Store is the mirror on disk as the syncer sees it.
type Store interface {
	// Apply writes a batch and its position in one transaction, and returns
	// once it is on disk.
	Apply(ctx context.Context, b caller.Batch) (caller.Change, error)
	Streams() caller.Streams
	// Due lists users whose identities are to be read, by ascending id.
	Due(after int64, limit int) ([]int64, error)
	// Prune forgets what left long ago.
	Prune(ctx context.Context) (int, error)
	Size() caller.Size
}

// Options are what a Syncer is made of; Source, Store and Logger are required.
type Options struct {
	Source Source
	Store  Store
	Logger *slog.Logger

	// Schedule and FullSchedule are cron's five fields or a descriptor such as
	// "@every 1m", in the zone Location (nil is UTC); "" never fires.
	Schedule, FullSchedule string
	Location               *time.Location
	// OnStart begins with an incremental run.
	OnStart bool
	// Identities has people's further numbers read.
	Identities bool

	Clock func() time.Time // nil is time.Now
	NewID func() string    // makes the ids of jobs; nil is 10 random letters and digits

	// FirstFillRecords is how many records one transaction of a fill gathers;
	// 0 is 20,000. They come at about 1 KB, so a batch is some 20 MB.
	FirstFillRecords int
}

// Syncer keeps the mirror up. Run does the work; all other methods may be
// called from any goroutine at any time, before and after Run too.
type Syncer struct {
	source      Source
	store       Store
	log         *slog.Logger
	clock       func() time.Time
	newID       func() string
	onStart     bool
	identities  bool
	fillRecords int
	cron        *cron.Cron

	// places are held from reading a stream's position to writing the next, so
	// that the two lanes do not overwrite each other's.
	places struct{ users, tickets stdsync.Mutex }
	wake   chan struct{} // something may be started
	debts  chan struct{} // identities may be due

	mu         stdsync.Mutex
	phase      phase
	increments lane
	walks      lane
	last       []status.Job // newest first
	success    time.Time
	lastError  string
	unreadable []string
	paying     *track // nil while no identities are read
}

// phase is where a Syncer is in its life.
type phase int

const (
	fresh phase = iota
	working
	stopped
)

// New makes a Syncer and reads its schedules; nothing runs before Run.
func New(o Options) (*Syncer, error) {
	s := &Syncer{
		source: o.Source, store: o.Store, log: o.Logger, clock: o.Clock, newID: o.NewID,
		onStart: o.OnStart, identities: o.Identities, fillRecords: o.FirstFillRecords,
		wake: make(chan struct{}, 1), debts: make(chan struct{}, 1),
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.newID == nil {
		s.newID = func() string { return rand.Text()[:10] }
	}
	if s.fillRecords == 0 {
		s.fillRecords = 20_000
	}
	if err := s.plan(o); err != nil {
		return nil, err
	}
	return s, nil
}

// Run keeps the mirror up until ctx ends. It then stops what runs, after the
// page that is being written, and returns once every goroutine has ended. What
// was requested before is begun first. A Syncer runs once.
func (s *Syncer) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.phase != fresh {
		s.mu.Unlock()
		return ErrRunning
	}
	s.phase = working
	s.mu.Unlock()

	if s.onStart {
		if _, err := s.Start(status.Request{Mode: modeIncremental, Trigger: triggerStart}); err != nil {
			return err
		}
	}
	var wg stdsync.WaitGroup
	if s.identities {
		wg.Go(func() { s.payDebts(ctx) })
	}
	s.cron.Start()
	for ctx.Err() == nil {
		for _, r := range s.dispatch() {
			wg.Go(func() { s.execute(ctx, r) })
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	s.stop()
	<-s.cron.Stop().Done()
	wg.Wait()
	return nil
}

// place is the lock of a stream's position.
func (s *Syncer) place(stream caller.Stream) *stdsync.Mutex {
	if stream == caller.Users {
		return &s.places.users
	}
	return &s.places.tickets
}

// position is how far a stream has come, as of the last commit.
func (s *Syncer) position(stream caller.Stream) caller.Position {
	streams := s.store.Streams()
	p := streams.Tickets
	if stream == caller.Users {
		p = streams.Users
	}
	p.Stream = stream
	return p
}

// poke wakes whoever waits on c; a second poke before that adds nothing.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
